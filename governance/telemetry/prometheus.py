"""Metrics through prometheus_client: one listener per mesh, all of them feeding the family of their registry."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from threading import Lock

from prometheus_client import REGISTRY, CollectorRegistry

from ...xds.model.resource import ResourceError
from ..authorization.decisions import Decision
from ..call import OutgoingCall
from ..filters.rbac import decisions_of
from ..inbound import InboundRequest
from ..passing import PASSTHROUGH
from ..request import RequestView
from .facts import Facts
from .families import Family, Labels, Reading
from .gauges import (
    EndpointCounts,
    cluster_counts,
    cluster_gauges,
    control_counts,
    control_gauges,
    log_counts,
    mirror_counts,
)
from .identity import identity_counts, identity_gauges
from .labels import UNKNOWN, Service, Workload, flags_text, grpc_status, incoming, outgoing
from .series import Series

log = logging.getLogger("proxyless.telemetry")

MAX_SERIES = 4096
"""Sets of labels that a mesh keeps at hand; beyond it they are found anew."""

PATIENCE_S = 5.0
"""In multiprocess mode a call refreshes the metrics itself when nobody has for so long: there is no control thread."""

BODILESS = frozenset({b"GET", b"HEAD", b"OPTIONS", b"DELETE"})


class PrometheusListener:
    """Counts the calls and requests of one mesh. `facts` says how things stand, None when the mesh is gone."""

    def __init__(
        self,
        registry: CollectorRegistry | None,
        own: Workload,
        facts: Callable[[], Facts | None],
        clock: Callable[[], float],
        pause: Callable[[], None] = lambda: None,
    ) -> None:
        """`registry` None: prometheus_client's own.

        Raises:
            ValueError: somebody else has metrics of the same names there.
        """
        self._own = own
        self._facts = facts
        self._clock = clock
        self._pause = pause
        self._baseline: dict[tuple[str, Labels], float] = {}
        self._endpoints = EndpointCounts()
        self._start()
        self._family = Family.of(registry if registry is not None else REGISTRY)
        self._family.attach(self)

    def _start(self) -> None:
        self._lock = Lock()
        self._dirty: list[Series] = []
        self._series: dict[object, Series] = {}
        self._counts: dict[tuple[str, Labels], int] = {}
        self._seen: tuple[object, object] = (None, None)
        self._due = self._clock() + PATIENCE_S
        self._warned = False

    def forked(self) -> None:
        """In a child: what the parent has not handed over is the parent's to count."""
        self._start()
        self._baseline = {}

    def close(self) -> None:
        """Hand over the last figures."""
        self._family.detach(self)

    def let_go(self) -> None:
        """The same for a mesh that nobody closed; takes no lock."""
        self._family.let_go(self)

    def tick(self, facts: Facts) -> None:
        """In multiprocess mode, bring the metrics up to date: the process that is scraped is another."""
        del facts
        if self._family.multiprocess:
            self._family.refresh(self._pause)

    # -- as calls and requests end -------------------------------------------------------------------------------

    def on_call(self, call: OutgoingCall) -> None:
        """One outgoing call is over."""
        try:
            vhost, cluster, host, request = call.vhost, call.cluster, call.host, call.request
            if call.policies is not None:
                self._composed("source", call)
            if vhost is None and self._opaque(call):
                return
            sent = call.sent
            grpc: str | None = None
            if request.method not in BODILESS:
                if request.is_grpc:
                    grpc = grpc_status(call.status, call.grpc_status, call.reply)
                sent = sent or _length(request)
            istio = host.endpoint.metadata.get("istio") if host is not None else None
            key = (
                cluster.name if cluster is not None else call.target or vhost,
                istio and istio.get("workload"),
                call.status,
                call.flags,
                grpc,
                call.secured_by.principals if call.secured_by is not None else None,
            )
            series = self._series.get(key)
            if series is None:
                series = self._keep(key, outgoing(self._own, call, grpc))
            series.add((call.ended - call.started) * 1000.0, sent, call.received)
            if call.attempts > 1 and cluster is not None:
                self._count("proxyless_retries_total", (cluster.name,), call.attempts - 1)
            if call.reply is not None:
                self._replied("source", call.status, call.flags)
            if call.ended > self._due:
                self._overdue()
        except Exception as error:
            self._failed(error)

    def on_request(self, request: InboundRequest) -> None:
        """One incoming request is over."""
        try:
            view, target, reply = request.request, request.target, request.reply
            if request.policies is not None:
                self._composed("destination", request)
            if request.http is None and reply is None:
                self._ungoverned("destination", UNKNOWN, request.status, request.flags)
                return
            grpc: str | None = None
            if view.is_grpc and view.method not in BODILESS:
                grpc = grpc_status(request.status, request.grpc_status, reply)
            peer = request.peer
            who = peer.principals if peer is not None else None
            key = (target and target.cluster, request.status, request.flags, grpc, who)
            series = self._series.get(key)
            if series is None:
                series = self._keep(key, incoming(self._own, request, _service(request), grpc))
            series.add((request.ended_at - request.started) * 1000.0, request.received, request.sent)
            if reply is not None:
                self._replied("destination", request.status, request.flags)
            if request.kept:
                for each in decisions_of(request):
                    self._authorized(each)
            if request.ended_at > self._due:
                self._overdue()
        except Exception as error:
            self._failed(error)

    def _overdue(self) -> None:
        self._due = self._clock() + PATIENCE_S
        if self._family.multiprocess:
            self._family.refresh()

    def _keep(self, key: object, labels: Labels) -> Series:
        if len(self._series) >= MAX_SERIES:
            # Those that still hold something are on the list of the dirty ones.
            self._series = {}
        return self._series.setdefault(key, Series(labels, self._lock, self._dirty))

    def _opaque(self, call: OutgoingCall) -> bool:
        """A call without a virtual host; whether its connection is opaque to the mesh."""
        destination = call.destination
        if destination is None or destination.kind != "tcp":
            return False
        if call.reply is not None:
            self._replied("source", call.status, call.flags)
        cluster = call.cluster
        service = Service.of_cluster(cluster.name, cluster.config.metadata) if cluster is not None else None
        name = service.name if service is not None else destination.cluster or PASSTHROUGH
        self._ungoverned("source", name, call.status, call.flags)
        return True

    def _ungoverned(self, reporter: str, name: str, status: int, flags: tuple[str, ...]) -> None:
        self._count("proxyless_ungoverned_requests_total", (reporter, name, str(status), flags_text(flags)))

    def _replied(self, reporter: str, status: int, flags: tuple[str, ...]) -> None:
        self._count("proxyless_local_replies_total", (reporter, str(status), flags_text(flags)))
        if "RL" in flags:
            self._count("proxyless_rate_limited_total", (reporter,))

    def _composed(self, reporter: str, stream: OutgoingCall | InboundRequest) -> None:
        for policy, outcome in stream.shadowed:
            self._count("proxyless_shadowed_total", (reporter, policy, outcome))
        if stream.fallback:
            self._count("proxyless_fallbacks_total", (reporter, stream.fallback, flags_text(stream.flags)))

    def _authorized(self, decision: Decision) -> None:
        mode = "enforced" if decision.enforced else "shadow"
        result = "allowed" if decision.allowed else "denied"
        if decision.tokens:
            self._count("proxyless_jwt_authentications_total", (result,))
            return
        policy = decision.policy if decision.per_rule else ""
        self._count("proxyless_authorizations_total", (mode, result, decision.prefix, policy))

    def _count(self, name: str, labels: Labels, amount: int = 1) -> None:
        key = (name, labels)
        with self._lock:
            self._counts[key] = self._counts.get(key, 0) + amount

    def _failed(self, error: Exception) -> None:
        """Whatever went wrong with a metric, the call it tells of went well."""
        if not self._warned:
            self._warned = True
            log.error("metrics are incomplete", exc_info=error)

    # -- asked by the family, one refresh at a time --------------------------------------------------------------

    def flush(self) -> None:
        """Hand over what has been summed up, and what has grown since the last time."""
        with self._lock:
            taken = [(each.labels, each.take()) for each in self._dirty]
            self._dirty.clear()
            counts, self._counts = self._counts, {}
        family = self._family
        for labels, totals in taken:
            family.requests(labels).add(totals)
        for (name, labels), amount in counts.items():
            family.counter(name, labels).inc(amount)
        self._due = self._clock() + PATIENCE_S
        facts = self._facts()
        if facts is None:
            return
        self._grow(cluster_counts(facts.runtime))
        self._grow(mirror_counts(facts.runtime))
        self._grow(log_counts(facts.runtime))
        if facts.control is not None:
            self._grow(control_counts(facts.control))
        if facts.identity is not None:
            self._grow(identity_counts(facts.identity))
        snapshot = facts.runtime.plan.snapshot
        if self._seen[0] is not snapshot.clusters or self._seen[1] is not snapshot.routes:
            # The services that clusters stand for may have changed, and the keys hold parts of the routes.
            self._seen = (snapshot.clusters, snapshot.routes)
            self._series = {}

    def _grow(self, readings: Iterable[Reading]) -> None:
        baseline = self._baseline
        for each in readings:
            key = (each.metric, each.labels)
            before = baseline.get(key, 0)
            if each.value != before:
                # A count that fell has begun anew.
                grown = each.value - before if each.value > before else each.value
                baseline[key] = each.value
                self._family.counter(each.metric, each.labels).inc(grown)

    def readings(self) -> Iterator[Reading]:
        """What the gauges shall show."""
        facts = self._facts()
        if facts is None:
            return
        yield from cluster_gauges(facts.runtime)
        yield from self._endpoints.readings(facts.runtime)
        yield from control_gauges(facts)
        if facts.identity is not None:
            yield from identity_gauges(facts.identity)


def _length(view: RequestView) -> int:
    """What the request says of its body's size, for a library that does not count it."""
    value = view.header(b"content-length")
    return int(value) if value is not None and value.isdigit() and len(value) < 16 else 0


def _service(request: InboundRequest) -> Service | None:
    """The service of the inbound cluster."""
    if request.target is None:
        return None
    name = request.target.cluster
    resource = request.runtime.plan.snapshot.clusters.get(name)
    if resource is None:
        return None
    try:
        return Service.of_cluster(name, resource.get().metadata)
    except ResourceError:
        return None
