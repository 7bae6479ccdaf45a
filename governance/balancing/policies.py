"""The balancing policies, each a function from hosts to `pick()` (envoy source: *LoadBalancer).

Round robin and least request share one rule: while all weights are equal there is no schedule to keep, so a pick is
constant time; as soon as they differ, an EDF schedule honours them.
"""

from collections.abc import Callable, Sequence
from itertools import count

from ...xds.model.cluster import LbConfig
from .context import PickContext
from .edf import EdfScheduler
from .host import Host

Pick = Callable[[PickContext], Host | None]
Draw = Callable[[int], int]
"""An integer in [0, n), from the injected random source."""

_WARM_UP_PICKS = 429496729
"""Envoy begins a schedule anywhere among so many picks (EdfLoadBalancerBase::refresh)."""


def round_robin(hosts: Sequence[Host], config: LbConfig, draw: Draw) -> Pick:
    """Each host in its turn, as often as its weight says. The first turn starts anywhere."""
    del config
    hosts = tuple(hosts)
    size = len(hosts)
    if _equal_weights(hosts):
        turn = count(draw(size))
        return lambda context: hosts[next(turn) % size]
    schedule = EdfScheduler(hosts, lambda host: host.weight, skip=draw(_WARM_UP_PICKS))
    return lambda context: schedule.pick()


def least_request(hosts: Sequence[Host], config: LbConfig, draw: Draw) -> Pick:
    """The least busy of `choice_count` hosts drawn at random; with unequal weights a schedule in which a host's weight
    shrinks with its active requests: weight / (active + 1) ** bias."""
    hosts = tuple(hosts)
    size = len(hosts)
    bias = config.active_request_bias
    if not _equal_weights(hosts):

        def weight(host: Host) -> float:
            active = host.state.active
            if not active or bias == 0:
                return float(host.weight)
            return host.weight / ((active + 1) if bias == 1.0 else float((active + 1) ** bias))

        schedule = EdfScheduler(hosts, weight, skip=draw(_WARM_UP_PICKS))
        return lambda context: schedule.pick()

    choices = range(config.choice_count - 1)

    def pick(context: PickContext) -> Host:
        del context
        best = hosts[draw(size)]
        for _ in choices:
            other = hosts[draw(size)]
            if other.state.active < best.state.active:
                best = other
        return best

    return pick


def random(hosts: Sequence[Host], config: LbConfig, draw: Draw) -> Pick:
    """Any host; weights are not looked at, as in Envoy."""
    del config
    hosts = tuple(hosts)
    size = len(hosts)
    return lambda context: hosts[draw(size)]


def _equal_weights(hosts: Sequence[Host]) -> bool:
    first = hosts[0].weight
    return all(host.weight == first for host in hosts)
