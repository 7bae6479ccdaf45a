"""Tracing: who is traced, what spans say, what the next hop is told."""

from __future__ import annotations

from typing import Any

from tests.support.spans import FakeSpans

from ..registry import Effect, effect
from ..resources import MANAGER, Json, Shop, extension, shop
from ..scene import Headers, Scene
from ..seeing import See

HCM = MANAGER + "."
TRACING = HCM + "Tracing."
ROUTE = "envoy.config.route.v3.Tracing."
TRACE = "envoy.config.trace.v3."
TAG = "envoy.type.tracing.v3.CustomTag"
KIND = "envoy.type.metadata.v3.MetadataKind."
UUID = "envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig"

OTEL = extension(TRACE + "OpenTelemetryConfig", "otel", service_name="me")
CLIENT = (("x-client-trace-id", "c"), ("x-request-id", "00000001-1111-4222-8333-444455556666"))
NEVER: Json = {"value": 0}
NO: Json = {"numerator": 0}
METADATA: Json = {"filter_metadata": {"ns": {"k": "found"}}}


def zipkin(**fields: Any) -> Json:
    """A tracer that speaks B3."""
    own = {"collector_cluster": "a", "collector_endpoint": "/", "collector_endpoint_version": "HTTP_JSON"}
    return extension(TRACE + "ZipkinConfig", "zipkin", **own, **fields)


def traced(provider: Json = OTEL, *, route: Json | None = None, uuid: Json | None = None, **fields: Any) -> Shop:
    """All requests are traced; `fields` are the manager's, `route` are the route's."""
    given: Json = {"tracing": {"provider": provider, **fields}}
    if uuid is not None:
        given["request_id_extension"] = {"typed_config": {"@type": "type.googleapis.com/" + UUID, **uuid}}
    own: Json = {"metadata": METADATA, **({"tracing": route} if route is not None else {})}
    return shop(
        manager_fields=given,
        route_fields=own,
        cluster_fields={"metadata": {"filter_metadata": {"ns": {"k": "cluster's"}}}},
        endpoints=[
            {
                "endpoint": {"address": {"socket_address": {"address": "10.0.0.1", "port_value": 80}}},
                "metadata": {"filter_metadata": {"ns": {"k": "host's"}}},
            }
        ],
    )


def tagged(**tag: Any) -> Shop:
    """One custom tag."""
    return traced(custom_tags=[{"tag": "own", **tag}])


def of_metadata(kind: str, key: str = "k") -> Shop:
    """A tag that reads metadata."""
    found = {"key": "ns", "path": [{"key": key}]}
    return tagged(metadata={"kind": {kind: {}}, "metadata_key": found, "default_value": "default"})


def spans(see: Any, path: str = "/", headers: Headers = CLIENT[1:]) -> See:
    """What a function sees of the spans of a call that works, and of what was sent."""

    def look(scene: Scene) -> Any:
        recorder = FakeSpans()
        scene.world.runtime.spans = recorder
        run = scene.call("http://shop" + path, headers=headers)
        sent = {name.decode(): value.decode() for name, value in run.sent()[0].headers}
        return see(recorder.made, sent)

    return look


def own_tag(made: Any, sent: Any) -> Any:
    """The value of the tag."""
    del sent
    return made[0].said.get("own") if made else None


def names(made: Any, sent: Any) -> Any:
    """What spans are called."""
    del sent
    return [each.name for each in made]


def digit(made: Any, sent: Any) -> Any:
    """How many spans, and what the id says."""
    return len(made), sent["x-request-id"][14]


TEXT_TAG: Json = {"custom_tags": [{"tag": "own", "literal": {"value": "v"}}]}
BY_PROGRAM = (("x-request-id", "00000001-1111-4222-8333-444455556666"), ("x-h", "said"))

CASES: list[Effect] = [
    effect(TRACING + "provider", traced(), spans(names), ["egress shop"]),
    effect(TRACE + "Tracing.Http.typed_config", traced(), spans(names), ["egress shop"]),
    effect(TRACING + "random_sampling", traced(random_sampling=NEVER), spans(digit), (0, "4")),
    effect(TRACING + "overall_sampling", traced(overall_sampling=NEVER), spans(digit), (0, "4")),
    effect(
        TRACING + "client_sampling",
        traced(client_sampling=NEVER, random_sampling=NEVER),
        spans(digit, headers=CLIENT),
        (0, "4"),
    ),
    effect(TRACING + "custom_tags", traced(**TEXT_TAG), spans(own_tag), "v"),
    effect(TRACING + "spawn_upstream_span", traced(spawn_upstream_span=True), spans(names)),
    effect(TRACING + "operation", traced(operation="op"), spans(names), ["op"]),
    effect(
        TRACING + "upstream_operation",
        traced(spawn_upstream_span=True, upstream_operation="up"),
        spans(names),
        ["egress shop", "up"],
    ),
    effect(
        TRACING + "max_path_tag_length",
        traced(max_path_tag_length=4),
        spans(lambda made, sent: made[0].said["http.url"], "/abcdef"),
        "http://shop/abc",
    ),
    effect(
        TRACING + "no_context_propagation",
        traced(no_context_propagation=True),
        spans(lambda made, sent: "traceparent" in sent),
        False,
    ),
    effect(HCM + "request_id_extension", traced(uuid={"pack_trace_reason": False}), spans(digit), (1, "4")),
    effect(
        "envoy.extensions.filters.network.http_connection_manager.v3.RequestIDExtension.typed_config",
        traced(uuid={"pack_trace_reason": False}),
        spans(digit),
        (1, "4"),
        against=traced(),
    ),
    effect(UUID + ".pack_trace_reason", traced(uuid={"pack_trace_reason": False}), spans(digit), (1, "4")),
    effect(
        UUID + ".use_request_id_for_trace_sampling",
        traced(uuid={"use_request_id_for_trace_sampling": False}, random_sampling=NEVER),
        spans(digit),
        (1, "4"),
    ),
    effect("envoy.config.route.v3.Route.tracing", traced(route={"random_sampling": NO}), spans(digit), (0, "4")),
    effect(ROUTE + "random_sampling", traced(route={"random_sampling": NO}), spans(digit), (0, "4")),
    effect(ROUTE + "overall_sampling", traced(route={"overall_sampling": NO}), spans(digit), (0, "4")),
    effect(
        ROUTE + "client_sampling",
        traced(route={"client_sampling": NO, "random_sampling": NO}),
        spans(digit, headers=CLIENT),
        (0, "4"),
    ),
    effect(ROUTE + "custom_tags", traced(route=TEXT_TAG), spans(own_tag), "v"),
    effect(ROUTE + "operation", traced(route={"operation": "op"}), spans(names), ["op"]),
    effect(
        ROUTE + "upstream_operation",
        traced(route={"upstream_operation": "up"}, spawn_upstream_span=True),
        spans(names),
        ["egress shop", "up"],
    ),
    effect(
        TRACE + "ZipkinConfig.trace_id_128bit",
        traced(zipkin(trace_id_128bit=True), random_sampling=NEVER),
        spans(lambda made, sent: len(sent["x-b3-traceid"])),
        32,
    ),
    effect(
        TRACE + "ZipkinConfig.trace_context_option",
        traced(zipkin(trace_context_option="USE_B3_WITH_W3C_PROPAGATION")),
        spans(lambda made, sent: sorted(each for each in sent if "b3" in each or "trace" in each)),
        ["traceparent", "x-b3-sampled", "x-b3-spanid", "x-b3-traceid"],
    ),
    effect(
        TRACE + "ZipkinConfig.split_spans_for_request",
        traced(zipkin(split_spans_for_request=True)),
        spans(lambda made, sent: made[0].server),
        True,
    ),
    effect(TAG + ".tag", tagged(literal={"value": "v"}), spans(own_tag), "v", against=traced()),
    effect(TAG + ".literal", tagged(literal={"value": "v"}), spans(own_tag), "v", against=traced()),
    effect(TAG + ".Literal.value", tagged(literal={"value": "v"}), spans(own_tag), "v", against=traced()),
    *(
        effect(
            TAG + field, tagged(environment={"name": "X", "default_value": "d"}), spans(own_tag), "d", against=traced()
        )
        for field in (".environment", ".Environment.default_value")
    ),
    effect(
        TAG + ".Environment.name",
        tagged(environment={"name": "POD_NAME", "default_value": "d"}),
        spans(own_tag),
        "pod",
        against=traced(),
    ),
    *(
        effect(
            TAG + field,
            tagged(request_header={"name": "X-H", "default_value": "d"}),
            spans(own_tag, headers=BY_PROGRAM),
            "said",
            against=traced(),
        )
        for field in (".request_header", ".Header.name")
    ),
    effect(
        TAG + ".Header.default_value",
        tagged(request_header={"name": "X-H", "default_value": "d"}),
        spans(own_tag),
        "d",
        against=traced(),
    ),
    *(
        effect(field, of_metadata("route"), spans(own_tag), "found", against=traced())
        for field in (TAG + ".metadata", TAG + ".Metadata.kind", TAG + ".Metadata.metadata_key", KIND + "route")
    ),
    effect(TAG + ".Metadata.default_value", of_metadata("route", "none"), spans(own_tag), "default", against=traced()),
    effect(KIND + "cluster", of_metadata("cluster"), spans(own_tag), "cluster's", against=traced()),
    effect(KIND + "host", of_metadata("host"), spans(own_tag), "host's", against=traced()),
    effect(KIND + "request", of_metadata("request", "none"), spans(own_tag), "default", against=traced()),
    effect(TAG + ".value", tagged(value="%REQ(:METHOD)%"), spans(own_tag), "GET", against=traced()),
]
