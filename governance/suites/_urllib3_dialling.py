"""Connections of urllib3's own to the endpoints of a TCP cluster, whatever name is asked for."""

from __future__ import annotations

import ssl
from typing import Any

import httpcore
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from ..passing import Life
from ._tcp import TcpBackend


def dialling(base: type[HTTPConnection], backend: TcpBackend) -> type[HTTPConnection]:
    """A class of connections that a backend connects; the library's TLS goes over them as over any."""

    class Dialled(base):  # type: ignore[valid-type,misc]
        _life: Life | None = None
        _held: Any = None
        timeout: Any

        def _new_conn(self) -> Any:
            options = {"socket_options": self.socket_options} if self.socket_options else {}
            try:
                stream = backend.connect_tcp(self._dns_host, self.port, self.timeout, **options)
            except httpcore.ConnectTimeout as error:
                text = f"Connection to {self.host} timed out. (connect timeout={self.timeout})"
                raise ConnectTimeoutError(self, text) from error
            except httpcore.ConnectError as error:
                raise NewConnectionError(self, str(error)) from error
            sock, self._held, self._life = stream.detach()
            if isinstance(sock, ssl.SSLSocket) and issubclass(base, HTTPSConnection):
                sock.close()
                self._held.end()
                raise NewConnectionError(
                    self, "UF: urllib3 cannot speak its own TLS inside of the mesh's, which this cluster asks for"
                )
            sock.settimeout(self.timeout)
            return sock

        @property
        def is_connected(self) -> bool:
            """Also not when the mesh wants it closed."""
            connected: bool = super().is_connected
            return connected and not (self._life is not None and self._life.over())

        def getresponse(self) -> Any:
            """No read lasts longer than the connection may."""
            if self._life is not None:
                self.timeout = self._life.bound(self.timeout)[0]
                self._life.touch()
            return super().getresponse()

        def close(self) -> None:
            try:
                super().close()
            finally:
                if self._held is not None:
                    self._held.end()

    return Dialled
