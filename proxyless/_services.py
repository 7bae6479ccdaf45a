"""What the decisions of a mesh ask: names of hosts, keys of tokens, and services.

What it needs for the last two is imported when the first one is asked.
"""

from __future__ import annotations

from functools import partial
from math import inf
from threading import Thread
from typing import TYPE_CHECKING
from weakref import ref

from .governance.actions import Failure, Service, Told
from .governance.dialled import OPTIONS
from .governance.runtime import Runtime
from .governance.sweeping import leads_somewhere
from .xds.model.ext_authz import HttpAuthorizer
from .xds.model.filters import GrpcTarget
from .xds.model.jwt import RemoteJwks
from .xds.transport.resolver import NameService

if TYPE_CHECKING:
    from .governance.services.grpc import Services
    from .governance.services.http import Connections


def give_services(runtime: Runtime) -> None:
    """Let the calls of a mesh ask what they have to."""
    runtime.resolver = NameService()
    runtime.dialled.ask = lambda host: Thread(target=_look_up, args=(runtime, host), daemon=True).start()
    made = _Made(runtime)
    runtime.rate_limiter, runtime.authorizer = made.rate_limiter, made.authorizer
    runtime.keys = KeySetsLater(ref(runtime))


class KeySetsLater:
    """Key sets of tokens are fetched by what is imported when the first one is."""

    def __init__(self, runtime: ref[Runtime]) -> None:
        self._runtime = runtime

    def ask(self, request: RemoteJwks, timeout_s: float) -> bytes | Failure:
        """The key set as it came."""
        from .governance.services.key_sets import KeySets

        return KeySets(self._runtime).ask(request, timeout_s)

    async def ask_async(self, request: RemoteJwks, timeout_s: float) -> bytes | Failure:
        """The same for a task."""
        from .governance.services.key_sets import KeySets

        return await KeySets(self._runtime).ask_async(request, timeout_s)


def look_up_at_once(runtime: Runtime) -> None:
    """For a command that ends soon: it waits for each name, and an answer stays the same until it ends. Where nobody
    answers the first time, nobody is asked again."""

    def ask(host: str) -> None:
        addresses = None if silent else NameService().ask((host, OPTIONS), OPTIONS.query_timeout_s)[0]
        if addresses is None:
            silent.append(host)
        runtime.dialled.answer(host, addresses, inf)

    silent: list[str] = []
    runtime.dialled.ask = ask


def _look_up(runtime: Runtime, host: str) -> None:
    addresses, ttl_s = None, None
    try:
        addresses, ttl_s = NameService().ask((host, OPTIONS), OPTIONS.query_timeout_s)
    finally:
        runtime.dialled.answer(host, addresses, ttl_s)
        runtime.changes.advance()


class _Made:
    """What is asked, made when the first one is."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._grpc: Services | None = None
        self._http: Connections | None = None

    def _services(self) -> Services:
        from .governance.services.grpc import Services

        if self._grpc is None:
            self._grpc = Services(self._runtime)
            self._runtime.on_reset, self._runtime.on_sweep = self._reset, self._sweep
        return self._grpc

    def _reset(self) -> None:
        if self._grpc is not None:
            self._grpc.close()
        if self._http is not None:
            self._http.close()

    def _sweep(self) -> None:
        leads = partial(leads_somewhere, self._runtime)
        if self._grpc is not None:
            self._grpc.links.sweep(leads)
        if self._http is not None:
            self._http.sweep(leads)

    def rate_limiter(self, target: GrpcTarget) -> Told:
        """A rate limit service."""
        from .governance.services.rate_limit import rate_limiter

        return rate_limiter(self._services(), target)

    def authorizer(self, target: GrpcTarget | HttpAuthorizer) -> Service:
        """An authorization service."""
        from .governance.services.authorization import authorizer
        from .governance.services.http import Connections

        services = self._services()
        if self._http is None:
            self._http = Connections(services.links)
        return authorizer(services, self._http, target)
