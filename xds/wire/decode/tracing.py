"""Tracing of connection managers and routes, with what tracers say of the headers that a span travels by."""

from __future__ import annotations

from collections.abc import Iterable

from ...model.tracing import LONGEST_PATH, RouteTracing, Sampling, Tag, Tracer, Tracing
from ...model.values import Fraction
from ..opening import open_any
from ..refused import RefusedError
from ..schema import types as pb
from .formats import checked_format
from .values import fraction, optional

TEN_THOUSAND = 10_000
WITH_W3C = 1
METADATA_KINDS = {"request": "DYNAMIC", "route": "ROUTE", "cluster": "CLUSTER", "host": "UPSTREAM_HOST"}

TRACERS = "envoy.config.trace.v3."
"""Where the configurations of tracers are."""

Manager = pb.http_connection_manager_v3.HttpConnectionManager


def tracing(message: Manager) -> Tracing | None:
    """HttpConnectionManager.tracing; None where it is not set."""
    if not message.HasField("tracing"):
        return None
    given = message.tracing
    tracer = _tracer(given.provider) if given.HasField("provider") else None
    by_id, packs = _request_id(message)
    return Tracing(
        _sampling(given),
        _tags(given.custom_tags),
        tracer,
        given.HasField("provider") and tracer is None,
        attempts=given.spawn_upstream_span.value,
        operation=checked_format(given.operation),
        upstream_operation=checked_format(given.upstream_operation),
        silent=given.no_context_propagation,
        longest_path=optional(given, "max_path_tag_length", LONGEST_PATH),
        by_request_id=by_id,
        packs_reason=packs,
    )


def route_tracing(message: pb.route_v3.Tracing) -> RouteTracing:
    """envoy.config.route.v3.Tracing."""
    shares = [
        fraction(getattr(message, name)) if message.HasField(name) else Fraction(100)
        for name in ("client_sampling", "random_sampling", "overall_sampling")
    ]
    return RouteTracing(
        Sampling(*shares),
        _tags(message.custom_tags),
        checked_format(message.operation),
        checked_format(message.upstream_operation),
    )


def _sampling(message: Manager.Tracing) -> Sampling:
    """Percents that Envoy makes whole, but for the random ones, of which it counts hundredths."""
    client = int(message.client_sampling.value) if message.HasField("client_sampling") else 100
    overall = int(message.overall_sampling.value) if message.HasField("overall_sampling") else 100
    drawn = round(message.random_sampling.value * 100) if message.HasField("random_sampling") else TEN_THOUSAND
    return Sampling(Fraction(client), Fraction(drawn, TEN_THOUSAND), Fraction(overall))


def _request_id(message: Manager) -> tuple[bool, bool]:
    """Whether an id says if its request is sampled, and whether it is told why."""
    if message.HasField("request_id_extension"):
        config = open_any(message.request_id_extension.typed_config)
        if isinstance(config, pb.uuid_v3.UuidRequestIdConfig):
            by_id = not config.HasField("use_request_id_for_trace_sampling")
            packs = not config.HasField("pack_trace_reason")
            return by_id or config.use_request_id_for_trace_sampling.value, packs or config.pack_trace_reason.value
    return True, True


def _tracer(message: pb.trace_v3.Tracing.Http) -> Tracer | None:
    config = open_any(message.typed_config)
    if isinstance(config, pb.trace_v3.OpenTelemetryConfig):
        return Tracer(w3c=True)
    if isinstance(config, pb.trace_v3.ZipkinConfig):
        return Tracer(
            b3=True,
            w3c=config.trace_context_option == WITH_W3C,
            wide=config.trace_id_128bit,
            split=config.split_spans_for_request,
        )
    if config is not None and not config.DESCRIPTOR.full_name.startswith(TRACERS):
        raise RefusedError(
            f"Didn't find a registered implementation for '{message.name}' with type URL: "
            f"'{config.DESCRIPTOR.full_name}'"
        )
    return None


def _tags(messages: Iterable[pb.tracing_v3.CustomTag]) -> tuple[Tag, ...]:
    return tuple(_tag(each) for each in messages)


def _tag(message: pb.tracing_v3.CustomTag) -> Tag:
    match message.WhichOneof("type"):
        case "literal":
            return Tag(message.tag, "literal", message.literal.value)
        case "environment":
            return Tag(message.tag, "environment", message.environment.name, message.environment.default_value)
        case "request_header":
            name = message.request_header.name.lower()
            return Tag(message.tag, "header", name, message.request_header.default_value)
        case "metadata":
            found = message.metadata
            kind = METADATA_KINDS.get(found.kind.WhichOneof("kind") or "", "DYNAMIC")
            path = [found.metadata_key.key, *(each.key for each in found.metadata_key.path)]
            return Tag(message.tag, "metadata", ":".join([kind, *path]), found.default_value)
        case "value":
            return Tag(message.tag, "format", checked_format(message.value))
        case _:
            raise RefusedError(f"custom tag {message.tag!r} says nothing")
