"""Listeners and what their filter chains do (envoy.config.listener.v3, http_connection_manager.v3, tcp_proxy.v3)."""

from collections.abc import Mapping
from dataclasses import field
from typing import Literal

from .access_log import AccessLog
from .filters import HttpFilter
from .forwarding import SIDECAR, ClientCert, Forwarding
from .local_reply import LocalReplyConfig
from .matching import MatcherTree
from .rbac import NetworkRbac
from .records import dataclass
from .route import BackOff, RouteConfiguration
from .tls import DownstreamTls
from .tracing import Tracing
from .values import Address, Cidr, MetadataValue, Note


@dataclass(frozen=True, slots=True)
class FilterChainMatch:
    """envoy.config.listener.v3.FilterChainMatch; empty fields match everything, less specifically."""

    destination_port: int | None = None
    prefix_ranges: tuple[Cidr, ...] = ()
    server_names: tuple[str, ...] = ()
    transport_protocol: str = ""
    application_protocols: tuple[str, ...] = ()
    direct_source_prefix_ranges: tuple[Cidr, ...] = ()
    source_type: Literal["ANY", "SAME_IP_OR_LOOPBACK", "EXTERNAL"] = "ANY"
    source_prefix_ranges: tuple[Cidr, ...] = ()
    source_ports: tuple[int, ...] = ()


Spelling = Literal["lower", "as it came", "as it came, own proper"]
PathAction = Literal["KEEP_UNCHANGED", "REJECT_REQUEST", "UNESCAPE_AND_REDIRECT", "UNESCAPE_AND_FORWARD"]


@dataclass(frozen=True, slots=True)
class HttpConnectionManager:
    """envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.

    Either `route_config` holds the routes inline, or `rds` names the table to subscribe.
    """

    stat_prefix: str
    route_config: RouteConfiguration | None = None
    rds: str = ""
    http_filters: tuple[HttpFilter, ...] = ()
    normalize_path: bool = False
    merge_slashes: bool = False
    escaped_slashes: PathAction = "KEEP_UNCHANGED"
    forwarding: Forwarding = SIDECAR
    client_cert: ClientCert = ClientCert()
    server_name: str = "envoy"
    server_header: Literal["OVERWRITE", "APPEND_IF_ABSENT", "PASS_THROUGH"] = "OVERWRITE"
    request_id_in_response: bool = False
    """always_set_request_id_in_response."""
    request_timeout_s: float | None = None
    stream_idle_timeout_s: float | None = 300.0
    max_stream_duration_s: float | None = None
    tracing: Tracing | None = None
    access_logs: tuple[AccessLog, ...] = ()
    max_request_headers_kb: int = 60
    max_headers: int = 100
    """common_http_protocol_options.max_headers_count."""
    spelling: Spelling = "lower"
    """http_protocol_options.header_key_format, of requests: those of endpoints that speak HTTP/1.1."""
    local_reply: LocalReplyConfig | None = None
    """local_reply_config."""


@dataclass(frozen=True, slots=True)
class TcpProxy:
    """envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy."""

    cluster: str = ""
    weighted_clusters: tuple[tuple[str, int], ...] = ()
    weighted_metadata: tuple[Mapping[str, MetadataValue], ...] = field(default=(), hash=False)
    """What each of them adds to `metadata_match`."""
    stat_prefix: str = ""
    idle_timeout_s: float | None = 3600.0
    max_duration_s: float | None = None
    """max_downstream_connection_duration, which may be longer by `max_duration_jitter` of itself."""
    max_duration_jitter: float = 0.0
    max_connect_attempts: int = 1
    back_off: BackOff | None = None
    hash_source_ip: bool = False
    access_logs: tuple[AccessLog, ...] = ()
    metadata_match: Mapping[str, MetadataValue] = field(default_factory=dict, hash=False)
    """Of the namespace `envoy.lb`."""


@dataclass(frozen=True, slots=True)
class UnknownNetworkFilter:
    """A network filter that is not understood: it closes its chain, unless its name is allowed."""

    name: str
    type_url: str
    reason: str


@dataclass(frozen=True, slots=True)
class FilterChain:
    """envoy.config.listener.v3.FilterChain, reduced to its terminal filter and what stands in its way."""

    name: str
    match: FilterChainMatch
    http: HttpConnectionManager | None = None
    tcp: TcpProxy | None = None
    downstream: DownstreamTls | None = None
    """The TLS that it speaks; None for plaintext."""
    unknown_socket: str = ""
    """A transport socket that is neither: nothing gets in by this chain."""
    closed_by: tuple[UnknownNetworkFilter, ...] = ()
    rbac: tuple[NetworkRbac, ...] = ()
    """Whom it lets in."""
    handshake_timeout_s: float | None = None
    """transport_socket_connect_timeout."""


DETECTION_S = 15.0
"""Listener.listener_filters_timeout when unset."""


@dataclass(frozen=True, slots=True)
class Listener:
    """envoy.config.listener.v3.Listener."""

    name: str
    address: Address | None
    chains: tuple[FilterChain, ...] = ()
    default_chain: FilterChain | None = None
    chain_matcher: MatcherTree[str] | None = None
    """filter_chain_matcher: leads to a chain by its name, whatever its own match says."""
    api_listener: FilterChain | None = None
    """What a gRPC client gets in place of chains: no connection is matched, each request goes through it."""
    direction: Literal["UNSPECIFIED", "INBOUND", "OUTBOUND"] = "UNSPECIFIED"
    use_original_dst: bool = False
    bind_to_port: bool = True
    listener_filters: tuple[str, ...] = ()
    buffer_limit: int = 1024 * 1024
    """per_connection_buffer_limit_bytes, 0 for no limit: the most of a body that is kept, where no route says it."""
    detection_timeout_s: float | None = DETECTION_S
    """listener_filters_timeout: how long a connection may take to say what it is; None for ever."""
    goes_on_undetected: bool = False
    """continue_on_listener_filters_timeout."""
    notes: tuple[Note, ...] = ()

    def all_chains(self) -> tuple[FilterChain, ...]:
        """The chains, then the default one, then the one of an API listener."""
        return (*self.chains, *(each for each in (self.default_chain, self.api_listener) if each is not None))
