"""A client that sends the bytes it is given, one connection for each request, and reports exactly what came back."""

from __future__ import annotations

import socket
import struct
import time
from dataclasses import dataclass, field

from tests.support.behaviour import Address, Headers

LATIN = "latin-1"


@dataclass(frozen=True, slots=True)
class Response:
    """What came back. `status` is 0 when the connection ended without a response; `cut` when the body is not whole."""

    port: int
    status: int = 0
    reason: str = ""
    headers: Headers = ()
    body: bytes = b""
    interim: tuple[int, ...] = ()
    cut: bool = False
    error: str = ""
    elapsed_s: float = 0.0
    raw: bytes = field(default=b"", repr=False)

    def header(self, name: str) -> str | None:
        """All values of a header joined by a comma, None when absent."""
        values = [value for key, value in self.headers if key.lower() == name]
        return ",".join(values) if values else None


def request(
    method: str = "GET", target: str = "/", headers: Headers | None = None, body: bytes = b"", version: str = "HTTP/1.1"
) -> bytes:
    """Request bytes; nothing is added but a content-length when there is a body and none is given."""
    pairs = list(headers or ())
    names = {name.lower() for name, _ in pairs}
    if body and not names & {"content-length", "transfer-encoding"}:
        pairs.append(("content-length", str(len(body))))
    lines = [f"{method} {target} {version}", *(f"{name}: {value}" for name, value in pairs), "", ""]
    return "\r\n".join(lines).encode(LATIN) + body


def proxy_header(destination: Address, source: Address = ("127.0.10.1", 40000)) -> bytes:
    """A PROXY protocol line: says where the connection was really going, as iptables would."""
    return f"PROXY TCP4 {source[0]} {destination[0]} {source[1]} {destination[1]}\r\n".encode()


def exchange(
    port: int,
    data: bytes,
    *,
    destination: Address | None = None,
    source: Address = ("127.0.10.1", 40000),
    later: bytes = b"",
    later_s: float = 0.0,
    timeout_s: float = 15.0,
    bind: str = "",
) -> Response:
    """Send `data` (and, `later_s` afterwards, `later`), read one response. `bind`: the address to come from."""
    start = time.monotonic()
    own = (bind, 0) if bind else None
    with socket.create_connection(("127.0.0.1", port), timeout=timeout_s, source_address=own) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # no TIME_WAIT: thousands of connections follow each other
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        local = int(sock.getsockname()[1])
        head = b"" if destination is None else proxy_header(destination, source)
        reader = Reader(sock, head=data.split(b" ", 1)[0] == b"HEAD")
        error = ""
        try:
            sock.sendall(head + data)
            if later:
                time.sleep(later_s)
                sock.sendall(later)
        except OSError as failed:
            error = type(failed).__name__
        return reader.response(local, error, start)


class Reader:
    """Reads responses from a connection; `head`: to a HEAD request."""

    def __init__(self, sock: socket.socket, *, head: bool = False) -> None:
        self._sock = sock
        self._head = head
        self._data = b""
        self._error = ""

    def _more(self) -> bool:
        try:
            chunk = self._sock.recv(1 << 18)
        except OSError as failed:
            self._error = type(failed).__name__
            return False
        self._data += chunk
        return bool(chunk)

    def response(self, port: int = 0, error: str = "", start: float = 0.0) -> Response:
        """The next one; what came with it of the one after is kept."""
        interim: list[int] = []
        while True:
            while b"\r\n\r\n" not in self._data:
                if not self._more():
                    elapsed = time.monotonic() - start
                    return Response(
                        port,
                        error=error or self._error,
                        cut=True,
                        elapsed_s=elapsed,
                        raw=self._data,
                        interim=tuple(interim),
                    )
            head, _, self._data = self._data.partition(b"\r\n\r\n")
            line, *rest = head.decode(LATIN).split("\r\n")
            status, reason = int(line.split(" ")[1]), line.partition(" ")[2].partition(" ")[2]
            if status >= 200 or status == 101:
                break
            interim.append(status)
        split = [item.partition(":") for item in rest]
        headers = tuple((name, value.strip()) for name, _, value in split)
        body, cut = self._body(status, {name.lower(): value for name, value in headers})
        elapsed = time.monotonic() - start
        return Response(port, status, reason, headers, body, tuple(interim), cut, error or self._error, elapsed, head)

    def _body(self, status: int, headers: dict[str, str]) -> tuple[bytes, bool]:
        if self._head or status in (101, 204, 304):
            return b"", False
        if headers.get("transfer-encoding") == "chunked":
            return self._chunked()
        if "content-length" in headers:
            length = int(headers["content-length"])
            while len(self._data) < length:
                if not self._more():
                    return self._data, True
            body, self._data = self._data[:length], self._data[length:]
            return body, False
        while self._more():
            pass
        return self._data, False

    def _chunked(self) -> tuple[bytes, bool]:
        body = b""
        while True:
            while b"\r\n" not in self._data:
                if not self._more():
                    return body, True
            line, _, rest = self._data.partition(b"\r\n")
            size = int(line, 16)
            while len(rest) < size + 2:
                if not self._more():
                    return body + rest, True
                rest = self._data.partition(b"\r\n")[2]
            body, self._data = body + rest[:size], rest[size + 2 :]
            if size == 0:
                return body, False
