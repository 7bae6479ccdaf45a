"""MeshConfig.extensionProviders: services that AuthorizationPolicy and Telemetry objects name, field for field."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from .fields import REQUIRED, Duration, Inert, Json, OneOf, Port, UInt32
from .proxy_config import TraceContext

_UNSUPPORTED = Inert("istiod supports it no more")


@dataclass(frozen=True, slots=True)
class HttpHeader:
    """`env_name` is a variable of istiod's own environment."""

    name: Annotated[str, REQUIRED] = ""
    value: str | None = None
    env_name: str | None = None

    ONE_OF: ClassVar[OneOf] = (("value", "env_name"),)


@dataclass(frozen=True, slots=True)
class HttpService:
    path: str = ""
    timeout: Duration | None = None
    headers: tuple[HttpHeader, ...] = ()


@dataclass(frozen=True, slots=True)
class GrpcService:
    timeout: Duration | None = None
    initial_metadata: tuple[HttpHeader, ...] = ()


@dataclass(frozen=True, slots=True)
class ExtAuthzRequestBody:
    max_request_bytes: UInt32 = 0
    allow_partial_message: bool = False
    pack_as_bytes: bool = False


@dataclass(frozen=True, slots=True)
class EnvoyExtAuthzHttp:
    service: str = ""
    port: Port = 0
    timeout: Duration | None = None
    path_prefix: str = ""
    fail_open: bool = False
    clear_route_cache: Annotated[bool, Inert("istiod does not read it")] = False
    status_on_error: str = ""
    include_headers_in_check: tuple[str, ...] = ()
    include_request_headers_in_check: tuple[str, ...] = ()
    include_additional_headers_in_check: dict[str, str] = field(default_factory=dict)
    include_request_body_in_check: ExtAuthzRequestBody | None = None
    headers_to_upstream_on_allow: tuple[str, ...] = ()
    headers_to_downstream_on_deny: tuple[str, ...] = ()
    headers_to_downstream_on_allow: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EnvoyExtAuthzGrpc:
    service: str = ""
    port: Port = 0
    timeout: Duration | None = None
    fail_open: bool = False
    clear_route_cache: Annotated[bool, Inert("istiod does not read it")] = False
    status_on_error: str = ""
    include_request_body_in_check: ExtAuthzRequestBody | None = None


@dataclass(frozen=True, slots=True)
class Zipkin:
    service: str = ""
    port: Port = 0
    max_tag_length: UInt32 = 0
    enable_64bit_trace_id: bool = False
    path: str = ""
    trace_context_option: Literal["USE_B3", "USE_B3_WITH_W3C_PROPAGATION"] = "USE_B3"
    timeout: Duration | None = None
    headers: tuple[HttpHeader, ...] = ()


@dataclass(frozen=True, slots=True)
class Lightstep:
    service: str = ""
    port: Port = 0
    access_token: str = ""
    max_tag_length: UInt32 = 0


@dataclass(frozen=True, slots=True)
class Datadog:
    service: str = ""
    port: Port = 0
    max_tag_length: UInt32 = 0


@dataclass(frozen=True, slots=True)
class SkyWalking:
    service: str = ""
    port: Port = 0
    access_token: str = ""


@dataclass(frozen=True, slots=True)
class StackdriverLogging:
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stackdriver:
    debug: bool = False
    max_number_of_attributes: int | None = None
    max_number_of_annotations: int | None = None
    max_number_of_message_events: int | None = None
    max_tag_length: UInt32 = 0
    logging: StackdriverLogging | None = None


@dataclass(frozen=True, slots=True)
class OpenCensusAgent:
    service: str = ""
    port: Port = 0
    context: tuple[TraceContext, ...] = ()
    max_tag_length: UInt32 = 0


@dataclass(frozen=True, slots=True)
class Prometheus:
    """Has no fields."""


@dataclass(frozen=True, slots=True)
class FileLogFormat:
    text: str | None = None
    labels: Json = None

    ONE_OF: ClassVar[OneOf] = (("text", "labels"),)


@dataclass(frozen=True, slots=True)
class EnvoyFileAccessLog:
    path: str = ""
    log_format: FileLogFormat | None = None
    omit_empty_values: bool = False


@dataclass(frozen=True, slots=True)
class EnvoyHttpAls:
    service: str = ""
    port: Port = 0
    log_name: str = ""
    filter_state_objects_to_log: tuple[str, ...] = ()
    additional_request_headers_to_log: tuple[str, ...] = ()
    additional_response_headers_to_log: tuple[str, ...] = ()
    additional_response_trailers_to_log: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EnvoyTcpAls:
    service: str = ""
    port: Port = 0
    log_name: str = ""
    filter_state_objects_to_log: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OtelLogFormat:
    text: str = ""
    labels: Json = None


@dataclass(frozen=True, slots=True)
class EnvoyOtelAls:
    service: str = ""
    port: Port = 0
    log_name: str = ""
    log_format: OtelLogFormat | None = None


@dataclass(frozen=True, slots=True)
class Empty:
    """A detector of resources: there or not."""


@dataclass(frozen=True, slots=True)
class ResourceDetectors:
    environment: Empty | None = None
    dynatrace: Empty | None = None


@dataclass(frozen=True, slots=True)
class DynatraceApi:
    service: str = ""
    port: Port = 0
    http: HttpService | None = None


@dataclass(frozen=True, slots=True)
class DynatraceSampler:
    tenant: str = ""
    cluster_id: int = 0
    root_spans_per_minute: UInt32 = 0
    http_service: DynatraceApi | None = None


@dataclass(frozen=True, slots=True)
class OpenTelemetry:
    service: str = ""
    port: Port = 0
    max_tag_length: UInt32 = 0
    http: HttpService | None = None
    grpc: GrpcService | None = None
    resource_detectors: ResourceDetectors | None = None
    service_attribute_enrichment: Literal["ISTIO_CANONICAL", "OTEL_SEMANTIC_CONVENTIONS"] = "ISTIO_CANONICAL"
    dynatrace_sampler: DynatraceSampler | None = None


@dataclass(frozen=True, slots=True)
class SdsProvider:
    name: str = ""
    service: str = ""
    port: Port = 0


Provider = (
    EnvoyExtAuthzHttp
    | EnvoyExtAuthzGrpc
    | Zipkin
    | Lightstep
    | Datadog
    | Stackdriver
    | OpenCensusAgent
    | SkyWalking
    | OpenTelemetry
    | Prometheus
    | EnvoyFileAccessLog
    | EnvoyHttpAls
    | EnvoyTcpAls
    | EnvoyOtelAls
    | SdsProvider
)


KINDS = (
    "envoy_ext_authz_http",
    "envoy_ext_authz_grpc",
    "zipkin",
    "lightstep",
    "datadog",
    "stackdriver",
    "opencensus",
    "skywalking",
    "opentelemetry",
    "prometheus",
    "envoy_file_access_log",
    "envoy_http_als",
    "envoy_tcp_als",
    "envoy_otel_als",
    "sds",
)


@dataclass(frozen=True, slots=True)
class ExtensionProvider:
    """A name, and exactly one of the kinds."""

    name: Annotated[str, REQUIRED] = ""
    envoy_ext_authz_http: EnvoyExtAuthzHttp | None = None
    envoy_ext_authz_grpc: EnvoyExtAuthzGrpc | None = None
    zipkin: Zipkin | None = None
    lightstep: Annotated[Lightstep | None, _UNSUPPORTED] = None
    datadog: Datadog | None = None
    stackdriver: Annotated[Stackdriver | None, Inert("its filter is not emitted")] = None
    opencensus: Annotated[OpenCensusAgent | None, _UNSUPPORTED] = None
    skywalking: SkyWalking | None = None
    opentelemetry: OpenTelemetry | None = None
    prometheus: Prometheus | None = None
    envoy_file_access_log: EnvoyFileAccessLog | None = None
    envoy_http_als: EnvoyHttpAls | None = None
    envoy_tcp_als: EnvoyTcpAls | None = None
    envoy_otel_als: EnvoyOtelAls | None = None
    sds: Annotated[SdsProvider | None, Inert("it is for gateways, which are not served")] = None

    ONE_OF: ClassVar[OneOf] = (KINDS,)

    @property
    def provider(self) -> Provider | None:
        """The one that is set, whose type says its kind."""
        found: Provider | None = next((held for kind in KINDS if (held := getattr(self, kind)) is not None), None)
        return found
