"""What a connection manager says of tracing (http_connection_manager.v3, route.v3, type.tracing.v3, trace.v3)."""

from __future__ import annotations

from typing import Literal

from .records import dataclass
from .values import Fraction

LONGEST_PATH = 256
"""HttpConnectionManager.Tracing.max_path_tag_length when unset."""


@dataclass(frozen=True, slots=True)
class Tag:
    """envoy.type.tracing.v3.CustomTag. `value` is the literal, the name of a variable or of a header, the parameters of
    `%METADATA(...)%`, or a format. Without a value there is the default, and without that no tag."""

    name: str
    kind: Literal["literal", "environment", "header", "metadata", "format"]
    value: str
    default: str = ""


@dataclass(frozen=True, slots=True)
class Sampling:
    """Which requests are traced: those whose client asks, those drawn by their ids, and how many of both."""

    client: Fraction = Fraction(100)
    random: Fraction = Fraction(100)
    overall: Fraction = Fraction(100)


@dataclass(frozen=True, slots=True)
class Tracer:
    """How the context of spans travels, as the kind of tracer has it: `w3c` by traceparent and tracestate, `b3` by
    Zipkin's headers. With `wide` new ids of traces have 128 bits; with `split` each hop is a span of its own."""

    b3: bool = False
    w3c: bool = False
    wide: bool = True
    split: bool = False


TRACERS = {"opentelemetry": Tracer(w3c=True), "zipkin": Tracer(b3=True)}
"""Tracers by name, for where the configuration leaves it to the bootstrap."""


@dataclass(frozen=True, slots=True)
class Tracing:
    """envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.Tracing.

    Without a provider the bootstrap's tracer is meant; with one that is not understood nothing is traced (`refused`).
    """

    sampling: Sampling = Sampling()
    tags: tuple[Tag, ...] = ()
    tracer: Tracer | None = None
    refused: bool = False
    attempts: bool = False
    """spawn_upstream_span: each try has a span."""
    operation: str = ""
    """A format that names the spans of requests, `upstream_operation` those of tries."""
    upstream_operation: str = ""
    silent: bool = False
    """no_context_propagation."""
    longest_path: int = LONGEST_PATH
    by_request_id: bool = True
    """UuidRequestIdConfig.use_request_id_for_trace_sampling; `packs_reason` is pack_trace_reason."""
    packs_reason: bool = True


@dataclass(frozen=True, slots=True)
class RouteTracing:
    """envoy.config.route.v3.Tracing."""

    sampling: Sampling = Sampling()
    tags: tuple[Tag, ...] = ()
    operation: str = ""
    upstream_operation: str = ""
