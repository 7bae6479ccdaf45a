"""DNS for the clusters that want it: resolved in the background, again and again (STRICT_DNS, LOGICAL_DNS).

Every name of a cluster is a target with a timer of its own (envoy source: DnsClusterImpl::ResolveTarget). It is asked
again after the cluster's refresh rate, or after the TTL of the answer where the cluster respects it, plus jitter; after
a failure by a back-off. An empty answer takes the hosts of a STRICT_DNS cluster away; a failure, and to LOGICAL_DNS an
empty answer too, leaves what was known. A cluster is there when its first target has been answered.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from ..model.cluster import Cluster
from ..model.dns import DnsOptions
from ..model.endpoint import ClusterLoadAssignment, LbEndpoint
from ..model.values import Address
from .resolver import Answer, Resolve, look_up_host, resolve


@dataclass(slots=True)
class _Target:
    """One name. `addresses` None: never answered."""

    host: str
    due: float = 0.0
    asking: bool = False
    addresses: tuple[str, ...] | None = None


@dataclass(slots=True)
class _Followed:
    """A cluster, its targets in the order of its endpoints, and how often in a row it has failed."""

    cluster: Cluster
    targets: list[_Target]
    failures: int = 0
    known: ClusterLoadAssignment | None = field(default=None)


class DnsClusters:
    """Resolves clusters and says what became of them; `tick` decides which targets are due.

    Everything runs on the control thread but the look-ups themselves: `post` hands their answers back to it.
    """

    def __init__(
        self,
        on_resolved: Callable[[str, ClusterLoadAssignment], None],
        post: Callable[[Callable[[], None]], None],
        uniform: Callable[[], float] = lambda: 1.0,
        clock: Callable[[], float] = time.monotonic,
        resolve: Resolve = resolve,
    ) -> None:
        self._on_resolved = on_resolved
        self._post = post
        self._uniform = uniform
        self._clock = clock
        self._resolve = resolve
        self._followed: dict[str, _Followed] = {}
        self._workers: ThreadPoolExecutor | None = None

    def tick(self, clusters: list[Cluster]) -> float | None:
        """Start what is due; the seconds until the next target is, None where there is none."""
        now = self._clock()
        names = {cluster.name for cluster in clusters}
        for gone in self._followed.keys() - names:
            del self._followed[gone]
        next_due: float | None = None
        for cluster in clusters:
            followed = self._followed.get(cluster.name)
            if followed is None or followed.cluster != cluster:
                followed = self._followed[cluster.name] = _Followed(cluster, targets_of(cluster))
                if not followed.targets:
                    self._on_resolved(cluster.name, assigned(cluster, []))
            for target in followed.targets:
                if target.asking:
                    continue
                if target.due <= now:
                    target.asking = True
                    self._submit(followed, target)
                elif next_due is None or target.due < next_due:
                    next_due = target.due
        return None if next_due is None else next_due - now

    def close(self) -> None:
        """Stop resolving."""
        if self._workers is not None:
            self._workers.shutdown(wait=False, cancel_futures=True)

    def _submit(self, followed: _Followed, target: _Target) -> None:
        def look_up() -> None:
            answer = look_up_host(target.host, followed.cluster.dns, self._resolve)
            self._post(lambda: self._answered(followed, target, answer))

        if self._workers is None:
            self._workers = ThreadPoolExecutor(4, "proxyless-dns")
        self._workers.submit(look_up)

    def _answered(self, followed: _Followed, target: _Target, answer: Answer) -> None:
        cluster = followed.cluster
        if self._followed.get(cluster.name) is not followed:
            return  # it was asked for by a version that is gone
        target.asking = False
        if answer.failed or (cluster.type == "LOGICAL_DNS" and not answer.addresses):
            after_s = _after_failure(cluster.dns, followed.failures, self._uniform)
            followed.failures += 1
        else:
            followed.failures = 0
            target.addresses = answer.addresses
            after_s = _after_answer(cluster.dns, answer) + cluster.dns.jitter_s * self._uniform()
        target.due = self._clock() + after_s
        assignment = assigned(cluster, [each.addresses or () for each in followed.targets])
        if assignment != followed.known:
            followed.known = assignment
            self._on_resolved(cluster.name, assignment)


class DnsAtOnce(DnsClusters):
    """The same without a thread: whoever needs a cluster waits for its names."""

    def _submit(self, followed: _Followed, target: _Target) -> None:
        answer = look_up_host(target.host, followed.cluster.dns, self._resolve)
        self._post(lambda: self._answered(followed, target, answer))


def targets_of(cluster: Cluster) -> list[_Target]:
    """One for each endpoint, in the order configured."""
    configured = cluster.load_assignment or ClusterLoadAssignment(cluster.name)
    return [_Target(each.address.host) for group in configured.localities for each in group.endpoints]


def assigned(cluster: Cluster, addresses: list[tuple[str, ...]]) -> ClusterLoadAssignment:
    """The cluster's endpoints with addresses for names; LOGICAL_DNS takes the first of each, with priority 0."""
    configured = cluster.load_assignment or ClusterLoadAssignment(cluster.name)
    logical = cluster.type == "LOGICAL_DNS"
    left = iter(addresses)
    localities = []
    for locality in configured.localities:
        endpoints: list[LbEndpoint] = []
        for endpoint in locality.endpoints:
            host, port = endpoint.address.host, endpoint.address.port
            found = next(left)
            endpoints += [
                replace(endpoint, address=Address(each, port), hostname=endpoint.hostname or host)
                for each in (found[:1] if logical else found)
            ]
        localities.append(replace(locality, endpoints=tuple(endpoints), priority=0 if logical else locality.priority))
    return replace(configured, localities=tuple(localities))


def resolve_assignment(cluster: Cluster, ask: Resolve = resolve) -> ClusterLoadAssignment:
    """The endpoints as DNS has them now, waited for: where no control thread follows them."""
    return assigned(cluster, [look_up_host(each.host, cluster.dns, ask).addresses for each in targets_of(cluster)])


def _after_answer(options: DnsOptions, answer: Answer) -> float:
    if options.respect_ttl and answer.addresses and answer.ttl_s:
        return max(answer.ttl_s, options.min_refresh_rate_s)
    return options.refresh_rate_s


def _after_failure(options: DnsOptions, failures: int, uniform: Callable[[], float]) -> float:
    """The refresh rate, or a jittered back-off that doubles (Config::Utility::prepareDnsRefreshStrategy)."""
    base_s = options.failure_refresh_base_s
    if base_s is None:
        return options.refresh_rate_s
    longest_s = options.failure_refresh_max_s or 10 * base_s
    return min(base_s * 2.0 ** min(failures, 32), longest_s) * uniform()
