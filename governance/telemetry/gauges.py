"""How things stand, as readings: the clusters that a mesh governs, and its control plane."""

import json
from collections.abc import Iterator

from ...xds.model.resource import ResourceType
from ..cluster import ClusterRuntime, ClusterState
from ..runtime import Runtime
from .facts import ControlPlane, Facts, Held
from .families import Reading

MAX_VERSION = 64
"""Characters of a control plane's version that become a label."""


class EndpointCounts:
    """Endpoints by health, counted anew only when a cluster changed."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[str, tuple[ClusterRuntime, dict[str, int]]] = {}

    def readings(self, runtime: Runtime) -> Iterator[Reading]:
        """Those of the clusters in use."""
        clusters = dict(runtime.plan.clusters)
        self._known = {name: self._count(name, cluster) for name, cluster in clusters.items()}
        for name, (_, counts) in self._known.items():
            for health, count in counts.items():
                yield Reading("proxyless_cluster_endpoints", (name, health), count)

    def _count(self, name: str, cluster: ClusterRuntime) -> tuple[ClusterRuntime, dict[str, int]]:
        known = self._known.get(name)
        if known is not None and known[0] is cluster:
            return known
        counts: dict[str, int] = {}
        for host in cluster.hosts:
            health = host.health.lower()
            counts[health] = counts.get(health, 0) + 1
        return cluster, counts


def cluster_gauges(runtime: Runtime) -> Iterator[Reading]:
    """What each cluster has under way, both routing priorities together."""
    for state in _states(runtime):
        both = (state.normal, state.high)
        labels = (state.name,)
        yield Reading("proxyless_cluster_active_requests", labels, sum(each.requests for each in both))
        yield Reading("proxyless_cluster_pending_requests", labels, sum(each.pending for each in both))
        yield Reading("proxyless_cluster_connections", labels, sum(each.connections for each in both))
        yield Reading("proxyless_cluster_active_retries", labels, sum(each.retries for each in both))
        if state.detector is not None:
            yield Reading("proxyless_cluster_ejections_active", labels, state.detector.active)


def mirror_counts(runtime: Runtime) -> Iterator[Reading]:
    """What became of the copies of requests."""
    for outcome, count in runtime.background.counts.items():
        yield Reading("proxyless_mirrored_requests_total", (outcome,), count)


def log_counts(runtime: Runtime) -> Iterator[Reading]:
    """What became of the lines of access logs; nothing where there was none."""
    counts = runtime.logged() if runtime.logged is not None else None
    if counts is not None and (counts.written or counts.dropped):
        yield Reading("proxyless_access_log_lines_total", ("written",), counts.written)
        yield Reading("proxyless_access_log_lines_total", ("dropped",), counts.dropped)


def cluster_counts(runtime: Runtime) -> Iterator[Reading]:
    """What each cluster has counted since it is known."""
    for state in _states(runtime):
        for threshold in state.normal.overflows:
            count = state.normal.overflows[threshold] + state.high.overflows[threshold]
            if count:
                yield Reading("proxyless_cluster_overflows_total", (state.name, threshold), count)
        checker = state.checker
        if checker is not None:
            for result, count in {"success": checker.successes, **checker.failures}.items():
                labels = (state.name, result.replace(" ", "_"))
                yield Reading("proxyless_cluster_health_checks_total", labels, count)
        detector = state.detector
        if detector is not None:
            for type_, count in dict(detector.detected).items():
                yield Reading("proxyless_cluster_ejections_detected_total", (state.name, type_.lower()), count)
            for type_, count in dict(detector.enforced).items():
                yield Reading("proxyless_cluster_ejections_enforced_total", (state.name, type_.lower()), count)
            if detector.overflows:
                yield Reading("proxyless_cluster_ejections_overflow_total", (state.name,), detector.overflows)


def _states(runtime: Runtime) -> list[ClusterState]:
    return list(runtime.states.values())


def control_gauges(facts: Facts) -> Iterator[Reading]:
    """The control plane now."""
    if facts.version:
        yield Reading("proxyless_info", (facts.version,), 1)
    control = facts.control
    if control is None:
        return
    labels = (control.address,)
    yield Reading("proxyless_control_plane_connected", labels, int(control.connected))
    if control.control_plane:
        yield Reading("proxyless_control_plane_info", (control.address, version_of(control.control_plane)), 1)
    from_disk = control.from_disk
    since = from_disk if from_disk is not None else control.last_update
    yield Reading("proxyless_configuration_from_disk", labels, int(from_disk is not None))
    yield Reading("proxyless_configuration_generation", labels, facts.runtime.plan.snapshot.generation)
    if since is not None:
        yield Reading("proxyless_configuration_age_seconds", labels, max(0.0, facts.now - since))
    if facts.held is not None:
        yield from _resources(facts.held, control)


def _resources(held: Held, control: ControlPlane) -> Iterator[Reading]:
    rejected = dict.fromkeys(ResourceType, 0)
    for type_, _ in list(held.rejected):
        rejected[type_] += 1
    for type_ in ResourceType:
        labels = (control.address, type_.message)
        yield Reading("proxyless_resources", labels, len(held.newest[type_]))
        yield Reading("proxyless_resources_rejected", labels, rejected[type_])


def control_counts(control: ControlPlane) -> Iterator[Reading]:
    """What has happened with the control plane since the process follows it."""
    yield Reading("proxyless_control_plane_reconnects_total", (control.address,), max(0, control.attempts - 1))
    for type_, count in dict(control.updates).items():
        yield Reading("proxyless_control_plane_updates_total", (control.address, type_), count)
    for type_, count in dict(control.rejects).items():
        yield Reading("proxyless_control_plane_rejects_total", (control.address, type_), count)


def version_of(identifier: str) -> str:
    """The version in a control plane's identifier, for istiod's is JSON that also names the pod; else `unknown`."""
    try:
        document = json.loads(identifier)
        version = document["Info"]["version"]
    except (ValueError, KeyError, TypeError):
        return "unknown"
    return version[:MAX_VERSION] if isinstance(version, str) and version else "unknown"
