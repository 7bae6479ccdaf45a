"""Bodies that are held until they are whole (envoy source: extensions/filters/http/buffer).

What is too long is answered, unless it came at once and need not be held; what came without a length goes on with one.
"""

from __future__ import annotations

from ...xds.model.filters import Buffer
from ..actions import Collect
from ..bodies import ENCODING, LENGTH, wanted
from ..replies import LocalReply, payload_too_large
from ..request import RequestView
from ..routing import CompiledRoute, Target
from .stream import Steps, Stream, of_route


class BufferFilter:
    """The filter in a chain; a route's own limit takes the place of the chain's."""

    __slots__ = ("_most", "name")

    def __init__(self, name: str, config: Buffer | None) -> None:
        self.name = name
        self._most = config.max_bytes if config is not None else None

    def applies(self, place: Target | CompiledRoute | None) -> bool:
        """Whether bodies that go this way are held."""
        own = place.filters.get(self.name) if place is not None else None
        return (own.max_bytes if isinstance(own, Buffer) else self._most) is not None

    def on_request(self, stream: Stream) -> Steps | LocalReply | None:
        """Wait for the body, where there is one."""
        own = of_route(self.name, stream)
        most = own.max_bytes if isinstance(own, Buffer) else self._most
        if most is None:
            return None
        found = wanted(stream, most)
        if isinstance(found, LocalReply):
            return found
        return self._held(stream, most) if found else None

    def _held(self, stream: Stream, most: int) -> Steps:
        collect = Collect(most)
        length: int | None = yield collect
        if length is None:
            return None
        if length > most and not collect.whole:
            return payload_too_large()
        if length:
            _say_length(stream.request, length)
        return None


def _say_length(request: RequestView, length: int) -> None:
    if LENGTH not in request.headers:
        headers = [pair for pair in request.raw_headers if pair[0].lower() != ENCODING]
        request.replace_headers([*headers, (LENGTH, b"%d" % length)])
