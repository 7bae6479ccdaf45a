"""A suite for a library with sockets of its own: `http.client` writes and reads, the mesh says to whom, how often."""

from __future__ import annotations

from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Any, NamedTuple

from proxyless import Mesh

__all__ = ["Answer", "request"]


class Answer(NamedTuple):
    """A response that has been read. `flags`: Envoy's response flags, empty for one that an endpoint gave."""

    status: int
    headers: list[tuple[str, str]]
    content: bytes
    flags: tuple[str, ...]


def request(
    mesh: Mesh,
    method: str,
    url: str,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    timeout: float | None = None,
) -> Answer:
    """Send it and have the response. `timeout`: seconds for connecting, and for each read."""
    failures = (OSError, HTTPException)
    with mesh.call(method, url, headers or {}, body, timeout=timeout, errors=failures) as call:
        response: Any = None
        for attempt in call:
            with attempt:
                attempt.sock.settimeout(timeout)
                response = exchange(attempt)
                attempt.responded(response.status, response.getheaders())
        if call.body is not None:  # of the mesh's own
            return Answer(call.status, call.headers, call.body, call.flags)
        content = response.read()
        call.done(len(content), reuse=not response.will_close)
        return Answer(call.status, call.headers, content, call.flags)


def exchange(attempt: Any) -> HTTPResponse:
    """The head of the response, by http.client's own means over the connection of the mesh."""
    connection = HTTPConnection("mesh")  # it has the connection already
    connection.sock = attempt.sock
    connection.putrequest(attempt.method, attempt.target, skip_host=True, skip_accept_encoding=True)
    for name, value in attempt.headers:
        connection.putheader(name, value)
    connection.endheaders(attempt.body)
    return connection.getresponse()
