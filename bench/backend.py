"""The backend of all latency figures: a constant answer from a process of its own, as cheap as Python can make it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from types import TracebackType
from typing import Self

BODY = b"x" * 256
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: %d\r\n\r\n" % len(BODY) + BODY


class Answering(asyncio.Protocol):
    """Answers every request that has no body with the same bytes."""

    answer = ANSWER

    def __init__(self) -> None:
        self._pending = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        data = self._pending + data
        complete = data.count(b"\r\n\r\n")
        self._pending = b"" if data.endswith(b"\r\n\r\n") else data.rpartition(b"\r\n\r\n")[2]
        if complete and isinstance(self._transport, asyncio.Transport):
            self._transport.write(self.answer * complete)


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(Answering, "127.0.0.1", 0, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


class Backend:
    """The backend as a process (`command`: another module that says its port, and arguments); `port` is its port."""

    def __init__(self, *command: str) -> None:
        self._command = [sys.executable, "-m", *(command or ("bench.backend",))]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        if self._process.stdout is None:
            raise RuntimeError("no output of the backend")
        self.port = int(self._process.stdout.readline())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait(10)


if __name__ == "__main__":
    asyncio.run(_serve())
