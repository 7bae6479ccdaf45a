"""Apps of ASGI behind real servers, on a socket of loopback that listens already, until a test is over."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Self

import hypercorn.asyncio
import hypercorn.config
import uvicorn

WAIT_S = 30.0
Serve = Callable[[Any, socket.socket, asyncio.Event], Coroutine[Any, Any, None]]
"""Serves an app on a socket until the event is set."""


def listen(host: str = "127.0.0.1") -> socket.socket:
    """A socket on a free port."""
    made = socket.socket()
    made.bind((host, 0))
    made.listen()
    return made


def by_uvicorn(configured: Callable[[uvicorn.Config], uvicorn.Config] | None = None, **options: Any) -> Serve:
    """`configured` has the last word on uvicorn's configuration."""

    async def serve(app: Any, sock: socket.socket, stop: asyncio.Event) -> None:
        config = uvicorn.Config(app, **{"log_level": "critical", "lifespan": "off", **options})
        server = uvicorn.Server(configured(config) if configured is not None else config)
        serving = asyncio.create_task(server.serve(sockets=[sock]))
        await stop.wait()
        server.should_exit = True
        await serving

    return serve


def by_hypercorn(
    configured: Callable[[hypercorn.config.Config], hypercorn.config.Config] | None = None,
    kind: type[hypercorn.config.Config] = hypercorn.config.Config,
) -> Serve:
    """`configured` has the last word on hypercorn's configuration, which is of this kind."""

    async def serve(app: Any, sock: socket.socket, stop: asyncio.Event) -> None:
        config = kind()
        config.bind, config.loglevel = [f"fd://{sock.dup().detach()}"], "CRITICAL"
        if configured is not None:
            config = configured(config)
        await hypercorn.asyncio.serve(app, config, shutdown_trigger=stop.wait)

    return serve


@asynccontextmanager
async def on_this_loop(serve: Serve, app: Any) -> AsyncIterator[int]:
    """An app on the running event loop: its port."""
    sock, stop = listen(), asyncio.Event()
    held = asyncio.create_task(serve(app, sock, stop))
    try:
        yield sock.getsockname()[1]
    finally:
        stop.set()
        await held
        sock.close()


class Server:
    """An app in a thread, which is served from `with` on at `port`."""

    def __init__(
        self,
        app: Any,
        serve: Serve | None = None,
        listening: socket.socket | None = None,
        loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop,
    ) -> None:
        """Without `serve`, by a uvicorn that believes no headers about who the client is."""
        self._socket = listening if listening is not None else listen()
        host, self.port = self._socket.getsockname()
        self.where = f"{host}:{self.port}"
        self.url = f"http://{self.where}"
        self._stop = asyncio.Event()
        self._loop = loop()
        self._app, self._serve = app, serve or by_uvicorn(proxy_headers=False)
        self._thread = threading.Thread(target=self._run, name="server", daemon=True)

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve(self._app, self._socket, self._stop))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(WAIT_S)
        self._socket.close()
        assert not self._thread.is_alive()
        self._loop.close()
