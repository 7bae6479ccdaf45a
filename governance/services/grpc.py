"""Asking a gRPC service behind a cluster: an endpoint by the cluster's own balancing, one channel for each.

One set of channels serves threads and tasks alike: a call is a future of grpcio's, which a thread waits for and a task
is woken by. Channels are made when they are needed, go when a cluster no longer has their endpoint, and belong to one
process: a forked child starts anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any, Generic, TypeVar

import grpc

from ...xds.model.filters import GrpcTarget
from ..actions import Asked, Failure
from ..balancing.context import ANY
from ..cluster import ClusterRuntime
from ..plan import Missing
from ..runtime import Runtime
from ..waiting import call_in
from .reaching import found, none, reached, reached_async

OPTIONS: Sequence[tuple[str, Any]] = (
    ("grpc.enable_http_proxy", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 5000),
    ("grpc.use_local_subchannel_pool", 1),
)

Q = TypeVar("Q")
A = TypeVar("A")


class Channels:
    """Channels by cluster, authority and endpoint."""

    __slots__ = ("_channels", "_lock")

    def __init__(self) -> None:
        self._lock = Lock()
        self._channels: dict[tuple[str, str, str], Any] = {}

    def get(self, cluster: ClusterRuntime, authority: str, address: str) -> Any:
        """The channel to an endpoint."""
        key = (cluster.name, authority, address)
        channel = self._channels.get(key)
        if channel is None:
            with self._lock:
                channel = self._channels.get(key)
                if channel is None:
                    self._sweep(cluster)
                    options = [*OPTIONS, ("grpc.default_authority", authority or cluster.name)]
                    channel = self._channels[key] = grpc.insecure_channel(address, options)
        return channel

    def _sweep(self, cluster: ClusterRuntime) -> None:
        alive = {host.address for host in cluster.hosts}
        for key in [each for each in self._channels if each[0] == cluster.name and each[2] not in alive]:
            self._channels.pop(key).close()

    def close(self) -> None:
        """Close them all."""
        with self._lock:
            channels, self._channels = self._channels, {}
        for each in channels.values():
            each.close()


class Unary(Generic[Q, A]):
    """One method of a service behind a cluster; whatever goes wrong is a `Failure`."""

    __slots__ = ("_channels", "_decode", "_encode", "_method", "_runtime", "_target", "_told")

    def __init__(
        self,
        runtime: Runtime,
        channels: Channels,
        target: GrpcTarget,
        method: str,
        encode: Callable[[Q], bytes],
        decode: Callable[[bytes], A],
    ) -> None:
        self._runtime = runtime
        self._channels = channels
        self._target = target
        self._method = method
        self._encode = encode
        self._decode = decode
        self._told: set[Any] = set()

    def ask(self, request: Q, timeout_s: float) -> A | Failure:
        """Its answer; blocks for no longer than the timeout, or while its endpoints are on their way."""
        call = self._begin(reached(self._runtime, self._target.cluster), request, timeout_s)
        return self._count(call if isinstance(call, Failure) else self._result(call))

    async def ask_async(self, request: Q, timeout_s: float) -> A | Failure:
        """The same for a task."""
        call = self._begin(await reached_async(self._runtime, self._target.cluster), request, timeout_s)
        if isinstance(call, Failure):
            return self._count(call)
        loop = asyncio.get_running_loop()
        done = asyncio.Event()
        call.add_done_callback(lambda _: call_in(loop, done.set))
        try:
            await done.wait()
        except asyncio.CancelledError:
            call.cancel()
            raise
        return self._count(self._result(call))

    def tell(self, request: Q, timeout_s: float) -> None:
        """Ask, and wait for no answer."""
        cluster = found(self._runtime, self._target.cluster)
        if not isinstance(cluster, Missing):
            name = self._target.cluster
            call = self._begin(none(name) if cluster is None else cluster, request, timeout_s)
            if isinstance(call, Failure):
                self._count(call)
            else:
                self._told.add(call)  # grpc cancels what nobody holds
                call.add_done_callback(self._has_told)

    def _has_told(self, call: Any) -> None:
        self._told.discard(call)
        self._count(self._result(call))

    def _count(self, outcome: A | Failure) -> A | Failure:
        asked, key = self._runtime.asked, (self._target.cluster, self._method.lstrip("/"))
        counts = asked.get(key)
        if counts is None:
            counts = asked.setdefault(key, Asked())
        counts.count(outcome)
        return outcome

    def _begin(self, cluster: ClusterRuntime | Failure, request: Q, timeout_s: float) -> Any:
        if isinstance(cluster, Failure):
            return cluster
        cluster.state.used_at = self._runtime.clock()
        host = cluster.choose(ANY)
        if host is None:
            return Failure("unreachable", f"cluster {cluster.name!r} has no healthy endpoint")
        if host.must_be_secure:
            return Failure("unreachable", host.why_not(cluster.name))
        channel = self._channels.get(cluster.of(host), self._target.authority or cluster.name, host.address)
        call = channel.unary_unary(self._method)
        return call.future(self._encode(request), timeout=timeout_s, metadata=self._target.metadata)

    def _result(self, call: Any) -> A | Failure:
        try:
            return self._decode(call.result())
        except Exception as error:  # whatever it was: the filter says what becomes of the request
            return Failure("unreachable", str(error), error)


class Services:
    """What the filters of one mesh ask."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self._channels = Channels()

    def unary(
        self, target: GrpcTarget, method: str, encode: Callable[[Q], bytes], decode: Callable[[bytes], A]
    ) -> Unary[Q, A]:
        """A method of a service."""
        return Unary(self.runtime, self._channels, target, method, encode, decode)

    def close(self) -> None:
        """Close the channels; questions that come later open new ones."""
        self._channels.close()
