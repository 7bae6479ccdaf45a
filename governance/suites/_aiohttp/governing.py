"""What governs the calls of aiohttp sessions: the middleware, and its way into a session's connector."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextvars import ContextVar
from typing import Any, NamedTuple

from aiohttp import (
    BaseConnector,
    ClientConnectorError,
    ClientRequest,
    ClientResponse,
    ServerDisconnectedError,
    SocketTimeoutError,
)

from ...actions import Bypass, Deliver
from ...composition.compose import Policies
from ...driver import drive_async, step
from ...mirroring import Copy
from ...replies import LocalReply
from ...runtime import Runtime
from .._background import as_task
from .._underway import ErrorMode, checked_mode
from .exchange import LEG, OUTCOMES, PERFORM, Exchange, Handle, Leg, Settled
from .tcp import Connectors

_raised: ContextVar[tuple[Any, Exception] | None] = ContextVar("proxyless_aiohttp_raised", default=None)
"""The timer of a request of this task that has ended in an exception, after which aiohttp tries again by itself."""


class Owner(NamedTuple):
    """Whose connections they are: aiohttp's, in one event loop. A tuple: each call looks its pool up by it."""

    loop: asyncio.AbstractEventLoop
    library: str = "aiohttp"

    def is_closed(self) -> bool:
        """Whether nobody can use them any more."""
        return self.loop.is_closed()


class Governor:
    """A client middleware of aiohttp."""

    def __init__(self, runtime: Runtime, errors: ErrorMode, policies: Policies | None = None) -> None:
        checked_mode(errors)
        self.runtime = runtime
        self.errors = errors
        self.policies = policies
        self._owner: Owner | None = None

    def owner(self, loop: asyncio.AbstractEventLoop) -> Owner:
        """Whose connections a call may use."""
        owner = self._owner
        if owner is None or owner.loop is not loop:
            owner = self._owner = Owner(loop)
        return owner

    async def __call__(self, request: ClientRequest, handler: Handle) -> ClientResponse:
        """Govern one request."""
        connector = request.session.connector
        if connector is not None and "connect" not in connector.__dict__:
            lead(connector)
        if self.errors == "raise":
            raised = _raised.get()
            if raised is not None and raised[0] is request._timer:
                _raised.set(None)
                raise raised[1]
        exchange = Exchange(self, request, handler, request.loop)
        try:
            try:
                result = await exchange.go(None)
            except Settled as settled:
                return exchange.respond(settled.args[0])
            if exchange.reply is not None:
                return self._told(result)
            machine = exchange.machine
            outcome = step(machine, result)
            while not isinstance(outcome, OUTCOMES):
                outcome = step(machine, await PERFORM[outcome.kind](exchange, outcome))
        except BaseException:
            if hasattr(exchange, "machine"):
                exchange.machine.close()
            raise
        if isinstance(outcome, Deliver):
            return exchange.respond(outcome)
        self.refuse(outcome, request)
        return self._told(await exchange.go(outcome))

    @staticmethod
    def _told(result: Any) -> ClientResponse:
        response: ClientResponse = result.handle.response
        return response

    def refuse(self, reply: LocalReply, request: ClientRequest) -> None:
        """errors="raise": the library's own exception for what would be one without a mesh."""
        if self.errors != "raise":
            return
        for flag in reply.flags:
            text = f"{reply.flag}: {reply.body.decode('utf-8', 'replace')}"
            if reply.transport:
                text += f", transport failure reason: {reply.transport}"
            if flag == "UF":
                raise ClientConnectorError(request.connection_key, OSError(None, text))
            if flag == "UC":
                error = ServerDisconnectedError(text)
                _raised.set((request._timer, error))
                raise error
            if flag == "UT":
                raise SocketTimeoutError(text)

    async def bypassed(self, action: Bypass, own: Any, request: ClientRequest, traces: Any, timeout: Any) -> Any:  # noqa: ASYNC109
        """A connection of the library's own: of the session's connector, or to the cluster of a route."""
        if action.tcp is None:
            return await own.connect(request, traces, timeout)
        return await own.connectors.of(self.runtime, action.tcp).connect(request, traces, timeout)

    def launch(self, exchange: Exchange, copied: Copy, body: bytes | None) -> None:
        """Have a copy of a request sent in the background."""
        made = exchange.of_copy(copied, body, _sent)
        as_task(self.runtime.background, _copied(made))


class Led:
    """A session's connector, as it is without the mesh, and the connectors beside it."""

    __slots__ = ("_connector", "connectors")

    def __init__(self, connector: BaseConnector) -> None:
        self._connector = connector
        self.connectors = Connectors(connector)

    async def connect(self, request: ClientRequest, traces: Any, timeout: Any) -> Any:  # noqa: ASYNC109
        """As its class does it."""
        connector = self._connector
        return await type(connector).connect(connector, request, traces=traces, timeout=timeout)

    def close(self, *arguments: Any, **options: Any) -> Any:
        """The same."""
        connector = self._connector
        return self.connectors.close(type(connector).close, connector, *arguments, **options)


def lead(connector: BaseConnector) -> None:
    """From now on what is governed gets its connections from the mesh, all else from the connector."""
    led = Led(connector)

    def connect(request: ClientRequest, traces: Any, timeout: Any) -> Awaitable[Any]:
        leg: Leg | None = request.__dict__.get(LEG)
        if leg is None:
            return led.connect(request, traces, timeout)
        return leg.connect(request, led, traces, timeout)

    connector.__dict__.update(connect=connect, close=led.close)


async def _sent(request: ClientRequest) -> ClientResponse:
    """Send a copy, which goes through no session."""
    leg: Leg = request.__dict__[LEG]
    connection = await leg.connect(request, None, (), None)
    connection.protocol.set_response_params(skip_payload=request.method == "HEAD", read_until_eof=True)
    try:
        response = await request.send(connection)
        try:
            await response.start(connection)
        except BaseException:
            response.close()
            raise
    except BaseException:
        connection.close()
        raise
    return response


async def _copied(exchange: Exchange) -> None:
    """A copy from its first action to the last byte of its response."""
    try:
        outcome = await drive_async(exchange.machine, PERFORM, exchange)
        if isinstance(outcome, Deliver):
            response = exchange.respond(outcome)
            try:
                await response.read()
            finally:
                response.close()
    except Exception:  # nobody is there to hear of it; the machine has counted it
        exchange.machine.close()
