"""What a governed client does, over real connections; the same for httpx and httpx2, sync and async."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from proxyless import Mesh
from proxyless.cli.explain import explain_one
from tests.governance.suites.callers import WAIT_S, Caller
from tests.governance.suites.conftest import PLAIN, A, counts
from tests.support.backends import Backends
from tests.support.behaviour import Behaviour
from tests.support.waiting import wait_for

WEB = "http://web.example.com"


def said(response: Any) -> tuple[int, str, int]:
    """(status, flags, attempts)."""
    call = response.extensions["proxyless"]
    return response.status_code, ",".join(call.flags) or "-", call.attempts


def test_a_call_goes_to_every_endpoint_of_its_service(caller: Caller, backends: Backends) -> None:
    for _ in range(60):
        assert said(caller.get(f"{WEB}/items?x=1")) == (200, "-", 1)
    arrived = backends.take()
    assert Counter(each.backend for each in arrived).keys() == {
        ("127.0.41.1", 8080),
        ("127.0.41.2", 8080),
        ("127.0.41.3", 8080),
    }
    assert {(each.method, each.target, each.authority, each.protocol) for each in arrived} == {
        ("GET", "/items?x=1", "web.example.com", "HTTP/1.1")
    }


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("GET", "/v1/a?b=1", {"X-Gone": "1", "X-Kept": "2", "x-set": "mine"}),
        ("GET", "/plain", {"x-request-id": "mine", "x-envoy-max-retries": "9"}),
        ("GET", "/a/../%41", {"x-forwarded-proto": "https"}),
    ],
)
def test_the_headers_that_arrive_are_those_that_explain_tells(
    caller: Caller, mesh: Mesh, backends: Backends, method: str, path: str, headers: dict[str, str]
) -> None:
    url = f"http://moved.example.com{path}"
    sent = [[name, value] for name, value in headers.items()]
    usual = [[name, value] for name, value in caller.client.headers.items() if name != "connection"]
    line = {"method": method, "url": url, "headers": usual + sent}
    told, _ = explain_one(mesh, line, None, "127.0.0.1", patience_s=WAIT_S)
    response = caller.get(url, method=method, headers=headers)
    (arrival,) = backends.take()
    assert (arrival.method, arrival.target, arrival.authority) == (told["method"], told["path"], told["authority"])
    arrived = [[name.lower(), value] for name, value in arrival.headers]
    assert [pair for pair in arrived if pair[0] not in ("host", "x-request-id")] == told["request_headers"]
    assert arrived[0][0] == "host"
    assert arrival.header("x-request-id") == headers.get("x-request-id", arrival.header("x-request-id")) != ""
    for each in told["response_headers"]:
        assert response.headers[each["name"]] == each["value"]


def test_a_failed_try_goes_to_another_endpoint(caller: Caller, backends: Backends) -> None:
    response = caller.get("http://retry.example.com/", "status=503,status=200")
    assert said(response) == (200, "-", 2)
    first, second = backends.take()
    assert first.backend != second.backend
    assert [each.header("x-envoy-attempt-count") for each in (first, second)] == ["1", "2"]
    assert first.header("x-request-id") == second.header("x-request-id")


def test_the_last_answer_passes_when_no_try_is_left(caller: Caller, backends: Backends) -> None:
    response = caller.get("http://retry.example.com/", "status=503;body=sorry")
    assert (said(response), response.text) == ((503, "URX", 3), "sorry")
    assert len(backends.take()) == 3


def test_a_reset_before_the_response_is_tried_again_with_its_body(caller: Caller, backends: Backends) -> None:
    response = caller.get("http://retry.example.com/", "fault=reset,fault=close,status=200", "POST", content=b"body")
    assert said(response) == (200, "-", 3)
    assert [each.body for each in backends.take()] == [b"body"] * 3


FAILURES = [
    (
        "http://dead.example.com/",
        "",
        (503, "UF"),
        "upstream connect error or disconnect/reset before headers. reset reason: remote connection failure",
        "ConnectError",
    ),
    (
        "http://one.example.com/",
        "fault=reset",
        (503, "UC"),
        "upstream connect error or disconnect/reset before headers. reset reason: connection termination",
        "RemoteProtocolError",
    ),
    (
        "http://one.example.com/",
        "fault=close",
        (503, "UC"),
        "upstream connect error or disconnect/reset before headers. reset reason: connection termination",
        "RemoteProtocolError",
    ),
    ("http://slow.example.com/", "delay=20", (504, "UT"), "upstream request timeout", "ReadTimeout"),
]


@pytest.mark.parametrize(("url", "backend", "status", "body", "exception"), FAILURES)
def test_a_failure_of_the_transport_is_envoys_answer(
    caller: Caller, url: str, backend: str, status: tuple[int, str], body: str, exception: str
) -> None:
    response = caller.get(url, backend)
    assert (said(response), response.text) == ((*status, 1), body)
    assert response.headers["content-type"] == "text/plain"
    assert response.headers["content-length"] == str(len(body))
    assert response.extensions["proxyless"].reply is not None


@pytest.mark.parametrize(("url", "backend", "status", "body", "exception"), FAILURES)
def test_or_the_librarys_own_exception(
    kind: str,
    mesh: Mesh,
    backends: Backends,
    url: str,
    backend: str,
    status: tuple[int, str],
    body: str,
    exception: str,
) -> None:
    with Caller(kind, mesh, errors="raise") as caller:
        with pytest.raises(Exception, match=status[1]) as caught:
            caller.get(url, backend)
        assert type(caught.value) is getattr(caller.library, exception)
        assert body in str(caught.value)
        error: Any = caught.value
        assert error.request.url.host == url.split("/")[2]
        assert said(caller.get("http://moved.example.com/gone")) == (503, "NC", 0)
        assert caller.get("http://web.example.com/", "status=503").status_code == 503


def test_an_unknown_error_mode_is_refused(kind: str, mesh: Mesh) -> None:
    with pytest.raises(ValueError, match="errors='never'"), Caller(kind, mesh, errors="never"):
        raise AssertionError("it was taken")


def test_the_callers_own_read_timeout_is_its_own_exception_whatever_the_mode(caller: Caller, mesh: Mesh) -> None:
    limits = caller.library.Timeout(WAIT_S, read=0.2)
    with pytest.raises(caller.library.ReadTimeout):
        caller.get("http://one.example.com/", "delay=20", timeout=limits)
    assert counts(mesh, "one")[1:] == (0, 0)


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/old/x?y", (302, "-", 0)),
        ("GET", "/teapot", (418, "-", 0)),
        ("HEAD", "/teapot", (418, "-", 0)),
        ("GET", "/gone", (503, "NC", 0)),
        ("POST", "/unrouted", (404, "NR", 0)),
        ("get", "/", (400, "DPE", 0)),
    ],
)
def test_what_the_mesh_answers_itself_touches_no_endpoint(
    caller: Caller, backends: Backends, method: str, path: str, expected: tuple[int, str, int]
) -> None:
    request = caller.client.build_request(method, f"http://moved.example.com{path}")
    request.method = method  # the library would write it in capitals
    response = caller.wait(caller.client.send, request)
    assert said(response) == expected
    assert response.text == {"/teapot": "teapot" if method == "GET" else "", "/": "Bad Request"}.get(path, "")
    assert backends.take() == []


def test_what_the_call_was_is_beside_the_response(caller: Caller) -> None:
    call = caller.get("http://moved.example.com/v1/x").extensions["proxyless"]
    assert call.cluster.name == "outbound|80||moved.example.com"
    assert call.host.address.startswith("127.0.41.1:")
    assert (call.upstream.path, call.upstream.authority) == (b"/x", b"inner")
    assert (call.route.index, call.attempts, call.flags, call.status, call.reply) == (3, 1, (), 200, None)


# Bodies.


def test_large_bodies_pass_both_ways(caller: Caller, backends: Backends) -> None:
    size = 5_000_000
    response = caller.get(f"{WEB}/", f"size={size}", "POST", content=b"u" * size)
    assert (response.status_code, len(response.content)) == (200, size)
    (arrival,) = backends.take()
    assert (len(arrival.body), arrival.header("content-length")) == (size, str(size))
    call = response.extensions["proxyless"]
    assert call.received == size


def test_a_streamed_body_that_has_grown_too_large_is_not_sent_again(caller: Caller, backends: Backends) -> None:
    def chunks(count: int) -> Iterator[bytes]:
        for _ in range(count):
            yield b"x" * 65536

    response = caller.get("http://retry.example.com/", "status=503", "POST", content=chunks(17))
    assert said(response) == (503, "-", 1)
    (arrival,) = backends.take()
    assert len(arrival.body) == 17 * 65536
    response = caller.get("http://retry.example.com/", "status=503,status=200", "POST", content=chunks(16))
    assert said(response) == (200, "-", 2)
    assert [len(each.body) for each in backends.take()] == [16 * 65536] * 2


@pytest.mark.parametrize("fault", ["cut", "cut-reset"])
def test_a_body_that_breaks_off_is_the_librarys_error_and_the_calls_flag(
    caller: Caller, mesh: Mesh, fault: str
) -> None:
    response = caller.open("http://one.example.com/", f"fault={fault}")
    assert response.status_code == 200
    with pytest.raises((caller.library.RemoteProtocolError, caller.library.ReadError)):
        caller.read(response)
    assert response.extensions["proxyless"].flags == ("UPE",)
    assert counts(mesh, "one")[1:] == (0, 0)


def test_the_routes_timeout_ends_a_body_too(caller: Caller, mesh: Mesh) -> None:
    response = caller.open("http://slow.example.com/", "body-delay=20;size=10")
    with pytest.raises(caller.library.ReadTimeout):
        caller.read(response)
    assert response.extensions["proxyless"].flags == ("UT",)
    assert counts(mesh, "slow")[1:] == (0, 0)


def test_a_response_that_is_closed_early_gives_its_place_back(caller: Caller, mesh: Mesh) -> None:
    response = caller.open("http://narrow.example.com/", "size=1000000")
    assert counts(mesh, "narrow") == (1, 0, 1)
    caller.close(response)
    assert response.extensions["proxyless"].flags == ("DC",)
    wait_for(lambda: counts(mesh, "narrow") == (0, 0, 0))
    assert caller.get("http://narrow.example.com/").status_code == 200


def test_a_response_that_was_read_gives_its_connection_back(caller: Caller, mesh: Mesh, backends: Backends) -> None:
    for _ in range(3):
        response = caller.open("http://narrow.example.com/")
        caller.read(response)
        assert counts(mesh, "narrow") == (1, 0, 0)
    assert len({each.connection for each in backends.take()}) == 1


# Thresholds and connections.


def test_one_request_waits_and_the_next_overflows(caller: Caller, mesh: Mesh, backends: Backends) -> None:
    url = "http://narrow.example.com/"
    held = caller.open(url)
    backends.take()
    waiting = caller.send(url)
    wait_for(lambda: counts(mesh, "narrow") == (1, 1, 1))
    refused = caller.get(url)
    assert said(refused) == (503, "UO", 1)
    assert refused.headers["x-envoy-overloaded"] == "true"
    assert backends.take() == []
    caller.read(held)
    assert said(waiting.result(WAIT_S)) == (200, "-", 1)


def test_one_that_waits_no_longer_than_its_connect_timeout(caller: Caller, mesh: Mesh) -> None:
    held = caller.open("http://narrow.example.com/")
    with pytest.raises(caller.library.ConnectTimeout):
        caller.get("http://narrow.example.com/", timeout=caller.library.Timeout(WAIT_S, connect=0.2))
    assert counts(mesh, "narrow") == (1, 0, 1)
    caller.read(held)


def test_connections_are_used_again_and_clients_share_them(
    caller: Caller, kind: str, mesh: Mesh, backends: Backends
) -> None:
    for _ in range(5):
        caller.get("http://one.example.com/")
    assert len({each.connection for each in backends.take()}) == 1
    if caller.asynchronous:
        return  # another client of the test has another event loop
    with Caller(kind, mesh) as other:
        first = other.get("http://one.example.com/")
    assert first.status_code == 200
    caller.get("http://one.example.com/")
    assert len({each.connection for each in backends.take()}) == 1


def test_a_connection_that_the_backend_closed_meanwhile_is_not_used(caller: Caller, backends: Backends) -> None:
    assert caller.get("http://one.example.com/").status_code == 200
    backends.refuse(A)
    backends.accept(A)
    assert said(caller.get("http://one.example.com/")) == (200, "-", 1)


def test_a_connection_takes_no_more_requests_than_its_cluster_says(caller: Caller, backends: Backends) -> None:
    for _ in range(6):
        assert caller.get("http://few.example.com/").status_code == 200
    assert sorted(Counter(each.connection for each in backends.take()).values()) == [2, 2, 2]


def test_http2_shares_one_connection(caller: Caller, backends: Backends) -> None:
    assert caller.get("http://h2.example.com/").http_version == "HTTP/2"
    calls = [caller.send("http://h2.example.com/", headers={"x-backend": "delay=0.2"}) for _ in range(8)]
    assert {said(call.result(WAIT_S)) for call in calls} == {(200, "-", 1)}
    arrived = backends.take()
    assert {each.protocol for each in arrived} == {"HTTP/2"}
    assert len({each.connection for each in arrived}) == 1


@pytest.mark.parametrize(("fault", "flag"), [("reset", "UR"), ("refused", "UR"), ("close", "UC")])
def test_http2_streams_that_fail(caller: Caller, fault: str, flag: str) -> None:
    response = caller.get("http://h2.example.com/", f"fault={fault}")
    assert said(response) == (503, flag, 1)
    assert caller.get("http://h2.example.com/").status_code == 200


def test_many_calls_at_once_lose_nothing(caller: Caller, mesh: Mesh, backends: Backends) -> None:
    calls = [caller.send(f"{WEB}/{number}", content=b"%d" % number, method="POST") for number in range(200)]
    for number, call in enumerate(calls):
        response = call.result(WAIT_S)
        assert (response.status_code, response.json()["target"]) == (200, f"/{number}")
    arrived = backends.take()
    assert len(arrived) == 200
    assert all(each.body.decode() == each.target[1:] for each in arrived)
    assert counts(mesh, "web")[1:] == (0, 0)


# The library around it.


def test_hosts_that_the_mesh_does_not_know_are_dialled(caller: Caller, backends: Backends) -> None:
    response = caller.get(f"http://{PLAIN[0]}:{backends.ports[PLAIN]}/x", headers={"x-a": "1"})
    assert said(response) == (200, "-", 1)
    (arrival,) = backends.take()
    assert arrival.backend == PLAIN
    assert arrival.header("x-envoy-attempt-count") == arrival.header("x-request-id") == ""


def test_redirects_of_the_mesh_are_followed_through_it(caller: Caller, backends: Backends) -> None:
    response = caller.get("http://moved.example.com/old/x?y", follow_redirects=True)
    assert (response.status_code, [each.status_code for each in response.history]) == (200, [302])
    (arrival,) = backends.take()
    assert (arrival.authority, arrival.target) == ("web.example.com", "/new?y")


def test_base_url_auth_cookies_and_hooks_work_as_ever(kind: str, mesh: Mesh, backends: Backends) -> None:
    seen: list[str] = []

    def sync_hook(what: Any) -> None:
        seen.append(type(what).__name__)

    async def async_hook(what: Any) -> None:
        seen.append(type(what).__name__)

    hook = async_hook if kind.endswith("async") else sync_hook
    options = {"base_url": "http://one.example.com/base/", "auth": ("user", "pass"), "cookies": {"a": "1"}}
    with Caller(kind, mesh, event_hooks={"request": [hook], "response": [hook]}, **options) as caller:
        backends.behave(A, Behaviour(headers=(("set-cookie", "b=2; Path=/"),)))
        for _ in range(3):
            assert caller.get("items").status_code == 200
        caller.get("items")
    arrived = backends.take()
    assert {each.target for each in arrived} == {"/base/items"}
    assert {each.header("authorization") for each in arrived} == {"Basic dXNlcjpwYXNz"}
    assert arrived[0].header("cookie") == "a=1"
    assert "b=2" in arrived[-1].header("cookie")
    assert seen == ["Request", "Response"] * 4


def test_digest_auth_asks_twice_and_both_are_governed(kind: str, mesh: Mesh, backends: Backends) -> None:
    with Caller(kind, mesh) as caller:
        challenge = Behaviour(401, headers=(("www-authenticate", 'Digest realm="r", nonce="n", qop="auth"'),))
        backends.behave(A, challenge)
        response = caller.get("http://one.example.com/", auth=caller.library.DigestAuth("user", "pass"))
    assert response.status_code == 401
    first, second = backends.take()
    assert (first.header("authorization"), second.header("authorization")[:6]) == ("", "Digest")


def test_closing_one_client_leaves_the_mesh_to_the_others(kind: str, mesh: Mesh, backends: Backends) -> None:
    with Caller(kind, mesh) as first, Caller(kind, mesh) as second:
        assert first.get(f"{WEB}/").status_code == 200
        second.wait(second.client.aclose if second.asynchronous else second.client.close)
        assert first.get(f"{WEB}/").status_code == 200


def test_a_client_that_is_closed_lets_a_response_under_way_be_read(caller: Caller, mesh: Mesh) -> None:
    response = caller.open("http://one.example.com/", "body-delay=0.2;size=100000")
    caller.wait(caller.client.aclose if caller.asynchronous else caller.client.close)
    assert len(caller.read(response)) == 100_000
    assert counts(mesh, "one")[1:] == (0, 0)
