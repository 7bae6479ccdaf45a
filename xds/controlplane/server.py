"""The plane over grpc: ADS in both variants, plaintext, and beside it over TLS together with the authority.

grpcio's synchronous server keeps one thread per open stream, and a stream of ADS is open for as long as its client
lives. This one is grpc's asyncio server in a thread of its own: an idle client costs two coroutines. The work itself is
done by the plane's thread, so a large push delays neither keepalives nor other streams' transport. Requests and
responses pass as bytes; grpc knows no message type.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import grpc
import grpc.aio

from ..model.own_channels import OWN_CHANNEL
from .authority.callers import AuthorityError, Caller
from .authority.service import METHOD as CREATE
from .authority.service import SERVICE as CERTIFICATES
from .discovery.answers import Told
from .gate import Gate
from .plane import Plane
from .secure import Security, abort, shown
from .stream import Ended
from .stream import Stream as Driven

logger = logging.getLogger(__name__)

SERVICE = "envoy.service.discovery.v3.AggregatedDiscoveryService"
DEFAULT_LISTEN = "127.0.0.1:15010"
_UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
_BOUNDED = [("grpc.max_receive_message_length", 16 << 20), ("grpc.max_send_message_length", -1)]
_KEPT_ALIVE = [  # as istiod's: a client that has gone without a word is noticed, and may ask in its turn twice as often
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 15_000),
]
_NONE_REFUSED = [  # else grpc cancels some where more than a thousand connect before the first is looked at
    ("grpc.server.max_pending_requests", 100_000),
    ("grpc.server.max_pending_requests_hard_limit", 100_000),
]
_GRACE_S = 0.5
_UNANSWERED = 64  # requests of one stream
_UNSENT = 8  # responses to them


Context = grpc.aio.ServicerContext[bytes, bytes]
Stream = Callable[[AsyncIterator[bytes], Context], Awaitable[None]]
Create = Callable[[bytes, Context], Awaitable[bytes]]


class ServeError(Exception):
    """The address cannot be listened on; the text is for people."""


class Server:
    """A running server of `plane`. `port` is the one in use, also where 0 was asked for; so are those of TLS."""

    def __init__(self, plane: Plane, host: str, port: int, security: Security | None = None) -> None:
        self.plane = plane
        self._security = security
        self.tls_address = self.mutual_address = ""
        self._host = host
        self._ready = threading.Event()
        self._error: Exception | None = None
        self._gate = Gate()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self.host, self.port = host, port
        self._thread = threading.Thread(target=self._run, name="proxyless-ads", daemon=True)
        self._thread.start()
        self._ready.wait()
        if self._error is not None:
            raise _cannot((_joined(host, port), *_secured(security)), self._error) from self._error

    @property
    def address(self) -> str:
        return _joined(self.host, self.port)

    def stop(self) -> None:
        """Ends every stream and the server; the plane stays."""
        loop, stopping = self._loop, self._stopping
        if loop is not None and stopping is not None and self._thread.is_alive():
            loop.call_soon_threadsafe(stopping.set)
            self._thread.join(timeout=5)

    def wait(self) -> None:
        """Until it is stopped."""
        self._thread.join()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception as error:  # handed to the thread that waits for `_ready`
            self._error = error
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        server = self._server(_UNLIMITED, self._sotw, self._delta)
        self.port = server.add_insecure_port(_joined(self._host, self.port))
        servers = [server, *self._secure_servers()]
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        for each in servers:
            await each.start()
        self.plane.follow()
        self._ready.set()
        await self._stopping.wait()
        await asyncio.gather(*(each.stop(_GRACE_S) for each in servers))

    @staticmethod
    def _server(options: list[tuple[str, int]], sotw: Stream, delta: Stream, create: Create | None = None) -> Any:
        own = [*options, *_KEPT_ALIVE, *_NONE_REFUSED, ("grpc.so_reuseport", 0), OWN_CHANNEL]
        server = grpc.aio.server(options=own)
        methods = {
            "StreamAggregatedResources": grpc.stream_stream_rpc_method_handler(sotw),
            "DeltaAggregatedResources": grpc.stream_stream_rpc_method_handler(delta),
        }
        handlers = [grpc.method_handlers_generic_handler(SERVICE, methods)]
        if create is not None:
            methods = {CREATE: grpc.unary_unary_rpc_method_handler(create)}
            handlers.append(grpc.method_handlers_generic_handler(CERTIFICATES, methods))
        server.add_generic_rpc_handlers(handlers)
        return server

    def _secure_servers(self) -> Iterator[Any]:
        """Servers of their own, so that what is for known clients alone cannot be reached by plaintext."""
        security = self._security
        if security is None:
            return
        server = self._server(_BOUNDED, self._known_sotw, self._known_delta, self._create)
        host, port = _parsed(security.listen)
        port = server.add_secure_port(_joined(host, port), security.credentials(mutual=False))
        self.tls_address = _joined(host, port)
        if security.mutual:
            host, port = _parsed(security.mutual)
            port = server.add_secure_port(_joined(host, port), security.credentials(mutual=True))
            self.mutual_address = _joined(host, port)
        yield server

    async def _create(self, raw: bytes, context: Context) -> bytes:
        security = self._security
        caller = await self._caller(context)
        if security is None or caller is None:
            return b""
        try:
            return await asyncio.to_thread(security.service.create, raw, caller)
        except AuthorityError as error:
            await abort(context, error)
        except Exception:
            logger.exception("a certificate could not be made")
            await context.abort(grpc.StatusCode.INTERNAL, "the authority failed")
        return b""

    async def _caller(self, context: Context) -> Caller | None:
        """Who calls; a call of somebody unknown ends here. In a thread, since a token may have to be asked about."""
        security = self._security
        if security is None:
            return None
        try:
            return await asyncio.to_thread(security.caller, context.invocation_metadata() or (), shown(context))
        except AuthorityError as error:
            await abort(context, error)
        return None

    async def _sotw(self, requests: AsyncIterator[bytes], context: Context) -> None:
        await self._stream(requests, context, delta=False)

    async def _delta(self, requests: AsyncIterator[bytes], context: Context) -> None:
        await self._stream(requests, context, delta=True)

    async def _known_sotw(self, requests: AsyncIterator[bytes], context: Context) -> None:
        if (caller := await self._caller(context)) is not None:
            await self._stream(requests, context, delta=False, caller=caller)

    async def _known_delta(self, requests: AsyncIterator[bytes], context: Context) -> None:
        if (caller := await self._caller(context)) is not None:
            await self._stream(requests, context, delta=True, caller=caller)

    async def _stream(
        self, requests: AsyncIterator[bytes], context: Context, *, delta: bool, caller: Caller | None = None
    ) -> None:
        """A client that does not read is sent nothing more until it has read what it was sent; one that asks faster
        than it is answered is not listened to meanwhile.
        """
        loop = asyncio.get_running_loop()
        out: asyncio.Queue[Told | Ended | None] = asyncio.Queue()
        written = asyncio.Event()

        def deliver(item: Told | Ended) -> None:
            loop.call_soon_threadsafe(out.put_nowait, item)

        stream = Driven(
            self.plane, deliver, delta=delta, on_end=deliver, peer=context.peer(), paced=True, caller=caller
        )

        async def read() -> None:
            async for request in requests:
                stream.send(request)
                if stream.waiting >= _UNANSWERED:
                    await asyncio.wrap_future(stream.answered())
                while out.qsize() >= _UNSENT:
                    written.clear()
                    await written.wait()
            await out.put(None)

        reading = asyncio.create_task(read())
        try:
            while (item := await out.get()) is not None:
                if isinstance(item, Ended):
                    await context.abort(grpc.StatusCode[item.status], item.reason)
                else:
                    async with self._gate.passed(len(item)):
                        await context.write(item.encoded())
                    del item
                    stream.written()
                    written.set()
        finally:
            reading.cancel()
            stream.close()


def serve(plane: Plane, listen: str = DEFAULT_LISTEN, security: Security | None = None) -> Server:
    """Serves ADS on `host:port`, and with `security` over TLS too, with the authority; port 0 takes a free one.

    Raises:
        ServeError: an address is none, or is in use.
    """
    for each in (listen, *_secured(security)):
        host, port = _parsed(each)
        if port:
            _probe(host, port)
    host, port = _parsed(listen)
    return Server(plane, host, port, security)


def _secured(security: Security | None) -> tuple[str, ...]:
    return tuple(filter(None, (security.listen, security.mutual))) if security is not None else ()


def _cannot(where: tuple[str, ...], error: Exception) -> ServeError:
    return ServeError(f"cannot listen on {', '.join(where)}: {error}")


def _parsed(listen: str) -> tuple[str, int]:
    host, colon, port = listen.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise ServeError(f'cannot listen on "{listen}": it must be HOST:PORT')
    return host.strip("[]") or "0.0.0.0", int(port)


def _joined(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _probe(host: str, port: int) -> None:
    """Asks the kernel, whose words are clearer than grpc's."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        raise ServeError(f"cannot listen on {_joined(host, port)}: {error.strerror}") from error
