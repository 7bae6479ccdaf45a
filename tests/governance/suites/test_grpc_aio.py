"""Governed gRPC channels on an event loop, against real servers, over a mesh of the embedded control plane's."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import grpc
import pytest

import proxyless.grpc.aio
from proxyless import Mesh
from proxyless.governance.cluster import ClusterRuntime
from tests.governance.suites.grpc_served import SERVICE, Served, entry, meshed
from tests.governance.suites.test_grpc import RULES
from tests.support.waiting import wait_for

TARGET = "recommend.example.com:50051"


@pytest.fixture(scope="module")
def servers() -> Iterator[list[Served]]:
    with Served("a") as a, Served("b") as b:
        yield [a, b]


@pytest.fixture(scope="module")
def mesh(servers: list[Served], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    ports = [each.port for each in servers]
    with meshed(tmp_path_factory.mktemp("mesh"), entry("recommend", ports) + entry("only", ports[1:]) + RULES) as made:
        yield made


def opened(mesh: Mesh, target: str = TARGET, **more: Any) -> Any:
    """The stubs of grpcio's types want serializers, which it does not need."""
    return proxyless.grpc.aio.channel(target, mesh, **more)


def run(mesh: Mesh, work: Callable[[Any], Awaitable[None]], target: str = TARGET, **more: Any) -> None:
    """With a channel, in a loop of its own; nothing stays under way."""

    async def main() -> None:
        async with opened(mesh, target, **more) as channel:
            await work(channel)
            cluster = mesh.runtime.plan.cluster("outbound|50051||recommend.example.com")
            assert isinstance(cluster, ClusterRuntime)
            async with asyncio.timeout(20):
                while cluster.breaker(False).requests or len(asyncio.all_tasks()) > 1:  # noqa: ASYNC110  # no event
                    await asyncio.sleep(0.005)

    asyncio.run(main())


async def code_of(call: Any) -> tuple[str, str]:
    """The status and the text that a call fails with."""
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    return raised.value.code().name, raised.value.details() or ""


async def end_of(call: Any) -> tuple[list[Any], str]:
    """The messages of a stream, and the status that it ends with."""
    found = []
    try:
        async for each in call:
            found.append(each)  # noqa: PERF401  # it may end in the middle
    except grpc.aio.AioRpcError as error:
        return found, error.code().name
    return found, (await call.code()).name


def test_unary_calls(mesh: Mesh, servers: list[Served]) -> None:
    async def work(channel: Any) -> None:
        get = channel.unary_unary(SERVICE + "Get")
        assert Counter([await get(b"x") for _ in range(6)]) == {b"a:x": 3, b"b:x": 3}
        assert {await get(b"x", metadata=(("x-user", "b"),)) for _ in range(4)} == {b"b:x"}
        call = channel.unary_unary(SERVICE + "Metadata")(b"x", timeout=20)
        told: list[Any] = []
        call.add_done_callback(told.append)
        assert await call == b"x"
        assert (await call.code(), told, call.done()) == (grpc.StatusCode.OK, [call], True)
        initial = dict(list(await call.initial_metadata()))
        assert (initial["early"], initial["x-served"]) == ("yes", "c")
        assert dict(list(await call.trailing_metadata())) == {"late": "too"}
        for each in servers:
            each.failures = 1
        assert await channel.unary_unary(SERVICE + "Flaky")(b"x") in (b"a:x", b"b:x")

    run(mesh, work)


def test_statuses_of_the_server_and_of_the_mesh(mesh: Mesh) -> None:
    async def work(channel: Any) -> None:
        for method, expected in {
            "Abort": ("NOT_FOUND", "no x: ü%"),
            "Closed": ("UNAVAILABLE", "closed today"),
            "Abandoned": ("ABORTED", "fault filter abort"),
            "Hang": ("UNAVAILABLE", "upstream request timeout"),
        }.items():
            assert await code_of(channel.unary_unary(SERVICE + method)(b"x")) == expected
        code, _ = await code_of(channel.unary_unary(SERVICE + "Wait")(b"x", timeout=0.1))
        assert code == "DEADLINE_EXCEEDED"

    run(mesh, work)


def test_streams(mesh: Mesh, servers: list[Served]) -> None:
    async def letters() -> AsyncIterator[bytes]:
        for each in (b"a", b"b"):
            yield each

    async def work(channel: Any) -> None:
        numbers, join, echo = (
            channel.unary_stream(SERVICE + "Numbers"),
            channel.stream_unary(SERVICE + "Join"),
            channel.stream_stream(SERVICE + "Echo"),
        )
        assert await end_of(numbers(b"3")) == ([b"0", b"1", b"2"], "OK")
        assert await end_of(numbers(b"0")) == ([], "OK")
        assert await join(letters()) == b"a,b"
        assert await join([b"a", b"b"]) == b"a,b"
        assert await end_of(echo(letters())) == ([b"a", b"b"], "OK")
        writing = join()
        for each in (b"1", b"2"):
            await writing.write(each)
        await writing.done_writing()
        assert await writing == b"1,2"
        talking = echo()
        for each in (b"1", b"2"):
            await talking.write(each)
            assert await talking.read() == each
        await talking.done_writing()
        assert await talking.read() is grpc.aio.EOF  # type: ignore[attr-defined]
        assert await end_of(channel.unary_stream(SERVICE + "Half")(b"x")) == ([b"x"], "UNAVAILABLE")
        late = channel.unary_stream(SERVICE + "NumbersHang")(b"x")
        assert await end_of(late) == ([b"x"], "DEADLINE_EXCEEDED")
        assert "the route's timeout passed" in await late.details()
        for each_server in servers:
            each_server.failures = 1
        assert await end_of(channel.unary_stream(SERVICE + "NumbersFlaky")(b"2")) == ([b"0", b"1"], "OK")
        for each_server in servers:
            each_server.failures = 1
        assert await channel.stream_unary(SERVICE + "JoinFlaky")(letters()) == b"a,b"

    run(mesh, work)


def test_a_server_that_ends_a_call_while_it_is_written_to_has_said_how(mesh: Mesh, servers: list[Served]) -> None:
    """grpcio says INTERNAL then: of a fifth of such calls, when nobody waits for what the server has said."""

    async def letters() -> AsyncIterator[bytes]:
        for each in (b"a", b"b"):
            yield each

    async def work(channel: Any) -> None:
        join, echo = channel.stream_unary(SERVICE + "JoinFlaky"), channel.stream_stream(SERVICE + "EchoFlaky")
        for _ in range(60):
            for each in servers:
                each.failures = 1
            assert await join(letters()) == b"a,b"
            for each in servers:
                each.failures = 1
            assert await end_of(echo(letters())) == ([b"a", b"b"], "OK")

    run(mesh, work)


def test_cancellation(mesh: Mesh, servers: list[Served]) -> None:
    async def work(channel: Any) -> None:
        for each in servers:
            each.cancelled.clear()
        hang = channel.unary_unary(SERVICE + "Wait")
        call = hang(b"x")
        await asyncio.sleep(0)
        assert call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert (call.cancelled(), await call.code()) == (True, grpc.StatusCode.CANCELLED)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(hang(b"x"), 0.05)
        stream = channel.unary_stream(SERVICE + "NumbersWait")(b"x")
        assert await stream.read() == b"x"
        stream.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stream.read()
        await asyncio.to_thread(wait_for, lambda: any(each.cancelled.is_set() for each in servers))
        abandoned = channel.unary_stream(SERVICE + "NumbersWait")(b"x")
        assert await abandoned.read() == b"x"
        del abandoned

    run(mesh, work)


def test_a_call_that_is_awaited_at_once_is_driven_by_its_caller(mesh: Mesh, servers: list[Served]) -> None:
    async def work(channel: Any) -> None:
        hang, get = channel.unary_unary(SERVICE + "Wait"), channel.unary_unary(SERVICE + "Get")
        never = hang(b"x")
        assert never.cancel()
        with pytest.raises(asyncio.CancelledError):
            await never
        for each in servers:
            each.take()
            each.cancelled.clear()

        async def waits(call: Any) -> str:
            task = asyncio.current_task()
            assert task is not None
            try:
                await call
            except asyncio.CancelledError:
                return f"cancelled {task.cancelling()}"
            return "answered"

        async def own(made: list[Any]) -> str:
            made.append(hang(b"x"))
            return await waits(made[0])

        made: list[Any] = []
        waiting = asyncio.create_task(own(made))
        async with asyncio.timeout(20):
            while not any(each.take() for each in servers):  # noqa: ASYNC110  # no event
                await asyncio.sleep(0.005)
        second = asyncio.create_task(waits(made[0]))
        await asyncio.sleep(0)
        assert made[0].cancel()
        assert set(await asyncio.gather(waiting, second)) == {"cancelled 0"}
        await asyncio.to_thread(wait_for, lambda: any(each.cancelled.is_set() for each in servers))
        waiting = asyncio.create_task(own(made := []))
        async with asyncio.timeout(20):
            while not any(each.take() for each in servers):  # noqa: ASYNC110  # no event
                await asyncio.sleep(0.005)
        waiting.cancel()
        assert (await waiting, made[0].cancelled()) == ("cancelled 1", True)
        early = asyncio.create_task(own(made := []))
        await asyncio.sleep(0)
        made[0].cancel()
        assert await early == "cancelled 0"
        for forgotten in ("one", "two"):
            get(forgotten.encode())
        async with asyncio.timeout(20):
            while sum(len(each.asked) for each in servers) < 2:  # noqa: ASYNC110  # no event
                await asyncio.sleep(0.005)
        call = channel.unary_unary(SERVICE + "Metadata")(b"x")
        assert set(await asyncio.gather(*(waits(call) for _ in range(3)))) == {"answered"}
        assert (await call.details(), dict(list(await call.trailing_metadata()))) == ("", {"late": "too"})

    run(mesh, work)


# Generic to type checkers, and not when they run.
_UnaryUnary: Any = grpc.aio.UnaryUnaryClientInterceptor
_UnaryStream: Any = grpc.aio.UnaryStreamClientInterceptor


class _Louder(_UnaryUnary):  # type: ignore[misc]
    async def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return await continuation(client_call_details, request + b"!")


class _Answering(_UnaryUnary):  # type: ignore[misc]
    async def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        call = await continuation(client_call_details, request)
        return b"(" + await call + b")"


class _Twice(_UnaryStream):  # type: ignore[misc]
    async def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return await continuation(client_call_details, b"%d" % (2 * int(request)))


def test_interceptors_of_the_program(mesh: Mesh) -> None:
    async def work(channel: Any) -> None:
        call = channel.unary_unary(SERVICE + "Get")(b"x", metadata=(("x-user", "b"),))
        assert await call == b"(b:x!)"
        assert await call.code() is grpc.StatusCode.OK
        assert (await code_of(channel.unary_unary(SERVICE + "Abort")(b"x")))[0] == "NOT_FOUND"
        assert [each async for each in channel.unary_stream(SERVICE + "Numbers")(b"1")] == [b"0", b"1"]

    run(mesh, work, interceptors=[_Answering(), _Louder(), _Twice()])
    with pytest.raises(ValueError, match="must be a"):
        opened(mesh, interceptors=["none"])


def test_a_host_that_the_mesh_does_not_govern(mesh: Mesh, servers: list[Served]) -> None:
    async def work(channel: Any) -> None:
        assert await channel.unary_unary(SERVICE + "Get")(b"x") == b"a:x"
        assert await end_of(channel.unary_stream(SERVICE + "Numbers")(b"2")) == ([b"0", b"1"], "OK")
        assert (await code_of(channel.unary_unary(SERVICE + "Abort")(b"x")))[0] == "NOT_FOUND"

    run(mesh, work, f"127.0.0.1:{servers[0].port}")


def test_a_channel_that_is_closed_begins_nothing(mesh: Mesh) -> None:
    async def main() -> None:
        channel = opened(mesh)
        hanging = channel.unary_stream(SERVICE + "NumbersWait")(b"x")
        assert await hanging.read() == b"x"
        await channel.close()
        assert (await hanging.code(), channel.get_state()) == (
            grpc.StatusCode.CANCELLED,
            grpc.ChannelConnectivity.SHUTDOWN,
        )
        with pytest.raises(grpc.aio.UsageError):
            channel.unary_unary(SERVICE + "Get")(b"x")

    asyncio.run(main())
