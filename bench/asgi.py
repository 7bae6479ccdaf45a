"""What the ASGI, the WSGI and aiohttp's middleware add to a request, with recorded inbound chains.

The frontend's has a local rate limit, which is met but never reached: to its buckets a nanosecond is a second, so they
are always full. It has Istio's access log, too: once its lines are written (into nothing: standard output is turned
away meanwhile), once PROXYLESS_ACCESS_LOG=off says that there are none. svc0 is one of a thousand services: what istiod
sends where nobody has configured a policy, a rate limit or a log.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

from aiohttp import web

import proxyless.aiohttp
import proxyless.asgi
import proxyless.wsgi
from proxyless import Mesh
from proxyless.governance.filters.local_ratelimit import Limiters

from .configuration import RECORDED, SCALE
from .report import Table
from .stats import median
from .turns import taking_turns, taking_turns_async

T = TypeVar("T")

SCOPE: dict[str, Any] = {
    "type": "http",
    "method": "GET",
    "scheme": "http",
    "path": "/items/1",
    "raw_path": b"/items/1",
    "query_string": b"",
    "headers": [
        (b"host", b"frontend.shop"),
        (b"accept", b"*/*"),
        (b"accept-encoding", b"gzip, deflate"),
        (b"connection", b"keep-alive"),
        (b"user-agent", b"python-httpx/0.28.1"),
    ],
    "client": ("127.0.0.1", 40000),
    "server": ("127.0.10.1", 8080),
}
REQUEST = b"\r\n".join(
    [b"GET /items/1 HTTP/1.1", *(b"%b: %b" % pair for pair in SCOPE["headers"]), b"", b""],
)
Message = MutableMapping[str, Any]
ACCESS_LOG = "PROXYLESS_ACCESS_LOG"

ENVIRON: dict[str, Any] = {
    "REQUEST_METHOD": "GET",
    "SCRIPT_NAME": "",
    "PATH_INFO": "/items/1",
    "RAW_URI": "/items/1",
    "QUERY_STRING": "",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "SERVER_NAME": "127.0.10.1",
    "SERVER_PORT": "8080",
    "SERVER_SOFTWARE": "bench",
    "REMOTE_ADDR": "127.0.0.1",
    "REMOTE_PORT": "40000",
    **{f"wsgi.{name}": None for name in ("version", "input", "errors", "multithread", "multiprocess", "run_once")},
    "wsgi.url_scheme": "http",
    **{f"HTTP_{name.decode().upper().replace('-', '_')}": value.decode() for name, value in SCOPE["headers"]},
}


async def _app(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


async def _receive() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _send(message: Message) -> None: ...


def _wsgi(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [("content-length", "2")])
    return [b"ok"]


def _start(status: str, headers: Any, exc_info: Any = None) -> Any: ...


def run(*, smoke: bool) -> list[Table]:
    """The app alone, and behind the middleware, in turn."""
    rounds, calls = (2, 50) if smoke else (41, 500)
    columns = ("chain", "app alone", "A/A", "governed", "added", "added at least")
    table = Table("ASGI, WSGI and aiohttp middleware, us per request", columns)
    with _quiet():
        for name, logs, says in CHAINS:
            mesh = _mesh(name, logs=logs)
            for kind, found in (
                ("ASGI", asyncio.run(_measure_asgi(mesh, rounds, calls))),
                ("WSGI", _measure_wsgi(mesh, rounds, calls)),
                ("aiohttp", asyncio.run(_measure_aiohttp(mesh, rounds, calls))),
            ):
                alone, again, governed = (1e6 * median(each) for each in found.values())
                least = 1e6 * (min(found["governed"]) - min(found["alone"]))
                table.rows.append((f"{kind}, {name}: {says}", alone, again, governed, governed - alone, least))
            mesh.close()
    return [table]


CHAINS = (
    ("frontend", False, "rate limit by descriptors"),
    ("frontend", True, "the same, and its access log"),
    ("svc0", False, "nothing of its own"),
    ("ledger", True, "STRICT, refused"),
)


def _mesh(name: str, *, logs: bool) -> Mesh:
    """With or without what its configuration wants to be logged."""
    before = os.environ.pop(ACCESS_LOG, None)
    if not logs:
        os.environ[ACCESS_LOG] = "off"
    try:
        source = SCALE if name == "svc0" else RECORDED / "shop" / "xds" / name
        mesh = Mesh.from_recorded(source, registry=True)
    finally:
        os.environ.pop(ACCESS_LOG, None)
        if before is not None:
            os.environ[ACCESS_LOG] = before
    mesh.runtime.limiters = Limiters(time.monotonic_ns, mesh.runtime.uniform)
    return mesh


@contextmanager
def _quiet() -> Iterator[None]:
    """Lines of access logs go nowhere, instead of between the bench's own."""
    sys.stdout.flush()
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)


Found = dict[str, list[float]]
"""By variant and round: seconds of a request."""


async def _measure_asgi(mesh: Mesh, rounds: int, calls: int) -> Found:
    async def asked(app: Any) -> None:
        await app(dict(SCOPE), _receive, _send)

    apps = _variants(_app, proxyless.asgi.Middleware(_app, mesh))
    return await taking_turns_async({name: _each(partial(asked, app), calls) for name, app in apps.items()}, rounds)


def _variants(alone: T, governed: T) -> dict[str, T]:
    return {"alone": alone, "A/A": alone, "governed": governed}


def _each(ask: Callable[[], Awaitable[None]], calls: int) -> Callable[[], Awaitable[float]]:
    async def took() -> float:
        started = time.perf_counter()
        for _ in range(calls):
            await ask()
        return (time.perf_counter() - started) / calls

    return took


class _Wire(asyncio.Transport):
    """A connection of a client that says nothing but what it is told to, and waits for the answer."""

    def __init__(self, server: Any) -> None:
        super().__init__({"peername": SCOPE["client"], "sockname": SCOPE["server"]})
        self._handler = server()
        self._answered = asyncio.Event()
        self._handler.connection_made(self)

    async def ask(self) -> None:
        self._answered.clear()
        self._handler.data_received(REQUEST)
        await self._answered.wait()

    def write(self, data: Any) -> None:
        del data
        self._answered.set()

    def writelines(self, list_of_data: Any) -> None:
        del list_of_data
        self._answered.set()

    def is_closing(self) -> bool:
        return False

    def close(self) -> None: ...

    def get_write_buffer_size(self) -> int:
        return 0


async def _aiohttp(request: web.Request) -> web.Response:
    del request
    return web.Response(body=b"ok")


async def _measure_aiohttp(mesh: Mesh, rounds: int, calls: int) -> Found:
    runners, variants = [], {}
    for name, middlewares in _variants([], [proxyless.aiohttp.server(mesh)]).items():
        app = web.Application(middlewares=middlewares)
        app.router.add_get("/items/1", _aiohttp)
        runners.append(web.AppRunner(app, access_log=None))
        await runners[-1].setup()
        variants[name] = _each(_Wire(runners[-1].server).ask, calls)
    found = await taking_turns_async(variants, rounds)
    for runner in runners:
        await runner.cleanup()
    return found


def _measure_wsgi(mesh: Mesh, rounds: int, calls: int) -> Found:
    apps = _variants(_wsgi, proxyless.wsgi.Middleware(_wsgi, mesh))
    return taking_turns({name: partial(_took, app, calls) for name, app in apps.items()}, rounds)


def _took(app: Any, calls: int) -> float:
    started = time.perf_counter()
    for _ in range(calls):
        body = app(dict(ENVIRON), _start)
        for _ in body:
            pass
        if hasattr(body, "close"):
            body.close()
    return (time.perf_counter() - started) / calls
