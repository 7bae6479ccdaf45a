"""Hosts as letters: one for each host, in the order of their addresses 10.0.0.1, 10.0.0.2 ..."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

from proxyless.governance.balancing.context import ANY, Pick, PickContext
from proxyless.governance.balancing.host import Host, HostState
from proxyless.governance.balancing.host_set import HostSet
from proxyless.governance.balancing.setting import Draw
from proxyless.xds.model.values import Locality
from tests.support.model import host

HEALTHS = {"h": "HEALTHY", "k": "UNKNOWN", "u": "UNHEALTHY", "d": "DRAINING", "t": "TIMEOUT", "g": "DEGRADED"}


def hosts(letters: str, first: int = 1, zone: str = "", weight: int = 1, priority: int = 0) -> list[Host]:
    """`x` is a host that is excluded until health checks have asked it."""
    found = []
    for number, letter in enumerate(letters, first):
        state = HostState()
        state.failing = state.pending = letter == "x"
        endpoint = host(f"10.0.0.{number}:80", health=HEALTHS.get(letter, "UNKNOWN"), weight=weight)
        found.append(Host(endpoint, state, Locality("r", zone) if zone else Locality(), priority))
    return found


def sets(*priorities: str, factor: int = 140) -> list[HostSet]:
    """A host set for each priority."""
    firsts = [1 + sum(len(each) for each in priorities[:index]) for index in range(len(priorities))]
    return [
        HostSet(hosts(letters, first, priority=index), factor)
        for index, (letters, first) in enumerate(zip(priorities, firsts, strict=True))
    ]


def number(found: Host | None) -> str:
    """The last number of its address; `-` for nobody."""
    return found.address.split(".")[3].split(":")[0] if found is not None else "-"


def sequence(pick: Pick, count: int, context: PickContext = ANY) -> str:
    """Who is picked, one after the other."""
    return " ".join(number(pick(context)) for _ in range(count))


def shares(pick: Pick, count: int, context: PickContext = ANY) -> dict[str, float]:
    """Which part of the picks each has."""
    return {name: found / count for name, found in Counter(number(pick(context)) for _ in range(count)).items()}


def seeded(seed: int = 1) -> Draw:
    """Draws that are the same in every run."""
    source = random.Random(seed)
    return lambda n: int(source.random() * n)


def drawing(numbers: Sequence[int]) -> Draw:
    """These draws, one after the other, whatever they are for."""
    left = iter(numbers)
    return lambda n: next(left)
