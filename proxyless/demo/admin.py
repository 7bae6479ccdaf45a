"""A service's other port, for people and for the walk: counters, Prometheus text, and the gate. No mesh before it.

GET /counters, /metrics, /ready and /live; POST /gate/close makes the slow handler wait until POST /gate/open.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from http.server import ThreadingHTTPServer
from socketserver import TCPServer
from threading import Event, Thread
from typing import Any

from .._listening import QuietHandler
from .counting import Counters

TEXT = "text/plain; version=0.0.4; charset=utf-8"


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def server_bind(self) -> None:
        """HTTPServer's asks DNS for the name of the address, which nobody needs and may take long."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]


class Admin:
    """Serves from a thread of its own. `ready` says whether the service takes requests."""

    def __init__(self, host: str, port: int, counters: Counters, ready: Callable[[], bool]) -> None:
        self.gate = Event()
        self.gate.set()
        self._counters = counters
        self._ready = ready
        admin = self

        class Handler(QuietHandler):
            def do_GET(self) -> None:  # noqa: N802  # what http.server calls
                self.say(*admin.get(self.path))

            def do_POST(self) -> None:  # noqa: N802  # what http.server calls
                self.say(*admin.post(self.path))

        self._server = _Server((host, port), Handler)
        Thread(target=self._server.serve_forever, name="admin", daemon=True).start()

    def get(self, path: str) -> tuple[int, str, bytes]:
        """(status, content type, body)."""
        if path == "/metrics":
            from prometheus_client import generate_latest

            return 200, TEXT, generate_latest()
        if path == "/counters":
            return _json(self._counters.document())
        if path == "/ready":
            return _json({"ready": self._ready()}, 200 if self._ready() else 503)
        if path == "/live":
            return _json({"live": True})
        return _json({"error": "GET /counters, /metrics, /ready or /live"}, 404)

    def post(self, path: str) -> tuple[int, str, bytes]:
        """Opens or closes the gate."""
        if path == "/gate/close":
            self.gate.clear()
        elif path == "/gate/open":
            self.gate.set()
        else:
            return _json({"error": "POST /gate/close or /gate/open"}, 404)
        return _json({"open": self.gate.is_set()})

    def close(self) -> None:
        """Ends the server."""
        self._server.shutdown()
        self._server.server_close()


def _json(document: dict[str, Any], status: int = 200) -> tuple[int, str, bytes]:
    return status, "application/json", json.dumps(document).encode() + b"\n"
