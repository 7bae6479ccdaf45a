"""When names are asked for again, and what becomes of the answers (envoy source: DnsClusterImpl)."""

from __future__ import annotations

import socket
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest

from proxyless.xds.model.cluster import Cluster
from proxyless.xds.model.dns import DnsOptions
from proxyless.xds.model.endpoint import ClusterLoadAssignment, LbEndpoint, LocalityLbEndpoints
from proxyless.xds.model.values import Address, Locality
from proxyless.xds.transport.dns import DnsClusters, resolve_assignment
from proxyless.xds.transport.resolver import FAILED, Answer, look_up_host
from tests.support.waiting import wait_for
from tests.support.world import Clock

V4, V6, BOTH = socket.AF_INET, socket.AF_INET6, socket.AF_UNSPEC


def cluster(*hosts: str, type_: Any = "STRICT_DNS", **options: Any) -> Cluster:
    options = {"lookup_family": "V4_ONLY", "refresh_rate_s": 60.0, **options}
    endpoints = tuple(LbEndpoint(Address(each, 80), weight=7) for each in hosts)
    groups = (LocalityLbEndpoints(endpoints, Locality("r"), 3, 5),)
    return Cluster("c", type=type_, load_assignment=ClusterLoadAssignment("c", groups), dns=DnsOptions(**options))


class Inline:
    """Workers that do their work at once."""

    def submit(self, work: Callable[[], None]) -> Future[None]:
        work()
        return Future()

    def shutdown(self, **how: Any) -> None:
        self.ended = how


class Bench:
    def __init__(self, *clusters: Cluster, uniform: float = 1.0) -> None:
        self.clock = Clock(0.0)
        self.clusters = list(clusters)
        self.answers: dict[str, Answer] = {}
        self.asked: list[tuple[float, str]] = []
        self.seen: list[ClusterLoadAssignment] = []
        self.late: list[Callable[[], None]] | None = None
        self.dns = DnsClusters(
            lambda name, found: self.seen.append(found), self._post, lambda: uniform, self.clock, self._resolve
        )
        self.dns._workers = Inline()  # type: ignore[assignment]

    def _post(self, take: Callable[[], None]) -> None:
        take() if self.late is None else self.late.append(take)

    def _resolve(self, host: str, family: socket.AddressFamily, options: DnsOptions) -> Answer:
        self.asked.append((self.clock.now, host))
        return self.answers.get(host, Answer())

    def tick(self, after_s: float = 0.0) -> float | None:
        self.clock.advance(after_s)
        self.dns.tick(self.clusters)
        return self.dns.tick(self.clusters)

    def addresses(self) -> list[str]:
        return [str(each.address) for group in self.seen[-1].localities for each in group.endpoints]


def test_every_address_of_a_name_is_an_endpoint_with_what_the_name_had() -> None:
    bench = Bench(cluster("a", "b"))
    bench.answers = {"a": Answer(("10.0.0.1", "10.0.0.2")), "b": Answer(("10.0.0.3",))}
    assert bench.tick() == 60.0
    assert bench.addresses() == ["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"]
    (group,) = bench.seen[-1].localities
    assert (group.locality.region, group.priority, group.weight) == ("r", 3, 5)
    assert [(each.weight, each.hostname) for each in group.endpoints] == [(7, "a"), (7, "a"), (7, "b")]


def test_a_logical_name_has_one_endpoint_of_priority_zero() -> None:
    bench = Bench(cluster("a", type_="LOGICAL_DNS"))
    bench.answers = {"a": Answer(("10.0.0.2", "10.0.0.1"))}
    bench.tick()
    assert bench.addresses() == ["10.0.0.2:80"]
    assert bench.seen[-1].localities[0].priority == 0


@pytest.mark.parametrize(
    ("options", "ttl_s", "after_s"),
    [
        ({}, 7.0, 60.0),
        ({"respect_ttl": True}, 7.0, 7.0),
        ({"respect_ttl": True}, 0.0, 60.0),
        ({"respect_ttl": True}, None, 60.0),
        ({"respect_ttl": True, "min_refresh_rate_s": 10.0}, 7.0, 10.0),
        ({"respect_ttl": True, "jitter_s": 4.0}, 7.0, 9.0),
        ({"jitter_s": 4.0}, 7.0, 62.0),
    ],
)
def test_a_name_is_asked_again_after_the_ttl_where_it_is_respected(
    options: dict[str, Any], ttl_s: float | None, after_s: float
) -> None:
    bench = Bench(cluster("a", **options), uniform=0.5)
    bench.answers = {"a": Answer(("10.0.0.1",), ttl_s)}
    assert bench.tick() == after_s
    assert bench.tick(after_s) == after_s
    assert bench.asked == [(0.0, "a"), (after_s, "a")]
    assert len(bench.seen) == 1  # what did not change is no news


def test_an_empty_answer_has_no_ttl() -> None:
    bench = Bench(cluster("a", respect_ttl=True))
    bench.answers = {"a": Answer((), 7.0)}
    assert bench.tick() == 60.0


def test_each_name_has_its_own_time() -> None:
    bench = Bench(cluster("a", "b", respect_ttl=True))
    bench.answers = {"a": Answer(("10.0.0.1",), 5.0), "b": Answer(("10.0.0.2",), 20.0)}
    bench.tick()
    bench.answers["a"] = Answer(("10.0.0.9",), 30.0)
    assert bench.tick(5.0) == 15.0
    assert bench.asked == [(0.0, "a"), (0.0, "b"), (5.0, "a")]
    assert bench.addresses() == ["10.0.0.9:80", "10.0.0.2:80"]


@pytest.mark.parametrize("type_", ["STRICT_DNS", "LOGICAL_DNS"])
def test_a_failure_leaves_what_was_known_and_an_empty_answer_takes_strict_hosts_away(type_: str) -> None:
    bench = Bench(cluster("a", type_=type_))
    bench.answers = {"a": Answer(("10.0.0.1",))}
    bench.tick()
    bench.answers["a"] = FAILED
    bench.tick(60.0)
    assert bench.addresses() == ["10.0.0.1:80"]
    bench.answers["a"] = Answer()
    bench.tick(60.0)
    assert bench.addresses() == ([] if type_ == "STRICT_DNS" else ["10.0.0.1:80"])


def test_a_cluster_whose_first_answer_is_a_failure_is_there_without_hosts() -> None:
    bench = Bench(cluster("a"))
    bench.answers = {"a": FAILED}
    assert bench.tick() == 60.0  # without a rate of their own failures come as often as answers
    assert bench.addresses() == []


@pytest.mark.parametrize(
    ("longest_s", "seen"), [(None, [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]), (3.0, [1.0, 2.0, 3.0, 3.0, 3.0, 3.0])]
)
def test_failures_back_off_and_an_answer_ends_that(longest_s: float | None, seen: list[float]) -> None:
    bench = Bench(cluster("a", failure_refresh_base_s=1.0, failure_refresh_max_s=longest_s))
    bench.answers = {"a": FAILED}
    waits: list[float | None] = [bench.tick()]
    while len(waits) < len(seen):
        waits.append(bench.tick(waits[-1] or 0.0))
    assert waits == seen
    bench.answers["a"] = Answer(("10.0.0.1",))
    assert bench.tick(waits[-1] or 0.0) == 60.0
    bench.answers["a"] = FAILED
    assert bench.tick(60.0) == 1.0


def test_a_cluster_without_names_is_there_at_once() -> None:
    bench = Bench(Cluster("c", type="STRICT_DNS"))
    assert bench.tick() is None
    assert bench.addresses() == []


def test_nobody_is_asked_twice_at_once_and_answers_for_another_version_are_nobodys() -> None:
    bench = Bench(cluster("a"))
    bench.answers = {"a": Answer(("10.0.0.1",))}
    bench.late = []
    assert bench.tick() is None
    assert len(bench.asked) == 1
    bench.clusters = [cluster("b")]
    bench.answers["b"] = Answer(("10.0.0.2",))
    bench.tick()
    for take in bench.late:
        take()
    assert [each.localities[0].endpoints[0].hostname for each in bench.seen] == ["b"]
    bench.clusters = []
    assert bench.tick() is None


def test_look_ups_run_in_threads_of_their_own_and_end_with_the_mesh() -> None:
    seen: list[ClusterLoadAssignment] = []

    def answer(host: str, family: socket.AddressFamily, options: DnsOptions) -> Answer:
        return Answer(("10.0.0.1",))

    dns = DnsClusters(lambda name, found: seen.append(found), lambda take: take(), resolve=answer)
    dns.close()
    dns.tick([cluster("a")])
    wait_for(lambda: seen)
    dns.close()
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("family", "known", "asked", "found"),
    [
        ("V4_ONLY", {V4: ("4",), V6: ("6",)}, [V4], ("4",)),
        ("V6_ONLY", {V4: ("4",)}, [V6], ()),
        ("AUTO", {V4: ("4",), V6: ("6",)}, [V6], ("6",)),
        ("AUTO", {V4: ("4",)}, [V6, V4], ("4",)),
        ("V4_PREFERRED", {V6: ("6",)}, [V4, V6], ("6",)),
        ("ALL", {BOTH: ("6", "4")}, [BOTH], ("6", "4")),
    ],
)
def test_families_are_asked_in_the_order_of_preference(
    family: Any, known: dict[int, tuple[str, ...]], asked: list[int], found: tuple[str, ...]
) -> None:
    seen: list[int] = []

    def ask(host: str, family: socket.AddressFamily, options: DnsOptions) -> Answer:
        seen.append(family)
        return Answer(known.get(family, ()))

    assert look_up_host("a", DnsOptions(lookup_family=family), ask).addresses == found
    assert seen == asked


def test_where_no_family_has_an_address_one_failure_is_a_failure() -> None:
    def ask(host: str, family: socket.AddressFamily, options: DnsOptions) -> Answer:
        return FAILED if family == V6 else Answer()

    assert look_up_host("a", DnsOptions(), ask) == FAILED


def test_without_a_control_thread_names_are_resolved_once_and_waited_for() -> None:
    found = resolve_assignment(cluster("127.0.0.1", "::1"))
    assert [str(each.address) for each in found.localities[0].endpoints] == ["127.0.0.1:80"]
