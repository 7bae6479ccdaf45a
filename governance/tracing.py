"""Which requests are traced, by which spans, and what those say (envoy source: ConnectionManagerUtility, HttpTracer).

The decision is Envoy's and is made by the request's id. Spans are made by whatever the runtime has for it (`spans`,
OpenTelemetry); where nothing is there, nothing is traced and no header is touched but the id.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, final

from ..xds.model.tracing import TRACERS, RouteTracing, Sampling, Tag, Tracer, Tracing
from ..xds.model.values import Note
from .actions import Failure, Head
from .commands import command
from .formatter import UnsupportedFormatError, compile_value
from .forwarding import DECORATOR, put
from .grpc_statuses import (
    DATA_LOSS,
    DEADLINE_EXCEEDED,
    INTERNAL,
    RESOURCE_EXHAUSTED,
    UNAVAILABLE,
    UNIMPLEMENTED,
    UNKNOWN,
)
from .headers import HeaderList
from .log_commands import unless_secret
from .replies import BODILESS, RESETS
from .request import RequestView
from .subject import Subject
from .trace_context import Context, MalformedContextError, extract, lines

if TYPE_CHECKING:
    from .routing import CompiledRoute
    from .runtime import Runtime

REQUEST_ID = b"x-request-id"
CLIENT_TRACE_ID = b"x-client-trace-id"
FORCE = b"x-envoy-force-trace"

SAMPLED, FORCED, CLIENT, NONE = b"9", b"a", b"b", b"4"
"""What an id says of its request: the digit that is the version of a UUID."""
REASONS = frozenset({SAMPLED, FORCED, CLIENT})
PLACE = 14
ID_LENGTH = 36
ID_DIGITS = 8
DRAWS = 10_000

GRPC_ERRORS = frozenset(
    b"%d" % each
    for each in (UNKNOWN, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS)
)
"""Statuses that are not the client's own fault."""

SERVER_ERRORS = GRPC_ERRORS - {b"%d" % RESOURCE_EXHAUSTED}
"""Those by which a server's span has failed; a client's has by any but 0 (OpenTelemetry's conventions for gRPC)."""

Value = Callable[[Subject], bytes]
Tags = Mapping[str, Value]


class Span(Protocol):
    """A span under way, of whatever records it."""

    context: Context
    recording: bool

    def child(self, name: str) -> Span:
        """A span of a try of this one's request."""

    def entered(self) -> AbstractContextManager[object]:
        """Inside of it, this span is the program's current one."""

    def attach(self) -> None:
        """In this context (`contextvars`) it is the program's current one from now on."""

    def end(self, name: str, attributes: Mapping[str, str], *, failed: bool) -> None:
        """It is over."""


class Spans(Protocol):
    """Where spans are made."""

    def continued(self, context: Context | None) -> Context | None:
        """The span that a request continues: the program's current one, unless the request tells of another trace."""

    def start(self, name: str, parent: Context | None, *, server: bool) -> Span:
        """A span that begins now."""


@final
class Spec:
    """What a manager or a route says of its spans, compiled. `notes`: what of it cannot be done."""

    __slots__ = ("notes", "operation", "sampling", "tags", "upstream_operation")

    def __init__(self, config: Tracing | RouteTracing, scope: str) -> None:
        self.notes: tuple[Note, ...] = ()
        self.sampling: Sampling = config.sampling
        self.tags: Tags = {each.name: value for each in config.tags if (value := self._tag(each, scope)) is not None}
        self.operation = self._operation("operation", config.operation, scope)
        self.upstream_operation = self._operation("upstream_operation", config.upstream_operation, scope)

    def _tag(self, tag: Tag, scope: str) -> Value | None:
        try:
            return _value(tag)
        except UnsupportedFormatError as error:
            self.notes += (Note(scope, f"tracing.custom_tags[{tag.name}]", str(error)),)
            return None

    def _operation(self, field: str, text: str, scope: str) -> Value | None:
        if not text:
            return None
        try:
            return _formatted(text)
        except UnsupportedFormatError as error:
            self.notes += (Note(scope, f"tracing.{field}", str(error)),)
            return None


def _formatted(text: str) -> Value:
    compiled = compile_value(text)
    return (lambda subject: compiled) if isinstance(compiled, bytes) else compiled


def _value(tag: Tag) -> Value:
    default = tag.default.encode()
    match tag.kind:
        case "literal":
            literal = tag.value.encode()
            return lambda subject: literal
        case "environment":
            return lambda subject: subject.workload.environment.get(tag.value, tag.default).encode()
        case "header":
            name = tag.value.encode()
            read = unless_secret(lambda subject: subject.request.header(name), (name,))
            return lambda subject: default if (found := read(subject)) is None else found
        case "metadata":
            stored = command("METADATA", tag.value)
            return lambda subject: default if (found := stored(subject)) is None else found
        case _:
            return _formatted(tag.value)


class TracingRuntime:
    """The tracing of one connection manager. `tracer` is None where spans are not asked for."""

    __slots__ = ("_attempts", "_runtime", "config", "notes", "spec", "tracer")

    def __init__(self, config: Tracing, scope: str, runtime: Runtime) -> None:
        self.config = config
        self._runtime = runtime
        self.spec = Spec(config, scope)
        self.notes = self.spec.notes
        own = None if config.refused else config.tracer or TRACERS.get(runtime.options.tracer)
        self.tracer: Tracer | None = own
        self._attempts = config.attempts or runtime.options.trace_attempts
        if own is not None and runtime.spans is None:
            self.notes += (Note(scope, "tracing", "opentelemetry-api is not installed (proxyless[tracing])"),)

    def begin(self, request: RequestView, route: CompiledRoute | None, *, incoming: bool, again: bool) -> Trace | None:
        """Decide about a request whose route is known, and tell its id. `again`: it was decided about before."""
        spec = self.spec if route is None or route.tracing is None else route.tracing
        if again:
            decided = _reason(request.headers.get(REQUEST_ID, b"")) != NONE
        else:
            decided = self._decide(request, spec.sampling)
        tracer = self.tracer
        if tracer is None or (spans := self._runtime.spans) is None:
            return None
        try:
            given = extract(tracer, request)
        except MalformedContextError:
            return None
        parent = spans.continued(given if given is not None and given.trace_id else None)
        sampled = decided
        if given is not None and given.sampled is not None:
            sampled = given.sampled and (decided or tracer.b3)  # Zipkin's clients decide, others may only refuse
        single = given is not None and given.single
        if not sampled:
            context = self._unsampled(tracer, parent)
            return Trace(self, context, None, spec, "", tries=False, single=single)
        name = self._name(request, route, incoming=incoming)
        tries = self._attempts and not incoming
        server = incoming or tries or tracer.split
        span = spans.start(name, parent, server=server)
        if not span.context.trace_id:
            return None  # nobody records: what the program sends stays
        return Trace(self, span.context, span, spec, name, tries=tries, server=server, single=single)

    def _decide(self, request: RequestView, sampling: Sampling) -> bool:
        """Whether the request is traced, which its id says from now on."""
        if not self.config.by_request_id:
            return True
        known = request.headers
        said = known.get(REQUEST_ID, b"")
        digits = said[:ID_DIGITS]
        if len(digits) < ID_DIGITS or not digits.isalnum():
            return False  # `int` would take signs, spaces and underscores; it takes 0x as Envoy does
        try:
            draw = int(digits, 16) % DRAWS
        except ValueError:
            return False
        reason = before = _reason(said)
        if reason == NONE:
            if CLIENT_TRACE_ID in known and sampling.client.hit(
                int(self._runtime.uniform() * sampling.client.denominator)
            ):
                reason = CLIENT
            elif FORCE in known:
                reason = FORCED
            elif sampling.random.hit(draw):
                reason = SAMPLED
        if reason == NONE:
            return False
        if not sampling.overall.hit(draw):
            reason = NONE
        if reason != before and self.config.packs_reason and len(said) == ID_LENGTH:
            _tell(request, said[:PLACE] + reason + said[PLACE + 1 :])
        return reason != NONE

    def _unsampled(self, tracer: Tracer, parent: Context | None) -> Context:
        draw = self._runtime.rng.getrandbits
        if parent is None:
            return Context(draw(128 if tracer.wide else 64), draw(64), False, wide=tracer.wide)
        return Context(parent.trace_id, draw(64), False, parent.state, parent.span_id, parent.wide, parent.single)

    def _name(self, request: RequestView, route: CompiledRoute | None, *, incoming: bool) -> str:
        said = request.headers.get(DECORATOR, b"") if incoming else b""
        if said:
            return said.decode("latin-1")
        if route is not None and route.route.decorator:
            return route.route.decorator
        return "ingress" if incoming else "egress " + request.authority.decode("latin-1")


def _reason(said: bytes) -> bytes:
    digit = said[PLACE : PLACE + 1] if len(said) == ID_LENGTH else NONE
    return digit if digit in REASONS else NONE


def _tell(request: RequestView, value: bytes) -> None:
    headers = list(request.raw_headers)
    put(headers, REQUEST_ID, value)
    known = request.headers
    request.raw_headers = headers
    known[REQUEST_ID] = value


@final
class Trace:
    """What is traced of one request: its span, or only the context that says that there is none."""

    __slots__ = (
        "_attempt",
        "_config",
        "_context",
        "_name",
        "_outcome",
        "_own",
        "_server",
        "_spec",
        "_tracer",
        "_tries",
        "span",
    )

    def __init__(
        self,
        runtime: TracingRuntime,
        context: Context,
        span: Span | None,
        spec: Spec,
        name: str,
        *,
        tries: bool,
        server: bool = False,
        single: bool = False,
    ) -> None:
        if runtime.tracer is None:
            raise AssertionError("a trace without a tracer")
        self.span = span
        self._context = replace(context, single=True) if single and not context.single else context
        self._config, self._tracer, self._own, self._spec = runtime.config, runtime.tracer, runtime.spec, spec
        self._name, self._server, self._tries = name, server, tries
        self._attempt: Span | None = None
        self._outcome: Head | Failure | None = None

    @property
    def ids(self) -> tuple[str, str]:
        """Of the trace and the span, as access logs tell them."""
        context = self._context
        return f"{context.trace_id:032x}", f"{context.span_id:016x}"

    def lines(self) -> HeaderList:
        """What the next hop is told."""
        return [] if self._config.silent else lines(self._tracer, self._context)

    def attempt(self, cluster: str) -> HeaderList:
        """A try begins: where tries have spans of their own, the next hop is told of that one, by these headers."""
        span = self.span
        if span is None or not self._tries:
            return []
        self._outcome = None
        self._attempt = child = span.child(f"router {cluster} egress")
        return [] if self._config.silent else lines(self._tracer, replace(child.context, single=self._context.single))

    def came(self, outcome: Head | Failure) -> None:
        """What became of the try, which another may follow."""
        self._outcome = outcome

    def attempted(self, subject: Subject, *, final: bool = False) -> None:
        """The try is over: what is known of its request by then."""
        span, self._attempt = self._attempt, None
        if span is None or not span.recording:
            return
        outcome = self._outcome
        attributes, status = _of_try(subject, outcome, final=final)
        if final and not status:
            subject = replace(subject, status=0, local_status=0, response=None)  # what is answered then is no try's
        answered = outcome.headers if isinstance(outcome, Head) else subject.response
        failed = status >= 400 or _of_grpc(attributes, answered, server=False)
        name = self._operation(subject, upstream=True)
        self._tag(attributes, subject)
        span.end(name, attributes, failed=failed)

    def end(self, subject: Subject) -> None:
        """The request is over."""
        span = self.span
        if span is None:
            return
        self.attempted(subject, final=True)
        if not span.recording:
            span.end(self._name, {}, failed=False)
            return
        status = subject.status
        attributes = {**_of_request(subject, self._config.longest_path), **_of_cluster(subject)}
        attributes |= {
            "request_size": str(subject.received),
            "response_size": str(subject.sent),
            "component": "proxy",
            "http.status_code": str(status),
            "response_flags": ",".join(subject.flags) or "-",
        }
        if status == 0 or status >= 500:
            attributes["error"] = "true"
        failed = _of_grpc(attributes, subject.response, server=self._server)
        self._tag(attributes, subject)
        name = self._operation(subject) or self._name
        span.end(name, attributes, failed=failed or status >= (500 if self._server else 400))

    def _operation(self, subject: Subject, *, upstream: bool = False) -> str:
        for spec in (self._spec, self._own):
            format_ = spec.upstream_operation if upstream else spec.operation
            if format_ is not None and (made := format_(subject)):
                return made.decode("latin-1")
        return ""

    def _tag(self, attributes: dict[str, str], subject: Subject) -> None:
        for name, value in {**self._own.tags, **self._spec.tags}.items():
            found = value(subject)
            if found:
                attributes[name] = found.decode("utf-8", "replace")


def _of_request(subject: Subject, longest: int) -> dict[str, str]:
    request, workload = subject.request, subject.workload

    def header(name: bytes, absent: str = "-") -> str:
        found = request.header(name)
        return absent if found is None else found.decode("latin-1")

    path = request.header(b"x-envoy-original-path") or request.path
    scheme = request.header(b"x-forwarded-proto") or request.scheme
    made = {
        "node_id": workload.node,
        "zone": workload.zone,
        "guid:x-request-id": header(REQUEST_ID),
        "http.url": b"".join((scheme, b"://", request.authority, path[:longest])).decode("latin-1"),
        "http.method": request.method.decode("latin-1"),
        "downstream_cluster": header(b"x-envoy-downstream-service-cluster"),
        "user_agent": header(b"user-agent"),
        "http.protocol": subject.protocol,
        "peer.address": request.source,
    }
    if CLIENT_TRACE_ID in request.headers:
        made["guid:x-client-trace-id"] = header(CLIENT_TRACE_ID)
    if request.is_grpc:
        made |= {"grpc.path": request.path.decode("latin-1"), "grpc.authority": request.authority.decode("latin-1")}
        made |= {"grpc.content_type": header(b"content-type")}
        if b"grpc-timeout" in request.headers:
            made["grpc.timeout"] = header(b"grpc-timeout")
    return made


def _of_try(subject: Subject, outcome: Head | Failure | None, *, final: bool) -> tuple[dict[str, str], int]:
    """The attributes of a try and its status, 0 without a response."""
    made = {"component": "proxy", "http.protocol": "HTTP/2" if subject.http2 else "HTTP/1.1", "response_flags": "-"}
    status = 0
    if isinstance(outcome, Failure) and outcome.kind in RESETS:
        flag, reason = RESETS[outcome.kind]
        made |= {"response_flags": flag, "error.reason": reason}
        if flag == "UF":
            made["http.protocol"] = "-"
    elif isinstance(outcome, Head):
        status = outcome.status
        if not final and not _is_bodiless(outcome):
            made["canceled"] = "true"
    elif final and subject.status and not subject.local_status:
        status = subject.status
    else:
        made["canceled"] = "true"
    if subject.attempts > 1:
        made["retry.count"] = str(subject.attempts - 1)
    address = subject.local if subject.host is None else subject.host.address
    made |= {"upstream_address": address, "peer.address": address}
    if status == 0 or status >= 500:
        made["error"] = "true"
    return {**made, **_of_cluster(subject), "http.status_code": str(status)}, status


def _is_bodiless(head: Head) -> bool:
    return head.status in BODILESS or any(pair == (b"content-length", b"0") for pair in head.headers)


def _of_cluster(subject: Subject) -> dict[str, str]:
    cluster = subject.cluster
    if cluster is None:
        return {}
    return {"upstream_cluster": cluster.name, "upstream_cluster.name": cluster.alt_stat_name or cluster.name}


def _of_grpc(attributes: dict[str, str], headers: HeaderList | None, *, server: bool) -> bool:
    """What a response says of gRPC, and whether its span has failed by that."""
    answered = {name.lower(): value for name, value in headers or ()}
    said = answered.get(b"grpc-status")
    if said is None:
        return False
    attributes["grpc.status_code"] = said.decode("latin-1")
    if b"grpc-message" in answered:
        attributes["grpc.message"] = answered[b"grpc-message"].decode("latin-1")
    if said in GRPC_ERRORS:
        attributes["error"] = "true"
    return said in SERVER_ERRORS if server else said != b"0"
