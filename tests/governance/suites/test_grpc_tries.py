"""Governed gRPC calls of both APIs that are tried beside each other, one after the other, or elsewhere."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import grpc.aio
import pytest

import proxyless.grpc
import proxyless.grpc.aio
from proxyless import Mesh
from proxyless.policies import Fallback, Request, Response
from proxyless.xds.model.filters import Buffer
from proxyless.xds.model.route import BackOff, RetryPolicy
from tests.governance.suites.grpc_served import SERVICE, Served, code_of
from tests.support.model import cluster, http_filter, route, snapshot, table, vhost
from tests.support.ports import free_port
from tests.support.waiting import wait_for

KINDS = {"Get": "unary_unary", "Numbers": "unary_stream", "Join": "stream_unary", "Echo": "stream_stream"}
KINDS_OF = {**KINDS, "Tell": "unary_unary"}
SENT: dict[str, tuple[bytes, ...]] = {"Get": (b"x",), "Numbers": (b"2",), "Join": (b"a", b"b"), "Echo": (b"a", b"b")}
GOT = {"Get": [b"a:x"], "Numbers": [b"0", b"1"], "Join": [b"a,b"], "Echo": [b"a", b"b"]}
QUICK = BackOff(0.001, 0.001)
NEVER = BackOff(1e6, 1e6)
PATIENCE_S = 60.0
Call = Callable[..., list[bytes]]


def kind_of(method: str) -> str:
    return next(kind for name, kind in KINDS_OF.items() if method.startswith(name))


def sent(method: str, messages: tuple[bytes, ...] | None = None) -> Any:
    """What a call of that method is made with."""
    given = messages or next(found for name, found in SENT.items() if method.startswith(name))
    return given[0] if kind_of(method).startswith("unary") else iter(given)


def sync(mesh: Mesh, method: str, *messages: bytes, host: str = "shop", policies: Any = (), **more: Any) -> list[bytes]:
    with proxyless.grpc.channel(f"{host}:80", mesh, policies=policies) as channel:
        kind = kind_of(method)
        got = getattr(channel, kind)(SERVICE + method)(sent(method, messages), **more)
        return list(got) if kind.endswith("_stream") else [got]


async def aio(mesh: Mesh, method: str, *messages: bytes, host: str = "shop", policies: Any = (), **more: Any) -> Any:
    async with proxyless.grpc.aio.channel(f"{host}:80", mesh, policies=policies) as channel:
        kind = kind_of(method)
        made = getattr(channel, kind)(SERVICE + method)(sent(method, messages), **more)
        return [each async for each in made] if kind.endswith("_stream") else [await made]


@pytest.fixture(params=["sync", "aio"])
def api(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def call(api: str) -> Call:
    """A call to its end, by one of the APIs."""
    return sync if api == "sync" else lambda *given, **more: asyncio.run(aio(*given, **more))


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[Served, Served]]:
    with Served("a") as a, Served("b") as b:
        yield a, b


@pytest.fixture
def server(servers: tuple[Served, Served]) -> Served:
    """The one of cluster a; there is another, of host `backup`, and nobody at host `dead`."""
    for each in servers:
        each.take()
        each.failures = each.given_up = 0
    return servers[0]


@contextmanager
def world(servers: tuple[Served, Served], *, most: int | None = None, limit: int | None = None, **action: Any) -> Any:
    """A mesh whose route says that. `most`: bytes that a buffer filter lets pass, `limit`: that are kept."""
    how = {"timeout_s": None, **action}
    hosts = [
        vhost(route("/", "dead"), domains=["dead:80"]),
        vhost(route("/", "b"), domains=["backup"]),
        vhost(route("/", "a", body_limit=limit, **how), include_request_attempt_count=True),
    ]
    clusters = [
        cluster("a", f"127.0.0.1:{servers[0].port}", http2=True),
        cluster("b", f"127.0.0.1:{servers[1].port}", http2=True),
        cluster("dead", f"127.0.0.1:{free_port()}", http2=True),
    ]
    filters = [] if most is None else [http_filter("envoy.filters.http.buffer", Buffer(most))]
    held = snapshot(tables=[table(*hosts)], clusters=clusters, filters=filters)
    with Mesh._from_snapshot(held, status_socket=False) as mesh:
        yield mesh
        found: Any = mesh.runtime.plan.cluster("a")
        wait_for(lambda: found.breaker(False).requests == 0)


def hedged(count: int = 1, per_try_s: float = 0.2, **more: Any) -> dict[str, Any]:
    """A route whose tries run beside each other."""
    times = RetryPolicy(("unavailable",), count, per_try_s, **{"back_off": QUICK, **more})
    return {"hedge_on_per_try_timeout": True, "retry": times}


def tries(server: Served) -> list[str]:
    return sorted(seen["x-envoy-attempt-count"] for _, seen in server.take())


@pytest.mark.parametrize("method", KINDS)
def test_a_slow_try_goes_on_beside_another_and_the_first_response_counts(
    call: Call, servers: tuple[Served, Served], server: Served, method: str
) -> None:
    """And the one that has lost ends at the server."""
    with world(servers, **hedged()) as mesh:
        for _ in range(3):
            server.failures = 1
            assert call(mesh, f"{method}Stuck") == GOT[method]
            assert tries(server) == ["1", "2"]
    wait_for(lambda: server.given_up == 3)


@pytest.mark.parametrize("method", KINDS)
def test_a_try_that_is_too_slow_is_followed_by_another(
    call: Call, servers: tuple[Served, Served], server: Served, method: str
) -> None:
    times = RetryPolicy(("5xx",), 1, 0.3, back_off=QUICK)
    with world(servers, retry=times) as mesh:
        server.failures = 1
        assert call(mesh, f"{method}Stuck") == GOT[method]
        assert tries(server) == ["1", "2"]
        wait_for(lambda: server.given_up == 1)
        server.failures = 2
        assert code_of(lambda: call(mesh, f"{method}Stuck")) == ("UNAVAILABLE", "upstream request timeout")
        wait_for(lambda: server.given_up == 3)


def test_a_failed_try_beside_others_is_made_again(call: Call, servers: tuple[Served, Served], server: Served) -> None:
    with world(servers, **hedged(2, PATIENCE_S)) as mesh:
        server.failures = 2
        assert call(mesh, "GetFlaky") == [b"a:x"]
        assert tries(server) == ["1", "2", "3"]
        server.failures = 3
        assert code_of(lambda: call(mesh, "GetFlaky")) == ("UNAVAILABLE", "not now")


@pytest.mark.parametrize("method", KINDS)
@pytest.mark.parametrize("whose", ["route", "caller"])
def test_a_timeout_ends_all_tries(
    call: Call, servers: tuple[Served, Served], server: Served, method: str, whose: str
) -> None:
    timeout: dict[str, Any] = {"timeout_s": 1.0} if whose == "route" else {}
    own: dict[str, Any] = {} if timeout else {"timeout": 1.0}
    with world(servers, **hedged(), **timeout) as mesh:
        server.failures = 2
        code, _ = code_of(lambda: call(mesh, f"{method}Stuck", **own))
        assert code == ("UNAVAILABLE" if timeout else "DEADLINE_EXCEEDED")
        wait_for(lambda: server.given_up == 2)


@pytest.mark.parametrize("beside", [False, True])
def test_a_pause_is_no_longer_than_the_caller_waits(
    call: Call, servers: tuple[Served, Served], server: Served, beside: bool
) -> None:
    with world(servers, **{**hedged(1, PATIENCE_S, back_off=NEVER), "hedge_on_per_try_timeout": beside}) as mesh:
        server.failures = 1
        assert code_of(lambda: call(mesh, "GetFlaky", timeout=0.5))[0] == "DEADLINE_EXCEEDED"


@pytest.mark.parametrize("method", ["Get", "Numbers", "Echo"])
def test_a_call_that_is_cancelled_ends_with_all_its_tries(
    api: str, servers: tuple[Served, Served], server: Served, method: str
) -> None:
    path = SERVICE + f"{method}Stuck"

    def asked() -> bool:
        return len(server.asked) == 2

    with world(servers, **hedged()) as mesh:
        server.failures = 2
        if api == "sync":
            with proxyless.grpc.channel("shop:80", mesh) as channel:
                made: Any = getattr(channel, kind_of(method))(path)
                under_way = made.future(b"x") if method == "Get" else made(sent(method))
                wait_for(asked)
                assert under_way.cancel()
                wait_for(lambda: server.given_up == 2)
                assert under_way.code() is grpc.StatusCode.CANCELLED
            return

        async def work() -> None:
            async with proxyless.grpc.aio.channel("shop:80", mesh) as channel:
                made: Any = getattr(channel, kind_of(method))(path)
                under_way = made(sent(method))
                await asyncio.to_thread(wait_for, asked)
                assert under_way.cancel()
                assert await under_way.code() is grpc.StatusCode.CANCELLED
                await asyncio.to_thread(wait_for, lambda: server.given_up == 2)

        asyncio.run(work())


@pytest.mark.parametrize("method", ["Join", "Echo"])
def test_a_stream_of_requests_that_is_not_kept_is_sent_once(
    call: Call, servers: tuple[Served, Served], server: Served, method: str
) -> None:
    with world(servers, limit=11, timeout_s=1.0, **hedged()) as mesh:
        server.failures = 1
        assert code_of(lambda: call(mesh, f"{method}Stuck", b"a", b"b"))[0] == "UNAVAILABLE"
        assert tries(server) == ["1"]
        server.failures = 1
        assert call(mesh, f"{method}Stuck", b"abcdef") == [b"abcdef"]
        assert tries(server) == ["1", "2"]
    wait_for(lambda: server.given_up == 2)


@pytest.mark.parametrize("beside", [False, True])
def test_the_routes_time_begins_when_all_requests_are_sent_also_behind_the_first_response(
    api: str, servers: tuple[Served, Served], server: Served, beside: bool
) -> None:
    heard = threading.Event()

    def letters() -> Iterator[bytes]:
        yield b"a"
        heard.wait(PATIENCE_S)

    how = {**hedged(1, PATIENCE_S), "hedge_on_per_try_timeout": beside, "timeout_s": 0.3}
    with world(servers, **how) as mesh:
        if api == "sync":
            with proxyless.grpc.channel("shop:80", mesh) as opened:
                channel: Any = opened
                talking = channel.stream_stream(SERVICE + "EchoHang")(letters())
                assert next(talking) == b"a"
                heard.set()
                code, details = code_of(lambda: next(talking))
        else:

            async def work() -> tuple[str, str]:
                async with proxyless.grpc.aio.channel("shop:80", mesh) as opened:
                    channel: Any = opened
                    talking = channel.stream_stream(SERVICE + "EchoHang")()
                    await talking.write(b"a")
                    assert await talking.read() == b"a"
                    await talking.done_writing()
                    with pytest.raises(grpc.aio.AioRpcError) as raised:
                        await talking.read()
                    return raised.value.code().name, raised.value.details() or ""

            code, details = asyncio.run(work())
    assert (code, "the route's timeout passed" in details) == ("DEADLINE_EXCEEDED", True)
    wait_for(lambda: server.given_up == 1)


@pytest.mark.parametrize("method", KINDS)
def test_another_host_gets_the_call_that_has_failed(
    call: Call, servers: tuple[Served, Served], server: Served, method: str
) -> None:
    policies = [Fallback("http://backup")]
    with world(servers, **hedged(), timeout_s=1.0) as mesh:
        expected = [b"b:x"] if method == "Get" else GOT[method]
        assert call(mesh, method, host="dead", policies=policies) == expected
        assert (tries(server), len(servers[1].take())) == ([], 1)
        server.failures = 2
        assert call(mesh, f"{method}Stuck", policies=policies) == expected
        assert (tries(server), len(servers[1].take())) == (["1", "2"], 1)
    wait_for(lambda: server.given_up == 2)


@pytest.mark.parametrize("method", ["Join", "Echo"])
def test_a_stream_of_requests_is_kept_for_another_host(
    call: Call, servers: tuple[Served, Served], server: Served, method: str
) -> None:
    with world(servers, timeout_s=0.5) as mesh:
        server.failures = 1
        assert call(mesh, f"{method}Stuck", policies=[Fallback("http://backup")]) == GOT[method]
        assert (tries(server), len(servers[1].take())) == (["1"], 1)
    wait_for(lambda: server.given_up == 1)


def test_a_stream_of_requests_that_has_gone_does_not_go_to_another_host(
    call: Call, servers: tuple[Served, Served], server: Served
) -> None:
    with world(servers, limit=11, timeout_s=0.5) as mesh:
        server.failures = 1
        failed = code_of(lambda: call(mesh, "JoinStuck", b"a", b"b", policies=[Fallback("http://backup")]))
        assert failed == ("UNAVAILABLE", "upstream request timeout")
        assert not servers[1].take()
    wait_for(lambda: server.given_up == 1)


@pytest.mark.parametrize("method", ["Join", "Echo"])
def test_a_program_that_fails_to_say_its_requests_has_not_said_them_all(
    api: str, servers: tuple[Served, Served], server: Served, method: str
) -> None:
    """grpcio cancels the call then; it is not made again with the requests that there were."""

    def letters() -> Iterator[bytes]:
        yield b"a"
        raise LookupError("b")

    async def letters_async() -> AsyncIterator[bytes]:
        for each in letters():
            yield each

    every = RetryPolicy(("cancelled", "unavailable", "internal", "5xx"), 2, back_off=QUICK)
    with world(servers, retry=every) as mesh:
        if api == "sync":
            with proxyless.grpc.channel("shop:80", mesh) as channel:
                made: Any = getattr(channel, kind_of(method))(SERVICE + method)
                code, _ = code_of(lambda: list(made(letters())))
            assert code == "UNKNOWN"
        else:

            async def work() -> str:
                async with proxyless.grpc.aio.channel("shop:80", mesh) as channel:
                    made: Any = getattr(channel, kind_of(method))(SERVICE + method)
                    under_way = made(letters_async())
                    code: str = (await under_way.code()).name
                    return code

            assert asyncio.run(work()) == "CANCELLED"
        asked = [name for name, _ in server.take() if name == method]  # cancelled ones of another test may come late
        assert len(asked) <= 1


@pytest.mark.parametrize("method", ["Join", "Echo"])
def test_nor_is_a_second_try_that_is_under_way_by_then_told_that_they_have_ended(
    api: str, servers: tuple[Served, Served], server: Served, method: str
) -> None:
    """It may be the first one that asks the program, although it has failed."""

    def again() -> bool:
        return len(server.asked) == 2

    def letters() -> Iterator[bytes]:
        wait_for(again)
        if again():
            raise LookupError("a")
        yield b"a"

    async def letters_async() -> AsyncIterator[bytes]:
        await asyncio.to_thread(wait_for, again)
        if again():
            raise LookupError("a")
        yield b"a"

    with world(servers, retry=RetryPolicy(("unavailable",), 1, back_off=QUICK)) as mesh:
        server.failures = 1
        if api == "sync":
            with proxyless.grpc.channel("shop:80", mesh) as channel:
                made: Any = getattr(channel, kind_of(method))(SERVICE + f"{method}Flaky")
                code, _ = code_of(lambda: list(made(letters())))
        else:

            async def work() -> str:
                async with proxyless.grpc.aio.channel("shop:80", mesh) as channel:
                    made: Any = getattr(channel, kind_of(method))(SERVICE + f"{method}Flaky")
                    code: str = (await made(letters_async()).code()).name
                    return code

            code = asyncio.run(work())
        assert code in ("UNKNOWN", "CANCELLED")
        assert tries(server) == ["1", "2"]


@pytest.mark.parametrize("method", KINDS)
def test_a_status_takes_the_place_of_a_failure(
    call: Call, servers: tuple[Served, Served], server: Served, method: str
) -> None:
    seen: list[tuple[str, int, tuple[str, ...]]] = []

    def answer(request: Request, failed: Response) -> Response | None:
        seen.append((request.path, failed.status, failed.flags))
        return Response(200, b"", {"grpc-status": "5", "grpc-message": "none is left"}) if len(seen) == 1 else None

    policies = [Fallback(answer), Fallback(Response(429, "come back later"))]
    with world(servers) as mesh:
        assert code_of(lambda: call(mesh, method, host="dead", policies=policies)) == ("NOT_FOUND", "none is left")
        later = code_of(lambda: call(mesh, method, host="dead", policies=policies))
        assert later == ("UNAVAILABLE", "come back later")
    assert seen == [(SERVICE + method, 503, ("UF",))] * 2


@pytest.mark.parametrize("method", KINDS)
def test_a_request_is_held_until_it_is_whole_and_goes_on_as_it_was(
    call: Call, servers: tuple[Served, Served], server: Served, method: str
) -> None:
    with world(servers, most=12, retry=RetryPolicy(("unavailable",), 1, back_off=QUICK)) as mesh:
        server.failures = 1
        assert call(mesh, f"{method}Flaky") == GOT[method]
        assert tries(server) == ["1", "2"]
        long = (b"1" * 16_380,) if kind_of(method).startswith("unary") else (b"a", b"b", b"c")
        assert code_of(lambda: call(mesh, method, *long)) == ("UNKNOWN", "Payload Too Large")
        assert tries(server) == []


def test_a_message_that_comes_in_one_frame_with_its_end_need_not_be_held(
    call: Call, servers: tuple[Served, Served], server: Served
) -> None:
    with world(servers, most=12) as mesh:
        assert call(mesh, "Get", b"1" * 16_379) == [b"a:" + b"1" * 16_379]


@pytest.mark.parametrize("method", ["GetFlaky", "NumbersFlaky"])
@pytest.mark.parametrize("beside", [False, True])
def test_a_message_that_is_longer_than_what_is_kept_is_sent_once(
    call: Call, servers: tuple[Served, Served], server: Served, beside: bool, method: str
) -> None:
    how = {**hedged(), "hedge_on_per_try_timeout": beside}
    with world(servers, limit=11, **how) as mesh:
        server.failures = 1
        assert code_of(lambda: call(mesh, method, b"0000001")) == ("UNAVAILABLE", "not now")
        assert tries(server) == ["1"]
        server.failures = 1
        assert len(call(mesh, method, b"000001")) == 1
        assert tries(server) == ["1", "2"]


def test_nor_does_it_go_to_another_host(call: Call, servers: tuple[Served, Served], server: Served) -> None:
    policies = [Fallback("http://backup")]
    with world(servers, limit=11, timeout_s=0.5) as mesh:
        server.failures = 2
        assert code_of(lambda: call(mesh, "GetStuck", b"0000001", policies=policies))[0] == "UNAVAILABLE"
        assert not servers[1].take()
        assert call(mesh, "GetStuck", b"000001", policies=policies) == [b"b:000001"]
    wait_for(lambda: server.given_up == 2)


def test_but_it_waits_until_somebody_is_ready(call: Call, servers: tuple[Served, Served], server: Served) -> None:
    """Nobody has got anything of it by then."""
    with world(servers, limit=11) as mesh:
        failed = code_of(lambda: call(mesh, "Get", b"0000001", host="dead", timeout=1, wait_for_ready=True))
        assert failed[0] == "DEADLINE_EXCEEDED"


@pytest.mark.parametrize("per_try_s", [None, PATIENCE_S])
@pytest.mark.parametrize("method", ["TellFlaky", "JoinTellFlaky"])
def test_a_message_before_the_error_is_a_response(
    servers: tuple[Served, Served], server: Served, method: str, per_try_s: float | None
) -> None:
    """The status of a response that has begun is the program's, whatever is retried; grpc.aio does not tell of it."""
    with world(servers, retry=RetryPolicy(("unavailable",), 1, per_try_s, back_off=QUICK)) as mesh:
        server.failures = 3
        for _ in range(3):
            with pytest.raises(grpc.RpcError) as raised:
                sync(mesh, method, b"x")
            error: Any = raised.value
            assert (error.code(), error.details()) == (grpc.StatusCode.UNAVAILABLE, "told")
            assert dict(error.trailing_metadata())["why"] == "because"
            assert tries(server) == ["1"]
        assert sync(mesh, "Get") == GOT["Get"]
        server.failures = 1
        assert sync(mesh, "GetFlaky") == GOT["Get"]  # what the thread has heard of another call does not count
        assert tries(server) == ["1", "1", "2"]
