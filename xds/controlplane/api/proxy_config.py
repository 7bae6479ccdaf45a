"""istio.mesh.v1alpha1 ProxyConfig, field for field, and the kind ProxyConfig (networking.istio.io).

A field that is not set is None or empty, so that several can be laid one over the other. Most of it configures how a
proxy starts, and discovery says nothing of that; what shows in what is sent is tracing, headers and connections.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from .destination_rule import ClientTLSSettings, TcpKeepalive
from .fields import Bounds, Duration, Inert, Int32, Json, OneOf, Port, UInt32
from .selectors import LabelSelector
from .telemetry import NamedTag, TagValue

_START = Inert("it is about how a proxy starts, and nothing of it is sent to a client")
_SECRETS = Inert("no secrets are served")
_INJECTED = Inert("it is about the container that is injected, and nothing of it is sent to a client")
_GATEWAY = Inert("it is for gateways, which are not served")

Window = Annotated[int, Bounds(65535, 2**31 - 1)]
Count = Annotated[int, Bounds(1, 2**31 - 1)]
Size = Annotated[int, Bounds(0, 2**31 - 1)]


@dataclass(frozen=True, slots=True)
class TracerAddress:
    """Zipkin's and Datadog's settings."""

    address: str = ""


@dataclass(frozen=True, slots=True)
class Lightstep:
    address: str = ""
    access_token: str = ""


@dataclass(frozen=True, slots=True)
class Stackdriver:
    debug: bool = False
    max_number_of_attributes: int | None = None
    max_number_of_annotations: int | None = None
    max_number_of_message_events: int | None = None


TraceContext = Literal["UNSPECIFIED", "W3C_TRACE_CONTEXT", "GRPC_BIN", "CLOUD_TRACE_CONTEXT", "B3"]


@dataclass(frozen=True, slots=True)
class OpenCensusAgent:
    address: str = ""
    context: tuple[TraceContext, ...] = ()


@dataclass(frozen=True, slots=True)
class CustomTag:
    literal: TagValue | None = None
    environment: NamedTag | None = None
    header: NamedTag | None = None

    ONE_OF: ClassVar[OneOf] = (("literal", "environment", "header"),)


@dataclass(frozen=True, slots=True)
class Tracing:
    """The tracer is part of a proxy's bootstrap; what is sent are sampling, tags and the length of a path."""

    zipkin: Annotated[TracerAddress | None, _START] = None
    lightstep: Annotated[Lightstep | None, _START] = None
    datadog: Annotated[TracerAddress | None, _START] = None
    stackdriver: Annotated[Stackdriver | None, _START] = None
    open_census_agent: Annotated[OpenCensusAgent | None, _START] = None
    custom_tags: dict[str, CustomTag] = field(default_factory=dict)
    max_path_tag_length: UInt32 = 0
    sampling: float = 0.0
    tls_settings: Annotated[ClientTLSSettings | None, _START] = None
    enable_istio_tags: bool | None = None

    ONE_OF: ClassVar[OneOf] = (("zipkin", "lightstep", "datadog", "stackdriver", "open_census_agent"),)


ForwardClientCertDetails = Literal[
    "UNDEFINED", "SANITIZE", "FORWARD_ONLY", "APPEND_FORWARD", "SANITIZE_SET", "ALWAYS_FORWARD_ONLY"
]


@dataclass(frozen=True, slots=True)
class ProxyProtocolConfiguration:
    """Has no fields."""


@dataclass(frozen=True, slots=True)
class Topology:
    num_trusted_proxies: UInt32 = 0
    forward_client_cert_details: ForwardClientCertDetails = "UNDEFINED"
    proxy_protocol: ProxyProtocolConfiguration | None = None


@dataclass(frozen=True, slots=True)
class KeyProvider:
    """CryptoMb and QAT."""

    poll_delay: Duration | None = None
    fallback: bool | None = None


@dataclass(frozen=True, slots=True)
class PrivateKeyProvider:
    cryptomb: KeyProvider | None = None
    qat: KeyProvider | None = None

    ONE_OF: ClassVar[OneOf] = (("cryptomb", "qat"),)


@dataclass(frozen=True, slots=True)
class SDS:
    enabled: bool = False
    k8s_sa_jwt_path: str = ""


@dataclass(frozen=True, slots=True)
class RemoteService:
    address: str = ""
    tls_settings: ClientTLSSettings | None = None
    tcp_keepalive: TcpKeepalive | None = None


@dataclass(frozen=True, slots=True)
class ProxyStatsMatcher:
    inclusion_prefixes: tuple[str, ...] = ()
    inclusion_suffixes: tuple[str, ...] = ()
    inclusion_regexps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ProxyImage:
    image_type: str = ""


@dataclass(frozen=True, slots=True)
class Switch:
    """A header that is there unless it is disabled."""

    disabled: bool | None = None


@dataclass(frozen=True, slots=True)
class OptIn:
    """A header that is not there unless it is enabled."""

    enabled: bool | None = None


@dataclass(frozen=True, slots=True)
class Server:
    disabled: bool | None = None
    value: str = ""


@dataclass(frozen=True, slots=True)
class MetadataExchangeHeaders:
    mode: Literal["UNDEFINED", "IN_MESH"] = "UNDEFINED"


@dataclass(frozen=True, slots=True)
class SetCurrentClientCertDetails:
    subject: bool | None = None
    cert: bool | None = None
    chain: bool | None = None
    dns: bool | None = None
    uri: bool | None = None


@dataclass(frozen=True, slots=True)
class ProxyHeaders:
    forwarded_client_cert: ForwardClientCertDetails = "UNDEFINED"
    set_current_client_cert_details: SetCurrentClientCertDetails | None = None
    request_id: Switch | None = None
    server: Server | None = None
    attempt_count: Switch | None = None
    envoy_debug_headers: Switch | None = None
    metadata_exchange_headers: MetadataExchangeHeaders | None = None
    preserve_http1_header_case: bool | None = None
    x_forwarded_host: OptIn | None = None
    x_forwarded_port: OptIn | None = None


@dataclass(frozen=True, slots=True)
class ConnectionSettings:
    """Of HTTP connection managers, unless it says otherwise."""

    profile: Annotated[Literal["SIDECAR", "EDGE"], _GATEWAY] = "SIDECAR"
    listener_per_connection_buffer_limit_bytes: Annotated[Size | None, _GATEWAY] = None
    cluster_per_connection_buffer_limit_bytes: Annotated[Size | None, Inert("istiod does not read it")] = None
    http_idle_timeout: Duration | None = None
    http_max_connection_duration: Duration | None = None
    http_drain_timeout: Duration | None = None
    http_request_timeout: Duration | None = None
    http_request_headers_timeout: Duration | None = None
    http_stream_idle_timeout: Duration | None = None
    http_max_stream_duration: Duration | None = None
    http_max_concurrent_streams: Count | None = None
    http2_initial_stream_window_size: Window | None = None
    http2_initial_connection_window_size: Window | None = None
    http_headers_with_underscores_action: Literal[
        "HEADERS_WITH_UNDERSCORES_UNSPECIFIED",
        "HEADERS_WITH_UNDERSCORES_ALLOW",
        "HEADERS_WITH_UNDERSCORES_REJECT_REQUEST",
        "HEADERS_WITH_UNDERSCORES_DROP_HEADER",
    ] = "HEADERS_WITH_UNDERSCORES_UNSPECIFIED"
    http_merge_slashes: bool | None = None
    http_path_with_escaped_slashes_action: Literal[
        "PATH_WITH_ESCAPED_SLASHES_UNSPECIFIED",
        "KEEP_UNCHANGED",
        "REJECT_REQUEST",
        "UNESCAPE_AND_REDIRECT",
        "UNESCAPE_AND_FORWARD",
    ] = "PATH_WITH_ESCAPED_SLASHES_UNSPECIFIED"
    listener_connection_limit: Annotated[Count | None, Inert("istiod does not read it")] = None
    global_downstream_connection_limit: Annotated[Count | None, Inert("istiod does not read it")] = None


@dataclass(frozen=True, slots=True)
class ProxyConfig:
    """`defaultConfig` of a mesh, the annotation `proxy.istio.io/config` of a Pod, PROXY_CONFIG of a node."""

    config_path: Annotated[str, _START] = ""
    binary_path: Annotated[str, _START] = ""
    service_cluster: Annotated[str, _START] = ""
    tracing_service_name: Annotated[
        Literal["APP_LABEL_AND_NAMESPACE", "CANONICAL_NAME_ONLY", "CANONICAL_NAME_AND_NAMESPACE"] | None, _START
    ] = None
    drain_duration: Annotated[Duration | None, _START] = None
    discovery_address: Annotated[str, _START] = ""
    discovery_refresh_delay: Annotated[Duration | None, _START] = None
    zipkin_address: Annotated[str, _START] = ""
    statsd_udp_address: Annotated[str, _START] = ""
    envoy_metrics_service_address: Annotated[str, _START] = ""
    proxy_admin_port: Annotated[Port, _START] = 0
    availability_zone: Annotated[str, _START] = ""
    control_plane_auth_policy: Annotated[Literal["NONE", "MUTUAL_TLS", "INHERIT"], _START] = "NONE"
    custom_config_file: Annotated[str, _START] = ""
    stat_name_length: Annotated[Int32, _START] = 0
    concurrency: Annotated[Int32 | None, _START] = None
    proxy_bootstrap_template_path: Annotated[str, _START] = ""
    interception_mode: Annotated[
        Literal["REDIRECT", "TPROXY", "NONE"], Inert("a node says INTERCEPTION_MODE in its metadata")
    ] = "REDIRECT"
    tracing: Tracing | None = None
    sds: Annotated[SDS | None, _START] = None
    envoy_access_log_service: Annotated[RemoteService | None, _START] = None
    envoy_metrics_service: Annotated[RemoteService | None, _START] = None
    proxy_metadata: Annotated[
        dict[str, str], Inert("it is the environment of a proxy's container; a node says its metadata itself")
    ] = field(default_factory=dict)
    runtime_values: Annotated[dict[str, str], _START] = field(default_factory=dict)
    status_port: Annotated[Port, _START] = 0
    extra_stat_tags: Annotated[tuple[str, ...], _START] = ()
    gateway_topology: Annotated[Topology | None, _GATEWAY] = None
    termination_drain_duration: Annotated[Duration | None, _START] = None
    mesh_id: Annotated[str, Inert("a node says MESH_ID in its metadata")] = ""
    readiness_probe: Annotated[Json, _START] = None
    proxy_stats_matcher: Annotated[ProxyStatsMatcher | None, _START] = None
    hold_application_until_proxy_starts: Annotated[bool | None, _INJECTED] = None
    ca_certificates_pem: Annotated[tuple[str, ...], _START] = ()
    image: Annotated[ProxyImage | None, _INJECTED] = None
    private_key_provider: Annotated[PrivateKeyProvider | None, _SECRETS] = None
    proxy_headers: ProxyHeaders | None = None
    file_flush_interval: Annotated[Duration | None, _START] = None
    file_flush_min_size_kb: Annotated[UInt32, _START] = 0
    stats_compression: Annotated[bool | None, _START] = None
    connection_settings: ConnectionSettings | None = None

    ONE_OF: ClassVar[OneOf] = (("service_cluster", "tracing_service_name"),)


@dataclass(frozen=True, slots=True)
class ProxyConfigResource:
    """The kind: three fields of the above, for workloads or a namespace, and all of them about how a proxy starts."""

    selector: LabelSelector | None = None
    concurrency: Annotated[Int32 | None, _START] = None
    environment_variables: Annotated[dict[str, str], _START] = field(default_factory=dict)
    image: Annotated[ProxyImage | None, _INJECTED] = None
