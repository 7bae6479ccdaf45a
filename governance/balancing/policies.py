"""Which of several hosts: round robin, least request, random (envoy source: EdfLoadBalancerBase and its children).

Round robin and least request share one rule: while all weights are equal and no host starts slowly there is no schedule
to keep, so a pick is constant time; else an EDF schedule honours them.

Each is a function from a group of hosts to a `Chooser`. The number that a chooser is given is the one
that the priority was drawn with: random balancing uses it again, as in Envoy; the others look past it. The context of
the request is for policies of other packages.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .context import PickContext
from .edf import EdfScheduler
from .host import Host
from .setting import Draw, Group
from .slow_start import starting, starting_weight

Chooser = Callable[[int, PickContext], Host | None]


HostPolicy = Callable[[Group], Chooser]
"""A policy that looks at nothing but the hosts of one priority, or of one locality in it."""


def round_robin(group: Group) -> Chooser:
    """Each host in its turn, as often as its weight says. The first turn starts anywhere."""
    hosts = group.hosts
    if not _equal_weights(hosts) or starting(group.config, group.setting, group.memory):
        return _scheduled(group, lambda host: float(host.weight))
    size = len(hosts)
    turn = group.memory.turns(group.source, size)
    return lambda number, context: hosts[next(turn) % size]


def least_request(group: Group) -> Chooser:
    """The least busy of `choice_count` hosts drawn at random, or of all; with unequal weights a schedule in which a
    host's weight shrinks with its active requests: weight / (active + 1) ** bias."""
    hosts, config = group.hosts, group.config
    if not _equal_weights(hosts) or starting(config, group.setting, group.memory):
        bias = config.active_request_bias

        def weight(host: Host) -> float:
            active = host.state.active
            if not active or bias == 0:
                return float(host.weight)
            return host.weight / ((active + 1) if bias == 1.0 else float((active + 1) ** bias))

        return _scheduled(group, weight)
    draw = group.setting.draw
    if config.full_scan:
        return lambda number, context: _least_of_all(hosts, draw)
    size = len(hosts)
    others = range(config.choice_count - 1)

    def choose(number: int, context: PickContext) -> Host:
        del number, context
        best = hosts[draw(size)]
        for _ in others:
            other = hosts[draw(size)]
            if other.state.active < best.state.active:
                best = other
        return best

    return choose


def _least_of_all(hosts: Sequence[Host], draw: Draw) -> Host:
    """Of several that are least busy each is as likely (LeastRequest.selection_method FULL_SCAN)."""
    counts = [host.state.active for host in hosts]
    least = min(counts)
    tied = [host for host, count in zip(hosts, counts, strict=True) if count == least]
    return tied[draw(len(tied))] if len(tied) > 1 else tied[0]


def random(group: Group) -> Chooser:
    """Any host; weights are not looked at, as in Envoy."""
    hosts, size = group.hosts, len(group.hosts)
    return lambda number, context: hosts[number % size]


def _scheduled(group: Group, weight: Callable[[Host], float]) -> Chooser:
    now = starting_weight(group.config, group.setting, group.memory, weight)
    schedule = EdfScheduler(group.hosts, now, group.memory.seed)
    return lambda number, context: schedule.pick()


def _equal_weights(hosts: Sequence[Host]) -> bool:
    first = hosts[0].weight
    return all(host.weight == first for host in hosts)
