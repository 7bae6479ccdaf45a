"""Which endpoint a retry goes to: what it passes over, and which priorities it leaves."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxyless.governance.balancing.context import Loads
from proxyless.governance.balancing.host import Host, HostState
from proxyless.governance.retry import CompiledRetry, compile_retry
from proxyless.governance.selection import Tried, address_in, without
from proxyless.xds.model.route import OMIT_CANARIES, OMIT_METADATA, RetryPolicy
from tests.support.model import PREVIOUS_HOSTS, host


def made(address: str = "10.0.0.1:80", priority: int = 0, **labels: Any) -> Host:
    return Host(host(address, metadata={"envoy.lb": labels} if labels else {}), HostState(), priority=priority)


def policy(*predicates: str, **fields: Any) -> CompiledRetry:
    found = compile_retry(RetryPolicy(("5xx",), host_predicates=predicates, **fields))
    assert found is not None
    return found


def rejected(retry: CompiledRetry, candidate: Host, *tried: Host) -> bool:
    before = Tried()
    for each in tried:
        before.add(each)
    return before.rejects(retry, candidate)


def test_previous_hosts_are_passed_over() -> None:
    retry = policy(*PREVIOUS_HOSTS)
    assert retry.picky
    assert rejected(retry, made("10.0.0.1:80"), made("10.0.0.2:80"), made("10.0.0.1:80"))
    assert not rejected(retry, made("10.0.0.1:80"), made("10.0.0.2:80"))


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (b"10.0.0.1:80", ("10.0.0.1", 80)),
        (b"[::1]:8080", ("::1", 8080)),
        (b"10.0.0.1", None),
        (b"10.0.0.1:", None),
        (b"10.0.0.1:65536", None),
        (b"10.0.0.256:80", None),
        (b"shop:80", None),
        (b"::1:80", None),
        (b"", None),
        (None, None),
    ],
)
def test_an_address_in_a_header_has_a_port_and_no_name(value: bytes | None, found: tuple[str, int] | None) -> None:
    assert address_in(value) == found


def test_without_a_predicate_nothing_is_passed_over() -> None:
    assert not policy().picky
    assert not rejected(policy(), made(canary=True), made())


@pytest.mark.parametrize(("labels", "passed"), [({"canary": True}, True), ({"canary": "true"}, False), ({}, False)])
def test_canaries_are_passed_over(labels: dict[str, Any], passed: bool) -> None:
    assert rejected(policy(OMIT_CANARIES), made(**labels)) == passed


@pytest.mark.parametrize(
    ("labels", "passed"),
    [
        ({"zone": "a", "size": 3.0}, True),
        ({"zone": "a", "size": 3.0, "more": "x"}, True),
        ({"zone": "a"}, False),
        ({"zone": "b", "size": 3.0}, False),
        ({"zone": ("b", "a"), "size": 3.0}, True),
        ({"zone": ("b",), "size": 3.0}, False),
        ({}, False),
    ],
)
def test_endpoints_with_all_of_the_metadata_are_passed_over(labels: dict[str, Any], passed: bool) -> None:
    retry = policy(OMIT_METADATA, omitted_metadata=({"zone": "a", "size": 3.0},))
    assert rejected(retry, made(**labels)) == passed


def test_true_is_not_one() -> None:
    assert not rejected(policy(OMIT_METADATA, omitted_metadata=({"flag": True},)), made(flag=1.0))


def test_metadata_that_asks_for_nothing_passes_nothing_over() -> None:
    assert not policy(OMIT_METADATA, omitted_metadata=({},)).picky


def sums(loads: Loads) -> int:
    return sum(loads[0]) + sum(loads[1])


percents = st.lists(st.tuples(st.integers(0, 100), st.integers(0, 100)), min_size=1, max_size=6)


@given(percents, st.sets(st.integers(0, 5)))
def test_what_is_left_takes_everything_and_what_was_tried_nothing(
    pairs: list[tuple[int, int]], tried: set[int]
) -> None:
    availability = [each[0] for each in pairs], [each[1] for each in pairs]
    found = without(tried, availability)
    if found is None:
        assert not any(sum(pair) for priority, pair in enumerate(pairs) if priority not in tried)
        return
    assert sums(found) == 100
    assert not any(found[level][each] for level in (0, 1) for each in tried if each < len(pairs))


@pytest.mark.parametrize(
    ("tried", "healthy", "degraded", "shares"),
    [
        ({0}, (100, 100, 100), (0, 0, 0), ([0, 100, 0], [0, 0, 0])),
        ({0}, (100, 70, 100), (0, 0, 0), ([0, 70, 30], [0, 0, 0])),
        ({0}, (100, 70, 0), (0, 0, 0), ([0, 100, 0], [0, 0, 0])),
        ({0, 1}, (100, 100), (0, 0), None),
        ({0}, (100, 30), (0, 30), ([0, 50], [0, 50])),
        ({0}, (100, 33, 33), (0, 0, 0), ([0, 50, 50], [0, 0, 0])),
        (set(), (100, 100), (0, 0), ([100, 0], [0, 0])),
    ],
)
def test_the_shares_of_the_priorities_that_are_left(
    tried: set[int], healthy: tuple[int, ...], degraded: tuple[int, ...], shares: Loads | None
) -> None:
    assert without(tried, (healthy, degraded)) == shares


ALL_WELL: Loads = ((100, 100), (0, 0))
FIRST: Loads = ((100, 0), (0, 0))


def test_priorities_are_left_after_so_many_tries_and_come_back_when_all_have_been_tried() -> None:
    tried = Tried()
    assert tried.loads(2, FIRST, ALL_WELL) == FIRST
    seen = []
    for priority in (0, 0, 1, 1, 0):
        tried.add(made(priority=priority))
        seen.append(tried.loads(2, FIRST, ALL_WELL)[0])
    # After 2 tries the first priority is left, the third changes nothing, then all have been tried.
    assert [list(each) for each in seen] == [[100, 0], [0, 100], [0, 100], [100, 0], [100, 0]]


def test_where_nothing_is_available_the_usual_shares_count() -> None:
    tried = Tried()
    tried.add(made())
    assert tried.loads(1, FIRST, ((0, 0), (0, 0))) is FIRST
