"""The urllib3 suite: pools that govern in place of the library's connections.

They are urllib3's own pools with other means in `_make_request`: `urlopen`, its retries, redirects and whatever hooks
into them (OpenTelemetry) work as before. A governed request goes over a connection of the mesh to the endpoint that was
picked; one that the mesh does not govern (passthrough, TLS, TCP) takes a pool of the library's own classes, with its
proxy and its trust. requests is built on urllib3: its suite hands these pools to its adapter.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, lru_cache, partial
from http.client import RemoteDisconnected
from typing import TYPE_CHECKING, Any

import httpcore
import urllib3
from urllib3._collections import HTTPHeaderDict
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import (
    ClosedPoolError,
    ConnectTimeoutError,
    NewConnectionError,
    ProtocolError,
    ReadTimeoutError,
)
from urllib3.util import Retry, Timeout, parse_url

from ..actions import Deliver
from ..composition.compose import Policies
from ..driver import drive
from ..passing import TcpRoute
from ..replies import LocalReply
from ..request import RawHeaders, RequestView
from ..runtime import Runtime
from ._exchange import Exchange, PoolBase
from ._http1 import Light
from ._message import Request, Url
from ._sync import PERFORM, GovernedPool
from ._tcp import TcpBackend
from ._underway import DEFAULT_PORTS, ErrorMode
from ._urllib3_dialling import dialling
from ._urllib3_lease import Lease, Passed
from ._urllib3_request import body_of, headers_of
from ._urllib3_response import Awaited, Readable

LIBRARY = Light()
"""One for all pools, requests' too: they share the connections of a mesh."""

BLOCK_BYTES = 16384
TRUST = (
    "assert_fingerprint",
    "assert_hostname",
    "ca_cert_dir",
    "ca_certs",
    "cert_file",
    "cert_reqs",
    "key_file",
    "key_password",
)
OWN_OF_PROXIES = ("_proxy", "_proxy_headers", "_proxy_config", "_socks_options")


class GaveUpError(Exception):
    """`errors="raise"`: the mesh has given up."""

    def __init__(self, flag: str, text: str) -> None:
        super().__init__(text)
        self._flag = flag

    def of(self, pool: Any, conn: Any, url: str) -> Exception:
        """urllib3's own exception for it."""
        text = str(self)
        if self._flag == "UF":
            return NewConnectionError(conn, text)
        if self._flag == "UT":
            return ReadTimeoutError(pool, url, text)
        return ProtocolError("Connection aborted.", RemoteDisconnected(text))


class PooledRequest(Request):
    """A request of one of the pools; `own` sends it by the library's own means."""

    __slots__ = ("own",)

    own: Any


class Governance(GovernedPool):
    """What governs the pools of one manager."""

    def __init__(self, runtime: Runtime, errors: ErrorMode, policies: Policies | None = None) -> None:
        PoolBase.__init__(self, runtime, None, LIBRARY, errors, policies)
        self._backend = httpcore.SyncBackend()
        self._ungoverned: Any = self

    def raise_for(self, reply: LocalReply) -> None:
        try:
            super().raise_for(reply)
        except httpcore.ConnectError as error:
            raise GaveUpError("UF", str(error)) from None
        except httpcore.RemoteProtocolError as error:
            raise GaveUpError("UC", str(error)) from None
        except httpcore.ReadTimeout as error:
            raise GaveUpError("UT", str(error)) from None

    def handle_request(self, request: PooledRequest, route: TcpRoute | None = None) -> Any:
        """Send a request that is not governed (Bypass)."""
        return request.own(route)

    def backend(self, route: TcpRoute) -> TcpBackend:
        """What connects to the endpoints of a TCP cluster."""
        return TcpBackend(self.runtime.plan.cluster, LIBRARY, route, self.runtime, self._backend)


class CallerTimeouts(dict[str, float | None]):
    """A caller's timeouts with a `total`: what it leaves for reading is known when it is asked for."""

    __slots__ = ("_timeout",)

    def __init__(self, timeout: Timeout, **known: float | None) -> None:
        super().__init__(known)
        self._timeout = timeout

    def get(self, key: str, default: Any = None) -> Any:
        """As of a dictionary."""
        if key != "read":
            return super().get(key, default)
        return Timeout.resolve_default_timeout(self._timeout.read_timeout)


def timeouts_of(timeout: Timeout) -> dict[str, float | None]:
    """The caller's timeouts as httpcore names them."""
    connect_s = Timeout.resolve_default_timeout(timeout.connect_timeout)
    if timeout.total is None:
        return {"connect": connect_s, "write": connect_s, "read": timeout.read_timeout}
    return CallerTimeouts(timeout, connect=connect_s, write=connect_s)


class _Governed(HTTPConnectionPool if TYPE_CHECKING else object):  # type: ignore[misc]
    """Mixed into a pool class of urllib3's (`plain`)."""

    def __init__(self, governance: Governance, plain: Any, host: str, port: int | None = None, **options: Any) -> None:
        super().__init__(host, port, **options)
        self._governance = governance
        self._plain = plain
        self._options = options
        self._own: dict[Any, Any] = {}

    def close(self) -> None:
        """Close what is this pool's; the connections of the mesh stay."""
        super().close()
        own, self._own = self._own, {}
        for pool in own.values():
            pool.close()

    def _get_conn(self: Any, timeout: float | None = None) -> Lease:
        if self.pool is None:
            raise ClosedPoolError(self, "Pool is closed.")
        return Lease(self, timeout)

    def _put_conn(self, conn: Lease | None) -> None:
        if conn is not None:
            conn.give_back()

    def _make_request(
        self: Any,
        conn: Lease,
        method: str,
        url: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        retries: Retry | None = None,
        timeout: Any = None,
        chunked: bool = False,
        response_conn: Lease | None = None,
        **options: Any,
    ) -> Any:
        """Govern one request, in place of a connection of the library's."""
        self.num_requests += 1
        if type(timeout) is not Timeout:  # `urlopen` has made one for this try
            timeout = self._get_timeout(timeout)
        timeout.start_connect()
        scheme, host, port, target = self._where(url)

        def own(route: TcpRoute | None) -> Passed:
            more = {"body": body, "headers": headers, "retries": retries, "timeout": timeout, "chunked": chunked}
            pool = self._pool_for(route, scheme, host, port)
            at = target
            sent_url = url
            if streamed and request.stream is not chunks:
                more["body"] = request.stream  # somebody has read it
            if exchange.call.passage is not None and (changed := exchange.call.passage.sent) is not None:
                # A policy of the user's has changed it.
                more["headers"] = own_headers(changed)
                at = changed.path.decode("latin-1")
                sent_url = at if url.startswith("/") else url.removesuffix(target) + at
            elif exchange.call.told:
                more["headers"] = told_headers(headers or {}, exchange.call.told)
            try:
                sent = (method, sent_url if route is None else at)
                return conn.pass_on(pool, scheme, sent, {**more, "response_conn": response_conn, **options})
            except NewConnectionError as error:
                hint = exchange.unreached(getattr(error.__cause__, "flag", "UF"))
                if hint:
                    error.args = (f"{error} {hint}",)
                raise

        chunks, length = body_of(body, method, self.conn_kw.get("blocksize", BLOCK_BYTES))
        streamed = not chunks.at_hand
        scheme_sent, host_sent, authority = _origin(scheme, host, port)
        request = PooledRequest(
            method.encode("ascii"),
            Url(scheme_sent, host_sent, port, target.encode("latin-1")),
            headers_of(headers or {}, authority, length, streamed, chunked, self.proxy_headers),
            chunks,
            timeouts_of(timeout),
        )
        request.own = own
        awaited = Awaited(method, url, options)
        request.extensions["sent"] = awaited.prepare
        exchange = Exchange(self._governance, request)
        try:
            outcome = drive(exchange.machine, PERFORM, exchange)
            if not isinstance(outcome, Deliver):
                core = exchange.local(outcome)
                fp = Readable.of_reply(core.stream, exchange.machine, exchange.call, LIBRARY)
            elif type(outcome.head.handle) is Passed:
                response = outcome.head.handle.response
                conn.watch(exchange.machine)
                response._pool = self
                if exchange.call.passage is not None:
                    pairs = outcome.head.headers
                    response.headers = HTTPHeaderDict([(n.decode("latin-1"), v.decode("latin-1")) for n, v in pairs])
                return response
            else:
                core = exchange.respond(outcome, Readable)
                fp = core.stream
        except httpcore.ConnectTimeout as error:
            text = f"Connection to {host} timed out. (connect timeout={timeout.connect_timeout}): {error}"
            raise final(ConnectTimeoutError(conn, text), self, method, url, retries) from error
        except httpcore.ReadTimeout as error:
            raise ReadTimeoutError(self, url, f"Read timed out. (read timeout={timeout.read_timeout})") from error
        except httpcore.WriteTimeout as error:
            raise TimeoutError(str(error)) from error
        except httpcore.LocalProtocolError as error:
            raise ValueError(str(error)) from error
        except GaveUpError as error:
            raise final(error.of(self, conn, url), self, method, url, retries) from error
        finally:
            request.own = None  # it knows the exchange: both, and this pool, would stay until a collection
        made = awaited.filled(core, fp, exchange.call)
        made.retries = retries
        made._pool = self
        return made

    def _where(self: Any, url: str) -> tuple[str, str, int, str]:
        """(scheme, host, port, target); a whole URL comes where there is a proxy for what the mesh does not govern."""
        if url.startswith("/"):
            return self.scheme, self.host, self.port or DEFAULT_PORTS[self.scheme.encode()], url
        parsed = parse_url(url)
        scheme = parsed.scheme or self.scheme
        host = (parsed.host or self.host).strip("[]")
        return scheme, host, parsed.port or DEFAULT_PORTS[scheme.encode()], parsed.request_uri

    def _pool_for(self: Any, route: TcpRoute | None, scheme: str, host: str, port: int) -> Any:
        """The library's own pool: for the name, or for the endpoints of a TCP cluster."""
        key = route if route is None else (route, scheme, host, port)
        pool = self._own.get(key)
        if pool is None:
            if route is None:
                pool = self._plain(self.host, self.port, **self._options)
            else:
                options = {name: value for name, value in self._options.items() if name not in OWN_OF_PROXIES}
                secure = scheme == "https"
                pool = (HTTPSConnectionPool if secure else HTTPConnectionPool)(host, port, **options)
                base = HTTPSConnection if secure else HTTPConnection
                pool.ConnectionCls = dialling(base, self._governance.backend(route))
            pool = self._own.setdefault(key, pool)
        for name in TRUST:  # which requests sets from call to call
            if hasattr(self, name):
                setattr(pool, name, getattr(self, name))
        return pool


def final(error: Exception, pool: Any, method: str, url: str, retries: Retry | None) -> Exception:
    """What to raise for a failure that the mesh has retried itself, as far as it is told to.

    urllib3's default would try three times more. A `Retry` that the caller has made is heard; without one the error is
    what urllib3 raises when no tries are left.
    """
    if retries is None or not _is_default(retries):
        return error
    try:
        Retry(0).increment(method, url, error=error, _pool=pool)
    except Exception as told:
        return told
    return error


def _is_default(retries: Retry) -> bool:
    default = Retry.DEFAULT
    if retries is default:
        return True
    tried = len(retries.history)  # the redirects before this one
    left = None if default.total is None else int(default.total) - tried
    return bool(tried) and retries.total == left and retries.connect is None


@lru_cache(1024)
def _origin(scheme: str, host: str, port: int) -> tuple[bytes, bytes, bytes]:
    """Scheme and host as they are sent, and the Host header."""
    name = f"[{host}]" if ":" in host else host
    authority = name if port == DEFAULT_PORTS[scheme.encode()] else f"{name}:{port}"
    return scheme.encode(), host.encode("latin-1"), authority.encode("ascii" if host.isascii() else "idna")


def own_headers(request: RequestView) -> dict[str, str]:
    """The headers of a request as urllib3 takes them; it frames the body itself."""
    found: dict[str, str] = {"Host": request.authority.decode("latin-1")}
    for name, value in request.raw_headers:
        key = name.decode("latin-1")
        if key.lower() not in ("host", "content-length", "transfer-encoding"):
            found[key] = f"{found[key]}, {value.decode('latin-1')}" if key in found else value.decode("latin-1")
    return found


def told_headers(headers: Mapping[str, str], told: RawHeaders) -> HTTPHeaderDict:
    """The program's own, with what is added to them in the place of any of the same names."""
    found = HTTPHeaderDict(headers)
    for name, value in told:
        found[name.decode("latin-1")] = value.decode("latin-1")
    return found


@cache
def _governed(plain: Any) -> Any:
    return type(f"Governed{plain.__name__}", (_Governed, plain), {"__doc__": plain.__doc__})


def governs(manager: urllib3.PoolManager) -> bool:
    """Whether a manager makes governed pools."""
    return any(isinstance(each, partial) for each in manager.pool_classes_by_scheme.values())


def govern(
    manager: urllib3.PoolManager, runtime: Runtime | None, errors: ErrorMode, policies: Policies | None = None
) -> None:
    """Have a manager make governed pools; None leaves it as it is."""
    if runtime is None:
        return
    governance = Governance(runtime, errors, policies)
    classes: dict[str, Any] = dict(manager.pool_classes_by_scheme)
    manager.pool_classes_by_scheme = {
        scheme: partial(_governed(plain), governance, plain)  # type: ignore[misc]  # called like a class
        for scheme, plain in classes.items()
    }
