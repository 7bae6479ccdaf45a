"""The libraries whose clients `proxyless run` governs: their versions, and how each is patched (servers: `servers`).

A patch changes what a library's own classes do when they are made, so that it does not matter how a program has come
to them; objects that it has been given by a suite are left as they are. What it takes to govern is imported then.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import wraps
from importlib import import_module
from types import ModuleType
from typing import Any

from ..errors import ConfigurationError

Version = tuple[int, ...]

INCOMING = "incoming"
"""What all servers are called where libraries are left alone."""


def patch_transports(suite: str) -> Callable[[ModuleType], None]:
    """httpx and its fork: every transport, whoever makes it, with or without a client."""

    def patch(library: ModuleType) -> None:
        for kind in (library.HTTPTransport, library.AsyncHTTPTransport):
            kind.__init__ = _then_governed(kind.__init__, suite)

    return patch


def _then_governed(original: Callable[..., None], suite: str) -> Callable[..., None]:
    @wraps(original)
    def made(self: Any, *arguments: Any, **options: Any) -> None:
        original(self, *arguments, **options)
        import_module(f"proxyless.{suite}").govern(self)

    return made


def patch_managers(library: ModuleType) -> None:
    """urllib3, and what is built on it: every manager of pools, when it makes one, unless a suite has governed it."""
    original = library.PoolManager._new_pool

    @wraps(original)
    def new_pool(self: Any, *arguments: Any, **options: Any) -> Any:
        import_module("proxyless.urllib3").govern_own(self)
        return original(self, *arguments, **options)

    library.PoolManager._new_pool = new_pool


def patch_sessions(library: ModuleType) -> None:
    """aiohttp: every session, and the requests of one that bring middlewares in place of the session's."""
    kind = library.ClientSession
    original, request = kind.__init__, kind._request

    @wraps(original)
    def made(self: Any, *arguments: Any, **options: Any) -> None:
        original(self, *arguments, **options)
        import_module("proxyless.aiohttp").govern_own(self)

    @wraps(request)
    async def asked(self: Any, *arguments: Any, **options: Any) -> Any:
        own = options.get("middlewares")
        if own is not None:
            options["middlewares"] = import_module("proxyless.aiohttp").governing(self, own)
        return await request(self, *arguments, **options)

    kind.__init__, kind._request = made, asked


def patch_channels(library: ModuleType) -> None:
    """grpcio: every channel that a program asks for, unless it is proxyless that asks."""
    for module, suite in ((library, "grpc"), (library.aio, "grpc.aio")):
        for name in ("insecure_channel", "secure_channel"):
            setattr(module, name, _channels(getattr(module, name), suite))


def _channels(original: Callable[..., Any], suite: str) -> Callable[..., Any]:
    from inspect import signature  # costs too much for each interpreter

    from ..xds.model.own_channels import OWN_CHANNEL

    takes = signature(original)

    @wraps(original)
    def made(*arguments: Any, **options: Any) -> Any:
        asked = takes.bind(*arguments, **options).arguments
        asked["options"] = asked.get("options") or ()
        if OWN_CHANNEL in asked["options"] or asked.get("credentials", original) is None:
            return original(*arguments, **options)  # which does not take None for credentials
        return import_module(f"proxyless.{suite}").channel(**asked)

    return made


@dataclass(frozen=True, slots=True)
class Library:
    """A library by the name that it is imported by; `oldest` and `below` are the extra's bounds (pyproject.toml).

    `needs`: what else the extra brings. `distribution`, `module`: what is installed, and what of it is patched, where
    that has another name. `incoming`: it is a server, whose requests are governed; `mtls`: its socket takes the mesh's.
    """

    name: str
    oldest: Version
    below: Version | None
    patch: Callable[[ModuleType], None]
    needs: tuple[str, ...] = ()
    distribution: str = ""
    module: str = ""
    incoming: bool = False
    mtls: bool = False

    def wanted(self, skipped: Iterable[str]) -> bool:
        """Whether it is none of those that are left alone: libraries, or all that is incoming."""
        return self.name not in skipped and not (self.incoming and INCOMING in skipped)

    def version(self) -> str:
        """That of what is installed; empty without it."""
        from importlib.metadata import PackageNotFoundError, version  # costs too much for each interpreter

        try:
            return version(self.distribution or self.name)
        except PackageNotFoundError:
            return ""

    def unsupported(self) -> str:
        """What is wrong with what is installed, in one line; empty where nothing is."""
        text = self.version()
        if not text:
            return ""
        found = _numbers(text)
        if found >= self.oldest and (self.below is None or found < self.below):
            lacking = [each for each in self.needs if importlib.util.find_spec(each) is None]
            if not lacking:
                return ""
            wanted = f"pip install 'proxyless[{self.name}]' (or leave it alone: --skip {self.name})"
            return f"{self.name} {text} cannot be governed without {', '.join(lacking)}: {wanted}"
        wanted = f"{_text(self.oldest)} or newer" + (f", below {_text(self.below)}" if self.below is not None else "")
        return f"{self.name} {text} is not supported: {wanted} is (or leave it alone: --skip {self.name})"

    def patch_loaded(self, module: ModuleType) -> None:
        """The program has imported it.

        Raises:
            ConfigurationError: its version is not supported.
        """
        text = self.unsupported()
        if text:
            raise ConfigurationError(text)
        self.patch(module)


def of_package(name: str, module: str, package: str) -> Library:
    """A library that another package governs, with `patch` of a module (docs/extensions.md)."""

    def patch(library: ModuleType) -> None:
        where, _, attribute = module.partition(":")
        try:
            suite = import_module(where)
            (getattr(suite, attribute) if attribute else suite).patch(library)
        except Exception as error:
            said = f"proxyless.suites {name} = {module} of package {package} cannot govern it"
            raise ConfigurationError(f"{said}: {type(error).__name__}: {error}") from error

    return Library(name, (0,), None, patch)


def _numbers(text: str) -> Version:
    found: list[int] = []
    for part in text.split("."):
        digits = part[: next((at for at, each in enumerate(part) if not each.isdecimal()), len(part))]
        if not digits:
            break
        found.append(int(digits))
    return tuple(found)


def _text(numbers: Version) -> str:
    return ".".join(map(str, numbers))


LIBRARIES = (
    Library("httpx", (0, 27), (0, 29), patch_transports("httpx")),
    Library("httpx2", (2, 16), None, patch_transports("httpx2")),
    Library("urllib3", (2, 2), (3,), patch_managers, ("httpcore", "httptools")),
    Library("aiohttp", (3, 12, 15), (4,), patch_sessions),
    Library("grpc", (1, 62), None, patch_channels, distribution="grpcio"),
)
