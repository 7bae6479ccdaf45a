"""Servers of a process for others than its clients, at HOST:PORT as options have it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from .errors import ConfigurationError
from .xds.model.values import Address


def parsed(listen: str) -> tuple[str, int]:
    """Host and port; without a host, every address.

    Raises:
        ConfigurationError: it is not HOST:PORT.
    """
    host, colon, port = listen.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise ConfigurationError(f'cannot listen on "{listen}": it must be HOST:PORT')
    return host.strip("[]") or "0.0.0.0", int(port)


class QuietServer(ThreadingHTTPServer):
    """Each connection has a thread; clients that went away are no news."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, handler)

    def handle_error(self, *_: Any) -> None:
        """Clients come and go."""


class QuietHandler(BaseHTTPRequestHandler):
    """Probes, scrapes and reviews are not logged."""

    def log_message(self, *_: Any) -> None:
        """Whoever asks logs for itself."""

    def say(self, code: int, kind: str, body: bytes, *, last: bool = False) -> None:
        """A whole response; `last`: the connection ends with it, since what was sent has not been read."""
        self.send_response(code)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        if last:
            self.send_header("connection", "close")
        self.end_headers()
        self.wfile.write(body)


class Listening:
    """Serves from a thread of its own until `stop`.

    Raises:
        ConfigurationError: the address is none, or is in use.
    """

    def __init__(self, listen: str, server: Callable[[tuple[str, int]], QuietServer], name: str) -> None:
        self._host, port = parsed(listen)
        try:
            self._server = server((self._host, port))
        except OSError as error:
            raise ConfigurationError(f"cannot listen on {listen}: {error.strerror}") from error
        threading.Thread(target=self._server.serve_forever, name=name, daemon=True).start()

    @property
    def authority(self) -> str:
        """HOST:PORT of an URL, with the port that it got."""
        return str(Address(self._host, self._server.server_port))

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
