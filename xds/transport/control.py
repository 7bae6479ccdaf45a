"""The control thread: everything that changes a mesh's configuration happens here, one thing after the other.

Work comes through a queue (bytes of a stream, names that calls want, answers of DNS); what results is published by one
call of `publish`. Nothing of it blocks a caller.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import Any

from ..graph import Graph
from ..identity.secrets import IdentityError, SecretKeeper
from ..model.cluster import Cluster
from ..model.resource import Resource, ResourceError, ResourceType
from ..model.snapshot import Snapshot
from ..protocol.delta import DeltaMachine
from ..protocol.events import AdsMachine, NamedResource, Rejection, Request, Response
from ..protocol.sotw import SotwMachine
from ..wire import codec, envelope, trust_bundle
from ..wire.refused import RefusedError
from .backoff import Backoff
from .cache import Cache
from .dns import DnsClusters
from .link import Ended, Link, LinkError, Stream
from .pacing import Pace

log = logging.getLogger("proxyless.xds")

HOLD_S = 15.0
"""How long a change waits for what it needs before it is put in force all the same (Envoy's initial_fetch_timeout)."""

IDLE_S = 600.0
"""What no call has used for so long is let go."""

NAMES_AFTER_S = 1.0
"""How long the name table may come after everything else; a control plane other than Istio's has none."""

SAVE_AFTER_S = 1.0
"""The configuration is saved when it has been quiet for so long."""

TICK_S = 1.0
"""How often those are told who only want to know how things stand."""

CACHE_AFTER_S = 2.0
"""A process that has nothing yet starts from the copy on disk when the control plane stays away for so long."""


def _nothing() -> None:
    """No work; timers are due."""


def log_late_reject(error: ResourceError) -> None:
    """A resource that the control plane believes to be in force, and that is not."""
    log.error("rejected %s %s: %s (found out when it was used)", error.type.message, error.name, error.reason)


@dataclass(slots=True)
class Connection:
    """What there is to say about the connection to the control plane."""

    address: str
    connected: bool = False
    since: float | None = None
    control_plane: str = ""
    error: str = ""
    attempts: int = 0
    updates: dict[str, int] = field(default_factory=dict)
    rejects: dict[str, int] = field(default_factory=dict)
    last_update: float | None = None
    from_disk: float | None = None
    """When the configuration in force was saved, if it comes from disk."""

    def trouble(self) -> str:
        """Who does not answer, and why; empty where nothing is wrong."""
        return f"{self.address}: {self.error}" if self.error else ""


class Control(Thread):
    """One mesh's control thread."""

    def __init__(
        self,
        link: Link,
        node: dict[str, Any],
        publish: Callable[[Snapshot], None],
        *,
        delta: bool = False,
        busy: Callable[[], bool] = lambda: False,
        uniform: Callable[[], float] = lambda: 1.0,
        idle: Callable[[float], list[str]] = lambda before: [],
        cache: Cache | None = None,
        on_event: Callable[[Connection], None] | None = None,
        on_tick: Callable[[], None] | None = None,
        on_roots: Callable[[bytes], None] | None = None,
        secrets: Callable[[], SecretKeeper] | None = None,
        dns: type[DnsClusters] = DnsClusters,
    ) -> None:
        super().__init__(name="proxyless-control", daemon=True)
        self._queue: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._link = link
        self._node = envelope.node_message(node)
        self._publish = publish
        self._delta = delta
        self._pace = Pace(busy)
        self._idle = idle
        self._cache = cache
        self._on_event = on_event
        self._tick = on_tick
        self._on_roots = on_roots
        """Who takes more roots (PCDS); None: they are not asked for."""
        self._secrets = secrets
        """Who takes secrets; None: they are refused."""
        self.graph = Graph(codec.resource, self._pace, await_names=True, on_late_reject=log_late_reject)
        self._machine: AdsMachine = DeltaMachine() if delta else SotwMachine()
        self._backoff = Backoff(uniform)
        self._stream: Stream | None = None
        self._epoch = 0
        self._dns = dns(self.graph.resolved, self._dns_answered, uniform)
        self._resolving: dict[str, Resource[Cluster] | None] = {}
        self._timers: dict[str, float] = {}
        self._subscribed: dict[ResourceType, set[str]] = {each: set() for each in ResourceType}
        self._published = 0
        self._roots_version = ""
        self.connection = Connection(link.address)
        self.stopped = Event()

    # -- called from other threads -------------------------------------------------------------------------------

    def want(self, type_: ResourceType, names: Iterable[str]) -> None:
        """A call needs these names."""
        wanted = tuple(names)
        self._queue.put(lambda: self._want(type_, wanted))

    def soon(self, work: Callable[[], None]) -> None:
        """Have something done by the control thread."""
        self._queue.put(work)

    @property
    def busy(self) -> bool:
        """Whether work is waiting."""
        return not self._queue.empty()

    def close(self, timeout_s: float = 5.0) -> None:
        """End the stream and the thread."""
        self._queue.put(None)
        if self.is_alive():
            self.join(timeout_s)

    def work_off(self) -> None:
        """Connect, and do all that waits, in the caller's thread: for a process that wants no thread of ours, and does
        not start this one. One caller at a time."""
        if not self.connection.attempts:
            self._at("connect", 0.0)
        work: Callable[[], None] | None = _nothing
        while work is not None:
            self._do(work)
            try:
                work = self._queue.get_nowait()
            except Empty:
                work = None

    # -- the thread ----------------------------------------------------------------------------------------------

    def run(self) -> None:
        self._at("connect", 0.0)
        if self._cache is not None:
            self._at("disk", CACHE_AFTER_S)
        self._at("idle", IDLE_S)
        if self._tick is not None:
            self._at("tick", TICK_S)
        try:
            while True:
                try:
                    work = self._queue.get(timeout=self._next_timer())
                except Empty:
                    work = _nothing
                if work is None:
                    break
                self._do(work)
        finally:
            self._dns.close()
            if self._stream is not None:
                self._stream.close()
            self._link.close()
            self._save()
            self.stopped.set()

    def _do(self, work: Callable[[], None]) -> None:
        """One thing, and what follows from it. A mistake of ours must not leave the process without configuration for
        ever: what is in force stays, and a new stream begins."""
        try:
            work()
            self._settle()
            self._run_timers()
        except Exception as error:
            log.exception("control plane %s: what came of it cannot be dealt with", self._link.address)
            self._break_off(f"internal error: {error!r}")

    def _at(self, timer: str, after_s: float) -> None:
        self._timers[timer] = time.monotonic() + after_s

    def _next_timer(self) -> float | None:
        return max(0.0, min(self._timers.values()) - time.monotonic()) if self._timers else None

    def _run_timers(self) -> None:
        now = time.monotonic()
        for timer in [name for name, due in self._timers.items() if due <= now]:
            del self._timers[timer]
            getattr(self, f"_on_{timer}")()
            self._settle()

    # -- the stream ----------------------------------------------------------------------------------------------

    def _on_connect(self) -> None:
        self._epoch += 1
        epoch = self._epoch
        self.connection.attempts += 1

        def received(raw: bytes) -> None:
            self._queue.put(lambda: self._received(epoch, raw))

        def ended(how: Ended) -> None:
            self._queue.put(lambda: self._ended(epoch, how))

        try:
            self._stream = self._link.open(delta=self._delta, on_bytes=received, on_end=ended)
        except LinkError as error:
            self._ended(epoch, Ended(str(error)))
            return
        self.graph.new_stream()
        self._send(self._machine.opened(self._held()))
        if self._on_roots is not None:
            self._send([Request(trust_bundle.TYPE)])

    def _held(self) -> dict[ResourceType, dict[str, str]]:
        return {
            type_: {name: each.version for name, each in resources.items()}
            for type_, resources in self.graph.newest.items()
        }

    def _send(self, requests: list[Request]) -> None:
        write = envelope.write_delta_request if self._delta else envelope.write_request
        if self._stream is not None:
            for request in requests:
                self._stream.send(write(request, self._node))

    def _received(self, epoch: int, raw: bytes) -> None:
        if epoch != self._epoch:
            return
        try:
            read = envelope.read_delta_response if self._delta else envelope.read_response
            response = read(raw, self._pace, self.graph.newest)
        except RefusedError as error:
            self._break_off(str(error))
            return
        self._backoff.reset()
        connection = self.connection
        if not connection.connected:
            connection.connected = True
            connection.since = time.time()
            connection.error = ""
            log.info("connected to the control plane %s", self._link.address)
        connection.control_plane = response.control_plane or connection.control_plane
        if self._on_roots is not None and response.type_url == trust_bundle.TYPE:
            self._take_roots(self._on_roots, raw, response)
            return
        type_ = response.type
        if type_ is None:
            log.warning("control plane %s sent a type that nobody asked for: %s", self._link.address, response.type_url)
            connection.error = f"unknown resource type {response.type_url}"
            return
        if type_ is ResourceType.SECRET:
            response = self._take_secrets(response)
        rejections = self.graph.apply(response)
        self._send(self._machine.answer(response, rejections))
        self._count(type_, rejections)

    def _take_roots(self, take: Callable[[bytes], None], raw: bytes, response: Response) -> None:
        """More roots than the authority's; what cannot be used leaves those before."""
        error = ""
        try:
            take(trust_bundle.decode_bundle(raw, delta=self._delta))
            self._roots_version = response.version
        except (RefusedError, IdentityError) as caught:
            error = str(caught)
            log.error("rejected ProxyConfig: %s", error)
        self._send([Request(trust_bundle.TYPE, self._roots_version, response.nonce, error=error)])

    def _take_secrets(self, response: Response) -> Response:
        """Hand them over to who uses them, and on without what is in them; what cannot be used is refused."""
        good: list[NamedResource] = []
        broken = list(response.broken)
        for each in response.resources:
            try:
                if self._secrets is None:
                    raise IdentityError("nobody here uses secrets")
                if each.name in self.graph.wanted[ResourceType.SECRET]:
                    self._secrets().take(each.name, each.raw)
                    good.append(replace(each, raw=b""))
            except IdentityError as error:
                broken.append(Rejection(each.name, str(error)))
        return replace(response, resources=tuple(good), broken=tuple(broken))

    def _break_off(self, reason: str) -> None:
        """What came cannot be answered, and the server would wait for an answer: begin anew, as Envoy does."""
        log.error("control plane %s: %s", self._link.address, reason)
        if self._stream is not None:
            self._stream.close()
        self.connection.error = reason
        self.connection.connected = False
        self._ended(self._epoch, Ended(reason))
        self._epoch += 1

    def _count(self, type_: ResourceType, rejections: list[Rejection]) -> None:
        connection = self.connection
        message = type_.message
        connection.updates[message] = connection.updates.get(message, 0) + 1
        connection.last_update = time.time()
        connection.from_disk = None
        connection.error = ""
        if rejections:
            connection.rejects[message] = connection.rejects.get(message, 0) + len(rejections)
            for each in rejections:
                log.error("rejected %s %s", message, each)
        self._at("save", SAVE_AFTER_S)

    def _ended(self, epoch: int, how: Ended) -> None:
        if epoch != self._epoch:
            return
        self._stream = None
        self._machine.closed()
        connection = self.connection
        was_connected, connection.connected = connection.connected, False
        if how.planned and was_connected:
            # istiod closes every connection after half an hour: another one is there at once.
            log.info("the control plane %s closed the stream; connecting again", self._link.address)
            self._at("connect", 0.0)
            return
        if how.reason != connection.error or was_connected:
            log.warning("control plane %s: %s", self._link.address, how.reason)
        connection.error = how.reason
        self._at("connect", self._backoff.next_s())

    # -- what is needed ------------------------------------------------------------------------------------------

    def _want(self, type_: ResourceType, names: tuple[str, ...]) -> None:
        self.graph.want(type_, names)

    def _settle(self) -> None:
        """Bring subscriptions, timers and readers up to date with the graph."""
        graph = self.graph
        for type_, names in graph.wanted.items():
            subscribed = self._subscribed[type_]
            if new := names - subscribed:
                self._send(self._machine.subscribe(type_, sorted(new)))
            if gone := subscribed - names:
                self._send(self._machine.unsubscribe(type_, sorted(gone)))
                if type_ is ResourceType.SECRET and self._secrets is not None:
                    self._secrets().forget(gone)
            self._subscribed[type_] = set(names)
        waits = graph.held_back or graph.missing_secrets
        if waits and "release" not in self._timers:
            self._at("release", HOLD_S)
        elif not waits:
            self._timers.pop("release", None)
        if graph.lacks_names_only and "names" not in self._timers:
            self._at("names", NAMES_AFTER_S)
        resolving = {name: graph.newest[ResourceType.CLUSTER].get(name) for name in graph.wanted_dns}
        if resolving != self._resolving:
            self._resolving = resolving
            self._at("dns", 0.0)  # the next look at those that were known may be a minute away
        if graph.snapshot.generation != self._published:
            self._published = graph.snapshot.generation
            self._publish(graph.snapshot)
        if self._on_event is not None:
            self._on_event(self.connection)

    def _on_release(self) -> None:
        missing = [f"Secret {each}" for each in self.graph.missing_secrets]
        log.warning("put in force without what it refers to: %s", ", ".join([*self.graph.held_back, *missing]))
        self.graph.release()

    def _on_names(self) -> None:
        if self.graph.lacks_names_only:
            self.graph.no_names()

    def _on_idle(self) -> None:
        """Let go of what no call has used for a while."""
        unused = self._idle(time.monotonic() - IDLE_S)
        if unused:
            self.graph.unwant(ResourceType.CLUSTER, unused)
        self._at("idle", IDLE_S)

    def _on_tick(self) -> None:
        if self._tick is not None:
            self._tick()
            self._at("tick", TICK_S)

    # -- DNS -----------------------------------------------------------------------------------------------------

    def _on_dns(self) -> None:
        after_s = self._dns.tick(self._dns_clusters())
        if after_s is not None:
            self._at("dns", after_s)

    def _dns_clusters(self) -> list[Cluster]:
        found = []
        clusters = self.graph.newest[ResourceType.CLUSTER]
        for name in self.graph.wanted_dns:
            resource = clusters.get(name)
            if resource is not None:
                try:
                    found.append(resource.get())
                except ResourceError:
                    continue
        return found

    def _dns_answered(self, take: Callable[[], None]) -> None:
        """Called by those who look names up: what they found is taken over here, and says when they are to ask next."""

        def taken() -> None:
            take()
            self._on_dns()

        self._queue.put(taken)

    # -- the copy on disk ----------------------------------------------------------------------------------------

    def _on_disk(self) -> None:
        """Nothing has come yet: start from what was good last time."""
        if self.graph.snapshot.complete or self._cache is None:
            return
        cached = self._cache.load()
        if cached is None:
            return
        for raw in cached.responses:
            response = envelope.read_response(raw, self._pace)
            self.graph.apply(response)
            if response.type in self.graph.wanted:
                self.graph.want(response.type, [each.name for each in response.resources])
        self.connection.from_disk = cached.saved_at
        log.warning(
            "the control plane %s is away: starting with the configuration saved at %s",
            self._link.address,
            time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(cached.saved_at)),
        )

    def _on_save(self) -> None:
        self._save()

    def _save(self) -> None:
        if self._cache is None or not self.graph.snapshot.complete or self.connection.from_disk is not None:
            return
        responses = [
            envelope.write_response(type_, self.graph.versions.get(type_, ""), resources.values())
            for type_, resources in self.graph.newest.items()
            if resources and type_ is not ResourceType.SECRET
        ]
        try:
            self._cache.save(responses)
        except OSError as error:
            log.warning("cannot save the configuration to %s: %s", self._cache.path, error.strerror)
            self._cache = None
