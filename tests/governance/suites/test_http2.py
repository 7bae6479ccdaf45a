"""Calls that share an HTTP/2 connection do not harm each other: not by a timeout, an early end or an upload."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from proxyless import Mesh
from tests.governance.suites.callers import WAIT_S, Caller
from tests.governance.suites.conftest import counts
from tests.support.backends import Backends
from tests.support.waiting import wait_for

URL = "http://h2.example.com"


def said(response: Any) -> tuple[int, str]:
    return response.status_code, ",".join(response.extensions["proxyless"].flags) or "-"


def under_way(caller: Caller, mesh: Mesh, path: str, backend: str, requests: int) -> Any:
    """A call that has its place on the connection."""
    call = caller.send(URL + path, headers={"x-backend": backend})
    wait_for(lambda: counts(mesh, "h2")[2] == requests)
    return call


def test_threads_that_share_a_connection_do_not_garble_it(caller: Caller, backends: Backends) -> None:
    """Two threads that open a stream at once get one number for both in httpcore 1.0.9 and httpcore2 2.16."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        sizes = [*range(100), *range(0, 1_000_000, 50_000)]
        calls = [
            caller.send(f"{URL}/{size}", "POST", content=b"x" * size, headers={"x-n": str(size)}) for size in sizes
        ]
        for size, call in zip(sizes, calls, strict=True):
            response = call.result(WAIT_S)
            assert said(response) == (200, "-")
            assert (response.json()["target"], response.json()["body_length"]) == (f"/{size}", size)
    finally:
        sys.setswitchinterval(before)
    assert len({each.connection for each in backends.take()}) <= 2


@pytest.mark.parametrize("first", ["long", "slow"])
def test_the_routes_timeout_ends_its_own_call_in_time_and_no_other(
    caller: Caller, mesh: Mesh, backends: Backends, first: str
) -> None:
    caller.get(f"{URL}/")
    calls: dict[str, Any] = {}
    for number, which in enumerate([first, "slow" if first == "long" else "long"], 1):
        path, backend = ("/slow", "delay=20") if which == "slow" else ("/", "delay=2")
        calls[which] = under_way(caller, mesh, path, backend, number)
    assert said(calls["slow"].result(WAIT_S)) == (504, "UT")
    assert not calls["long"].done(), "it waited for the other call"
    assert said(calls["long"].result(WAIT_S)) == (200, "-")
    assert len({each.connection for each in backends.take()}) == 1


def test_so_does_the_callers_read_timeout(caller: Caller, mesh: Mesh, backends: Backends) -> None:
    caller.get(f"{URL}/")
    long = under_way(caller, mesh, "/", "delay=1", 1)
    with pytest.raises(caller.library.ReadTimeout):
        caller.get(f"{URL}/", "delay=20", timeout=caller.library.Timeout(WAIT_S, read=0.2))
    assert said(long.result(WAIT_S)) == (200, "-")
    assert len({each.connection for each in backends.take()}) == 1


def test_a_timeout_within_a_body_leaves_the_others_alone(caller: Caller, mesh: Mesh, backends: Backends) -> None:
    caller.get(f"{URL}/")
    long = under_way(caller, mesh, "/", "delay=1", 1)
    response = caller.open(f"{URL}/slow", "body-delay=20;size=10")
    with pytest.raises(caller.library.ReadTimeout):
        caller.read(response)
    assert said(response) == (200, "UT")
    assert said(long.result(WAIT_S)) == (200, "-")
    assert counts(mesh, "h2")[1:] == (0, 0)


def test_responses_that_are_closed_early_do_not_use_up_the_connections_window(
    caller: Caller, mesh: Mesh, backends: Backends
) -> None:
    for _ in range(10):
        response = caller.open(f"{URL}/", "size=3000000")
        caller.close(response)
        assert said(response) == (200, "DC")
    assert len(caller.get(f"{URL}/", "size=3000000").content) == 3_000_000
    assert len({each.connection for each in backends.take()}) == 1
    assert counts(mesh, "h2")[1:] == (0, 0)


def test_uploads_at_once_share_the_window(caller: Caller, backends: Backends) -> None:
    calls = [caller.send(f"{URL}/{number}", "POST", content=b"x" * 300_000) for number in range(10)]
    assert {said(call.result(WAIT_S)) for call in calls} == {(200, "-")}
    assert {len(each.body) for each in backends.take()} == {300_000}
