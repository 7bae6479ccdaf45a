"""Unary calls of gRPC services behind clusters: a POST with one message each way, and a status behind it.

Endpoints are chosen by the cluster's own balancing, count against its limits and are secured as it says; see `http2`
for why it is not grpcio that speaks. One set of connections serves threads and tasks alike.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Generic, TypeVar
from urllib.parse import unquote

from ...xds.model.filters import GrpcTarget
from ..actions import Asked, Failure
from ..cluster import ClusterRuntime
from ..framing import PREFIX, framed
from ..grpc_statuses import SNAKE, UNKNOWN, name_of, number_in, of_http
from ..headers import HeaderList
from ..outliers.matching import status_of, view_of
from ..plan import Missing
from ..runtime import Runtime
from .http2 import Begin, Exchange, Link, Reply, exchanged, exchanged_async
from .links import Links
from .reaching import Asking, asking, found, none, reached, reached_async

Q = TypeVar("Q")
A = TypeVar("A")


class StatusError(Exception):
    """The service answered with another status than OK."""


def request(
    scheme: str, authority: str, method: str, metadata: tuple[tuple[str, str], ...], timeout_s: float
) -> HeaderList:
    """The headers of a call, as Envoy sends them."""
    return [
        (b":method", b"POST"),
        (b":scheme", scheme.encode()),
        (b":authority", authority.encode()),
        (b":path", method.encode()),
        (b"te", b"trailers"),
        (b"content-type", b"application/grpc"),
        (b"grpc-timeout", b"%dm" % min(max(1, round(timeout_s * 1000)), 99_999_999)),
        *((name.lower().encode(), value.encode()) for name, value in metadata),
    ]


def message_of(reply: Reply) -> bytes:
    """The message of an answer.

    Raises:
        StatusError: there is none, and why.
    """
    pairs = [*reply.headers, *reply.trailers]
    said = next((value for name, value in pairs if name == b"grpc-status"), None)
    code = number_in(said)
    why = next((unquote(value.decode("latin-1")) for name, value in pairs if name == b"grpc-message"), "")
    if reply.status != 200 and (not code or reply.trailers):
        code, why = of_http(reply.status), f"the service answered {reply.status}"
    elif code is None:
        code, why = UNKNOWN, "the service said no status"
    if code:
        raise StatusError(f"{name_of(code, SNAKE)}: {why}")
    body, at, size = reply.body, 0, -1
    while at < len(body):
        size = int.from_bytes(body[at + 1 : at + PREFIX], "big")
        if body[at] or len(body) < at + PREFIX + size:
            raise StatusError("INTERNAL: the message is compressed, or cut")
        at += PREFIX + size
    if size < 0:
        raise StatusError("INTERNAL: there is no message")
    return body[at - size :] if size else b""


class Unary(Generic[Q, A]):
    """One method of a service behind a cluster; whatever goes wrong is a `Failure`."""

    __slots__ = ("_decode", "_encode", "_links", "_method", "_runtime", "_target", "_told")

    def __init__(
        self,
        runtime: Runtime,
        links: Links,
        target: GrpcTarget,
        method: str,
        encode: Callable[[Q], bytes],
        decode: Callable[[bytes], A],
    ) -> None:
        self._runtime = runtime
        self._links = links
        self._target = target
        self._method = method
        self._encode = encode
        self._decode = decode
        self._told: deque[tuple[float, Link, Exchange]] = deque()

    def ask(self, request: Q, timeout_s: float) -> A | Failure:
        """Its answer; blocks for no longer than the timeout, or while its endpoints are on their way."""
        self._forget()
        asked = self._asked(reached(self._runtime, self._target.cluster))
        if isinstance(asked, Failure):
            return self._count(asked)
        reply: Reply | Failure | None = None
        try:
            begin, headers, body, until = self._written(asked, request, timeout_s)
            reply = exchanged(begin, headers, body, until)
        finally:
            outcome = self._over(asked, reply)
        return outcome

    async def ask_async(self, request: Q, timeout_s: float) -> A | Failure:
        """The same for a task."""
        self._forget()
        asked = self._asked(await reached_async(self._runtime, self._target.cluster))
        if isinstance(asked, Failure):
            return self._count(asked)
        reply: Reply | Failure | None = None
        try:
            begin, headers, body, until = self._written(asked, request, timeout_s)
            reply = await exchanged_async(begin, headers, body, until)
        finally:
            outcome = self._over(asked, reply)
        return outcome

    def tell(self, request: Q, timeout_s: float) -> None:
        """Ask, and wait for no answer."""
        self._forget()
        cluster = found(self._runtime, self._target.cluster)
        if isinstance(cluster, Missing):
            return
        asked = self._asked(none(self._target.cluster) if cluster is None else cluster)
        if isinstance(asked, Failure):
            self._count(asked)
            return
        try:
            begin, headers, body, until = self._written(asked, request, timeout_s)
            exchange = Exchange(headers, body, lambda: self._over(asked, exchange.outcome))
        except BaseException:
            self._over(asked, None)
            raise
        self._told.append((until, begin(exchange), exchange))

    def _forget(self) -> None:
        """Those who were told and have not answered in time. They count against the limits until then."""
        told, now = self._told, monotonic()
        while told:
            try:
                until, link, exchange = told.popleft()
            except IndexError:  # another thread was first
                return
            if exchange.outcome is None and until >= now:
                told.appendleft((until, link, exchange))
                return
            link.cancel(exchange)
            exchange.finish(Failure("timeout", "no answer in time"))

    def _asked(self, cluster: ClusterRuntime | Failure) -> Asking | Failure:
        return cluster if isinstance(cluster, Failure) else asking(self._runtime, cluster)

    def _written(self, asked: Asking, query: Q, timeout_s: float) -> tuple[Begin, HeaderList, bytes, float]:
        """How the question begins, what it is, and until when it may take."""
        authority = self._target.authority or self._target.cluster
        scheme = "https" if asked.host.must_be_secure else "http"
        headers = request(scheme, authority, self._method, self._target.metadata, timeout_s)
        begin = self._links.begin(self._runtime, asked, authority)
        return begin, headers, framed(self._encode(query)), monotonic() + timeout_s

    def _over(self, asked: Asking, reply: Reply | Failure | None) -> A | Failure:
        asked.end()
        if reply is None:
            return Failure("reset", "nobody waits for the answer")
        if isinstance(reply, Failure):
            asked.report("timeout" if reply.kind == "timeout" else "connect-failed")
            return self._count(reply)
        seen = view_of(reply.status, reply.headers)
        asked.answered(status_of(seen, is_grpc=True, is_error=asked.cluster.is_error))
        try:
            return self._count(self._decode(message_of(reply)))
        except Exception as error:  # whatever it was: the filter says what becomes of the request
            return self._count(Failure("reset", str(error) or type(error).__name__, error))

    def _count(self, outcome: A | Failure) -> A | Failure:
        asked, key = self._runtime.asked, (self._target.cluster, self._method.lstrip("/"))
        counts = asked.get(key)
        if counts is None:
            counts = asked.setdefault(key, Asked())
        counts.count(outcome)
        return outcome


class Services:
    """What the filters of one mesh ask."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.links = Links()

    def unary(
        self, target: GrpcTarget, method: str, encode: Callable[[Q], bytes], decode: Callable[[bytes], A]
    ) -> Unary[Q, A]:
        """A method of a service."""
        return Unary(self.runtime, self.links, target, method, encode, decode)

    def close(self) -> None:
        """Close the connections; questions that come later open new ones."""
        self.links.close()
