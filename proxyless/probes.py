"""`proxyless.probes.Probes`: what the kubelet and Prometheus may ask in the clear where the app's port takes mTLS only.

with proxyless.probes.Probes(app, mesh): ...  # within the app's lifespan
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import socket
from collections.abc import Mapping
from http.server import ThreadingHTTPServer
from ipaddress import ip_address
from threading import Thread
from typing import Any, Self
from urllib.parse import unquote, urljoin, urlsplit

from ._asking import MOST_BODY, ask_health, ask_http
from ._listening import QuietHandler
from .errors import ConfigurationError
from .governance.entrance import plain
from .governance.peer import PROBE, SERVED
from .governance.suites.asgi import App
from .mesh import Mesh, default_mesh

__all__ = ["Probes"]

log = logging.getLogger("proxyless")

VARIABLE = "ISTIO_KUBE_APP_PROBERS"
PATH = re.compile(r"/(app-health|app-lifecycle)/[^/]+/(livez|readyz|startupz|prestopz|poststartz)")
DRAIN = "/drain"
MOST_REDIRECTS, IDLE_S = 10, 10.0
Answer = tuple[int, str, bytes]


class Probes:
    """A listener in the clear, in threads of its own, from `with` on: the paths of Istio's agent.

    `/app-health/CONTAINER/livez` and its like as ISTIO_KUBE_APP_PROBERS says them: HTTP probes of the app's own port
    are asked of the app itself, past the policies of its middleware; other ports, and TCP and gRPC probes, over
    loopback. `/healthz/ready` is `mesh.ready`, until it drains: `POST /drain` from this Pod is `mesh.drain()`.
    `/stats/prometheus` and `/metrics` are prometheus_client's.

    Args:
        app: the ASGI app; None: all probes go over loopback. With an app, enter on its event loop (in its lifespan).
        mesh: the mesh; by default the process-wide one, from the environment.
        app_port: the app's port, as the probes name it.
        host: where to listen.
        port: where to listen; 0: any, see the attribute `port`. By default that of Istio's agent.
        probers: JSON as in ISTIO_KUBE_APP_PROBERS, which is the default.
        registry: what Prometheus is shown; by default prometheus_client's own.

    Raises:
        ConfigurationError: `probers` makes no sense.
    """

    def __init__(
        self,
        app: App | None = None,
        mesh: Mesh | None = None,
        *,
        app_port: int = 8080,
        host: str = "0.0.0.0",
        port: int = 15020,
        probers: str | None = None,
        registry: Any = None,
    ) -> None:
        self._app, self._app_port = app, app_port
        self._mesh = mesh if mesh is not None else default_mesh()
        self._where = (host, port)
        self._probers = _read(os.environ.get(VARIABLE, "") if probers is None else probers)
        self._registry = registry
        self._loop: asyncio.AbstractEventLoop | None = None
        self.port = port

    def __enter__(self) -> Self:
        if self._app is not None:
            self._loop = asyncio.get_running_loop()
        probes = self

        class Handler(QuietHandler):
            timeout = IDLE_S

            def do_GET(self) -> None:  # noqa: N802  # what http.server calls
                said = {name.title(): value for name, value in self.headers.items()}
                self.say(*probes._answer(self.path, said, self.client_address[0]))

            def do_POST(self) -> None:  # noqa: N802  # what http.server calls
                self.say(*probes._post(self.path, self.client_address[0]))

        family = socket.AF_INET6 if ":" in self._where[0] else socket.AF_INET
        self._server = type("_Server", (ThreadingHTTPServer,), {"address_family": family})(self._where, Handler)
        self.port = self._server.server_address[1]
        Thread(target=self._server.serve_forever, args=(0.1,), name="proxyless-probes", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, target: str, headers: dict[str, str], client: str) -> Answer:
        path = urlsplit(target).path
        if path == "/healthz/ready":
            if self._mesh.runtime.draining:
                return _text(503, "draining\n")
            return _text(200, "ready\n") if self._mesh.ready else _text(503, "no configuration yet\n")
        if path == DRAIN:
            return _text(405, "POST it\n")
        if path in ("/stats/prometheus", "/metrics"):
            from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest

            return 200, CONTENT_TYPE_LATEST, generate_latest(self._registry or REGISTRY)
        prober = self._probers.get(path)
        if prober is None:
            return _text(400 if path.startswith(("/app-health/", "/app-lifecycle/")) else 404, f"no probe at {path}\n")
        try:
            return self._probe(prober, headers, client)
        except Exception as error:  # of the app, the network, or what the app answers
            log.warning("probe %s: %s", path, str(error) or type(error).__name__)
            return _text(500, "")

    def _post(self, target: str, client: str) -> Answer:
        path = urlsplit(target).path
        if path != DRAIN:
            return _text(405 if path in self._probers else 404, f"nothing to post at {path}\n")
        if not ip_address(plain(client)).is_loopback:
            return _text(403, "only from this Pod\n")
        self._mesh.drain()
        return _text(200, "OK\n")

    def _probe(self, prober: Mapping[str, Any], headers: dict[str, str], client: str) -> Answer:
        timeout_s = float(prober.get("timeoutSeconds") or 1)
        if "tcpSocket" in prober:
            socket.create_connection(("127.0.0.1", prober["tcpSocket"]["port"]), timeout_s).close()
            return _text(200, "")
        if "grpc" in prober:
            return _text(*ask_health(prober["grpc"], timeout_s))
        said = prober["httpGet"]
        port, scheme = said["port"], str(said.get("scheme") or "HTTP").lower()
        host = urlsplit(f"//{headers.pop('Host', 'localhost')}").hostname or "localhost"
        bare = f"[{host}]" if ":" in host else host
        url = f"{scheme}://{bare}:{port}/{str(said.get('path') or '').removeprefix('/')}"
        for _ in range(MOST_REDIRECTS):
            parts = urlsplit(url)
            asked = {**headers, "Host": parts.netloc}
            if self._loop is not None and (parts.port or 80) == self._app_port:
                asking = asyncio.run_coroutine_threadsafe(self._ask_app(url, asked, client), self._loop)
                try:
                    status, location, body = asking.result(timeout_s)
                except TimeoutError:
                    asking.cancel()
                    raise TimeoutError(f"the app has not answered within {timeout_s:g} s") from None
            else:
                status, location, body = ask_http(url, asked, timeout_s)
            if not 300 <= status < 400:
                return status, "text/plain; charset=utf-8", body[:MOST_BODY]
            url = urljoin(url, location)
            if not location or urlsplit(url).hostname != host:
                return _text(200, "")  # as the kubelet sees it: elsewhere is well
        raise ValueError(f"more than {MOST_REDIRECTS} redirects")

    async def _ask_app(self, url: str, headers: dict[str, str], client: str) -> tuple[int, str, bytes]:
        parts = urlsplit(url)
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": parts.scheme,
            "path": unquote(parts.path),
            "raw_path": parts.path.encode(),
            "query_string": parts.query.encode(),
            "root_path": "",
            "headers": [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()],
            "client": (client, 0),
            "server": ("127.0.0.1", self._app_port),
        }
        status, location, body = 500, "", b""
        received = [{"type": "http.request", "body": b"", "more_body": False}]

        async def receive() -> Any:
            return received.pop() if received else await asyncio.Event().wait()

        async def send(message: Any) -> None:
            nonlocal status, location, body
            if message["type"] == "http.response.start":
                status = message["status"]
                found = {bytes(name).lower(): bytes(value) for name, value in message.get("headers", ())}
                location = found.get(b"location", b"").decode("latin-1")
            elif message["type"] == "http.response.body" and len(body) < MOST_BODY:
                body += message.get("body", b"")

        SERVED.set(PROBE)  # in the context of this task alone
        if self._app is not None:
            await self._app(scope, receive, send)
        return status, location, body


def _read(text: str) -> dict[str, Mapping[str, Any]]:
    try:
        found = json.loads(text) if text else {}
        for path, prober in found.items():
            [kind] = {"httpGet", "tcpSocket", "grpc"} & set(prober)
            if not PATH.fullmatch(path) or type(prober[kind]["port"]) is not int:
                raise ValueError(path)
    except (ValueError, AttributeError, TypeError, KeyError) as error:
        raise ConfigurationError(f"{VARIABLE}: not probes as Istio's injector writes them: {error}") from error
    return dict(found)


def _text(status: int, body: str) -> Answer:
    return status, "text/plain; charset=utf-8", body.encode()
