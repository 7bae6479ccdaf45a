"""The life of one outgoing call, from the dialled name to the last byte of the response.

`OutgoingCall.run` is a machine: it yields what its driver shall do (governance.actions) and is sent what came of it. It
holds no socket and no thread, reads the clock and draws through the runtime, and so runs the same under httpx, under
asyncio, in `explain` and in a test with a fake clock. The order of its steps is Envoy's:

    listener and filter chain -> virtual host and route -> HTTP filters -> cluster    (here: `_decide`)
    -> endpoint -> connection -> attempt -> retry or reply                            (governance.attempts)
    -> body

The machine ends when the response body has ended, and not before: active requests, thresholds and durations are counted
to that moment. A machine that is closed early (the caller went away) gives everything back.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from ..xds.model.resource import ResourceError, ResourceType
from .actions import Action, AwaitConfig, BodyEnd, Bypass, Deliver, Head, Race
from .admission import admit
from .answering import Answering
from .attempts import attempt_until_done
from .balancing.host import Host
from .cluster import ClusterRuntime
from .describing import subject_of
from .filters.chain import FilterChainRuntime
from .finding import find_again, take_route
from .hashing import Cookies
from .headers import HeaderList, apply_levels, formats
from .hedging import hedge_until_done
from .internal_redirects import Redirected, again
from .passing import DIRECT, TcpRoute
from .paths import NotHttpError
from .peer import Peer
from .plan import OPAQUE, BadAuthorityError, Destination, Missing
from .pool import Slot
from .replies import LocalReply, bad_authority, bad_request, closed, no_cluster, no_route
from .replying import own_reply
from .request import RequestView
from .retry import CompiledRetry
from .routing import CompiledRoute, CompiledVirtualHost, Target
from .runtime import Runtime
from .steering import Steering, steer
from .subject import Subject
from .timing import EARLY_S, ROUTE, End, StreamLimits, cut_by, limits_of, reply_of
from .upstream import UpstreamRequest, counted

Machine = Generator[Action, Any, LocalReply | None]
"""Returns the reply that the mesh itself gives, or None after a response was delivered."""

PASSTHROUGH = "PassthroughCluster"
BLACKHOLE = "BlackHoleCluster"

FILTERS = Missing(None, (), "the answer of the HTTP filters")
"""What a decision lacks until they have run, which may take time."""


class OutgoingCall:
    """One call: its request, what was decided about it, and how it ended. Telemetry and `explain` read it.

    The attributes that a call may never need are the class's until it does.
    """

    ended = 0.0
    """When the machine ended, by the runtime's clock; `started` likewise."""
    destination: Destination | None = None
    vhost: CompiledVirtualHost | None = None
    route: CompiledRoute | None = None
    target: Target | None = None
    cluster: ClusterRuntime | None = None
    host: Host | None = None
    """The endpoint of the last attempt."""
    upstream: UpstreamRequest | None = None
    filters: FilterChainRuntime | None = None
    """The filters that the request goes through, where there are any. Only then is there what follows."""
    response_headers: HeaderList
    """What they add to the response."""
    kept: dict[Any, Any]
    """What they remember of the call."""
    dynamic: dict[str, dict[str, Any]]
    """What they tell one another."""
    peer: Peer | None = None
    source_port: int = 0
    incoming = False
    protocol = "HTTP/1.1"
    moved = False
    named: str | None = None
    """The cluster that a header named before a filter changed the headers."""
    hash: int | None = None
    """What the balancer went by, where it goes by a hash."""
    wanted: tuple[str, ...] = ()
    """Endpoints that the request names, as far as no try has taken them."""
    cookies: Cookies | None = None
    """What hashing has made for the response."""
    answering: Answering | None = None
    """What the connection manager adds to the response."""
    slot: Slot | None = None
    """The connection in use."""
    attempts = 0
    retry: CompiledRetry | None = None
    """What is retried: the cluster's policy, else the route's; None where nothing of this request is."""
    flags: tuple[str, ...] = ()
    """Envoy's response flags."""
    status = 0
    reply: LocalReply | None = None
    """What the mesh itself answered."""
    sent = 0
    received = 0
    """Bytes of the bodies."""
    grpc_status: bytes | None = None
    """As the headers of a gRPC response say it (a response without a body)."""
    deadline: float | None = None
    """When the route's timeout ends, by the runtime's clock; None without one, and while the request is uploading."""
    timeout_s: float | None = None
    """The route's timeout."""
    limits: StreamLimits | None = None
    """What else ends the call, where anything does."""
    steering: Steering | None = None
    """What the request says of it itself, where it may."""
    redirects: tuple[tuple[str, str], ...] = ()
    """The redirects that were followed inside the mesh: names of the routes that got and that took the request."""
    race: Race | None = None
    """Where the tries run beside each other: what tells of them."""
    cut = True  # until the body has ended
    uploading = False
    """Whether the request has a body that is still being sent. Its driver sets it, and calls `uploaded`."""
    bypass: TcpRoute | None = None
    """Where a connection goes that is passed on; `DIRECT` where the library dials the name itself."""
    unreached = ""
    """The flag of a connection that the library's own means could not make. Its driver sets it, and raises."""

    def __init__(self, runtime: Runtime, owner: Any, request: RequestView, url_host: bytes, port: int) -> None:
        """`owner` is whose connections may be used: a library in one event loop, or in sync code."""
        self.runtime = runtime
        self.owner = owner
        self.request = request
        if not request.source:
            request.source = runtime.options.workload.address
        self.url_host = url_host
        self.port = port
        self.started = runtime.clock()

    def run(self) -> Machine:
        """The machine."""
        ended = False
        reply: LocalReply | None = None
        try:
            changes = self.runtime.changes
            seen = changes.generation  # before the look: what comes after it is not missed
            while True:
                waited, held_s = False, 0.0
                while (missing := self._decide()) is not None:
                    if missing is FILTERS and self.filters is not None:
                        self.reply = yield from self.filters.request(self)
                        if self.reply is not None:
                            break
                        waited = True
                        continue
                    self.runtime.require(missing)
                    if self.runtime.closed:
                        self.reply = closed(f"the mesh was closed and does not hold {missing.what}")
                        break
                    if changes.generation == seen:
                        since = self.runtime.clock()
                        yield AwaitConfig(missing.what, seen, self.started)
                        held_s += self.runtime.clock() - since
                        waited = True
                    seen = changes.generation
                if waited and self.deadline is not None and self.timeout_s is not None:
                    self.deadline = self.runtime.clock() + self.timeout_s  # that wait is not the route's
                if held_s and self.limits is not None:
                    self.limits.postpone(held_s)
                reply = self.reply
                if reply is None:
                    outcome: LocalReply | Redirected | None
                    if self.bypass is not None:
                        outcome = yield from self._bypass(self.bypass)
                    elif self.route is not None and self.route.hedges:
                        outcome = yield from hedge_until_done(self)
                    else:
                        outcome = yield from attempt_until_done(self)
                    if isinstance(outcome, Redirected):
                        continue
                    reply = outcome
                break
            ended = True
        except ResourceError as error:
            reply = closed(str(error))
            ended = True
        finally:
            if self.unreached:
                self.status = 503
                self.flags = (self.unreached,)
            elif not ended:
                # Closed from outside: the caller went away, or its own timeout passed.
                self.flags = (*self.flags, "DC")
            elif reply is not None:
                reply = self.reply = own_reply(self, reply)
                self.status = reply.status
                self.flags = (*self.flags, *reply.flags)
            if self.filters is not None:
                self.filters.end(self)
            runtime = self.runtime
            self.ended = runtime.clock()
            for listener in runtime.listeners:
                listener.on_call(self)
        return reply

    def restart(self, request: RequestView, route: str) -> None:
        """Begin anew with this request, which a route of this name will take; only the dialled address stays."""
        self.redirects = (*self.redirects, (self.route.route.name if self.route is not None else "", route))
        if self.filters is not None:
            self.filters.end(self)
            self.filters = None
        self.request = request
        self.vhost = self.route = self.target = self.cluster = self.host = self.upstream = self.retry = None
        self.named = self.hash = self.cookies = self.deadline = self.timeout_s = self.limits = self.steering = None
        self.attempts, self.flags = 0, ()

    # -- where to ------------------------------------------------------------------------------------------------

    def _decide(self) -> Missing | None:
        """Decide as far as the configuration goes: None when done (`reply`, `bypass` or `upstream` is set then)."""
        runtime = self.runtime
        plan = runtime.plan
        target = self.target
        if target is not None:
            return self._find_cluster(target)  # the draw is not repeated
        if self.filters is not None:
            self._without_target(self.route)
            return None
        request = self.request
        scheme = b"http" if self.redirects else request.scheme  # the program's connection stays what it was
        destination = plan.destination(scheme, self.url_host, self.port)
        if type(destination) is Missing:
            if runtime.options.passthrough_until_ready and not plan.snapshot.complete:
                self.bypass = DIRECT
                return None
            return destination
        self.destination = destination
        http = destination.http
        if http is None:
            return self._without_http(destination)
        if http.answering is not None:
            self.answering = http.answering
        if http.filters.closed is not None:
            self.reply = closed(http.filters.closed)
            return None
        table = http.table(plan)
        if type(table) is Missing:
            return table
        try:
            if self.redirects:
                self.reply = again(request, http.config)
            else:
                self.reply = admit(request, http.admission, runtime.rng, self.port, table.internal_only)
        except NotHttpError:
            return self._as_tcp()
        if self.reply is not None:
            return None
        try:
            vhost = self.vhost = destination.virtual_host(request, table)
        except BadAuthorityError:
            self.reply = bad_authority()
            return None
        route, target = take_route(self, vhost)
        if http.filters.active:
            filters = http.filters.at(target if target is not None else route)
            if filters.active:
                self.filters, self.response_headers, self.kept, self.dynamic = filters, [], {}, {}
                return FILTERS
        if target is not None:
            return self._find_cluster(target)
        self._without_target(route)
        return None

    def find_route(self) -> None:
        """Find the route anew: the request is another one by now."""
        find_again(self)

    def _without_target(self, route: CompiledRoute | None) -> None:
        self.reply = no_route() if route is None else route.answer(self.request, self.subject)

    def _without_http(self, destination: Destination) -> Missing | None:
        """A chain without routes: TCP, or nothing at all."""
        found = destination.tcp_route(self.runtime.uniform)
        name = found.cluster
        if destination.kind == "refused":
            self.reply = closed(destination.reason)
        elif name == PASSTHROUGH:
            self.bypass = DIRECT
        elif name == BLACKHOLE:
            self.reply = closed("BlackHoleCluster: the mesh lets nothing out to unknown hosts")
        else:
            cluster = self.runtime.plan.cluster(name)
            if isinstance(cluster, Missing):
                return cluster
            self.cluster = cluster
            if cluster is None:
                self.reply = no_cluster(503)
            else:
                cluster.state.used_at = self.started
                self.bypass = found
        return None

    def _as_tcp(self) -> Missing | None:
        """What Envoy's HTTP inspector does not take for HTTP goes where other bytes to this address go."""
        destination = self.runtime.plan.destination(OPAQUE, self.url_host, self.port)
        if type(destination) is Missing:
            return destination
        if destination.http is None:
            self.destination = destination
            return self._without_http(destination)
        self.reply = bad_request("http1.codec_error")
        return None

    def _find_cluster(self, target: Target) -> Missing | None:
        route, destination = self.route, self.destination
        if route is None or destination is None or destination.http is None:
            raise AssertionError("a target without a route")
        runtime = self.runtime
        request = self.request
        name = target.cluster
        if target.cluster_header:
            name = target.name_for(request) if self.named is None else self.named
        if name == PASSTHROUGH:
            self.bypass = DIRECT
            return None
        cluster = runtime.plan.clusters.get(name) or runtime.plan.cluster(name)
        if cluster is None:
            self.reply = no_cluster(route.cluster_not_found)
            return None
        if type(cluster) is Missing:
            # All clusters that this route may draw are asked for together.
            return Missing(ResourceType.CLUSTER, tuple(dict.fromkeys((*route.clusters(), name))), cluster.what)
        self.cluster = cluster
        cluster.state.used_at = self.started
        began = runtime.clock() if self.redirects else self.started
        steering = steer(request, route, cluster) if request.internal else None
        if steering is not None:
            self.steering, self.route = steering, steering.route
            route, timeout_s = steering.route, steering.timeout_s
        else:
            timeout_s = route.timeout_of(request)
        self.timeout_s = timeout_s
        if timeout_s is not None and not self.uploading:
            self.deadline = began + timeout_s
        limits: StreamLimits | None = None
        if route.limited or cluster.limited or destination.http.limited:
            limits = self.limits = limits_of(route, destination.http.config, cluster, request, began)
        if steering is not None:
            limits = self.limits = steering.limits(limits, began)
        self.upstream = UpstreamRequest(
            request,
            route,
            target,
            route.expected(timeout_s),
            destination.http,
            http2=cluster.http2,
            describe=self.subject,
            grpc_s=None if limits is None else limits.grpc_s,
        )
        retry = route.retry if cluster.retry is None else cluster.retry
        if steering is not None:
            retry = steering.retry
        if retry is not None and (not retry.gated or retry.allows(self.upstream)):
            self.retry = retry
        return None

    def uploaded(self) -> float | None:
        """The request has been sent whole: only now do its timeouts begin (Envoy: at the end of the request).

        Returns until when the head of the response must be there.
        """
        self.uploading = False
        if self.timeout_s is not None:
            self.deadline = self.runtime.clock() + self.timeout_s
        if self.limits is not None:
            self.limits.sent(self.runtime.clock())
        if self.race is not None:
            self.race.put("uploaded")
        return self.try_until()

    def try_until(self) -> float | None:
        """When a try that begins now has to have its head; None without a timeout, or before the body is sent."""
        until = self.end()
        retry = self.route.retry if self.route is not None else None
        if self.uploading or retry is None or retry.per_try_timeout_s is None or self.race is not None:
            return until
        own = self.runtime.clock() + retry.per_try_timeout_s
        return own if until is None or own < until else until

    def end(self) -> float | None:
        """When the call ends if there is no response before; None where nothing ends it."""
        limits = self.limits
        return self.deadline if limits is None else limits.first(self.deadline, uploading=self.uploading)[0]

    def ended_by(self) -> End | None:
        """What has ended the call by now, if anything has."""
        limits = self.limits
        end: End = ROUTE
        moment = self.deadline
        if limits is not None:
            moment, end = limits.first(self.deadline, uploading=self.uploading)
        return end if moment is not None and self.runtime.clock() >= moment - EARLY_S else None

    def timed_out(self) -> LocalReply:
        """What the caller is told when nothing else came before the end."""
        limits = self.limits
        end = ROUTE if limits is None else limits.first(self.deadline, uploading=self.uploading)[1]
        return reply_of(end, uploading=self.uploading)

    def idle_s(self) -> float | None:
        """How long a try may have no byte: while it is uploading that is the stream's limit, then its own."""
        if self.uploading:
            return None if self.limits is None else self.limits.idle_s
        times = self.route.retry if self.route is not None else None
        return None if times is None else times.per_try_idle_timeout_s

    # -- what comes back -----------------------------------------------------------------------------------------

    def _bypass(self, route: TcpRoute) -> Machine:
        """Unrouted: the library's own means, to the name or to an endpoint of a TCP cluster."""
        self.attempts = 1
        head: Head = yield Bypass(route if route is not DIRECT else None)
        self.status = head.status
        self.finished((yield self.deliver(head)))
        return None

    def deliver(self, head: Head) -> Deliver:
        """The last action: the response with the mesh's mutations. `finished` follows when its body has ended."""
        target, cookies = self.target, self.cookies
        if cookies is not None and not cookies.late:
            head.headers = [*head.headers, *cookies.headers(self.attempts)]
        if target is not None and target.response_levels:
            levels = target.response_levels
            if formats(levels):
                subject = self.subject()
                subject.status, subject.response, subject.host = head.status, head.headers, self.host
                subject.details, subject.attempts = "via_upstream", self.attempts
                head.headers = apply_levels(levels, head.headers, self.as_sent(), subject=subject)
            else:
                head.headers = apply_levels(levels, head.headers, self.request)
        if self.route is not None and self.route.tells_attempts:
            head.headers = counted(head.headers, self.attempts)
        if cookies is not None and cookies.late:
            head.headers = [*head.headers, *cookies.headers()]
        if self.filters is not None:
            head.headers = self.filters.response(self, head.status, head.headers) + self.response_headers
        if self.answering is not None:
            head.headers = self.answering(head.headers, self.as_sent())
        request = self.request
        if request.method == b"POST" and request.is_grpc:
            self.grpc_status = next((value for name, value in head.headers if name.lower() == b"grpc-status"), None)
        limits = self.limits
        if limits is None:
            return Deliver(head, self.deadline, self.idle_s())
        limits.answered()
        own = self.idle_s()
        idle_s = limits.idle_s if own is None or (limits.idle_s is not None and limits.idle_s < own) else own
        return Deliver(head, limits.first(self.deadline)[0], idle_s)

    def local(self) -> tuple[str, int]:
        """Where the program's connection would have gone: the end that a sidecar has of it."""
        destination = self.destination
        host = destination.resolved if destination is not None and destination.resolved else None
        return host or self.url_host.decode("latin-1").strip("[]"), self.port

    def dialled(self) -> str:
        """The same in one."""
        host, port = self.local()
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def sent_header(self, name: str) -> bytes | None:
        """The first value of a header as it goes out."""
        return self.as_sent().header(name.encode())

    def subject(self) -> Subject:
        """What formats may ask about."""
        return subject_of(self)

    def as_sent(self) -> RequestView:
        """The request as response headers see it: with mutations and rewrites, once they were made."""
        return self.request if self.upstream is None else self.upstream.view()

    def finished(self, end: BodyEnd) -> None:
        """The body has ended."""
        self.sent, self.received, self.cut = end.sent, end.received, not end.complete
        if self.cut:
            self.flags = (*self.flags, *cut_by(self, end.kind))
