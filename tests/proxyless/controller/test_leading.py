"""Of several replicas one leads: by a lease that each looks at with its own clock."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from proxyless.controller.leading import NAME, Election, Pace
from tests.support.waiting import wait_for
from tests.xds.controlplane.authority.support import Clock
from tests.xds.controlplane.source.api_server import Small


@pytest.fixture
def server() -> Iterator[Small]:
    made = Small()
    yield made
    made.end()


def replica(server: Small, name: str, clock: Clock, now: float = 1_700_000_000.0) -> Election:
    return Election(server.api, "mesh", name, clock=clock, now=lambda: now, uniform=lambda: 0.0)


def leads(which: Election) -> bool:
    return which.leading


def lease(server: Small) -> dict[str, Any]:
    spec = server.objects["leases"][f"mesh/{NAME}"]["spec"]
    assert isinstance(spec, dict)
    return spec


def test_the_first_leads_and_the_next_one_when_it_has_been_silent_for_the_lease(server: Small) -> None:
    clock, other = Clock(100.0), Clock(7000.0)  # of machines that do not agree
    one, two = replica(server, "one", clock), replica(server, "two", other, now=1.0)
    one.step()
    assert leads(one)
    assert lease(server) == {
        "holderIdentity": "one",
        "leaseDurationSeconds": 15,
        "acquireTime": "2023-11-14T22:13:20.000000Z",
        "renewTime": "2023-11-14T22:13:20.000000Z",
        "leaseTransitions": 0,
    }
    two.step()
    assert not leads(two)
    assert two.holder == "one"
    other.now += 14.9
    two.step()
    assert not leads(two), "the lease holds for 15 s after it was seen"
    clock.now += 14.9
    assert not leads(one), "who could not renew leads no more, before anybody else does"
    other.now += 0.2
    two.step()
    assert leads(two)
    assert lease(server)["leaseTransitions"] == 1
    one.step()
    assert not leads(one)
    assert one.holder == "two"


def test_who_renews_goes_on_leading(server: Small) -> None:
    clock, other = Clock(0.0), Clock(0.0)
    one = Election(server.api, "mesh", "one", clock=clock, now=clock)
    two = Election(server.api, "mesh", "two", clock=other, now=other)
    for _ in range(10):
        for each in (one, two):
            each.step()
        clock.now += 5
        other.now += 5
        assert leads(one)
        assert not leads(two)
    assert lease(server)["leaseTransitions"] == 0


def test_one_that_goes_gives_the_lease_back(server: Small) -> None:
    one, two = replica(server, "one", Clock()), replica(server, "two", Clock())
    one.step()
    two.step()
    one.stop()
    assert lease(server)["holderIdentity"] == ""
    two.step()
    assert leads(two)


def test_of_two_that_write_at_once_one_wins(server: Small) -> None:
    one, two = replica(server, "one", Clock()), replica(server, "two", Clock())
    api = two._api
    whole = api.get

    def slow(path: str, *args: Any, **options: Any) -> Any:
        try:
            return whole(path, *args, **options)
        finally:
            one.step()  # between what it reads and what it writes

    api.get = slow  # type: ignore[method-assign]
    two.step()
    assert leads(one)
    assert not leads(two)
    api.get = whole  # type: ignore[method-assign]
    one.stop()
    api.get = slow  # type: ignore[method-assign]
    two.step()
    assert (one.leading, two.leading) == (True, False)


def test_without_a_right_or_a_server_nobody_leads_and_it_is_said(server: Small) -> None:
    clock = Clock(0.0)
    one = replica(server, "one", clock)
    server.codes = {"leases": 403}
    one.step()
    assert not leads(one)
    assert one.error.startswith(f"the lease mesh/{NAME} (Forbidden): ")
    server.codes = {}
    one.step()
    assert leads(one)
    assert one.error == ""
    server.codes = {"leases": 500}
    clock.now += 5
    one.step()
    assert leads(one), "the lease holds a while longer"
    clock.now += 6
    assert not leads(one)


def test_it_takes_part_by_itself(server: Small) -> None:
    pace = Pace(lease_s=30.0, renew_s=20.0, retry_s=0.01)
    one = Election(server.api, "mesh", "one", pace=pace)
    one.start()
    wait_for(lambda: one.leading)
    one.stop()
    assert not leads(one)
    assert lease(server)["holderIdentity"] == ""
