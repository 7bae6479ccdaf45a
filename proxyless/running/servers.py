"""The servers whose incoming requests `proxyless run` governs: where each has an app in its hands, in the process that
serves it. There the app gets a layer of the suite, unless its program has given it one (`govern_own`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps
from importlib import import_module
from types import ModuleType
from typing import Any

from .libraries import Library

log = logging.getLogger("proxyless")

BLOCKING = frozenset(
    {
        "gunicorn.workers.sync.SyncWorker",
        "gunicorn.workers.gthread.ThreadWorker",
        "gunicorn.workers.base_async.AsyncWorker",
    }
)
"""gunicorn's workers that serve WSGI, the last one with greenlets."""
OWN_WAY = ("aiohttp.", "uvicorn.", "uvicorn_worker.")
"""Where workers are from that hand their app to a server which is governed itself."""


def governed(app: Any, suite: str) -> Any:
    """The app with a layer around it. What it takes is imported when an app is served."""
    return import_module(f"proxyless.{suite}").govern_own(app)


def patch_uvicorn(library: ModuleType) -> None:
    """What a configuration has loaded: an app of ASGI in the end, whatever it was. Then the server's process is there.

    Around uvicorn's own layers, so that whoever has connected is known by the address of the connection, as in Envoy.
    """
    original = library.Config.load

    @wraps(original)
    def load(self: Any) -> None:
        original(self)
        self.loaded_app = governed(self.loaded_app, "asgi")

    library.Config.load = load


def patch_workers(library: ModuleType) -> None:
    """gunicorn's workers of WSGI. An app that was loaded before the fork (`--preload`) is governed after it."""
    original = library.Worker.load_wsgi

    @wraps(original)
    def load(self: Any) -> None:
        original(self)
        kinds = [f"{each.__module__}.{each.__qualname__}" for each in type(self).__mro__]
        if not BLOCKING.isdisjoint(kinds):
            self.wsgi = governed(self.wsgi, "wsgi")
        elif not any(each.startswith(OWN_WAY) for each in kinds):
            log.warning("proxyless run: incoming requests of gunicorn's worker %s are not governed", kinds[0])

    library.Worker.load_wsgi = load


def patch_asgi_worker(library: ModuleType) -> None:
    """gunicorn's worker of ASGI, which loads apps in a way of its own."""
    original = library.ASGIWorker.load_wsgi

    @wraps(original)
    def load(self: Any) -> None:
        original(self)
        self.asgi = governed(self.asgi, "asgi")

    library.ASGIWorker.load_wsgi = load


def _holding(original: Callable[..., None], suite: str) -> Callable[..., None]:
    """What makes an object that has its app in `app`."""

    @wraps(original)
    def made(self: Any, *arguments: Any, **options: Any) -> None:
        original(self, *arguments, **options)
        self.app = governed(self.app, suite)

    return made


def patch_wrappers(library: ModuleType) -> None:
    """hypercorn: what it puts around an app of either kind, in each worker."""
    for kind, suite in ((library.ASGIWrapper, "asgi"), (library.WSGIWrapper, "wsgi")):
        kind.__init__ = _holding(kind.__init__, suite)


def patch_werkzeug(library: ModuleType) -> None:
    """werkzeug's development server, which `flask run` starts."""
    library.BaseWSGIServer.__init__ = _holding(library.BaseWSGIServer.__init__, "wsgi")


def patch_runner(library: ModuleType) -> None:
    """aiohttp: what serves an application, `web.run_app` and gunicorn's worker included."""
    original = library.AppRunner.setup

    @wraps(original)
    async def setup(self: Any) -> None:
        import_module("proxyless.aiohttp").govern_application(self.app)
        await original(self)

    library.AppRunner.setup = setup


SERVERS = (
    Library("uvicorn", (0, 30), None, patch_uvicorn, incoming=True),
    Library("gunicorn", (23,), None, patch_workers, module="gunicorn.workers.base", incoming=True),
    Library("gunicorn", (23,), None, patch_asgi_worker, module="gunicorn.workers.gasgi", incoming=True),
    Library("hypercorn", (0, 17), None, patch_wrappers, module="hypercorn.app_wrappers", incoming=True),
    Library("werkzeug", (3, 0), None, patch_werkzeug, module="werkzeug.serving", incoming=True),
    Library(
        "aiohttp.web",
        (3, 12, 15),
        (4,),
        patch_runner,
        distribution="aiohttp",
        module="aiohttp.web_runner",
        incoming=True,
    ),
)
