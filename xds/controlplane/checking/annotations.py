"""Annotations that mean something, on a kind where they do not, or spelled so that they do not.

Only names that the control plane reads are known here: Istio has many more, for its injector and its agent.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping

from ..kinds import ENDPOINTS
from ..objects import Object
from ..registry.proxy_configs import ANNOTATION
from .finding import Said

READ: Mapping[str, tuple[str, ...]] = {
    "alpha.istio.io/canonical-serviceaccounts": ("Service",),
    "alpha.istio.io/kubernetes-serviceaccounts": ("Service",),
    "istio.io/connect-strategy": ("Service", "ServiceEntry"),
    "istio.io/dry-run": ("AuthorizationPolicy",),
    "networking.istio.io/exportTo": ("Service",),
    "networking.istio.io/traffic-distribution": ("Service", "ServiceEntry", "Namespace"),
    ANNOTATION: ("Pod",),
    ENDPOINTS: ("Deployment",),
}
"""Which kinds an annotation is read of."""

NEAR = 0.9
"""How like one of them another name must be for a slip: there are others of Istio's that nobody knows here."""

OWN = ("istio.io", "proxyless.dev")
"""Domains whose names are looked at."""


def misplaced(source: Object[object]) -> Iterator[Said]:
    """Keys into the object."""
    for name in source.meta.annotations:
        kinds = READ.get(name)
        keys = ("metadata", "annotations", name)
        if kinds is not None:
            if source.kind not in kinds:
                yield "warning", keys, f"has no effect on a {source.kind}: it is for a {' or a '.join(kinds)}"
        elif name.partition("/")[0].endswith(OWN):
            near = difflib.get_close_matches(name, READ, n=1, cutoff=NEAR)
            if near:
                yield "warning", keys, f'has no effect: it is not known (did you mean "{near[0]}"?)'
