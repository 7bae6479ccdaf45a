"""DNS for the clusters that want it: resolved in the background, again and again (STRICT_DNS, LOGICAL_DNS)."""

import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from ..model.cluster import Cluster
from ..model.endpoint import ClusterLoadAssignment, LbEndpoint, LocalityLbEndpoints
from ..model.values import Address

Resolve = Callable[[str, int, socket.AddressFamily], list[str]]

FAMILIES = {
    "V4_ONLY": (socket.AF_INET,),
    "V6_ONLY": (socket.AF_INET6,),
    "AUTO": (socket.AF_INET6, socket.AF_INET),
    "V4_PREFERRED": (socket.AF_INET, socket.AF_INET6),
    "ALL": (socket.AF_UNSPEC,),
}


def getaddrinfo(host: str, port: int, family: socket.AddressFamily) -> list[str]:
    """The system's resolver; empty where the name has no address of the family."""
    try:
        found = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)
    except OSError:
        return []
    return list(dict.fromkeys(str(each[4][0]) for each in found))


class DnsClusters:
    """Resolves clusters and says what became of them; `tick` decides which are due."""

    def __init__(
        self, on_resolved: Callable[[str, ClusterLoadAssignment], None], resolve: Resolve = getaddrinfo
    ) -> None:
        self._on_resolved = on_resolved
        self._resolve = resolve
        self._due: dict[str, float] = {}
        self._configured: dict[str, Cluster] = {}
        self._known: dict[str, ClusterLoadAssignment] = {}
        self._workers: ThreadPoolExecutor | None = None

    def tick(self, clusters: list[Cluster], now: float) -> float | None:
        """Start what is due; the seconds until the next one is, None where there is none."""
        names = {cluster.name for cluster in clusters}
        for gone in [name for name in self._due if name not in names]:
            del self._due[gone], self._configured[gone]
            self._known.pop(gone, None)
        for cluster in clusters:
            if self._configured.get(cluster.name) != cluster:
                self._configured[cluster.name] = cluster
                self._due.pop(cluster.name, None)
                self._known.pop(cluster.name, None)
            if self._due.get(cluster.name, 0.0) <= now:
                self._due[cluster.name] = now + cluster.dns.refresh_rate_s
                if self._workers is None:
                    self._workers = ThreadPoolExecutor(2, "proxyless-dns")
                self._workers.submit(self._look_up, self._configured[cluster.name])
        return max(0.0, min(self._due.values()) - now) if self._due else None

    def close(self) -> None:
        """Stop resolving."""
        if self._workers is not None:
            self._workers.shutdown(wait=False, cancel_futures=True)

    def _look_up(self, cluster: Cluster) -> None:
        assignment = resolve_assignment(cluster, self._resolve)
        if self._configured.get(cluster.name) is not cluster:
            return  # it was asked for by a version that is gone
        before = self._known.get(cluster.name)
        if before is not None and not any(each.endpoints for each in assignment.localities):
            assignment = before  # a name that stops resolving keeps its last addresses, as in Envoy
        self._known[cluster.name] = assignment
        self._on_resolved(cluster.name, assignment)


def resolve_assignment(cluster: Cluster, resolve: Resolve) -> ClusterLoadAssignment:
    """The cluster's endpoints with addresses for names; LOGICAL_DNS takes one address of each."""
    configured = cluster.load_assignment or ClusterLoadAssignment(cluster.name)
    localities = []
    for locality in configured.localities:
        endpoints: list[LbEndpoint] = []
        for endpoint in locality.endpoints:
            host, port = endpoint.address.host, endpoint.address.port
            addresses: list[str] = []
            for family in FAMILIES[cluster.dns.lookup_family]:
                addresses = resolve(host, port, family)
                if addresses:
                    break
            if cluster.type == "LOGICAL_DNS":
                addresses = addresses[:1]
            endpoints += [
                replace(endpoint, address=Address(each, port), hostname=endpoint.hostname or host) for each in addresses
            ]
        localities.append(LocalityLbEndpoints(tuple(endpoints), locality.locality, locality.priority, locality.weight))
    return replace(configured, localities=tuple(localities))
