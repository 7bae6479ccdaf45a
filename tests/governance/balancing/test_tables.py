"""Rings and maglev tables: built as Envoy builds them, and what it costs to look."""

from __future__ import annotations

from collections import Counter

import pytest
from xxhash import xxh64_intdigest

from proxyless.governance.balancing.digest import MASK, murmur_hash_2, xx_hash
from proxyless.governance.balancing.maglev import Maglev
from proxyless.governance.balancing.ring import Ring

from .test_digest import POSITIONS

PORTS = [b"127.0.0.1:%d" % port for port in range(90, 96)]


def even(count: int) -> list[float]:
    return [1 / count] * count


def ring(keys: list[bytes], shares: list[float], smallest: int = 12, largest: int = 1 << 23) -> Ring:
    return Ring(keys, shares, smallest, largest, xx_hash)


def test_a_request_goes_to_the_first_position_that_is_not_below_its_hash() -> None:
    made = ring(PORTS, even(6))
    assert len(made) == 12
    for index, (key, position) in enumerate(POSITIONS):
        owner = PORTS.index(key.partition(b"_")[0])
        following = PORTS.index(POSITIONS[(index + 1) % 12][0].partition(b"_")[0])
        assert made.pick(position) == owner
        assert made.pick(position + 1) == following
        assert made.pick(position, 1) == following
    assert made.pick(0) == made.pick(MASK) == 4
    assert made.pick(0, 12) == 4


@pytest.mark.parametrize(
    ("shares", "smallest", "largest", "size"),
    [
        (even(6), 1024, 1 << 23, 1026),
        (even(4), 1024, 6, 6),
        (even(1), 1024, 1 << 23, 1024),
        ([0.25, 0.75], 1024, 1 << 23, 1024),
        (even(6), 0, 100, 0),
        ([], 1024, 2048, 0),
    ],
)
def test_sizes_of_rings(shares: list[float], smallest: int, largest: int, size: int) -> None:
    made = ring(PORTS[: len(shares)], shares, smallest, largest)
    assert len(made) == size
    assert (made.pick(7) is None) == (size == 0)


@pytest.mark.parametrize(
    ("shares", "smallest", "largest", "points"),
    [
        (even(4), 1024, 6, (2, 1, 2, 1)),  # one and a half each
        ([0.2, 0.3, 0.5], 4, 1 << 23, (1, 2, 2)),  # the least has a whole one, the others 1.5 and 2.5
    ],
)
def test_points_are_given_by_running_sums(
    shares: list[float], smallest: int, largest: int, points: tuple[int, ...]
) -> None:
    made = ring(PORTS[: len(shares)], shares, smallest, largest)
    expected = sorted(
        (xx_hash(key + b"_%d" % each), owner)
        for owner, (key, count) in enumerate(zip(PORTS, points, strict=False))
        for each in range(count)
    )
    assert len(made) == sum(points)
    assert [made.pick(position) for position, _ in expected] == [owner for _, owner in expected]


def test_the_other_hash_makes_another_ring() -> None:
    first, other = ring(PORTS, even(6)), Ring(PORTS, even(6), 12, 1 << 23, murmur_hash_2)
    assert [first.pick(each << 59) for each in range(32)] != [other.pick(each << 59) for each in range(32)]
    assert other.pick(murmur_hash_2(b"127.0.0.1:93_1")) == 3


def places(key: bytes, size: int) -> list[int]:
    """An endpoint's permutation of the places, as the paper has it."""
    offset, skip = xxh64_intdigest(key, 0) % size, xxh64_intdigest(key, 1) % (size - 1) + 1
    return [(offset + number * skip) % size for number in range(size)]


def by_the_paper(keys: list[bytes], shares: list[float], size: int) -> list[int]:
    """Listing 1 of the paper with Envoy's weights, word for word and slow."""
    order = sorted(range(len(keys)), key=lambda each: keys[each])
    wanted = {each: iter(places(keys[each], size)) for each in order}
    targets, table, iteration = dict.fromkeys(order, 0.0), dict[int, int](), 0
    while True:
        iteration += 1
        for each in order:
            if iteration * shares[each] < targets[each]:
                continue
            targets[each] += max(shares)
            place = next(place for place in wanted[each] if place not in table)
            table[place] = each
            if len(table) == size:
                return [table[number] for number in range(size)]


@pytest.mark.parametrize("size", [2, 3, 7, 101, 1009])
@pytest.mark.parametrize("shares", [even(1), even(2), even(6), [0.5, 0.1, 0.1, 0.3], [0.1, 0.9]])
def test_a_maglev_table_is_the_papers(size: int, shares: list[float]) -> None:
    keys = list(reversed(PORTS[: len(shares)]))
    made = Maglev(keys, shares, size)
    assert len(made) == size
    assert [made.pick(number) for number in range(size)] == by_the_paper(keys, shares, size)
    assert made.pick(size) == made.pick(0)


def test_the_order_of_configuration_does_not_count_in_a_maglev_table() -> None:
    first, other = Maglev(PORTS, even(6), 65537), Maglev(PORTS[::-1], even(6), 65537)
    assert all(first.pick(each) == 5 - (other.pick(each) or 0) for each in range(65537))
    assert set(Counter(first.pick(each) for each in range(65537)).values()) == {10922, 10923}


def test_another_attempt_is_made_with_nearly_all_bits_turned_over() -> None:
    made = Maglev(PORTS, even(6), 101)
    for hash_ in (0, 5, MASK):
        for attempt in (1, 2, 3):
            assert made.pick(hash_, attempt) == made.pick(hash_ ^ (2**64 - attempt))


def test_tables_without_endpoints_or_of_one_place() -> None:
    assert Maglev([], [], 101).pick(7) is None
    assert Maglev(PORTS, even(6), 1).pick(7) == 0
