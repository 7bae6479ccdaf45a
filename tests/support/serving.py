"""An ASGI app behind a real uvicorn, on a port of loopback, in a thread."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from typing import Any, Self

import uvicorn

from tests.support.waiting import wait_for

WAIT_S = 10.0


def listen(host: str = "127.0.0.1") -> socket.socket:
    """A socket on a free port."""
    made = socket.socket()
    made.bind((host, 0))
    made.listen()
    return made


class Server:
    """Serves from `with` on; `port` is where. `configured` has the last word on uvicorn's configuration."""

    def __init__(
        self,
        app: Any,
        listening: socket.socket | None = None,
        configured: Callable[[uvicorn.Config], uvicorn.Config] = lambda config: config,
    ) -> None:
        self._socket = listening if listening is not None else listen()
        self.port = int(self._socket.getsockname()[1])
        config = uvicorn.Config(app, log_level="critical", lifespan="off", proxy_headers=False)
        self._server = uvicorn.Server(configured(config))
        self._thread = threading.Thread(target=self._run, name="uvicorn", daemon=True)

    def _run(self) -> None:
        asyncio.run(self._server.serve(sockets=[self._socket]))

    def __enter__(self) -> Self:
        self._thread.start()
        wait_for(lambda: self._server.started, WAIT_S)
        return self

    def __exit__(self, *error: object) -> None:
        self._server.should_exit = True
        self._thread.join(WAIT_S)
        self._socket.close()
