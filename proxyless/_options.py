"""What the arguments of a mesh and its environment say about decisions."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable

from ._composing import policies_of_mesh
from ._variables import UNGOVERNED, names
from ._watched import tracer_of, traces_attempts, workload_of
from .governance.runtime import Options
from .xds.identity.bootstrap import Node
from .xds.model.values import Locality

ALLOW_UNENFORCED = "PROXYLESS_ALLOW_UNENFORCED"
LOCAL_CLUSTER = "PROXYLESS_LOCAL_CLUSTER"


def options_of(
    node: Node,
    *,
    allow_unenforced: Collection[str],
    passthrough_until_ready: bool,
    overrides: dict[str, str] | None,
    policies: Iterable[object],
) -> Options:
    """Raises ConfigurationError where the policies make no sense."""
    return Options(
        frozenset([*allow_unenforced, *names(os.environ.get(ALLOW_UNENFORCED, ""))]),
        passthrough_until_ready,
        search=node.search,
        overrides=overrides or {},
        locality=Locality(*node.locality) if node.locality else None,
        local_cluster=os.environ.get(LOCAL_CLUSTER, ""),
        workload=workload_of(node),
        tracer=tracer_of(),
        trace_attempts=traces_attempts(),
        ungoverned=frozenset(each.lower() for each in names(os.environ.get(UNGOVERNED, ""))),
        policies=policies_of_mesh(policies),
    )
