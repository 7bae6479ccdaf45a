"""What one side says of a service otherwise than the other: clusters with their policies, and endpoints."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..xds.model.cluster import Cluster, TransportSocket
from ..xds.model.endpoint import ClusterLoadAssignment
from .changes import Change, policy, service_of, where_of
from .differing import differences, plain
from .effects import Effect, effect_of
from .touched import Touched

SKIP = frozenset(
    {
        "name",
        "eds_service_name",  # names of names
        "load_assignment",  # compared as endpoints
        "metadata",
        "alt_stat_name",
        "notes",
        "high_thresholds",  # Istio says both alike
    }
)

ISTIO_MUTUAL = "default"
"""The name of a workload's own certificate."""


def compare_clusters(touched: Touched) -> Iterator[Change]:
    """Services, ports and subsets that come or go, endpoints, and every policy of a cluster."""
    old, new = touched.old, touched.new
    for name in touched.ordered:
        before, after = old.clusters.get(name), new.clusters.get(name)
        if before is None and after is None:  # refused on both sides
            continue
        counts = [None if each is None else count(side.endpoints(each)) for side, each in ((old, before), (new, after))]
        if before is None or after is None:
            said: Any = before or after
            yield _service(said, "removed" if after is None else "added", counts, [], [])
            continue
        yield from _endpoints(before, old.endpoints(before), new.endpoints(after), counts)
        yield from _policies(before, after)
    for name in sorted(touched.names):
        yield from _addresses_of(name, old.names.table.get(name), new.names.table.get(name))


def count(assignment: ClusterLoadAssignment) -> int:
    """How many endpoints there are."""
    return sum(len(each.endpoints) for each in assignment.localities)


def _service(cluster: Cluster, change: str, counts: list[int | None], gone: list[str], come: list[str]) -> Change:
    host = service_of(cluster.name)[0]
    endpoints = {"old": counts[0], "new": counts[1], "gone": gone, "come": come}
    return Change("services", host, {"change": change, "host": host, **where_of(cluster), "endpoints": endpoints})


def _endpoints(
    cluster: Cluster, old: ClusterLoadAssignment, new: ClusterLoadAssignment, counts: list[int | None]
) -> Iterator[Change]:
    before, after = _addresses(old), _addresses(new)
    if before != after:
        gone = sorted(each for each in before if each not in after)
        come = sorted(each for each in after if each not in before)
        yield _service(cluster, "endpoints", counts, gone, come)
        host = service_of(cluster.name)[0]
        for address in sorted(before.keys() & after.keys()):
            for path, one, other in differences(before[address], after[address]):
                yield policy("endpoint", host, {**where_of(cluster), "address": address}, path, one, other, "changes")
    host = service_of(cluster.name)[0]
    one, other = _localities(old), _localities(new)
    for locality in sorted(one.keys() & other.keys()):
        for path, first, second in differences(one[locality], other[locality]):
            where = {**where_of(cluster), "locality": locality}
            yield policy("locality", host, where, path.strip("[]"), first, second, "changes")
    for key in ("overprovisioning_factor", "weighted_priority_health", "drop_overload"):
        first, second = plain(getattr(old, key)), plain(getattr(new, key))
        if first != second:
            yield policy("locality", host, where_of(cluster), key, first, second, "changes")


def _addresses(assignment: ClusterLoadAssignment) -> dict[str, dict[str, Any]]:
    return {
        str(each.address): {
            "weight": each.weight,
            "health": each.health,
            "tls": each.metadata.get("envoy.transport_socket_match", {}).get("tlsMode"),
        }
        for group in assignment.localities
        for each in group.endpoints
    }


def _localities(assignment: ClusterLoadAssignment) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    weighed = any(each.weight is not None for each in assignment.localities)
    several = len({each.priority for each in assignment.localities}) > 1
    for each in assignment.localities:
        name = "/".join(filter(None, (each.locality.region, each.locality.zone, each.locality.sub_zone))) or "(none)"
        said = found.setdefault(name, {})
        if several:
            said["priority"] = each.priority
        if weighed and len(assignment.localities) > 1:
            said["weight"] = each.weight
    return found


def _policies(old: Cluster, new: Cluster) -> Iterator[Change]:
    if old == new:
        return
    host, where = service_of(old.name)[0], where_of(old)
    before, after = tls_mode(old), tls_mode(new)
    if before != after:
        yield policy("cluster", host, where, "tls", before, after, effect_of("tls", before, after))
    for path, one, other in differences(old, new, SKIP):
        yield policy("cluster", host, where, path, one, other, _effect(path, one, other))


def _effect(path: str, old: Any, new: Any) -> Effect:
    if path.endswith(".sans") and old and new:
        # Fewer names are more to prove.
        known = [{str(each) for each in side} for side in (old, new)]
        return "tightens" if known[1] < known[0] else "loosens" if known[0] < known[1] else "changes"
    return effect_of(path, old, new)


def tls_mode(cluster: Cluster) -> str:
    """What Istio calls it: as the destination rule says, or by itself where the endpoint's Pod has mutual TLS."""
    if any(each.socket.tls for each in cluster.transport_socket_matches):
        return "AUTO_MTLS"
    return _mode(cluster.transport_socket)


def _mode(socket: TransportSocket) -> str:
    if socket.upstream is None:
        return "DISABLE" if not socket.unsupported else "UNKNOWN"
    return "MUTUAL" if socket.upstream.common.certificate is not None else "SIMPLE"


def _addresses_of(name: str, one: tuple[str, ...] | None, other: tuple[str, ...] | None) -> Iterator[Change]:
    if one is not None and other is not None and sorted(one) != sorted(other):
        yield policy("name", name, {}, "addresses", list(one), list(other), "changes")
