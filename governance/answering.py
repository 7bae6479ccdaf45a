"""What a connection manager adds to every response, its own included (source: ConnectionManagerUtility)."""

from __future__ import annotations

from ..xds.model.listener import HttpConnectionManager
from .forwarding import VIA, Lines
from .headers import HeaderList
from .request import RequestView

REQUEST_ID = b"x-request-id"


class Answering:
    """The options that are set. istiod sets none: then there is no such object."""

    __slots__ = ("_request_id", "_via")

    def __init__(self, config: HttpConnectionManager) -> None:
        self._via = config.forwarding.via.encode()
        self._request_id = config.request_id_in_response

    def __call__(self, headers: HeaderList, request: RequestView) -> HeaderList:
        """The headers of a response as they go to the client; the list given is not changed."""
        lines = Lines(list(headers), {name.lower(): value for name, value in headers})
        if self._request_id and (value := request.header(REQUEST_ID)):
            lines.put(REQUEST_ID, value)
        if self._via:
            lines.join(VIA, self._via, b", ")
        return lines.headers


def answering_of(config: HttpConnectionManager) -> Answering | None:
    """None where nothing is added."""
    return Answering(config) if config.forwarding.via or config.request_id_in_response else None
