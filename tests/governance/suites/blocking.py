"""Blocking servers with a context of the mesh's, and an app that says who it is told that the client is."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from typing import Any

import proxyless
from tests.support.in_thread import in_thread


def told(connection: Any) -> bytes:
    """What a program can learn of the connection that it serves."""
    found = proxyless.tls.peer()
    return json.dumps(
        {
            "uris": found.uri_sans if found is not None else None,
            "same": found is proxyless.tls.peer(connection),
            "certificate": bool(connection.getpeercert(True)),
            "version": connection.version(),
            "alpn": connection.selected_alpn_protocol(),
        }
    ).encode()


class Handler(BaseHTTPRequestHandler):
    """Answers any request with what is known of its connection; counts in `server.arrived`."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.arrived.append(self.path)  # type: ignore[attr-defined]
        self.rfile.read(int(self.headers.get("content-length", 0)))
        body = told(self.connection)
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815  # as http.server calls it

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@contextmanager
def http_server(
    context: ssl.SSLContext, kind: type[HTTPServer] = ThreadingHTTPServer, handler: Any = Handler
) -> Iterator[Any]:
    """One of http.server, whose listening socket is wrapped."""
    server: Any = kind(("127.0.0.1", 0), handler)
    server.arrived = []
    server.daemon_threads = True
    server.block_on_close = False
    server.socket = context.wrap_socket(server.socket, server_side=True)
    with in_thread(server):
        yield server
