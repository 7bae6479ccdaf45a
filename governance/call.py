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
from .actions import Action, AwaitConfig, BodyEnd, Bypass, Failure, Head
from .admission import admit
from .attempts import attempt_until_done
from .call_state import CallState
from .composition.calls import gone_past, routed, unlimit
from .composition.falling import fall_back
from .composition.own import come_back_local, enter
from .delivering import delivery
from .describing import subject_of
from .finding import find_again, take_route
from .hedging import hedge_until_done
from .internal_redirects import Redirected, again
from .letting_out import begin_try, let_out, let_out_as
from .opaque import passed_on
from .passing import DIRECT, PASSTHROUGH, TcpRoute
from .paths import NotHttpError
from .peer import Principals
from .plan import OPAQUE, BadAuthorityError, Destination, Missing
from .replies import LocalReply, bad_authority, bad_request, closed, no_cluster, no_route
from .replying import own_reply
from .reporting import deliver
from .request import RequestView
from .routing import CompiledRoute, Target
from .steering import steer
from .subject import Subject
from .telling import end_span, tell_of_call
from .timing import EARLY_S, ROUTE, End, StreamLimits, cut_by, limits_of, reply_of
from .upstream import UpstreamRequest

Machine = Generator[Action, Any, LocalReply | None]
"""Returns the reply that the mesh itself gives, or None after a response was delivered."""

FILTERS = Missing(None, (), "the answer of the HTTP filters")
"""What a decision lacks until they have run, which may take time."""


class OutgoingCall(CallState):
    """One call: its request, what was decided about it, and how it ended. Telemetry and `explain` read it."""

    __slots__ = ()

    def run(self) -> Machine:
        """The machine."""
        ended = False
        reply: LocalReply | None = None
        try:
            changes = self.runtime.changes
            seen = changes.generation  # before the look: what comes after it is not missed
            policies = self.policies
            if policies is not None:
                self.reply = yield from enter(self, policies)
            while True:
                waited, held_s = False, 0.0
                while self.reply is None and self.bypass is None and (missing := self._decide()) is not None:
                    if missing is FILTERS and self.filters is not None:
                        said = self.filters.request(self)
                        self.reply = said if said is None or isinstance(said, LocalReply) else (yield from said)
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
                if policies is not None:
                    self.reply = yield from routed(self, policies)
                reply = self.reply
                if reply is None:
                    outcome: LocalReply | Redirected | None
                    if self.bypass is not None:
                        outcome = yield from self._bypass(self.bypass)
                    elif (
                        self.route is not None
                        and self.route.hedges
                        and not self.alone
                        and (policies is None or policies.hedges)
                    ):
                        outcome = yield from hedge_until_done(self)
                    else:
                        outcome = yield from attempt_until_done(self)
                    if isinstance(outcome, Redirected):
                        continue
                    reply = outcome
                if reply is not None and policies is not None:
                    reply = fall_back(self, policies, reply)
                    if reply is None:
                        continue
                break
            if reply is not None:
                reply = own_reply(self, reply)
                if policies is not None:
                    reply = yield from come_back_local(self, reply)
            ended = True
        except ResourceError as error:
            reply = own_reply(self, closed(str(error)))
            ended = True
        finally:
            if self.unreached:
                self.status = 503
                self.flags = (self.unreached,)
                if self.trace is not None:
                    self.trace.came(Failure("connect-failure", ""))
            elif not ended:
                # Closed from outside: the caller went away, or its own timeout passed.
                self.flags = (*self.flags, "DC")
            elif reply is not None:
                self.reply = reply
                self.status = reply.status
                self.flags = (*self.flags, *reply.flags)
            if self.filters is not None:
                self.filters.end(self)
            if self.policies is not None:
                gone_past(self)
            runtime = self.runtime
            self.ended = runtime.clock()
            destination = self.destination
            if destination is not None and (
                self.trace is not None or destination.http is None or destination.http.logs is not None
            ):
                tell_of_call(self)
            for listener in runtime.listeners:
                listener.on_call(self)
        return reply

    def restart(self, request: RequestView, route: str) -> None:
        """Begin anew with this request, which a route of this name will take; only the dialled address stays."""
        self.redirects = (*self.redirects, (self.route.route.name if self.route is not None else "", route))
        self.begin(request)

    def begin(self, request: RequestView) -> None:
        """As though nothing had been decided yet."""
        if self.filters is not None:
            self.filters.end(self)
            self.filters = None
        if self.trace is not None:
            end_span(self)
        self.request, self.anew = request, True
        self.vhost = self.route = self.target = self.cluster = self.host = self.upstream = self.retry = None
        self.named = self.hash = self.cookies = self.steering = None
        self.deadline = self.timeout_s = self.limits = None
        self.attempts, self.tried, self.flags, self.reply = 0, (), (), None
        self.secured_by = None
        self.told = ()

    @property
    def principals(self) -> Principals | None:
        """Who is at the ends of that connection."""
        return self.secured_by.principals if self.secured_by is not None else None

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
        if runtime.options.ungoverned and runtime.options.leaves_alone(self.url_host):
            self.bypass = DIRECT
            return None
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
        table = destination.table
        if table is None:
            found = http.table(plan)
            if isinstance(found, Missing):
                return found
            table = destination.table = found
        try:
            if self.redirects:
                self.reply = again(request, http.config)
            else:
                self.reply = admit(request, http.admission, runtime.rng, self.port, table.internal_only)
        except NotHttpError:
            return self._as_tcp()
        if self.reply is not None:
            return None
        vhost = destination.hosts.get(request.authority)
        if vhost is None or table.vhost_header:
            try:
                vhost = destination.virtual_host(request, table)
            except BadAuthorityError:
                self.reply = bad_authority()
                return None
        self.vhost = vhost
        route, target = take_route(self, vhost)
        if http.tracing is not None:
            self.trace = http.tracing.begin(request, route, incoming=False, again=bool(self.redirects))
        if http.filters.active:
            chain = http.filters if self.policies is None else http.filters_for(self.policies)
            place = target if target is not None else route
            kept = place.chain if place is not None else None
            filters = kept[1] if kept is not None and kept[0] is chain else chain.at(place)
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
        found = passed_on(self.runtime, destination)
        if isinstance(found, Missing):
            return found
        if isinstance(found, LocalReply):
            self.reply = found
            return None
        self.bypass, self.cluster = found
        if self.cluster is not None:
            self.cluster.state.used_at = self.started
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
            let_out(self)
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
            timeout_s = route.timeout_of(request) if request.is_grpc else route.timeout_s
        policies = self.policies
        if policies is not None and policies.timeout != "on":
            unlimit(self, policies, timeout_s)
            timeout_s = None
        self.timeout_s = timeout_s
        if timeout_s is not None and not self.uploading:
            self.deadline = began + timeout_s
        limits: StreamLimits | None = None
        if self.timed and (route.limited or cluster.limited or destination.http.limited):
            limits = self.limits = limits_of(route, destination.http.config, cluster, request, began)
        if steering is not None and self.timed:
            limits = self.limits = steering.limits(limits, began)
        self.upstream = UpstreamRequest(
            self,
            route,
            target,
            timeout_s if route.retry is None or route.retry.per_try_timeout_s is None else route.expected(timeout_s),
            destination.http,
            cluster,
            None if limits is None else limits.grpc_s,
        )
        retry = route.retry if cluster.retry is None else cluster.retry
        if steering is not None:
            retry = steering.retry
        if policies is not None and policies.retry == "off":
            retry = None
        if retry is not None and (not retry.gated or retry.allows(self.upstream)):
            self.retry = retry
        return None

    def uploaded(self, *, replayable: bool = True) -> float | None:
        """The request has been sent whole: only now do its timeouts begin (Envoy: at the end of the request).

        `replayable`: whether it could be sent once more. Returns until when the head of the response must be there.
        """
        self.uploading = False
        self.spent = self.spent or not replayable
        if self.timeout_s is not None:
            self.deadline = self.runtime.clock() + self.timeout_s
        if self.limits is not None:
            self.limits.sent(self.runtime.clock())
        if self.race is not None:
            self.race.put("uploaded")
        return self.try_until()

    @property
    def incomplete(self) -> bool:
        """Whether more of the request may come: its body, or what follows where it becomes a WebSocket."""
        return self.uploading or b"upgrade" in self.request.headers

    def try_until(self) -> float | None:
        """When a try that begins now has to have its head; None without a timeout, or before the body is sent."""
        until = self.end()
        retry = self.route.retry if self.route is not None and self.timed else None
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
        return reply_of(end, incomplete=self.incomplete)

    def idle_s(self) -> float | None:
        """How long a try may have no byte: while it is uploading that is the stream's limit, then its own."""
        if self.uploading:
            return None if self.limits is None else self.limits.idle_s
        times = self.route.retry if self.route is not None and self.timed else None
        return None if times is None else times.per_try_idle_timeout_s

    # -- what comes back -----------------------------------------------------------------------------------------

    def _bypass(self, route: TcpRoute) -> Generator[Action, Any, LocalReply | Redirected | None]:
        """Unrouted: the library's own means, to the name or to an endpoint of a TCP cluster."""
        if route is DIRECT and self.anew:
            self.bypass = None
            authority = self.request.authority.decode("latin-1")
            return closed(f"{authority} is outside of the mesh, and the library sends only what the program asked for")
        self.attempts = 1
        begin_try(self)
        passage = self.passage
        changed = None if passage is None else passage.sent
        head: Head = yield Bypass(route if route is not DIRECT else None, changed, self.told)
        self.status = head.status
        if self.trace is not None:
            self.trace.came(head)
        return (yield from deliver(self, head, None))

    deliver = delivery
    """`finished` follows when the body has ended."""

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
        return let_out_as(self) if self.upstream is None else self.upstream.view()

    def finished(self, end: BodyEnd) -> None:
        """The body has ended."""
        self.sent, self.received, self.cut = end.sent, end.received, not end.complete
        if self.cut:
            self.flags = (*self.flags, *cut_by(self, end.kind))
