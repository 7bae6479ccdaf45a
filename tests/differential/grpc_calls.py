"""The same gRPC calls by a plain client through Envoy, and by governed channels: what callers and servers see.

A server does what the metadata `x-plan` say: steps for each try, tries by commas, steps by semicolons.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, fields
from itertools import count
from typing import Any, Self

import grpc
import grpc.aio

import proxyless.grpc
import proxyless.grpc.aio
from tests.differential.bootstrap import static
from tests.differential.ours import mesh_on
from tests.differential.recording import Recording
from tests.differential.test_inbound import UUID
from tests.support.envoy import Envoy, require

KINDS = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")
HOW = ("envoy", "sync", "aio")
VOLATILE = {"date", "server", "x-envoy-upstream-service-time", "user-agent", "x-mark", "x-plan", "content-length"}
LIMITS_S = (1.0, 10.0, 40.0, 200.0)
"""Between which a server's remaining time is said to be."""
PATIENCE_S = 30.0

Metadata = tuple[tuple[str, str | bytes], ...]
_GenericRpcHandler: Any = grpc.GenericRpcHandler


@dataclass(frozen=True, slots=True)
class Call:
    """One to make. `messages`: what is sent, the first of them where it is one. `ours`: in which ways."""

    host: str
    plan: str = "ok"
    kind: str = "unary_unary"
    metadata: Metadata = ()
    timeout_s: float | None = None
    method: str = "/test.Planned/Do"
    messages: tuple[bytes, ...] = (b"a", b"b")
    ours: tuple[str, ...] = HOW[1:]


@dataclass(frozen=True, slots=True)
class Arrived:
    """A try at a server: its metadata, what it got, and below which limit its remaining time was."""

    metadata: tuple[tuple[str, Any], ...]
    messages: tuple[bytes, ...]
    within_s: float | None


@dataclass(frozen=True, slots=True)
class Came:
    """What became of a call."""

    code: str
    details: str
    messages: tuple[bytes, ...]
    initial: tuple[tuple[str, Any], ...]
    trailing: tuple[tuple[str, Any], ...]
    tries: tuple[Arrived, ...]


class Tries:
    """What arrived of each call, at whichever server: a call's plan goes on where its next try arrives."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._of: dict[str, list[Arrived]] = {}

    def began(self, mark: str, arrived: Arrived) -> int:
        """How many tries of the call there were before."""
        with self._lock:
            tries = self._of.setdefault(mark, [])
            tries.append(arrived)
            return len(tries) - 1

    def heard(self, mark: str, number: int, arrived: Arrived) -> None:
        """More of a try, unless nobody waits for it any more."""
        with self._lock:
            tries = self._of.get(mark, [])
            if number < len(tries):
                tries[number] = arrived

    def taken(self, mark: str) -> tuple[Arrived, ...]:
        """The tries of a call."""
        with self._lock:
            return tuple(self._of.pop(mark, ()))


class Planned(_GenericRpcHandler):  # type: ignore[misc]
    """A server of bytes, of which every method does what it is told."""

    def __init__(self, tries: Tries, host: str = "127.0.0.1") -> None:
        self._tries = tries
        self._released = threading.Event()
        self._server = grpc.server(ThreadPoolExecutor(16), options=[("grpc.so_reuseport", 0)])
        self._server.add_generic_rpc_handlers((self,))
        self.port = self._server.add_insecure_port(f"{host}:0")

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._released.set()
        self._server.stop(0).wait(PATIENCE_S)

    def service(self, handler_call_details: Any) -> Any:
        return grpc.stream_stream_rpc_method_handler(self._do)

    def _do(self, requests: Any, context: Any) -> Any:
        metadata = context.invocation_metadata()
        said = dict(metadata)
        left = context.time_remaining()
        within = None if left is None or left > LIMITS_S[-1] else next(each for each in LIMITS_S if left <= each)
        plan = str(said.get("x-plan", "ok")).split(",")
        mark = str(said.get("x-mark"))
        number = self._tries.began(mark, Arrived(_shown(metadata), (), within))
        steps = plan[min(number, len(plan) - 1)].split(";")
        if "early" not in steps:
            self._tries.heard(mark, number, Arrived(_shown(metadata), tuple(requests), within))
        for step in steps:
            name, _, value = step.partition("=")
            if name == "initial":
                context.send_initial_metadata((("x-initial", "i"), ("x-initial-bin", b"\0\1")))
            elif name == "trailing":
                context.set_trailing_metadata((("x-trailing", "t"), ("x-trailing-bin", b"\0\2")))
            elif name == "message":
                yield value.encode()
            elif name == "wait":
                self._released.wait(float(value))
            elif name == "abort":
                code = next(each for each in grpc.StatusCode if each.value[0] == int(value))
                context.abort(code, f"told to, {value} é%")
            elif name == "ok":
                yield b"done"


class World:
    """Servers, an Envoy, and a mesh for each API on the same configuration: what they remember is their own."""

    def __init__(
        self, recording: Recording, servers: list[Planned], tries: Tries, dialled: str = "10.96.1.2:80"
    ) -> None:
        self._recording = recording
        self._tries = tries
        self._dialled = dialled
        self._listener = f"direct_{dialled.rpartition(':')[2]}"
        self._servers = servers
        self._held = ExitStack()
        self._marks = count()
        self._channels: dict[tuple[str, str], Any] = {}

    def __enter__(self) -> Self:
        require()
        try:
            for each in self._servers:
                self._held.enter_context(each)
            self.envoy = self._held.enter_context(Envoy(static(self._recording)))
            self.meshes = {how: self._held.enter_context(mesh_on(self._recording)) for how in HOW[1:]}
            self._threads = self._held.enter_context(ThreadPoolExecutor(len(HOW)))
            self._loop = asyncio.new_event_loop()
            self._held.callback(self._loop.close)
        except BaseException:
            self._held.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    def differences(self, calls: Sequence[Call], alike: Callable[[Came], Came] = lambda came: came) -> list[str]:
        """What governed channels make of calls otherwise than Envoy; `alike` takes away what nobody promises."""
        found = []
        for call in calls:
            came = {how: self._threads.submit(self.ask, how, call) for how in ("envoy", *call.ours)}
            theirs = alike(came["envoy"].result())
            for how in call.ours:
                ours = alike(came[how].result())
                found += [
                    f"{how} {call}: {each.name}: {getattr(ours, each.name)!r}, by Envoy {getattr(theirs, each.name)!r}"
                    for each in fields(Came)
                    if getattr(ours, each.name) != getattr(theirs, each.name)
                ]
        return found

    def ask(self, how: str, call: Call) -> Came:
        """One call in one of the ways."""
        mark = f"{how}-{next(self._marks)}"
        metadata = (("x-mark", mark), ("x-plan", call.plan), *call.metadata)
        if how == "aio":
            found = self._loop.run_until_complete(self._aio(call, metadata))
        else:
            found = self._sync(self._channel(how, call.host), call, metadata)
        code, details, messages, initial, trailing = found
        tries = tuple(sorted(self._tries.taken(mark), key=repr))
        return Came(code, details, messages, _shown(initial), _shown(trailing), tries)

    def _channel(self, how: str, host: str) -> Any:
        found = self._channels.get((how, host))
        if found is None:
            options = [("grpc.default_authority", host), ("grpc.enable_retries", 0), ("grpc.enable_http_proxy", 0)]
            if how == "envoy":
                found = grpc.insecure_channel(f"127.0.0.1:{self.envoy.port(self._listener)}", options)
            else:
                found = proxyless.grpc.channel(self._dialled, self.meshes[how], options=options)
            self._channels[how, host] = self._held.enter_context(found)
        return found

    def _sync(self, channel: Any, call: Call, metadata: Metadata) -> tuple[str, str, tuple[bytes, ...], Any, Any]:
        method = getattr(channel, call.kind)(call.method)
        request: Any = call.messages[0] if call.kind.startswith("unary") else iter(call.messages)
        got: list[bytes] = []
        if call.kind.endswith("_stream"):
            made = method(request, metadata=metadata, timeout=call.timeout_s)
            try:
                got.extend(made)
            except grpc.RpcError:
                pass
        else:
            try:
                message, made = method.with_call(request, metadata=metadata, timeout=call.timeout_s)
                got.append(message)
            except grpc.RpcError as error:
                made = error
        return made.code().name, made.details(), tuple(got), made.initial_metadata(), made.trailing_metadata()

    async def _aio(self, call: Call, metadata: Metadata) -> tuple[str, str, tuple[bytes, ...], Any, Any]:
        async with proxyless.grpc.aio.channel(
            self._dialled, self.meshes["aio"], options=[("grpc.default_authority", call.host)]
        ) as channel:
            request: Any = call.messages[0] if call.kind.startswith("unary") else iter(call.messages)
            made: Any = getattr(channel, call.kind)(call.method)(request, metadata=metadata, timeout=call.timeout_s)
            got: list[bytes] = []
            try:
                if call.kind.endswith("_stream"):
                    async for each in made:
                        got.append(each)  # noqa: PERF401  # it may end in the middle
                else:
                    got.append(await made)
            except grpc.aio.AioRpcError:
                pass
            code = await made.code()
            initial, trailing = await made.initial_metadata(), await made.trailing_metadata()
            return code.name, await made.details(), tuple(got), list(initial), list(trailing)


def _shown(metadata: Any) -> tuple[tuple[str, Any], ...]:
    return tuple(
        sorted(
            (key, _rounded(key, UUID.sub("<id>", value)) if isinstance(value, str) else value)
            for key, value in metadata or ()
            if key not in VOLATILE
        )
    )


def _rounded(key: str, value: str) -> str:
    """What is left of a timeout when a try begins is never the same."""
    return f"about {round(int(value) / 5000) * 5} s" if key == "x-envoy-expected-rq-timeout-ms" else value
