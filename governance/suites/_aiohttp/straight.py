"""The way of a request that no other middleware is left to see: past what the session sends such requests with.

That is a function within `ClientSession._request`: it asks the connector for a connection, tells the connection's
parser what the program wants of it, sends, and waits for the head of the response. For an ordinary request the same is
done here, without the detour; what the program wants is found in the function's closure. A function of aiohttp's that
has a step which is not known here is left to itself.
"""

from __future__ import annotations

from inspect import signature
from typing import TYPE_CHECKING, Any

from aiohttp import ClientRequest, ClientResponse, ClientSession, ConnectionTimeoutError
from aiohttp.client_proto import ResponseHandler
from aiohttp.helpers import EMPTY_BODY_METHODS

from ...actions import Bypass, Send
from ...replies import LocalReply
from .writing import answer

if TYPE_CHECKING:
    from .attempt import Attempt
    from .exchange import Exchange

_STEPS = {
    *("_connector", "connect", "asyncio", "TimeoutError", "ConnectionTimeoutError", "url", "protocol"),
    *("set_response_params", "method", "EMPTY_BODY_METHODS", "sock_read", "_timeout_ceil_threshold"),
    *("send", "start", "close", "BaseException"),
    *("_upload_tracker", "_attempt_started", "_upload_gen"),  # of aiohttp 3.14: requests that have one go its way
}
"""All that it names."""

_CODES = getattr(getattr(ClientSession._request, "__code__", None), "co_consts", ())  # somebody may have replaced it
_FOUND = [each for each in _CODES if getattr(each, "co_name", "") == "_connect_and_send_request"]
_FREE: tuple[str, ...] = _FOUND[0].co_freevars if _FOUND else ()
_PARAMETERS = list(signature(ResponseHandler.set_response_params).parameters)[1:]
_WANTED = {name: _FREE.index(name) for name in _PARAMETERS if name in _FREE}
_SAID = {"skip_payload", "read_timeout", "timeout_ceil_threshold"}
_TIMEOUT = _FREE.index("real_timeout") if "real_timeout" in _FREE else -1
_KNOWN = (
    _TIMEOUT >= 0
    and {*_WANTED, "self", "real_timeout", "traces"} == set(_FREE)
    and {*_WANTED, *_SAID} == set(_PARAMETERS)
    and set(_FOUND[0].co_names) <= _STEPS
)

LAST: Any = _FOUND[0] if _KNOWN else None
"""The code of that function; None where it has steps that are not known here."""


async def decide(exchange: Exchange) -> Send | Bypass | LocalReply:
    """What becomes of the request: the function's first step."""
    request: Any = exchange.original
    cells: Any = exchange.handle.__closure__
    timeout = cells[_TIMEOUT].cell_contents
    try:
        return await exchange.begin(request, timeout, request._traces)
    except TimeoutError as error:
        raise ConnectionTimeoutError(f"Connection timeout to host {request.url}") from error


async def hear(exchange: Exchange, attempt: Attempt) -> ClientResponse:
    """The response to a request that has been written: all its other steps."""
    request: ClientRequest = exchange.original
    cells: Any = exchange.handle.__closure__
    handler: Any = attempt.handler
    connector: Any = request.session.connector
    connection = attempt.connection(request.connection_key)
    try:
        handler.set_response_params(
            skip_payload=request.method in EMPTY_BODY_METHODS,
            read_timeout=cells[_TIMEOUT].cell_contents.sock_read,
            timeout_ceil_threshold=connector._timeout_ceil_threshold,
            **{name: cells[at].cell_contents for name, at in _WANTED.items()},
        )
        response = answer(exchange, request, attempt)
        try:
            await response.start(connection)
        except BaseException:
            response.close()
            raise
    except BaseException:
        connection.close()
        raise
    return response
