"""What the mesh answers itself, as bytes that aiohttp reads: so that the response is made by nobody but the library."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any

from ...replies import LocalReply, reply_body, reply_headers
from .connecting import Handler


class _Nowhere(asyncio.Transport):
    """A transport whose other end takes everything."""

    def __init__(self) -> None:
        super().__init__()
        self._open = True

    def write(self, data: Any) -> None:
        del data

    def writelines(self, list_of_data: Any) -> None:
        del list_of_data

    def is_closing(self) -> bool:
        return not self._open

    def close(self) -> None:
        self._open = False

    abort = close

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        """There is nothing more to read."""

    resume_reading = pause_reading


def answering(reply: LocalReply, *, head: bool, loop: asyncio.AbstractEventLoop) -> Handler:
    """A connection whose other end has given this answer already."""
    handler = Handler(loop)
    handler.connection_made(_Nowhere())
    lines = [b"HTTP/1.1 %d %s" % (reply.status, phrase(reply.status))]
    lines += [name + b": " + value for name, value in reply_headers(reply, head=head)]
    handler.data_received(b"\r\n".join([*lines, b"", reply_body(reply, head=head)]))
    return handler


def phrase(status: int) -> bytes:
    """What HTTP/1.1 says beside a status; aiohttp wants to read something."""
    try:
        return HTTPStatus(status).phrase.encode()
    except ValueError:
        return b"Unknown"
