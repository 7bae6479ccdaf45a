"""The life of one incoming request: the filter chain of the app's port, its route, its filters, then the app.

Sans-I/O like an outgoing call (governance.call), and driven by a server suite: `decide` on the way in, `response` on
the way out, `ended` when the response is over.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from ..xds.model.listener import FilterChain
from ..xds.model.resource import ResourceError
from .actions import Ask, Collect, Sleep
from .admission import admit
from .authorization.decisions import BODY, DECISIONS
from .authorization.question import Question
from .client_cert import tell_client
from .composition.compose import Policies
from .composition.falling import refuse_otherwise
from .composition.own import Passage, come_back_app, come_back_local, enter, leave_inbound
from .composition.shadowing import lets_in
from .describing import subject_of_request, subject_of_response
from .filters.chain import FilterChainRuntime
from .finding import gone
from .forwarding import CLIENT_CERT, DECORATOR, put
from .headers import HeaderList, apply_levels, formats
from .hello import ISTIO, Hello
from .http_runtime import HttpRuntime
from .paths import NotHttpError
from .peer import Peer
from .plan import Missing
from .replies import CLOSE, LocalReply, bad_request, last_of_connection, no_route, refused
from .replying import refusal
from .request import RequestView
from .route_table import RouteTable
from .routing import CompiledRoute, CompiledVirtualHost, Target
from .runtime import Runtime
from .steering import STEERING, unsteer
from .subject import Subject
from .telling import tell_of_request
from .trace_context import carrying
from .tracing import Trace

Decision = Generator[Sleep | Ask | Collect, Any, LocalReply | None]
"""What has to be awaited before a request is decided (`Sleep`, `Ask`, `Collect`), and the reply that it gets here."""

PERSISTENT = ("HTTP/1.1", "HTTP/1.0")
"""Where a response says whether its connection goes on; others have frames for that."""


def _later(reply: LocalReply, seconds: float) -> Decision:
    yield Sleep(seconds)
    return reply


class InboundRequest:
    """One request: what was decided about it, and how it ended. Telemetry and `explain` read it."""

    __slots__ = (
        "chain",
        "cut",
        "dynamic",
        "ended_at",
        "fallback",
        "fallen",
        "filters",
        "flags",
        "grpc_status",
        "headed",
        "hello",
        "http",
        "incoming",
        "kept",
        "local_address",
        "moved",
        "named",
        "names_operation",
        "passage",
        "peer",
        "policies",
        "port",
        "protocol",
        "received",
        "reply",
        "request",
        "response_headers",
        "response_line",
        "route",
        "runtime",
        "sent",
        "shadowed",
        "source_port",
        "spent",
        "started",
        "status",
        "target",
        "trace",
        "vhost",
    )

    def __init__(
        self,
        runtime: Runtime,
        request: RequestView,
        port: int,
        peer: Peer | None = None,
        hello: Hello = ISTIO,
        local: str = "",
        source_port: int = 0,
        protocol: str = "HTTP/1.1",
        policies: Policies | None = None,
        *,
        tls: bool = False,
    ) -> None:
        """`local` is the address that the connection was made to, by default that of the workload; `policies` are those
        of the suite, by default the mesh's."""
        self.runtime = runtime
        self.policies = policies if policies is not None else runtime.policies
        self.passage: Passage | None = None
        self.shadowed: tuple[tuple[str, str], ...] = ()
        self.fallen, self.fallback, self.spent = 0, "", True
        self.request = request
        self.port = port
        self.peer = peer
        self.local_address = local
        self.source_port = source_port
        self.hello = hello if tls or peer is not None else None
        """What the connection began with; None for plaintext."""
        self.protocol = protocol
        self.moved = False
        self.started = runtime.clock()
        self.ended_at = 0.0
        self.chain: FilterChain | None = None
        self.http: HttpRuntime | None = None
        self.vhost: CompiledVirtualHost | None = None
        self.route: CompiledRoute | None = None
        self.target: Target | None = None
        self.response_headers: HeaderList = []
        self.filters: FilterChainRuntime | None = None
        self.kept: dict[Any, Any] = {}
        self.dynamic: dict[str, dict[str, Any]] = {}
        self.incoming = True
        self.named: str | None = None
        self.names_operation = False
        """Whether the client said what the operation is called."""
        self.reply: LocalReply | None = None
        self.status = 0
        self.flags: tuple[str, ...] = ()
        self.received = 0
        self.sent = 0
        self.grpc_status: bytes | None = None
        self.cut = False
        self.trace: Trace | None = None
        """What is traced of it."""
        self.response_line: HeaderList | None = None
        """The headers of the app's response as they leave, which came at `headed`."""
        self.headed: float | None = None

    def decide(self) -> LocalReply | None:
        """The outcome of `run` at once: nobody waits, and no service is asked (`proxyless explain`)."""
        machine = self.run()
        try:
            while True:
                next(machine)
        except StopIteration:
            return self.reply

    def run(self) -> Decision:
        """The machine: the reply that the mesh itself gives, or None to let it through. What cannot be decided is
        refused."""
        found = self.start()
        return found if found is None or isinstance(found, LocalReply) else (yield from found)

    def start(self) -> LocalReply | Decision | None:
        """The same at once, as most requests are decided; else the machine that goes on from there."""
        if self.policies is not None:
            return self._wait(self._among(self.policies))
        try:
            found = self._decide()
        except ResourceError as error:
            found = refused(str(error))
        if found is None:
            return None
        return self._replied(refusal(self, found)) if isinstance(found, LocalReply) else self._wait(found)

    def _wait(self, steps: Decision) -> Decision:
        try:
            reply = yield from steps
        except ResourceError as error:
            reply = refused(str(error))
        if reply is None:
            return None
        if self.policies is not None:
            reply = refuse_otherwise(self, self.policies, reply)
        reply = refusal(self, reply)
        if self.passage is not None:
            reply = yield from come_back_local(self, reply)
        return self._replied(reply)

    def _among(self, policies: Policies) -> Decision:
        """With what users have added."""
        reply = yield from enter(self, policies)
        if reply is None:
            found = self._decide()
            reply = found if found is None or isinstance(found, LocalReply) else (yield from found)
        return (yield from leave_inbound(self, policies)) if reply is None else reply

    def _replied(self, reply: LocalReply) -> LocalReply:
        self.reply = reply
        self.status = reply.status
        self.flags = (*self.flags, *reply.flags)
        return reply

    def _decide(self) -> LocalReply | Decision | None:
        runtime = self.runtime
        plan = runtime.plan
        if not plan.snapshot.complete:
            if runtime.options.passthrough_until_ready:
                self._unvouched()
                return None
            return refused("no complete configuration yet")
        found = plan.inbound(self.port, self.request.source, self.hello)
        if found is None:
            if self.hello is None and plan.inbound(self.port, self.request.source, ISTIO) is not None:
                return refused(f"port {self.port} takes mTLS only, and this connection is plaintext")
            return refused(f"no filter chain takes port {self.port}")
        if isinstance(found, Missing):
            runtime.require(found)
            return refused(f"waiting for {found.what}")
        chain, http = found
        self.chain = chain
        if chain.unknown_socket:
            return refused(f"transport socket {chain.unknown_socket} is not supported")
        if self.hello is None and chain.downstream is not None:
            return refused(f"filter chain {chain.name} takes TLS only, and this connection is plaintext")
        if self.peer is not None and not self.peer.validated and self._wants_certificate(chain):
            # Its connection was let in by another chain, such as the one before the configuration changed.
            return refused(f"filter chain {chain.name} takes mTLS only; presented no certificate that was validated")
        for closing in chain.closed_by:
            allowed = runtime.options.allow_unenforced
            if closing.name not in allowed and closing.type_url not in allowed:
                return refused(f"network filter {closing.name} cannot be enforced: {closing.reason}")
        door = plan.door(chain) if chain.rbac else None
        if door is not None:
            refusal, self.kept[DECISIONS] = door.ask(self._of_connection())
            if refusal is not None and not lets_in(self, 403):
                reply = LocalReply(403, BODY, headers=(CLOSE,), details=refusal.details)
                return _later(reply, refusal.delay_s) if refusal.delay_s else reply
        if http is None:
            self._unvouched()
            return None
        self.http = http
        if http.filters.closed is not None:
            return refused(http.filters.closed)
        return self._filters(http)

    def _of_connection(self) -> Question:
        address, port = self.local()
        source = self.request.source
        return Question(source=source, destination=address, port=port, peer=self.peer, source_port=self.source_port)

    def _filters(self, http: HttpRuntime) -> LocalReply | Decision | None:
        runtime = self.runtime
        request = self.request
        table = http.inline
        if table is None:
            found = http.table(runtime.plan)
            if isinstance(found, Missing):
                runtime.require(found)
                return refused(f"waiting for {found.what}")
            table = found
        presented = self.peer is not None and self.peer.presented
        sent = request.values(CLIENT_CERT) if presented else ()
        try:
            reply = admit(request, http.admission, runtime.rng, self.port, table.internal_only)
        except NotHttpError:
            reply = bad_request("http1.codec_error")
        if reply is not None:
            return reply
        if presented and self.peer is not None:
            tell_client(request, http.config.client_cert, self.peer, sent)
        self._route(http, table)
        if http.tracing is not None:
            self.trace = http.tracing.begin(request, self.route, incoming=True, again=False)
        if http.config.tracing and request.headers.get(DECORATOR):  # the name of an operation stays here
            request.replace_headers([pair for pair in request.raw_headers if pair[0].lower() != DECORATOR])
            self.names_operation = True
        request.restore_host()  # what the app gets that a next hop does not: Host among the headers
        if self.filters is not None:
            said = self.filters.request(self)
            if said is not None:
                return said if isinstance(said, LocalReply) else self._filtered(said)
        return self._let_in()

    def _filtered(self, steps: Decision) -> Decision:
        reply = yield from steps
        return self._let_in() if reply is None else reply

    def _let_in(self) -> LocalReply | None:
        """What becomes of a request that the filters have let pass."""
        request = self.request
        route, target = self.route, self.target
        if route is None:
            return no_route()
        if target is None:
            return route.answer(request, self.subject)
        if request.internal and not STEERING.isdisjoint(request.headers):
            unsteer(request)  # there is nothing to steer any more
        levels = target.request_levels
        if levels:
            subject = self.subject() if formats(levels) else None
            headers = apply_levels(levels, list(request.raw_headers), request, live=True, subject=subject)
            request.replace_headers(headers)
        if self.trace is not None and (context := self.trace.lines()):
            request.replace_headers(carrying(list(request.raw_headers), context))
        return None

    @staticmethod
    def _wants_certificate(chain: FilterChain) -> bool:
        return chain.downstream is not None and chain.downstream.require_client_certificate

    def _unvouched(self) -> None:
        """Where no connection manager looks at a request, nobody vouches for what it says of its client."""
        if CLIENT_CERT in self.request.headers:
            kept = [pair for pair in self.request.raw_headers if pair[0].lower() != CLIENT_CERT]
            self.request.replace_headers(kept)

    def _route(self, http: HttpRuntime, table: RouteTable) -> None:
        """Where it goes, and which filters it passes on its way."""
        request, uniform = self.request, self.runtime.uniform
        vhost = self.vhost = table.of(request)
        route = self.route = vhost.match(request, uniform) if vhost is not None else None
        self.target = None
        if route is not None and route.action is not None:
            self.target = route.draw(request, uniform, request.source)
        filters = http.filters if self.policies is None else http.filters_for(self.policies)
        if filters.active:
            self.filters = filters.at(self.target if self.target is not None else route)

    def find_route(self) -> None:
        """Find the route anew: the request is another one by now."""
        http = self.http
        table = http.table(self.runtime.plan) if http is not None else None
        if http is None or table is None or isinstance(table, Missing):
            raise gone(self.request)
        self._route(http, table)
        self.moved = True

    def local(self) -> tuple[str, int]:
        """The address and the port that the connection was made to."""
        return self.local_address or self.runtime.options.workload.address, self.port

    def subject(self) -> Subject:
        """What formats may ask about."""
        return subject_of_request(self)

    def answered(self, headers: HeaderList) -> HeaderList:
        """The headers of any response as they leave; the list given is not changed."""
        if self.runtime.draining and self.protocol in PERSISTENT:
            headers = last_of_connection(headers)
        http, route = self.http, self.route
        if http is None:
            return headers
        if http.answering is not None:
            headers = http.answering(headers, self.request)
        if http.config.tracing and route is not None and route.decorator is not None and not self.names_operation:
            headers = list(headers)
            put(headers, DECORATOR, route.decorator)
        return headers

    def response(self, status: int, headers: HeaderList) -> HeaderList:
        """The headers of the app's response after the mesh's mutations; the list given is not changed."""
        if self.target is not None and self.target.response_levels:
            levels = self.target.response_levels
            subject = subject_of_response(self, status, headers) if formats(levels) else None
            headers = apply_levels(levels, headers, self.request, subject=subject)
        if self.request.method == b"POST" and self.request.is_grpc:
            headers = list(headers)
            self.grpc_status = next((value for name, value in headers if name.lower() == b"grpc-status"), None)
        if self.filters is not None and self.filters.responders:
            headers = self.filters.response(self, status, headers)
        headers = self.answered([*headers, *self.response_headers] if self.response_headers else headers)
        headers = self.response_line = headers if self.passage is None else come_back_app(self, status, headers)
        if self.http is not None:
            self.headed = self.runtime.clock()
        return headers

    def ended(self, status: int, flags: tuple[str, ...] = ()) -> None:
        """The response is over, or the client went away."""
        self.status = status
        if flags:
            self.flags = (*self.flags, *flags)
            self.cut = True
        if self.filters is not None and self.filters.enders:
            self.filters.end(self)
        self.ended_at = self.runtime.clock()
        runtime, http = self.runtime, self.http
        if self.trace is not None or (
            runtime.access_log is not None and (self.chain is not None if http is None else http.logs is not None)
        ):
            tell_of_request(self)
        for listener in runtime.listeners:
            listener.on_request(self)
