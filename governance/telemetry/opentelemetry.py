"""Spans by OpenTelemetry's API: what records them, and where they go, is the program's own SDK.

    spans = open_telemetry()          None where `opentelemetry-api` is not installed

Nothing is imported before the first span is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ..trace_context import Context

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer, TracerProvider

NAME = "proxyless"


class OpenTelemetrySpan:
    """A span of the API."""

    __slots__ = ("_made", "_spans", "context", "recording")

    def __init__(self, spans: OpenTelemetrySpans, made: Span, parent: Context | None) -> None:
        self._spans, self._made = spans, made
        self.recording = made.is_recording()
        found = made.get_span_context()
        self.context = Context(
            found.trace_id,
            found.span_id,
            found.trace_flags.sampled,
            found.trace_state.to_header().encode(),
            parent.span_id if parent is not None else 0,
            parent is None or parent.wide,
            parent is not None and parent.single,
        )

    def child(self, name: str) -> OpenTelemetrySpan:
        """A span of a try of this one's request."""
        return self._spans.beneath(name, self._made, self.context)

    def entered(self) -> AbstractContextManager[object]:
        """Inside of it, this span is the program's current one."""
        # What the app raises is its own business: the span tells of the request.
        entered: AbstractContextManager[object] = self._spans.api.use_span(
            self._made, record_exception=False, set_status_on_exception=False
        )
        return entered

    def attach(self) -> None:
        """In this context (`contextvars`) it is the program's current one from now on."""
        from opentelemetry import context

        context.attach(self._spans.api.set_span_in_context(self._made))

    def end(self, name: str, attributes: Mapping[str, str], *, failed: bool) -> None:
        """It is over."""
        made = self._made
        if name:
            made.update_name(name)
        made.set_attributes(attributes)
        if failed:
            made.set_status(self._spans.api.StatusCode.ERROR)
        made.end()


class OpenTelemetrySpans:
    """Where spans are made. `version` is proxyless's own; `provider` another than the program's."""

    def __init__(self, version: str = "", provider: TracerProvider | None = None) -> None:
        self._version, self._provider = version, provider
        self._api: ModuleType | None = None

    @property
    def api(self) -> Any:
        """opentelemetry.trace."""
        if self._api is None:
            from opentelemetry import trace

            self._api = trace
        return self._api

    @property
    def _tracer(self) -> Tracer:
        tracer: Tracer = self.api.get_tracer(NAME, self._version, self._provider)
        return tracer

    def continued(self, context: Context | None) -> Context | None:
        """The span that a request continues: the program's current one, unless the request tells of another trace."""
        current = self.api.get_current_span().get_span_context()
        if not current.is_valid or (context is not None and context.trace_id != current.trace_id):
            return context
        return Context(
            current.trace_id,
            current.span_id,
            current.trace_flags.sampled,
            current.trace_state.to_header().encode(),
            wide=context is None or context.wide,
            single=context is not None and context.single,
        )

    def start(self, name: str, parent: Context | None, *, server: bool) -> OpenTelemetrySpan:
        """A span that begins now."""
        return self._start(name, self._around(parent), parent, server=server)

    def beneath(self, name: str, parent: Span, context: Context) -> OpenTelemetrySpan:
        """A client's span inside of another."""
        return self._start(name, self.api.set_span_in_context(parent), context, server=False)

    def _start(self, name: str, around: Any, parent: Context | None, *, server: bool) -> OpenTelemetrySpan:
        kind = self.api.SpanKind.SERVER if server else self.api.SpanKind.CLIENT
        return OpenTelemetrySpan(self, self._tracer.start_span(name, around, kind), parent)

    def _around(self, parent: Context | None) -> Any:
        """The program's context with the parent in it: baggage and the like stay the program's."""
        from opentelemetry import context

        api = self.api
        current = api.get_current_span().get_span_context()
        if parent is None or (current.is_valid and current.span_id == parent.span_id):
            return context.get_current()
        flags = api.TraceFlags(api.TraceFlags.SAMPLED if parent.sampled is not False else api.TraceFlags.DEFAULT)
        state = api.TraceState.from_header([parent.state.decode("latin-1")])
        remote = api.SpanContext(parent.trace_id, parent.span_id, True, flags, state)
        return api.set_span_in_context(api.NonRecordingSpan(remote))


def open_telemetry(version: str = "") -> OpenTelemetrySpans | None:
    """None where the API is not installed."""
    try:
        found = find_spec("opentelemetry.trace")
    except ModuleNotFoundError:
        return None
    return None if found is None else OpenTelemetrySpans(version)
