"""Tracers: the configuration of the extension providers that take spans."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass

from google.protobuf.message import Message

from ...wire.schema.types import core_v3, resource_detectors_v3, samplers_v3, trace_v3
from ..api.extension_providers import (
    Datadog,
    DynatraceSampler,
    ExtensionProvider,
    HttpHeader,
    HttpService,
    OpenTelemetry,
    SkyWalking,
    Zipkin,
)
from ..registry.proxy import Proxy
from ..registry.world import World
from .messages import duration, flag, pack
from .providers import Backend, ProviderError, backend

_SPANS = "/api/v2/spans"
_ZIPKIN_TIMEOUT_S = 5.0
_SAMPLING = "api/v2/samplingConfiguration"
_ENVIRONMENT = "envoy.tracers.opentelemetry.resource_detectors.environment"
_NOBODY = "unknown_service"


@dataclass(frozen=True, slots=True)
class Tracer:
    """`samples`: the tracer itself decides which requests are traced, so all of them have to reach it."""

    name: str
    config: Message
    longest_path: int = 0
    upstream_span: bool = False
    samples: bool = False


def tracer(provider: ExtensionProvider, proxy: Proxy, world: World) -> Tracer:
    """Raises ProviderError for a provider that takes no spans, or whose service is none."""
    match provider.provider:
        case Zipkin() as wanted:
            to = backend(wanted.service, wanted.port, world)
            return Tracer("envoy.tracers.zipkin", _zipkin(wanted, to, proxy), wanted.max_tag_length)
        case Datadog() as wanted:
            to = backend(wanted.service, wanted.port, world)
            config = trace_v3.DatadogConfig(
                collector_cluster=to.cluster, service_name=proxy.node.cluster, collector_hostname=to.hostname
            )
            return Tracer("envoy.tracers.datadog", config, wanted.max_tag_length)
        case SkyWalking() as wanted:
            service = backend(wanted.service, wanted.port, world).grpc()
            return Tracer(
                "envoy.tracers.skywalking", trace_v3.SkyWalkingConfig(grpc_service=service), upstream_span=True
            )
        case OpenTelemetry() as wanted:
            return Tracer(
                "envoy.tracers.opentelemetry",
                _opentelemetry(wanted, proxy, world),
                wanted.max_tag_length,
                samples=wanted.dynatrace_sampler is not None,
            )
        case _:
            raise ProviderError(f"{provider.name} takes no spans")


def _zipkin(wanted: Zipkin, to: Backend, proxy: Proxy) -> trace_v3.ZipkinConfig:
    """Proxies before Istio 1.29 know neither a timeout nor headers, those before 1.28 only B3."""
    path = wanted.path or _SPANS
    made = trace_v3.ZipkinConfig(
        collector_endpoint_version=trace_v3.ZipkinConfig.HTTP_JSON,
        trace_id_128bit=not wanted.enable_64bit_trace_id,
        shared_span_context=flag(False),
    )
    if proxy.node.at_least(1, 29):
        http = made.collector_service
        http.http_uri.uri = f"http://{to.hostname}{path}"
        http.http_uri.cluster = to.cluster
        http.http_uri.timeout.CopyFrom(duration(_ZIPKIN_TIMEOUT_S if wanted.timeout is None else wanted.timeout))
        http.request_headers_to_add.extend(_headers(wanted.headers))
    else:
        made.collector_cluster, made.collector_endpoint, made.collector_hostname = to.cluster, path, to.hostname
    if proxy.node.at_least(1, 28):
        made.trace_context_option = trace_v3.ZipkinConfig.TraceContextOption.Value(wanted.trace_context_option)
    return made


def _opentelemetry(wanted: OpenTelemetry, proxy: Proxy, world: World) -> trace_v3.OpenTelemetryConfig:
    to = backend(wanted.service, wanted.port, world)
    conventional = wanted.service_attribute_enrichment == "OTEL_SEMANTIC_CONVENTIONS"
    made = trace_v3.OpenTelemetryConfig(service_name=_service_name(proxy) if conventional else proxy.node.cluster)
    if wanted.http is not None:
        made.http_service.CopyFrom(_http(wanted.http, to, wanted.http.path))
    else:
        made.grpc_service.CopyFrom(to.grpc())
        if wanted.grpc is not None:
            if wanted.grpc.timeout is not None:
                made.grpc_service.timeout.CopyFrom(duration(wanted.grpc.timeout))
            made.grpc_service.initial_metadata.extend(
                core_v3.HeaderValue(key=each.name, value=_value(each)) for each in wanted.grpc.initial_metadata
            )
    detectors = wanted.resource_detectors
    if detectors is not None and detectors.environment is not None:
        _detect(made, _ENVIRONMENT, resource_detectors_v3.EnvironmentResourceDetectorConfig())
    if detectors is not None and detectors.dynatrace is not None:
        name = _ENVIRONMENT.replace("environment", "dynatrace")
        _detect(made, name, resource_detectors_v3.DynatraceResourceDetectorConfig())
    if conventional and not any(each.name == _ENVIRONMENT for each in made.resource_detectors):
        _detect(made, _ENVIRONMENT, resource_detectors_v3.EnvironmentResourceDetectorConfig())
    if wanted.dynatrace_sampler is not None:
        sampler = _dynatrace(wanted.dynatrace_sampler, wanted, to, world)
        made.sampler.name = "envoy.tracers.opentelemetry.samplers.dynatrace"
        made.sampler.typed_config.CopyFrom(pack(sampler))
    return made


def _detect(made: trace_v3.OpenTelemetryConfig, name: str, config: Message) -> None:
    made.resource_detectors.add(name=name).typed_config.CopyFrom(pack(config))


def _dynatrace(
    wanted: DynatraceSampler, around: OpenTelemetry, to: Backend, world: World
) -> samplers_v3.DynatraceSamplerConfig:
    """Where nothing else is said, it asks the service that spans are sent to over HTTP."""
    made = samplers_v3.DynatraceSamplerConfig(
        tenant=wanted.tenant, cluster_id=wanted.cluster_id, root_spans_per_minute=wanted.root_spans_per_minute
    )
    api = wanted.http_service
    if api is not None:
        http = api.http or HttpService()
        made.http_service.CopyFrom(_http(http, backend(api.service, api.port, world), http.path))
    elif around.http is not None:
        made.http_service.CopyFrom(_http(around.http, to, _SAMPLING))
    else:
        raise ProviderError("the sampler has no httpService, and spans are not sent over HTTP")
    return made


def _http(wanted: HttpService, to: Backend, path: str) -> core_v3.HttpService:
    if wanted.timeout is None:
        raise ProviderError("http.timeout is required: Envoy refuses a service without one")
    joined = re.sub("/+", "/", f"{to.hostname}/{path}") if path else to.hostname
    uri = core_v3.HttpUri(uri=joined, cluster=to.cluster, timeout=duration(wanted.timeout))
    return core_v3.HttpService(http_uri=uri, request_headers_to_add=_headers(wanted.headers))


def _headers(written: Iterable[HttpHeader]) -> list[core_v3.HeaderValueOption]:
    action = core_v3.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD
    return [
        core_v3.HeaderValueOption(header=core_v3.HeaderValue(key=each.name, value=_value(each)), append_action=action)
        for each in written
    ]


def _value(header: HttpHeader) -> str:
    """A secret stands in the control plane's environment, not in its configuration."""
    if header.env_name is not None:
        return os.environ.get(header.env_name, "")
    return header.value or ""


def _service_name(proxy: Proxy) -> str:
    """By OpenTelemetry's conventions for Kubernetes: the first of what a Pod says of itself."""
    node = proxy.node
    containers = node.text("APP_CONTAINERS").split(",")
    return (
        node.labels("ANNOTATIONS").get("resource.opentelemetry.io/service.name")
        or proxy.labels.get("app.kubernetes.io/instance")
        or proxy.labels.get("app.kubernetes.io/name")
        or node.text("WORKLOAD_NAME")
        or node.name.partition(".")[0]
        or (containers[0] if len(containers) == 1 else "")
        or _NOBODY
    )
