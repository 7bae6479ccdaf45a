"""The socket of a sync connection, used directly: the library's own errors, and no byte lost."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
import time
from collections.abc import Iterator
from threading import Thread

import httpcore
import pytest

from proxyless.governance.suites._httpcore import AsyncStream, Clamp, SocketStream, Stream


@pytest.fixture
def pair() -> Iterator[tuple[SocketStream, socket.socket]]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        host, port = server.getsockname()
        stream = httpcore.SyncBackend().connect_tcp(host, port, timeout=10)
        other, _ = server.accept()
    plain = Stream.of(stream, Clamp(httpcore.ReadTimeout), httpcore)
    assert isinstance(plain, SocketStream)
    with other:
        yield plain, other
    plain.close()


def test_what_is_written_arrives_whole_however_small_the_buffers(pair: tuple[SocketStream, socket.socket]) -> None:
    plain, other = pair
    sent = bytes(range(256)) * 40_000
    got: list[bytes] = []

    def read() -> None:
        while sum(map(len, got)) < len(sent):
            got.append(other.recv(65536))

    reader = Thread(target=read)
    reader.start()
    plain.write(sent, 10)
    plain.write(b"", 10)
    reader.join()
    assert b"".join(got) == sent


def test_reading_waits_as_long_as_it_is_told(pair: tuple[SocketStream, socket.socket]) -> None:
    plain, other = pair
    with pytest.raises(httpcore.ReadTimeout):
        plain.read(10, 0.01)
    other.sendall(b"late")
    assert plain.read(10, 10) == b"late"
    other.close()
    assert plain.read(10, None) == b""


def test_writing_waits_as_long_as_it_is_told(pair: tuple[SocketStream, socket.socket]) -> None:
    plain, _ = pair
    with pytest.raises(httpcore.WriteTimeout):
        plain.write(b"x" * 50_000_000, 0.05)


def test_a_reset_is_the_librarys_error(pair: tuple[SocketStream, socket.socket]) -> None:
    plain, other = pair
    other.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    other.close()
    with pytest.raises(httpcore.ReadError):
        plain.read(10, 10)
    with pytest.raises(httpcore.WriteError):
        plain.write(b"x", 10)


def test_an_idle_socket_with_something_to_read_is_not_fresh(pair: tuple[SocketStream, socket.socket]) -> None:
    plain, other = pair
    assert not plain.readable()
    other.close()
    deadline = time.monotonic() + 10
    while not plain.readable():
        assert time.monotonic() < deadline


def test_another_kind_of_stream_is_used_as_it_is() -> None:
    stream = Stream.of(httpcore.MockStream([b"a"]), Clamp(httpcore.ReadTimeout), httpcore)
    assert not isinstance(stream, SocketStream)
    stream.write(b"x", 1.0)
    assert stream.read(10, 1.0) == b"a"


class Alerted:
    """A stream whose other side has refused it with an alert of TLS, as one that reads too late finds it."""

    async def read(self, most: int, timeout: float | None) -> bytes:  # noqa: ASYNC109
        raise ssl.SSLError(1, "alert certificate required")

    async def write(self, data: bytes, timeout: float | None) -> None:  # noqa: ASYNC109
        raise ssl.SSLError(1, "alert certificate required")


@pytest.mark.parametrize("bounded", [False, True])
def test_an_alert_of_tls_is_an_error_of_the_library(bounded: bool) -> None:
    clamp = Clamp(httpcore.ReadTimeout)
    if bounded:
        clamp.until(time.monotonic() + 60, None)
    stream = AsyncStream(Alerted(), clamp, httpcore)
    with pytest.raises(httpcore.ReadError, match="alert"):
        asyncio.run(stream.read(1, 60.0))
    with pytest.raises(httpcore.WriteError, match="alert"):
        asyncio.run(stream.write(b"x", 60.0))
