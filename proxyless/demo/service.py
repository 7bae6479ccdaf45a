"""One service of the shop as a process: `python -m proxyless.demo.service catalog --listen 127.0.0.1:8080 ...`.

Who it is stands in the environment, as in a pod (docs/bootstrap.md): PROXYLESS_XDS or PROXY_CONFIG, POD_NAME,
POD_NAMESPACE, INSTANCE_IP, the labels. What makes it part of a mesh are the three lines of `govern` and `app`.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import socket
import sys
from dataclasses import dataclass
from typing import Any

import httpx
import uvicorn

from .. import tls
from ..asgi import Middleware
from ..httpx import AsyncTransport
from ..mesh import Mesh
from .admin import Admin
from .apps import APPS, Part
from .counting import Counters
from .family import follow_parent
from .web import App, Application, Handlers

READY_S = 20.0
CALL_S = 30.0
"""Longer than anything that the walk makes wait."""

KEEP_ALIVE_S = 120


@dataclass(frozen=True, slots=True)
class Governed:
    """An app and a client that are part of a mesh."""

    mesh: Mesh
    client: httpx.AsyncClient

    def app(self, app: App) -> App:
        """The app behind the inbound chain of its port."""
        return Middleware(app, self.mesh)


def govern() -> Governed:
    """What a program does to be in the mesh."""
    mesh = Mesh.from_env()
    client = httpx.AsyncClient(transport=AsyncTransport(mesh), timeout=CALL_S)
    return Governed(mesh, client)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(prog="proxyless.demo.service", description="one service of the shop")
    parser.add_argument("app", choices=sorted(APPS))
    parser.add_argument("--name", default="", help="of this instance; default: the app's")
    parser.add_argument("--version", default="v1")
    parser.add_argument("--listen", type=address, default=("0.0.0.0", 8080), metavar="HOST:PORT")
    parser.add_argument("--admin", type=address, default=("0.0.0.0", 15020), metavar="HOST:PORT")
    parser.add_argument("--mtls", action="store_true", help="serve TLS as the mesh's inbound chains want it")
    parser.add_argument("--fails", action="store_true", help="answer 503 (cart)")
    parser.add_argument("--family", action="store_true", help="end when standard input ends")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    """Serve until SIGTERM, or until the demo that started it is gone."""
    options = parse(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    if options.family:
        follow_parent()
    asyncio.run(serve(options))


async def serve(options: argparse.Namespace) -> None:
    """Both ports; the mesh is ready before the first request is taken."""
    governed = govern()
    counters = Counters()
    server: Any = None
    host, port = options.admin
    admin = Admin(host, port, counters, lambda: server is not None and server.started)
    part = Part(options.name or options.app, options.version, governed.client, admin.gate, options.fails)
    app = counters.outside(governed.app(counters.inside(application(APPS[options.app](part), governed))))
    config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_keep_alive=KEEP_ALIVE_S, lifespan="on")
    if options.mtls:
        tls.uvicorn(config, governed.mesh, port=options.listen[1])
    server = uvicorn.Server(config)
    await server.serve(sockets=[listening(options.listen)])
    if not server.started:
        sys.exit(1)


def application(handlers: Handlers, governed: Governed) -> App:
    """The app with its start and end."""

    async def start() -> None:
        await asyncio.to_thread(governed.mesh.wait_ready, READY_S)

    async def stop() -> None:
        await governed.client.aclose()
        await asyncio.to_thread(governed.mesh.close)

    return Application(handlers, start, stop)


def listening(where: tuple[str, int]) -> socket.socket:
    """Its port may be reserved by the demo, with a socket that does not listen: a restart finds it free."""
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind(where)
    made.listen(512)
    made.setblocking(False)
    return made


def address(text: str) -> tuple[str, int]:
    """HOST:PORT."""
    host, mark, port = text.rpartition(":")
    if not mark or not port.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT")
    return host, int(port)


if __name__ == "__main__":
    main()
