"""The servers whose incoming requests `proxyless run` governs: where each has an app in its hands, in the process that
serves it. There the app gets a layer of the suite, unless its program has given it one (`govern_own`).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps
from importlib import import_module
from types import ModuleType
from typing import Any

from ..errors import UnsupportedError
from .libraries import Library
from .sockets import around, context, left_alone, number, port_of, skipped

GREENLETS = "gunicorn.workers.base_async.AsyncWorker"
BLOCKING = frozenset(
    {
        "gunicorn.workers.sync.SyncWorker",
        "gunicorn.workers.gthread.ThreadWorker",
        GREENLETS,
    }
)
"""gunicorn's workers that serve WSGI."""
OWN_WAY = ("aiohttp.", "uvicorn.", "uvicorn_worker.")
"""Where workers are from that hand their app to a server which is governed itself."""


def governed(app: Any, suite: str) -> Any:
    """The app with a layer around it. What it takes is imported when an app is served."""
    return import_module(f"proxyless.{suite}").govern_own(app)


def _refusal(what: str, server: str) -> UnsupportedError:
    """Of what would let in requests that nobody decides about."""
    return UnsupportedError(f"incoming requests of {what} cannot be governed (or leave them alone: --skip {server})")


def patch_uvicorn(library: ModuleType) -> None:
    """What a configuration has loaded: an app of ASGI in the end, whatever it was. Then the server's process is there.

    Around uvicorn's own layers, so that whoever has connected is known by the address of the connection, as in Envoy.
    """
    original, startup = library.Config.load, library.Server.startup

    @wraps(original)
    def load(self: Any) -> None:
        original(self)
        loaded = self.loaded_app
        self.loaded_app = governed(loaded, "asgi")
        self.proxyless_governs = self.loaded_app is not loaded

    @wraps(startup)
    async def begun(self: Any, sockets: list[Any] | None = None) -> None:
        config = self.config
        own = config.ssl
        if config.proxyless_governs:
            if own is not None:
                left_alone("uvicorn")
            else:
                config.ssl = context("uvicorn", ports_of(config, sockets))
        try:
            await startup(self, sockets=sockets)
        finally:
            config.ssl = own

    library.Config.load, library.Server.startup = load, begun


def ports_of(config: Any, sockets: list[Any] | None) -> list[int]:
    """Where uvicorn is about to listen."""
    if sockets is not None:
        return [port_of(each) for each in sockets]
    if config.fd is not None:
        from socket import socket  # costs too much for each interpreter

        with socket(fileno=os.dup(config.fd)) as given:
            return [port_of(given)]
    return [] if config.uds is not None else [number(config.port)]


def patch_workers(library: ModuleType) -> None:
    """gunicorn's workers of WSGI. An app that was loaded before the fork (`--preload`) is governed after it."""
    original = library.Worker.load_wsgi

    @wraps(original)
    def load(self: Any) -> None:
        original(self)
        kinds = [f"{each.__module__}.{each.__qualname__}" for each in type(self).__mro__]
        if not BLOCKING.isdisjoint(kinds):
            loaded = self.wsgi
            self.wsgi = governed(loaded, "wsgi")
            if self.wsgi is not loaded:
                _secure(self, greenlets=GREENLETS in kinds)
        elif not any(each.startswith(OWN_WAY) for each in kinds):
            raise _refusal(f"gunicorn's worker {kinds[0]}", "gunicorn")

    library.Worker.load_wsgi = load


def _secure(worker: Any, *, greenlets: bool) -> None:
    """The sockets of a worker whose app has been governed, now that it is a process of its own.

    gunicorn is not told of TLS: it would say of every request that it came by it, in the clear and by Unix sockets too.
    """
    if greenlets:
        left_alone("gunicorn", "serves by greenlets")
    elif worker.cfg.is_ssl:
        left_alone("gunicorn")
    elif not skipped():
        for each in worker.sockets:
            each.sock = around("gunicorn", each.sock)
        worker.cfg.set("pre_request", import_module("proxyless.tls").telling(worker.cfg.pre_request))


def patch_asgi_worker(library: ModuleType) -> None:
    """gunicorn's worker of ASGI, which loads apps in a way of its own."""
    original = library.ASGIWorker.load_wsgi

    @wraps(original)
    def load(self: Any) -> None:
        original(self)
        loaded = self.asgi
        self.asgi = governed(loaded, "asgi")
        if self.asgi is not loaded:
            left_alone("gunicorn", "serves ASGI by a worker of its own")

    library.ASGIWorker.load_wsgi = load


def _holding(original: Callable[..., None], suite: str) -> Callable[..., None]:
    """What makes an object that has its app in `app`. `proxyless_governs`: whether that has got a layer."""

    @wraps(original)
    def made(self: Any, *arguments: Any, **options: Any) -> None:
        original(self, *arguments, **options)
        given = self.app
        self.app = governed(given, suite)
        self.proxyless_governs = self.app is not given

    return made


def patch_wrappers(library: ModuleType) -> None:
    """hypercorn: what it puts around an app of either kind, in each worker."""
    for kind, suite in ((library.ASGIWrapper, "asgi"), (library.WSGIWrapper, "wsgi")):
        kind.__init__ = _holding(kind.__init__, suite)


def patch_hypercorn(library: Any) -> None:
    """hypercorn's workers on asyncio and uvloop."""
    original = library.worker_serve

    @wraps(original)
    async def serve(app: Any, config: Any, *, sockets: Any = None, **options: Any) -> None:
        if app.proxyless_governs:
            if config.ssl_enabled:
                left_alone("hypercorn")
            elif type(app).__name__ == "WSGIWrapper":
                left_alone("hypercorn", "serves WSGI by threads that are not told of a connection")
            else:
                config, sockets = _secured(config, sockets if sockets is not None else config.create_sockets())
        await original(app, config, sockets=sockets, **options)

    library.worker_serve = serve


def _secured(config: Any, sockets: Any) -> tuple[Any, Any]:
    """What hypercorn serves by, with its sockets among those that speak TLS."""
    made = context("hypercorn", map(port_of, sockets.insecure_sockets), config.alpn_protocols)
    if made is None:
        return config, sockets
    own = import_module("proxyless.tls").secured(config, lambda _: made)
    return own, type(sockets)(sockets.insecure_sockets, [], sockets.quic_sockets)


def patch_werkzeug(library: ModuleType) -> None:
    """werkzeug's development server, which `flask run` starts. What it says of TLS stays as it is without."""
    original = _holding(library.BaseWSGIServer.__init__, "wsgi")

    @wraps(original)
    def made(self: Any, *arguments: Any, **options: Any) -> None:
        original(self, *arguments, **options)
        if self.proxyless_governs:
            if self.ssl_context is not None:
                left_alone("werkzeug")
            else:
                self.socket = around("werkzeug", self.socket)

    library.BaseWSGIServer.__init__ = made


def patch_runner(library: ModuleType) -> None:
    """aiohttp: what serves an application, `web.run_app` and gunicorn's worker included."""
    original = library.AppRunner.setup

    @wraps(original)
    async def setup(self: Any) -> None:
        import_module("proxyless.aiohttp").govern_application(self.app)
        await original(self)

    library.AppRunner.setup = setup
    library.TCPSite.start = _site(library.TCPSite.start, lambda site: number(site._port))
    library.SockSite.start = _site(library.SockSite.start, lambda site: port_of(site._sock))


def _site(original: Callable[..., Any], port: Callable[[Any], int]) -> Callable[..., Any]:
    """What makes a site listen. Its name does not tell of the context."""

    @wraps(original)
    async def start(self: Any) -> None:
        own = self._ssl_context
        if import_module("proxyless.aiohttp").is_governed_by_run(getattr(self._runner, "app", None)):
            if own is not None:
                left_alone("aiohttp.web")
            else:
                self._ssl_context = context("aiohttp.web", [port(self)])
        try:
            await original(self)
        finally:
            self._ssl_context = own

    return start


def patch_granian(suite: str) -> Callable[[ModuleType], None]:
    """What its workers, processes or threads, call for a request."""

    def patch(library: Any) -> None:
        original = library._callback_wrapper

        @wraps(original)
        def wrapped(callback: Any, *arguments: Any, **options: Any) -> Any:
            return original(governed(callback, suite), *arguments, **options)

        library._callback_wrapper = wrapped

    return patch


def patch_rsgi(library: Any) -> None:
    """Apps of granian's own interface, for which there is no suite."""

    def refused(*arguments: Any, **options: Any) -> Any:
        del arguments, options
        raise _refusal("an app of RSGI", "granian")

    library._callback_wrapper = refused


def patch_waitress(library: ModuleType) -> None:
    """The server of each address. waitress's own layer hides what is in it: the app is taken before."""
    original = library.BaseWSGIServer.__init__

    @wraps(original)
    def made(self: Any, application: Any, *arguments: Any, **options: Any) -> None:
        original(self, governed(application, "wsgi"), *arguments, **options)

    library.BaseWSGIServer.__init__ = made


def patch_grpc(library: Any) -> None:
    """grpcio's servers, in threads and on an event loop, unless a program governs one, or gRPC does by `xds=True`."""
    for module, suite in ((library, "grpc"), (library.aio, "grpc.aio")):
        module.server = _intercepted(module.server, suite)


def _intercepted(original: Callable[..., Any], suite: str) -> Callable[..., Any]:
    from inspect import signature  # costs too much for each interpreter

    from ..xds.model.own_channels import OWN_CHANNEL

    takes = signature(original)

    @wraps(original)
    def made(*arguments: Any, **options: Any) -> Any:
        asked = takes.bind(*arguments, **options).arguments
        own = tuple(asked.get("interceptors") or ())
        if asked.get("xds") or OWN_CHANNEL in (asked.get("options") or ()) or _governed_by(own):
            return original(*arguments, **options)
        interceptor = import_module(f"proxyless.{suite}").govern_own()
        server = original(**{**asked, "interceptors": (interceptor, *own)})
        for name in ("add_insecure_port", "add_secure_port"):
            setattr(server, name, _telling(getattr(server, name), interceptor))
        return server

    return made


def _governed_by(interceptors: tuple[Any, ...]) -> bool:
    from ..governance.suites._layers import Governs

    return any(isinstance(each, Governs) for each in interceptors)


def _telling(original: Callable[..., int], interceptor: Any) -> Callable[..., int]:
    """What adds a port to a server, and tells the interceptor of it."""

    @wraps(original)
    def added(address: str, *arguments: Any, **options: Any) -> int:
        port = original(address, *arguments, **options)
        if not address.startswith("unix"):
            if interceptor.port not in (0, port):
                raise UnsupportedError(
                    f"a gRPC server at ports {interceptor.port} and {port}: grpcio does not tell at which of them a "
                    "call has come, so nobody knows its policies: make two servers, or proxyless run --skip grpc.server"
                )
            interceptor.port = port
        return port

    return added


SERVERS = (
    Library("uvicorn", (0, 30), None, patch_uvicorn, incoming=True, mtls=True),
    Library("gunicorn", (23,), None, patch_workers, module="gunicorn.workers.base", incoming=True, mtls=True),
    Library("gunicorn", (23,), None, patch_asgi_worker, module="gunicorn.workers.gasgi", incoming=True),
    Library("hypercorn", (0, 17), None, patch_wrappers, module="hypercorn.app_wrappers", incoming=True),
    Library("hypercorn", (0, 17), None, patch_hypercorn, module="hypercorn.asyncio.run", incoming=True, mtls=True),
    Library("werkzeug", (3, 0), None, patch_werkzeug, module="werkzeug.serving", incoming=True, mtls=True),
    Library(
        "aiohttp.web",
        (3, 12, 15),
        (4,),
        patch_runner,
        distribution="aiohttp",
        module="aiohttp.web_runner",
        incoming=True,
        mtls=True,
    ),
    Library("granian", (2, 0), None, patch_granian("asgi"), module="granian.asgi", incoming=True),
    Library("granian", (2, 0), None, patch_granian("wsgi"), module="granian.wsgi", incoming=True),
    Library("granian", (2, 0), None, patch_rsgi, module="granian.rsgi", incoming=True),
    Library("waitress", (3, 0), None, patch_waitress, module="waitress.server", incoming=True),
    Library("grpc.server", (1, 62), None, patch_grpc, distribution="grpcio", module="grpc", incoming=True),
)
