"""An endpoint that takes off the mesh's TLS, finds a program's own inside, and answers one request."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def endpoint(host: str, outer: ssl.SSLContext, inner: ssl.SSLContext) -> Iterator[int]:
    """Its port."""
    listening = socket.create_server((host, 0))
    thread = threading.Thread(target=_serve, args=(listening, outer, inner), daemon=True)
    thread.start()
    try:
        yield listening.getsockname()[1]
        thread.join(10)
    finally:
        listening.close()


def _serve(listening: socket.socket, outer: ssl.SSLContext, inner: ssl.SSLContext) -> None:
    taken = outer.wrap_socket(listening.accept()[0], server_side=True)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = inner.wrap_bio(incoming, outgoing, server_side=True)

    def step(work: Any) -> Any:
        while True:
            try:
                found = work()
            except ssl.SSLWantReadError:
                found = None
            if outgoing.pending:
                taken.sendall(outgoing.read())
            if found is not None:
                return found
            incoming.write(taken.recv(65536))

    def shake() -> bool:
        tls.do_handshake()
        return True

    step(shake)
    step(lambda: tls.read(65536))
    step(lambda: tls.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"))
    taken.close()
