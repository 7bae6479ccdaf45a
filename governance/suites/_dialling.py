"""Connections to the endpoints of a TCP cluster, dialled by whatever opens them: an endpoint, its thresholds, its TLS,
and further tries, as often as the proxy says."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from time import monotonic
from typing import Any, Protocol

from ..balancing.host import Host
from ..cluster import ClusterRuntime
from ..composition.connections import connect_under, not_tried_again, proxy_under
from ..passing import Life, TcpRoute, pauses, wishes
from ..plan import Missing
from ..runtime import Runtime
from ..securing import InsecureError, plain_securing
from ..tcp import TcpConnection, choose
from ._steps import Step, Steps, closing, open_connection, secured


class Errors(Protocol):
    """What a library raises where a connection cannot be made."""

    @property
    def connect_error(self) -> type[Exception]: ...

    @property
    def connect_timeout(self) -> type[Exception]: ...


Find = Callable[[str], ClusterRuntime | Missing | None]


class Dialling:
    """Dials for one route. `inner` is what opens connections: httpcore's NetworkBackend, or what looks like it."""

    def __init__(self, find: Find, library: Errors, route: TcpRoute, runtime: Runtime, inner: Any) -> None:
        self._find = find
        self._library = library
        self._route = route
        self._runtime = runtime
        self._proxy = route.proxy if runtime.policies is None else proxy_under(runtime.policies, route.proxy)
        self._wishes = wishes(route.proxy, runtime.options.workload.address)
        self._inner = inner

    def _connect(
        self, dialled: str, port: int, timeout: float | None
    ) -> tuple[TcpConnection, Host, float, dict[str, Any]]:
        """An endpoint for a new connection; as behind a sidecar, no endpoint means a connection that fails."""
        name = self._route.cluster
        found = self._find(name)
        host = None
        if isinstance(found, ClusterRuntime):
            host = self._dialled(found, dialled, port) if found.original_dst else choose(found, self._wishes)
        if not isinstance(found, ClusterRuntime) or host is None:
            raise self._refused("UH", f"cluster {name} has no healthy endpoint")
        if host.must_be_secure and (self._runtime.tls is None or host.socket.unsupported):
            raise self._refused("UF", host.why_not(name))
        found = found.of(host)
        held = connect_under(self._runtime, found, host)
        if held is None:
            raise self._refused("UO", f"cluster {name} has as many connections as it may have")
        limit = found.config.connect_timeout_s
        own = {"socket_options": found.socket_options} if found.socket_options else {}
        return held, host, limit if timeout is None else min(timeout, limit), own

    def _dialled(self, cluster: ClusterRuntime, name: str, port: int) -> Host:
        """The endpoint of an ORIGINAL_DST cluster; the system resolves a name that the mesh does not know."""
        return cluster.dialled(self._runtime.plan.resolve(name)[0] or name.strip("[]"), port)

    def steps(
        self, name: str, port: int, timeout: float | None, options: dict[str, Any]
    ) -> Steps[tuple[Any, TcpConnection]]:
        """A connection to an endpoint, as often as the proxy says: what was opened, and what counts it."""
        left_s, until = timeout, None if timeout is None else monotonic() + timeout
        failed: BaseException | None = None
        for pause_s in chain((0.0,), pauses(self._proxy, self._runtime.uniform)):
            if failed is not None and until is not None:
                left_s = until - monotonic() - pause_s
                if left_s <= 0:
                    break
            if pause_s:
                yield _sleep(pause_s)
            held, host, limit, own = self._connect(name, port, left_s)
            address, secure = host.endpoint.address, plain_securing(host)
            stream: Any = None
            try:
                began = monotonic()
                stream = yield open_connection(address, address.port, limit, {**options, **own})
                if secure is not None:
                    left = limit - (monotonic() - began)
                    stream = yield secured(stream, self._runtime, secure, host.address, left)
            except (InsecureError, self._library.connect_error) as error:
                told: BaseException = error
                if stream is not None:
                    where = f"cluster {self._route.cluster}, endpoint {host.address}"
                    told = self._refused("UF", f"{where}: {error}")
                    if isinstance(error, InsecureError):
                        yield closing(stream)
                self._failed(held, told, left_s, limit)
                failed = told
                continue
            except BaseException as error:
                self._failed(held, error, left_s, limit)
                failed = error
                continue
            held.report("connected-finally")
            return stream, held
        not_tried_again(self._runtime, self._route)
        raise failed or self._library.connect_timeout("timed out")

    def life(self) -> Life:
        """How long a connection that was made may last."""
        return Life(self._proxy, self._runtime.clock, self._runtime.uniform)

    def _failed(self, held: TcpConnection, error: BaseException, timeout: float | None, limit: float) -> None:
        """A caller that is less patient than the cluster says nothing of the endpoint. What is no failure to connect is
        raised again."""
        held.end()
        if isinstance(error, self._library.connect_timeout):
            if timeout is None or timeout > limit:
                held.report("timeout")
        elif isinstance(error, self._library.connect_error):
            held.report("connect-failed")
        else:
            raise error

    def _refused(self, flag: str, reason: str) -> Exception:
        error: Exception = self._library.connect_error(f"{flag}: {reason}")
        error.flag = flag  # type: ignore[attr-defined]  # for the suite
        return error


def _sleep(seconds: float) -> Step:
    return lambda backend: backend.sleep(seconds)
