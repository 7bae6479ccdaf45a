"""Which endpoint the next try goes to: that of any request, but for what a retry wants to avoid.

(envoy source: Filter as LoadBalancerContext; extensions/retry/host, extensions/retry/priority.)
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING

from .aggregate import Aggregate
from .balancing.context import ANY, Loads, PriorityLoad
from .balancing.host import Host
from .choosing import wish
from .cluster import ClusterRuntime
from .retry import CompiledRetry

if TYPE_CHECKING:
    from .call import OutgoingCall


ADDRESS = re.compile(r"(?:\[(?P<v6>[^\]]+)\]|(?P<v4>[^:]+)):(?P<port>[0-9]{1,5})")


class Tried:
    """The endpoints that the tries of one call went to, and what the next one makes of that."""

    __slots__ = ("_loads", "_priorities", "hosts")

    def __init__(self) -> None:
        self.hosts: list[Host] = []
        self._priorities: list[int] = []
        self._loads: Loads | None = None

    def add(self, host: Host, priority: int | None = None) -> None:
        """A try went there; `priority` where it is not that of the host itself."""
        self.hosts.append(host)
        self._priorities.append(host.priority if priority is None else priority)

    def rejects(self, retry: CompiledRetry, host: Host) -> bool:
        """Whether a retry passes the endpoint over (RetryPolicy.retry_host_predicate)."""
        return (
            (retry.avoid_previous_hosts and any(each.address == host.address for each in self.hosts))
            or (retry.omit_canaries and is_canary(host))
            or any(_has(host, each) for each in retry.omitted_metadata)
        )

    def own_loads(self, frequency: int) -> PriorityLoad | None:
        """What the balancer asks about the priorities, where the policy leaves some (RetryPolicy.retry_priority)."""
        return (lambda loads, availability: self.loads(frequency, loads, availability)) if frequency else None

    def loads(self, frequency: int, loads: Loads, availability: Loads) -> Loads:
        """The shares of the priorities for a retry that leaves those tried before (previous_priorities).

        `loads` are those of any request, `availability` what each priority could take, in percent.
        """
        count = len(self._priorities)
        if count < frequency:
            return loads
        if count % frequency == 0:
            self._loads = self._without_tried(availability)
        return loads if self._loads is None else self._loads

    def _without_tried(self, availability: Loads) -> Loads | None:
        found = without(set(self._priorities), availability)
        if found is None:
            # All have been tried: from the beginning.
            self._priorities.clear()
            found = without(set(), availability)
        return found


def without(priorities: set[int], availability: Loads) -> Loads | None:
    """The shares of the priorities that are left; None where nothing of them is available."""
    healthy, degraded = (
        [0 if priority in priorities else each for priority, each in enumerate(level)] for level in availability
    )
    total = min(100, sum(healthy) + sum(degraded))
    if not total:
        return None
    shares = [0] * (len(healthy) + len(degraded))
    left = 100
    while left:  # what rounding leaves goes round once more
        for index, each in enumerate((*healthy, *degraded)):
            share = min(left, each * 100 // total)
            shares[index] += share
            left -= share
    return shares[: len(healthy)], shares[len(healthy) :]


def choose(
    call: OutgoingCall, cluster: ClusterRuntime, retry: CompiledRetry | None, tried: Tried | None
) -> Host | None:
    """The endpoint of the next try; `tried` where it is a retry."""
    detector = cluster.state.detector
    if detector is not None:
        detector.look(call.runtime.lasting_clock())
    cache = cluster.config.dns_cache
    if cache is not None and call.upstream is not None:
        return cluster.forwarded(cache, call.upstream.authority, call.runtime.names)
    if cluster.original_dst:
        asked = cluster.config.original_dst_header
        named = address_in(call.sent_header(asked)) if asked else None
        if named is not None:
            return cluster.dialled(*named)
        destination = call.destination
        resolved = destination.resolved if destination is not None else None
        return cluster.dialled(resolved or call.url_host.decode("latin-1").strip("[]"), call.port)
    again = tried if retry is not None and retry.picky else None
    if cluster.aggregate is not None:
        return _choose_in(cluster.aggregate, call, retry, tried, again)
    context = ANY
    if cluster.asks:
        context = wish(call, cluster, tried)
        if context.override is not None:
            return context.override
    if again is not None and retry is not None:
        context = context.again(
            lambda host: again.rejects(retry, host), retry.host_attempts, again.own_loads(retry.priority_frequency)
        )
    return cluster.choose(context)


def _choose_in(
    aggregate: Aggregate,
    call: OutgoingCall,
    retry: CompiledRetry | None,
    tried: Tried | None,
    again: Tried | None,
) -> Host | None:
    """An endpoint of one of the clusters that an aggregate joins, by that one's own policy.

    `again`: what was tried, where the retry policy is picky about it.
    """
    now = call.runtime.lasting_clock()
    for each in aggregate.clusters.values():
        each.state.used_at = call.started
        if each.state.detector is not None:
            each.state.detector.look(now)
    own = again.own_loads(retry.priority_frequency) if again is not None and retry is not None else None
    drawn = aggregate.draw(own)
    if drawn is None:
        return None
    part, degraded = drawn
    context = ANY
    if part.cluster.asks:
        context = wish(call, part.cluster, tried)
        if context.override is not None:
            return context.override
    if again is not None and retry is not None:
        context = context.again(lambda host: again.rejects(retry, host), retry.host_attempts)
    return part.cluster.choose(part.context(context, degraded))


def address_in(value: bytes | None) -> tuple[str, int] | None:
    """An address with its port, as a header says it; nothing else counts, names neither."""
    found = ADDRESS.fullmatch((value or b"").decode("latin-1"))
    if found is None or int(found["port"]) > 0xFFFF:
        return None
    try:
        return str((IPv6Address if found["v6"] else IPv4Address)(found["v6"] or found["v4"])), int(found["port"])
    except ValueError:
        return None


def is_canary(host: Host) -> bool:
    """Endpoint metadata `envoy.lb`: `canary: true`."""
    return host.endpoint.metadata.get("envoy.lb", {}).get("canary") is True


def _has(host: Host, wanted: Sequence[tuple[str, object]]) -> bool:
    """Whether the endpoint's metadata has all of that; a list has each of its members."""
    labels = host.endpoint.metadata.get("envoy.lb", {})
    for key, value in wanted:
        own = labels.get(key)
        if not (_same(own, value) or (isinstance(own, tuple) and any(_same(each, value) for each in own))):
            return False
    return True


def _same(one: object, other: object) -> bool:
    return type(one) is type(other) and one == other
