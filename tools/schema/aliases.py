"""Short names for proto packages, the names of the namespaces under `types`.

The rule, after Envoy's own habit: the last folder and the version, so `envoy.config.cluster.v3` is `cluster_v3`. When
several packages would get one name, the one that ranks first in `_RANKS` keeps it and the others put their parent
folder in front (`envoy.config.rbac.v3` is `rbac_v3`, `envoy.extensions.filters.http.rbac.v3` is `http_rbac_v3`); two
extensions that collide both do, and so does one below a folder `common`. Packages outside `envoy` always start with
their first folder: `xds_core_v3`, `google_protobuf`, `istio_nds_v1`. `_PINNED` holds the few that the rule would name
badly.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable

_RANKS = ("envoy.config.", "envoy.type.", "envoy.service.", "envoy.data.")
_VERSION = re.compile(r"v\d+\w*")
_PINNED = {
    "envoy.extensions.http.early_header_mutation.header_mutation.v3": "early_header_mutation_v3",
    "envoy.extensions.load_balancing_policies.common.v3": "load_balancing_common_v3",
    "envoy.extensions.matching.common_inputs.network.v3": "network_inputs_v3",
    "envoy.extensions.matching.common_inputs.ssl.v3": "ssl_inputs_v3",
    "envoy.extensions.matching.common_inputs.transport_socket.v3": "transport_socket_inputs_v3",
    "envoy.extensions.matching.input_matchers.ip.v3": "ip_matcher_v3",
    "envoy.extensions.wasm.v3": "wasm_v3",
    "envoy.tcp.metadataexchange.config": "istio_metadataexchange",
    "stats": "istio_stats",
}


def aliases(packages: Iterable[str]) -> dict[str, str]:
    """Alias -> package, sorted by alias."""
    names = {package: _PINNED.get(package) or _short(package, 1) for package in packages}
    for depth in (2, 3):
        by_name = defaultdict(list)
        for package, name in names.items():
            by_name[name].append(package)
        for several in by_name.values():
            if len(several) > 1:
                keeper = _keeper(several)
                names |= {package: _short(package, depth) for package in several if package != keeper}
    if len(set(names.values())) != len(names):
        raise ValueError("two packages have one alias")
    return dict(sorted((name, package) for package, name in names.items()))


def _short(package: str, depth: int) -> str:
    words = package.split(".")
    version = next((word for word in words if _VERSION.fullmatch(word)), None)
    folders = [word for word in words if word != version]
    first = folders[0]
    folders = folders[-depth:] if first == "envoy" else [first, *folders[1:][-depth:]]
    return "_".join([*folders, version] if version else folders)


def _keeper(packages: list[str]) -> str | None:
    """The package that keeps the plain name: a pinned one, else the highest ranked if it is alone in its rank."""
    pinned = [p for p in packages if p in _PINNED]
    if pinned:
        return pinned[0]
    for prefix in _RANKS:
        ranked = [p for p in packages if p.startswith(prefix) and ".common." not in p]
        if ranked:
            return ranked[0] if len(ranked) == 1 else None
    return None
