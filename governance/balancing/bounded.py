"""Consistent hashing with bounded loads (envoy source: BoundedLoadHashingLoadBalancer, arXiv 1608.01350, 1908.08762).

No endpoint may have more than `hash_balance_factor` percent of its share of the requests under way. Where the hash says
one that has, another is looked for in an order that the hash seeds, so that one key overflows to the same endpoints.
"""

from collections.abc import Callable, Iterator, Sequence
from math import ceil
from random import Random

from .host import Host

_WORDS = 624


def first_that_can(
    chosen: int, hosts: Sequence[Host], shares: Sequence[float], factor: int, active: int, hash_: int
) -> Host:
    """The chosen endpoint, or another that is below its bound, or the least loaded of all.

    `active` is the cluster's count of requests under way, `factor` is in percent.
    """
    slots = ((active + 1) * factor + 99) // 100
    host = hosts[chosen]
    load = host.state.active / max(ceil(slots * shares[chosen]), 1)
    if load <= 1.0:
        return host
    least, least_load = host, load
    for other in shuffled(len(hosts), hash_):
        if other == chosen:
            continue
        load = hosts[other].state.active / max(ceil(slots * shares[other]), 1)
        if load <= 1.0:
            return hosts[other]
        if load < least_load:
            least, least_load = hosts[other], load
    return least


def shuffled(size: int, seed: int) -> Iterator[int]:
    """The numbers below `size` in the order that the seed gives; what is not asked for is not made."""
    word = mersenne_twister(seed)
    moved: dict[int, int] = {}
    for at in range(size):
        left = size - at
        bucket = 0x100000000 // left
        jump = left
        while jump >= left:
            jump = word() // bucket
        found = moved.get(at + jump, at + jump)
        moved[at + jump] = moved.get(at, at)
        yield found


def mersenne_twister(seed: int) -> Callable[[], int]:
    """std::mt19937: Python's own generator, seeded as C++ does it (32 bits, Knuth's recurrence)."""
    value = seed & 0xFFFFFFFF
    state = [value]
    for index in range(1, _WORDS):
        value = (1812433253 * (value ^ value >> 30) + index) & 0xFFFFFFFF
        state.append(value)
    twister = Random()
    twister.setstate((3, (*state, _WORDS), None))
    return lambda: twister.getrandbits(32)
