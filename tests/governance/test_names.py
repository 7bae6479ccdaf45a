"""Hosts that only requests name: when they are asked for, what stays known, what is forgotten."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from proxyless.governance.names import OVERFLOW, PENDING, NameCache, NameCaches, NoResolver, full_name
from proxyless.xds.model.dns import DnsCache, DnsOptions
from tests.support.world import Clock

HOST = "a.test:80"


def cache(clock: Clock, **fields: Any) -> NameCache:
    options = {"refresh_rate_s": 60.0, "min_refresh_rate_s": 5.0, **fields.pop("options", {})}
    return NameCache(DnsCache("c", DnsOptions(**options), **fields), clock)


def test_a_host_is_asked_for_once_and_again_when_its_time_is_over() -> None:
    clock = Clock()
    names = cache(clock)
    assert (names.find(HOST), names.begin(HOST)) == (None, None)
    assert names.end(HOST, ("10.0.0.1",)) == ("10.0.0.1",)
    assert (names.find(HOST), names.begin(HOST), names.pending) == (("10.0.0.1",), "fresh", 0)
    clock.advance(60.0)
    assert names.begin(HOST) is None


@pytest.mark.parametrize(("ttl_s", "after_s"), [(None, 60.0), (30.0, 30.0), (1.0, 5.0)])
def test_a_ttl_counts_but_not_below_the_least(ttl_s: float | None, after_s: float) -> None:
    clock = Clock()
    names = cache(clock)
    names.begin(HOST)
    names.end(HOST, ("10.0.0.1",), ttl_s)
    clock.advance(after_s - 0.001)
    assert names.begin(HOST) == "fresh"
    clock.advance(0.001)
    assert names.begin(HOST) is None


@pytest.mark.parametrize(
    ("options", "waits"),
    [
        ({}, [60.0, 60.0]),
        ({"failure_refresh_base_s": 1.0}, [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]),
        ({"failure_refresh_base_s": 1.0, "failure_refresh_max_s": 3.0}, [1.0, 2.0, 3.0]),
    ],
)
def test_a_failure_keeps_the_address_and_is_tried_again_later_each_time(
    options: dict[str, Any], waits: list[float]
) -> None:
    clock = Clock()
    names = cache(clock, options=options)
    names.begin(HOST)
    names.end(HOST, ("10.0.0.1",), 5.0)
    clock.advance(5.0)
    for wait_s in waits:
        assert names.begin(HOST) is None
        assert names.end(HOST, None) == ("10.0.0.1",)
        clock.advance(wait_s - 0.001)
        assert names.begin(HOST) == "fresh"
        clock.advance(0.001)


def test_a_host_without_an_address_is_known_to_have_none() -> None:
    names = cache(Clock())
    names.begin(HOST)
    assert names.end(HOST, ()) == ()
    assert (names.find(HOST), names.begin(HOST)) == ((), "fresh")


def test_so_many_are_asked_for_at_once() -> None:
    names = cache(Clock(), max_pending=1)
    assert names.begin("a:80") is None
    assert names.begin("b:80") == PENDING
    names.abandon()
    assert names.begin("b:80") is None


def test_so_many_are_remembered_unless_nothing_uses_them() -> None:
    clock = Clock()
    names = cache(clock, max_hosts=2, host_ttl_s=100.0)
    for host in ("a:80", "b:80"):
        assert names.begin(host) is None
        names.end(host, ("10.0.0.1",))
    assert names.begin("c:80") == OVERFLOW
    clock.advance(99.0)
    assert names.begin("b:80") is None
    names.end("b:80", ("10.0.0.2",))
    clock.advance(1.0)
    assert names.begin("c:80") is None
    assert (names.find("a:80"), names.find("b:80")) == (None, ("10.0.0.2",))


def test_caches_are_shared_by_name_and_have_the_newest_limits() -> None:
    caches = NameCaches(Clock())
    one = caches.get(DnsCache("x"))
    assert caches.get(DnsCache("x", max_hosts=3)) is one
    assert one.config.max_hosts == 3
    assert caches.get(DnsCache("y")) is not one


@pytest.mark.parametrize(
    ("authority", "name"),
    [
        (b"A.test", "a.test:80"),
        (b"a.test:8080", "a.test:8080"),
        (b"a.test:x", "a.test:x:80"),
        (b"[fd00::1]", "[fd00::1]:80"),
        (b"[fd00::1]:8080", "[fd00::1]:8080"),
    ],
)
def test_a_host_has_a_port(authority: bytes, name: str) -> None:
    assert full_name(authority, 80) == name


def test_where_nobody_can_be_asked_there_is_no_answer() -> None:
    assert NoResolver().ask("a", 1.0) == (None, None)
    assert asyncio.run(NoResolver().ask_async("a", 1.0)) == (None, None)
