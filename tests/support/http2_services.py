"""A service that speaks HTTP/2 as a test wants it to, also where that is wrong: h2 knows the protocol, the test says
what becomes of each event."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, StreamEnded, StreamReset
from h2.settings import SettingCodes, Settings
from hyperframe.frame import GoAwayFrame

On = Callable[["Peer", Any], object]


class Peer:
    """One connection as the service sees it."""

    def __init__(self, sock: socket.socket, number: int, settings: dict[Any, int]) -> None:
        self.sock = sock
        self.number = number
        self.bodies: dict[int, bytes] = {}
        self.resets: list[tuple[int, int]] = []
        self.ended = threading.Event()
        self.http = H2Connection(H2Configuration(client_side=False, header_encoding=None))
        self.http.local_settings = Settings(client=False, initial_values=settings)
        self.http.initiate_connection()
        self._out = threading.Lock()
        self.flush()

    def flush(self) -> None:
        """Send what h2 has to say."""
        with self._out:
            self.sock.sendall(self.http.data_to_send())

    def raw(self, data: bytes) -> None:
        """Send bytes that h2 knows nothing of."""
        self.flush()
        with self._out:
            self.sock.sendall(data)

    def goaway(self, last: int) -> None:
        """Take no stream after that one."""
        self.raw(GoAwayFrame(last_stream_id=last).serialize())

    def answer(self, stream: int, body: bytes = b"", status: bytes = b"200") -> None:
        """A whole answer: gRPC's, with that message."""
        self.http.send_headers(stream, [(b":status", status), (b"content-type", b"application/grpc")])
        framed = b"\0" + len(body).to_bytes(4, "big") + body
        for at in range(0, len(framed), 16384):
            self.http.send_data(stream, framed[at : at + 16384])
        self.http.send_headers(stream, [(b"grpc-status", b"0")], end_stream=True)
        self.flush()

    def close(self) -> None:
        """End the connection."""
        with suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)


class Http2Service:
    """`with Http2Service(on) as service: ...`: `on(peer, event)` is called for each event of each connection."""

    def __init__(
        self,
        on: On,
        *,
        context: ssl.SSLContext | None = None,
        settings: dict[Any, int] | None = None,
        reads: threading.Event | None = None,
    ) -> None:
        """`reads`: nothing is read after the first bytes until it is set."""
        self.peers: list[Peer] = []
        self._on = on
        self._context = context
        self._settings = {SettingCodes.MAX_CONCURRENT_STREAMS: 100, **(settings or {})}
        self._reads = reads
        self._server = socket.create_server(("127.0.0.1", 0))
        if reads is not None:
            self._server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.port = int(self._server.getsockname()[1])
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                sock, _ = self._server.accept()
                threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        peer: Peer | None = None
        try:
            if self._context is not None:
                sock = self._context.wrap_socket(sock, server_side=True)
            peer = Peer(sock, len(self.peers), self._settings)
            self.peers.append(peer)
            while data := sock.recv(65536):
                for event in peer.http.receive_data(data):
                    if isinstance(event, DataReceived):
                        peer.bodies[event.stream_id] = peer.bodies.get(event.stream_id, b"") + event.data
                        peer.http.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                    elif isinstance(event, StreamReset):
                        peer.resets.append((event.stream_id, int(event.error_code)))
                    self._on(peer, event)
                peer.flush()
                if self._reads is not None:
                    self._reads.wait()
        except OSError:
            pass
        finally:
            sock.close()
            if peer is not None:
                peer.ended.set()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        if self._reads is not None:
            self._reads.set()
        for each in self.peers:
            each.close()


def echo(peer: Peer, event: Any) -> None:
    """Answers each request with its own message."""
    if isinstance(event, StreamEnded):
        peer.answer(event.stream_id, peer.bodies.get(event.stream_id, b"")[5:])
