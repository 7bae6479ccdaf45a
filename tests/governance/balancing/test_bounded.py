"""Bounded loads: an endpoint that has more than its share passes on to others, in an order that the hash seeds."""

from __future__ import annotations

import pytest

from proxyless.governance.balancing.bounded import first_that_can, mersenne_twister, shuffled
from proxyless.governance.balancing.host import Host, HostState
from tests.support.model import host


def test_the_generator_is_the_standard_librarys_of_cxx() -> None:
    """The 10,000th number of a default std::mt19937 is fixed by the standard ([rand.predef])."""
    word = mersenne_twister(5489)
    assert [word() for _ in range(10_000)][-1] == 4123659995
    assert mersenne_twister(5489 + (1 << 40))() == 3499211612


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_every_endpoint_has_its_turn_once(size: int) -> None:
    assert sorted(shuffled(size, 3)) == list(range(size))
    assert list(shuffled(size, 3)) == list(shuffled(size, 3))


def test_the_seed_makes_the_order() -> None:
    assert list(shuffled(6, 1)) != list(shuffled(6, 2))


class Always:
    """A generator that gives the same numbers."""

    def __init__(self, *words: int) -> None:
        self.words = list(words)

    def __call__(self) -> int:
        return self.words.pop(0)


def test_a_number_outside_of_all_buckets_is_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "proxyless.governance.balancing.bounded.mersenne_twister", lambda seed: Always(0xFFFFFFFF, 0, 0, 0)
    )
    assert list(shuffled(3, 0)) == [0, 1, 2]


def pool(*active: int) -> list[Host]:
    made = [Host(host(f"10.0.0.{number}:80"), HostState()) for number in range(len(active))]
    for each, count in zip(made, active, strict=True):
        each.state.active = count
    return made


@pytest.mark.parametrize(
    ("active", "factor", "slots"),
    [
        ((0, 0, 0), 150, 1),  # (0 + 1) * 1.5 is 2, of which each has a third, rounded up
        ((2, 0, 0), 150, 2),
        ((2, 0, 0), 100, 1),
        ((3, 3, 0), 150, 4),
        ((5, 4, 0), 100, 4),
        ((9, 9, 8), 100, 9),
        ((9, 9, 9), 100, 10),
    ],
)
def test_an_endpoint_takes_its_share_and_no_more(active: tuple[int, ...], factor: int, slots: int) -> None:
    hosts = pool(*active)
    for seed in range(20):
        order = [0, *(each for each in shuffled(3, seed) if each)]
        expected = next(each for each in order if active[each] <= slots)
        assert first_that_can(0, hosts, (1 / 3,) * 3, factor, sum(active), seed) is hosts[expected]


def test_where_all_are_above_their_bound_the_least_loaded_is_taken() -> None:
    hosts = pool(10, 9, 8, 10)
    assert first_that_can(0, hosts, (0.25,) * 4, 100, 3, 5) is hosts[2]


def test_a_light_endpoint_has_one_slot_at_least() -> None:
    hosts = pool(1, 0)
    assert first_that_can(0, hosts, (0.001, 0.999), 100, 1, 5) is hosts[0]
