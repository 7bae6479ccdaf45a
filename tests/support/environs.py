"""What servers of WSGI make of a request, for tests without one: the environ as gunicorn has it."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote

Pairs = Iterable[tuple[str, str]]


def variables(headers: Pairs) -> dict[str, str]:
    """The variables of headers: what is repeated is one, and nobody knows how names were written."""
    found: dict[str, str] = {}
    for name, value in headers:
        key = name.upper().replace("-", "_")
        if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            key = f"HTTP_{key}"
        found[key] = f"{found[key]},{value}" if key in found else value
    return found


def environ_of(
    method: str, target: str, headers: Pairs, *, client: tuple[str, int], port: int, body: bytes = b""
) -> dict[str, Any]:
    """A request for the root of the app."""
    path, _, query = target.partition("?")
    return {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote(path, "latin-1"),
        "RAW_URI": target,
        "QUERY_STRING": query,
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_NAME": "0.0.0.0",
        "SERVER_PORT": str(port),
        "REMOTE_ADDR": client[0],
        "REMOTE_PORT": str(client[1]),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        **variables(headers),
    }


def answer_of(app: Any, environ: dict[str, Any]) -> tuple[int, list[tuple[str, str]], bytes]:
    """Status, headers and body that an app answers with, as a server gets them."""
    began: list[Any] = []
    written: list[bytes] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        began[:] = [int(status[:3]), headers]
        return written.append

    result = app(environ, start_response)
    try:
        written.extend(result)
    finally:
        if hasattr(result, "close"):
            result.close()
    return began[0], began[1], b"".join(written)
