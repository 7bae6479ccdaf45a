"""What a governed call does, the same for every library."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import pytest

from proxyless import Mesh
from tests.governance.suites.conformance.adapter import WAIT_S, Adapter, Answer
from tests.governance.suites.conftest import PLAIN, A, B, C, counts
from tests.support.backends import Backends
from tests.support.behaviour import Behaviour
from tests.support.waiting import wait_for

ONE, WEB, RETRY = "http://one.example.com/", "http://web.example.com/", "http://retry.example.com/"
NARROW, SLOW, DEAD, H2 = (f"http://{name}.example.com/" for name in ("narrow", "slow", "dead", "h2"))
MOVED = "http://moved.example.com"


def said(answer: Answer) -> tuple[int, str, int]:
    """(status, flags, attempts)."""
    return answer.status, ",".join(answer.call.flags) or "-", answer.call.attempts


# Where calls go, and what they carry.


def test_calls_are_spread_over_the_endpoints_of_a_service(client: Adapter, backends: Backends) -> None:
    calls = [client.start("GET", f"{WEB}items?x=1") for _ in range(40)]
    assert {said(call.result(WAIT_S)) for call in calls} == {(200, "-", 1)}
    arrived = backends.take()
    assert {each.backend for each in arrived} == {A, B, C}
    assert {(each.method, each.target, each.authority, each.protocol) for each in arrived} == {
        ("GET", "/items?x=1", "web.example.com", "HTTP/1.1")
    }


def test_a_route_rewrites_and_changes_headers(client: Adapter, backends: Backends) -> None:
    headers = (("X-Gone", "1"), ("X-Kept", "2"), ("x-set", "mine"))
    answer = client.call("GET", f"{MOVED}/v1/a%20b?c=d", headers=headers)
    (arrival,) = backends.take()
    assert (arrival.target, arrival.authority) == ("/a%20b?c=d", "inner")
    assert [arrival.header(each) for each in ("x-gone", "x-kept", "x-set", "x-add")] == ["", "2", "a", "b"]
    assert arrival.header("x-request-id")
    assert answer.header("x-served") == "c"


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_methods_arrive_as_they_are(client: Adapter, backends: Backends, method: str) -> None:
    body = b"body" if method in ("POST", "PUT", "PATCH") else None
    for _ in range(2):  # the second over the same connection
        answer = client.call(method, ONE, body=body)
        assert said(answer) == (200, "-", 1)
        assert (answer.body == b"") == (method == "HEAD")
    arrived = backends.take()
    assert {(each.method, each.body) for each in arrived} == {(method, body or b"")}
    assert len({each.connection for each in arrived}) == 1


@pytest.mark.parametrize("status", [204, 205, 304, 404, 500])
def test_statuses_pass(client: Adapter, backends: Backends, status: int) -> None:
    backends.behave(A, Behaviour(status, body=b""))
    for _ in range(2):
        assert said(client.call("GET", ONE))[0] == status


def test_headers_that_stand_twice_stay_two(client: Adapter, backends: Backends) -> None:
    backends.behave(A, Behaviour(headers=(("set-cookie", "a=1"), ("set-cookie", "b=2"))))
    assert client.call("GET", ONE).header("set-cookie").replace(" ", "") == "a=1,b=2"


def test_weights_share_calls_out(client: Adapter, backends: Backends) -> None:
    calls = [client.start("GET", "http://split.example.com/") for _ in range(60)]
    assert {said(call.result(WAIT_S)) for call in calls} == {(200, "-", 1)}
    assert {each.backend for each in backends.take()} == {A, B}


def test_a_rate_limit_is_kept(client: Adapter, backends: Backends) -> None:
    answers = [client.call("GET", "http://limited.example.com/") for _ in range(4)]
    assert [said(each)[:2] for each in answers] == [(200, "-")] * 2 + [(429, "RL")] * 2
    assert answers[-1].body == b"local_rate_limited"
    assert len(backends.take()) == 2


# When something fails.


def test_a_failed_try_goes_to_another_endpoint(client: Adapter, backends: Backends) -> None:
    answer = client.call("POST", RETRY, "fault=reset,status=503,status=200", body=b"body")
    assert said(answer) == (200, "-", 3)
    arrived = backends.take()
    assert [(each.body, each.header("x-envoy-attempt-count")) for each in arrived] == [
        (b"body", "1"),
        (b"body", "2"),
        (b"body", "3"),
    ]
    assert arrived[0].backend != arrived[1].backend


FAILURES = [
    (DEAD, "", (503, "UF"), b"remote connection failure", "connect"),
    (ONE, "fault=reset", (503, "UC"), b"connection termination", "broken"),
    (ONE, "fault=close", (503, "UC"), b"connection termination", "broken"),
    (SLOW, "delay=20", (504, "UT"), b"upstream request timeout", "read_timeout"),
]


@pytest.mark.parametrize(("url", "backend", "expected", "text", "kind"), FAILURES)
def test_a_failure_is_envoys_response_or_the_librarys_own_exception(
    suite: type[Adapter],
    mesh: Mesh,
    backends: Backends,
    url: str,
    backend: str,
    expected: tuple[int, str],
    text: bytes,
    kind: str,
) -> None:
    with suite(mesh) as client:
        answer = client.call("GET", url, backend)
        assert said(answer)[:2] == expected
        assert text in answer.body
    backends.take()
    with suite(mesh, errors="raise") as client, pytest.raises(getattr(suite.raises, kind)) as caught:
        client.call("GET", url, backend)
    assert expected[1] in str(caught.value)
    assert len(backends.take()) == (0 if url == DEAD else 1)  # the library does not try again by itself


@pytest.mark.parametrize("path", ["/gone", "/teapot"])
def test_replies_of_the_mesh_are_responses_in_both_modes(suite: type[Adapter], mesh: Mesh, path: str) -> None:
    for errors in ("response", "raise"):
        with suite(mesh, errors=errors) as client:
            answer = client.call("GET", MOVED + path)
            assert answer.status == (418 if path == "/teapot" else 503)
            assert answer.body == (b"teapot" if path == "/teapot" else b"")


def test_the_callers_read_timeout_is_the_librarys_exception(client: Adapter, mesh: Mesh) -> None:
    with pytest.raises(client.raises.read_timeout):
        client.call("GET", ONE, "delay=20", read_s=0.3)
    assert counts(mesh, "one")[1:] == (0, 0)


def test_the_callers_connect_timeout_bounds_the_wait_for_a_connection(client: Adapter, mesh: Mesh) -> None:
    held = client.opened(NARROW, "size=4000000")  # more than a library reads ahead
    with pytest.raises(client.raises.connect_timeout):
        client.call("GET", NARROW, connect_s=0.2)
    assert counts(mesh, "narrow") == (1, 0, 1)
    held.read()


def test_one_request_waits_and_the_next_overflows(client: Adapter, mesh: Mesh, backends: Backends) -> None:
    held = client.opened(NARROW, "size=4000000")  # more than a library reads ahead
    backends.take()
    waiting = client.start("GET", NARROW)
    wait_for(lambda: counts(mesh, "narrow") == (1, 1, 1))
    refused = client.call("GET", NARROW)
    assert (said(refused), refused.header("x-envoy-overloaded")) == ((503, "UO", 1), "true")
    assert backends.take() == []
    held.read()
    assert said(waiting.result(WAIT_S)) == (200, "-", 1)


# Bodies.


def parts(count: int) -> Iterator[bytes]:
    for _ in range(count):
        yield b"x" * 65536


def test_streamed_bodies_go_up_and_down(client: Adapter, backends: Backends) -> None:
    answer = client.call("POST", ONE, "size=3000000", body=parts(40))
    assert (said(answer), len(answer.body)) == ((200, "-", 1), 3_000_000)
    (arrival,) = backends.take()
    assert len(arrival.body) == 40 * 65536
    assert (answer.call.sent, answer.call.received) == (40 * 65536, 3_000_000)


def test_a_streamed_body_is_sent_again_as_long_as_it_is_small(client: Adapter, backends: Backends) -> None:
    answer = client.call("POST", RETRY, "status=503,status=200", body=parts(16))
    assert said(answer) == (200, "-", 2)
    assert [len(each.body) for each in backends.take()] == [16 * 65536] * 2
    assert said(client.call("POST", RETRY, "status=503", body=parts(17))) == (503, "-", 1)


def test_a_response_that_is_closed_early_gives_its_place_back(client: Adapter, mesh: Mesh) -> None:
    opened = client.opened(NARROW, "size=4000000")
    assert opened.part()
    assert counts(mesh, "narrow") == (1, 0, 1)
    opened.close()
    wait_for(lambda: counts(mesh, "narrow") == (0, 0, 0))
    assert opened.call.flags == ("DC",)
    assert client.call("GET", NARROW).status == 200


@pytest.mark.parametrize("fault", ["cut", "cut-reset"])
def test_a_body_that_breaks_off_is_the_librarys_exception(client: Adapter, mesh: Mesh, fault: str) -> None:
    opened = client.opened(ONE, f"fault={fault}")
    with pytest.raises(client.raises.broken):
        opened.read()
    assert opened.call.flags == ("UPE",)
    assert counts(mesh, "one")[1:] == (0, 0)


def test_the_routes_timeout_ends_a_body_too(client: Adapter, mesh: Mesh) -> None:
    opened = client.opened(SLOW, "body-delay=20;size=10")
    with pytest.raises(client.raises.read_timeout):
        opened.read()
    assert opened.call.flags == ("UT",)
    assert counts(mesh, "slow")[1:] == (0, 0)


# Connections.


def test_connections_are_used_again(client: Adapter, mesh: Mesh, backends: Backends) -> None:
    for _ in range(5):
        assert client.call("GET", ONE).status == 200
    assert len({each.connection for each in backends.take()}) == 1
    assert counts(mesh, "one") == (1, 0, 0)


def test_clients_in_sync_code_share_them(suite: type[Adapter], mesh: Mesh, backends: Backends) -> None:
    if suite.asynchronous:
        pytest.skip("another client of the test has another event loop")
    for _ in range(3):
        with suite(mesh) as client:
            client.call("GET", ONE)
    assert len({each.connection for each in backends.take()}) == 1


def test_a_connection_that_the_backend_closed_meanwhile_is_not_used(client: Adapter, backends: Backends) -> None:
    assert client.call("GET", ONE).status == 200
    backends.refuse(A)
    backends.accept(A)
    assert said(client.call("GET", ONE)) == (200, "-", 1)


def test_http2_is_spoken_where_the_cluster_says_so(client: Adapter, backends: Backends) -> None:
    calls = [client.start("POST", H2, "delay=0.1", body=b"%d" % number) for number in range(8)]
    assert {said(call.result(WAIT_S)) for call in calls} == {(200, "-", 1)}
    arrived = backends.take()
    assert {each.protocol for each in arrived} == {"HTTP/2"}
    assert len({each.connection for each in arrived}) == 1
    assert Counter(each.body for each in arrived) == Counter(b"%d" % number for number in range(8))


# The library around it.


def test_hosts_that_the_mesh_does_not_know_are_dialled(client: Adapter, backends: Backends) -> None:
    url = f"http://{PLAIN[0]}:{backends.ports[PLAIN]}/x"
    for _ in range(2):
        assert client.call("GET", url).status == 200
    opened = client.opened(url)
    assert opened.status == 200
    assert opened.read()
    arrived = backends.take()
    assert {each.backend for each in arrived} == {PLAIN}
    assert {each.header("x-envoy-attempt-count") for each in arrived} == {""}
    assert len({each.connection for each in arrived}) == 1


def test_redirects_are_followed_once_by_the_library(client: Adapter, backends: Backends) -> None:
    answer = client.call("GET", f"{MOVED}/old/x?y", follow=True)
    assert answer.status == 200
    (arrival,) = backends.take()
    assert (arrival.authority, arrival.target) == ("web.example.com", "/new?y")
    assert client.call("GET", f"{MOVED}/old/x?y").status == 302


def test_cookies_are_kept_by_the_library(client: Adapter, backends: Backends) -> None:
    if not client.cookies:
        pytest.skip("the library keeps none")
    backends.behave(A, Behaviour(headers=(("set-cookie", "a=1; Path=/"),)))
    client.call("GET", ONE)
    client.call("GET", ONE)
    assert [each.header("cookie") for each in backends.take()] == ["", "a=1"]


VARIABLE: ContextVar[str] = ContextVar("VARIABLE", default="")


def test_context_variables_are_those_of_the_caller(client: Adapter) -> None:
    seen: list[str] = []

    def body() -> Iterator[bytes]:
        seen.append(VARIABLE.get())
        yield b"x"

    if client.asynchronous:
        pytest.skip("a task has the context that it was made in, which this thread does not make")
    VARIABLE.set("mine")
    assert client.call("POST", ONE, body=body()).status == 200
    assert seen == ["mine"]


def test_without_governance_a_client_is_the_librarys_own(
    suite: type[Adapter], mesh: Mesh, backends: Backends, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROXYLESS_DISABLE", "1")
    with suite(mesh) as client:
        answer: Any = client.call("GET", f"http://{PLAIN[0]}:{backends.ports[PLAIN]}/")
        assert (answer.status, answer.call) == (200, None)
        with pytest.raises(client.raises.connect):
            client.call("GET", "http://nothing.invalid/")
