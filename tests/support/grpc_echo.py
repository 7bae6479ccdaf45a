"""A gRPC service of all four kinds that answers with what it was told, for servers in threads and on an event loop.

Messages are bytes. What a call's metadata ask for happens: `x-fail` raises, `x-abort` aborts with that status,
`x-initial` and `x-trailing` come back as metadata of the response.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import grpc.aio

from tests.support.in_thread import Loop

SERVICE = "/test.Echo/"
KINDS: dict[str, Callable[..., Any]] = {
    "UnaryUnary": grpc.unary_unary_rpc_method_handler,
    "UnaryStream": grpc.unary_stream_rpc_method_handler,
    "StreamUnary": grpc.stream_unary_rpc_method_handler,
    "StreamStream": grpc.stream_stream_rpc_method_handler,
}


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else "hex " + value.hex()


def told(context: Any) -> bytes:
    """The metadata of a call, as JSON."""
    return json.dumps([[key, _text(value)] for key, value in context.invocation_metadata()]).encode()


def wishes(context: Any) -> dict[str, Any]:
    """What the metadata ask for."""
    return dict(context.invocation_metadata())


class Services(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # generic for checkers only
    """Handlers by the last part of the method's name; `methods` besides the echoing ones."""

    def __init__(self, echo: Any, methods: dict[str, grpc.RpcMethodHandler[Any, Any]] | None = None) -> None:
        self.handlers = {name: make(getattr(echo, name)) for name, make in KINDS.items()} | (methods or {})

    def service(self, details: Any) -> Any:
        return self.handlers.get(details.method.rpartition("/")[2])


class Echo:
    """In threads."""

    def _asked(self, context: Any) -> None:
        asked = wishes(context)
        if "x-initial" in asked:
            context.send_initial_metadata((("x-initial", asked["x-initial"]), ("x-initial-bin", b"\0\1")))
        if "x-trailing" in asked:
            context.set_trailing_metadata((("x-trailing", asked["x-trailing"]), ("x-trailing-bin", b"\0\2")))
        if "x-fail" in asked:
            raise ValueError(asked["x-fail"])
        if "x-abort" in asked:
            code = next(each for each in grpc.StatusCode if each.value[0] == int(asked["x-abort"]))
            context.abort(code, "aborted, é")

    def UnaryUnary(self, request: bytes, context: Any) -> bytes:  # noqa: N802
        self._asked(context)
        return told(context)

    def UnaryStream(self, request: bytes, context: Any) -> Iterator[bytes]:  # noqa: N802
        begins = "x-initial" in wishes(context)
        if begins:
            self._asked(context)
        yield request
        if not begins:
            self._asked(context)
        yield told(context)

    def StreamUnary(self, requests: Iterator[bytes], context: Any) -> bytes:  # noqa: N802
        whole = b"".join(requests)
        self._asked(context)
        return whole + told(context)

    def StreamStream(self, requests: Iterator[bytes], context: Any) -> Iterator[bytes]:  # noqa: N802
        self._asked(context)
        yield from requests
        yield told(context)


class AioEcho:
    """On an event loop."""

    async def _asked(self, context: Any) -> None:
        asked = wishes(context)
        if "x-initial" in asked:
            await context.send_initial_metadata((("x-initial", asked["x-initial"]), ("x-initial-bin", b"\0\1")))
        if "x-trailing" in asked:
            context.set_trailing_metadata((("x-trailing", asked["x-trailing"]), ("x-trailing-bin", b"\0\2")))
        if "x-fail" in asked:
            raise ValueError(asked["x-fail"])
        if "x-abort" in asked:
            code = next(each for each in grpc.StatusCode if each.value[0] == int(asked["x-abort"]))
            await context.abort(code, "aborted, é")

    async def UnaryUnary(self, request: bytes, context: Any) -> bytes:  # noqa: N802
        await self._asked(context)
        return told(context)

    async def UnaryStream(self, request: bytes, context: Any) -> AsyncIterator[bytes]:  # noqa: N802
        begins = "x-initial" in wishes(context)
        if begins:
            await self._asked(context)
        yield request
        if not begins:
            await self._asked(context)
        yield told(context)

    async def StreamUnary(self, requests: AsyncIterator[bytes], context: Any) -> bytes:  # noqa: N802
        whole = b"".join([each async for each in requests])
        await self._asked(context)
        return whole + told(context)

    async def StreamStream(self, requests: AsyncIterator[bytes], context: Any) -> None:  # noqa: N802
        await self._asked(context)
        while (message := await context.read()) is not grpc.aio.EOF:  # type: ignore[attr-defined]
            await context.write(message)
        await context.write(told(context))


@contextmanager
def serving(
    interceptors: Sequence[Any] = (),
    ports: Sequence[Callable[[Any], int]] = (lambda server: server.add_insecure_port("127.0.0.1:0"),),
    methods: dict[str, grpc.RpcMethodHandler[Any, Any]] | None = None,
    echo: Any = None,
    compression: Any = None,
) -> Iterator[list[int]]:
    """A server in threads; the ports that it listens at, each opened by a function."""
    pool = ThreadPoolExecutor(8)
    server = grpc.server(pool, interceptors=list(interceptors), compression=compression)
    server.add_generic_rpc_handlers((Services(echo or Echo(), methods),))
    opened = [each(server) for each in ports]
    server.start()
    try:
        yield opened
    finally:
        server.stop(0).wait()
        pool.shutdown()


@contextmanager
def serving_aio(
    make_interceptors: Callable[[], Sequence[Any]] = tuple,
    ports: Sequence[Callable[[Any], int]] = (lambda server: server.add_insecure_port("127.0.0.1:0"),),
    methods: dict[str, grpc.RpcMethodHandler[Any, Any]] | None = None,
    echo: Any = None,
    compression: Any = None,
) -> Iterator[list[int]]:
    """The same on an event loop, in a thread of its own."""

    async def started() -> tuple[Any, list[int]]:
        server = grpc.aio.server(pool, interceptors=make_interceptors(), compression=compression)
        server.add_generic_rpc_handlers((Services(echo or AioEcho(), methods),))
        opened = [each(server) for each in ports]
        await server.start()
        return server, opened

    loop, pool = Loop(), ThreadPoolExecutor(4)
    try:
        server, opened = loop.wait(started())
        try:
            yield opened
        finally:
            loop.wait(server.stop(0))
    finally:
        pool.shutdown()  # handlers in threads wait for the loop to read what they are told
        loop.close()
