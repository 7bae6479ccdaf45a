"""HTTP filters of other packages at work. One that fails lets nothing through (as Envoy's Wasm with FAIL_CLOSED)."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Iterable
from typing import Any

from ...xds.model.extension import Extension, ExtensionError
from ..actions import Ask
from ..bodies import whole
from ..composition.messages import Request, Response
from ..events import ExtensionFailed
from ..headers import HeaderList
from ..replies import LocalReply
from ..routing import CompiledRoute, Target
from .stream import RequestFilter, Steps, Stream, keep_named, of_route

FOREVER_S = 3600.0
"""Of a coroutine nobody but its caller says how long it may take."""

SYNC = "a response or None, this code is sync and awaits nothing,"


class ExtensionFilter:
    """The filter in a chain; a route's own configuration takes the place of the chain's."""

    __slots__ = ("_base", "name")

    def __init__(self, name: str, config: Extension | None) -> None:
        """`config`: None where it is switched off but for places."""
        self.name = name
        self._base = config

    def applies(self, place: Target | CompiledRoute | None) -> bool:
        """Whether it is configured for what goes this way."""
        own = place.filters.get(self.name) if place is not None else None
        return isinstance(own, Extension) or self._base is not None

    def at(self, stream: Stream) -> Extension | None:
        """As it is configured for where a request goes."""
        own = of_route(self.name, stream)
        return own if isinstance(own, Extension) else self._base

    def on_request(self, stream: Stream) -> Steps | LocalReply | None:
        """Ask the package."""
        extension = self.at(stream)
        if extension is None or not hasattr(extension.made, "on_request"):
            return None
        keep_named(stream)
        most = getattr(extension.made, "max_request_bytes", None)
        return self._asked(stream, extension) if most is None else self._with_body(stream, extension, most)

    def _with_body(self, stream: Stream, extension: Extension, most: int) -> Steps:
        body = yield from whole(stream, most)
        if isinstance(body, LocalReply):
            return body
        self._request(stream).body = body
        reply = self._asked(stream, extension)
        return reply if reply is None or isinstance(reply, LocalReply) else (yield from reply)

    def _asked(self, stream: Stream, extension: Extension) -> Steps | LocalReply | None:
        try:
            found = extension.call("on_request", self._request(stream))
            if inspect.isawaitable(found):
                return self._awaited(stream, extension, found)
            return _reply(extension, found)
        except ExtensionError as error:
            return _failed(stream, extension, error)

    def _request(self, stream: Stream) -> Request:
        found = stream.kept.get(self)
        if found is None:
            found = stream.kept[self] = Request(stream, stream.request)
        return found

    def _awaited(self, stream: Stream, extension: Extension, found: Awaitable[Any]) -> Steps:
        answer = yield Ask(_Awaiting(extension), found, FOREVER_S)
        try:
            return _reply(extension, answer)
        except ExtensionError as error:
            return _failed(stream, extension, error)

    def on_response(self, stream: Stream, status: int, headers: HeaderList) -> HeaderList:
        """What the package makes of the headers of a response, whoever gave it.

        Raises:
            ExtensionError: it has failed: nobody gets what it may have wanted to keep back.
        """
        extension = self.at(stream)
        if extension is None or not hasattr(extension.made, "on_response"):
            return headers
        response = Response.passing(status, headers, None, stream.flags)
        try:
            found = extension.call("on_response", self._request(stream), response)
            if found is not None:
                raise extension.wrong("on_response", found, "None: only headers are changed")
        except ExtensionError as error:
            stream.runtime.emit(ExtensionFailed(str(error), error))
            raise
        return response.raw_headers


def _reply(extension: Extension, found: object) -> LocalReply | None:
    if isinstance(found, ExtensionError):
        raise found
    if found is None:
        return None
    if not isinstance(found, Response):
        raise extension.wrong("on_request", found, "a Response or None")
    return found.reply(f"filter{{{extension.config.name}}}")


def _failed(stream: Stream, extension: Extension, error: ExtensionError) -> LocalReply:
    stream.runtime.emit(ExtensionFailed(str(error), error))
    return LocalReply(503, f"filter {extension} has failed".encode(), details="extension_failed")


class _Awaiting:
    """What a filter's coroutine returns, as a service that the driver of a suite asks."""

    __slots__ = ("_extension",)

    def __init__(self, extension: Extension) -> None:
        self._extension = extension

    def ask(self, request: Awaitable[Any], timeout_s: float) -> Any:
        """Nothing can be awaited here."""
        del timeout_s
        if inspect.iscoroutine(request):
            request.close()
        return self._extension.wrong("on_request", request, SYNC)

    async def ask_async(self, request: Awaitable[Any], timeout_s: float) -> Any:
        """Await it."""
        del timeout_s
        try:
            return await request
        except Exception as error:
            return self._extension.failed("on_request", error)


def said_of_extensions(stream: Stream, filters: Iterable[RequestFilter]) -> list[str]:
    """For people: a sentence for each filter of another package."""
    own = [each.at(stream) for each in filters if isinstance(each, ExtensionFilter)]
    return [f"filter {each} is asked" for each in own if each is not None]
