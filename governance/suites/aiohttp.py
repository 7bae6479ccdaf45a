"""The aiohttp suites. Of its client: a client middleware that governs in place of the session's connector.

A governed request goes through the session as ever (redirects, cookies, traces, other middlewares) until aiohttp asks
its connector for a connection. There the mesh decides, and gives a connection of its own to the endpoint that it has
picked; what it does not govern gets one of the connector's.

Of its server: a middleware of an application, which lets requests in by the inbound filters of the app's port.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from aiohttp import ClientRequest, ClientResponse, web

from ..composition.compose import Policies
from ..runtime import Runtime
from ._aiohttp.exchange import CALL
from ._aiohttp.governing import Governor
from ._aiohttp.serving import ServerMiddleware
from ._underway import ErrorMode, checked_mode

Handler = Callable[[ClientRequest], Awaitable[ClientResponse]]
Middleware = Callable[[ClientRequest, Handler], Awaitable[ClientResponse]]


ServerHandler = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def passing(request: ClientRequest, handler: Handler) -> ClientResponse:
    """The middleware where governance is switched off."""
    return await handler(request)


def client(runtime: Runtime | None, errors: ErrorMode, policies: Policies | None = None) -> Middleware:
    """The middleware of a mesh; None: of none."""
    checked_mode(errors)
    return passing if runtime is None else Governor(runtime, errors, policies)


def governor_of(middlewares: Iterable[Middleware]) -> Middleware | None:
    """The one of them that is ours."""
    return next((each for each in middlewares if isinstance(each, Governor) or each is passing), None)


@web.middleware
async def passing_in(request: web.Request, handler: ServerHandler) -> web.StreamResponse:
    """The middleware of an application where governance is switched off."""
    return await handler(request)


def server(runtime: Runtime | None, port: int | None, policies: Policies | None = None) -> Any:
    """The middleware of an application."""
    # Any: aiohttp's own type of a middleware is private.
    return passing_in if runtime is None else ServerMiddleware(runtime, port, policies)


def call_of(response: ClientResponse) -> Any:
    """What the call was that this is the response of; None if it was not governed."""
    return getattr(response, CALL, None)
