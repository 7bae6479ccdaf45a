"""HTTP filters as data: one class per filter that something here acts upon, and what to do about the others."""

from dataclasses import field
from typing import TYPE_CHECKING, Literal

from .dns import DnsCache
from .ext_authz import ExtAuthz, ExtAuthzPerRoute
from .extension import Extension
from .jwt import JwtAuthentication, JwtPerRoute
from .matchers import HeaderMatcher, StringMatcher
from .overload import AdaptiveConcurrency, AdmissionControl
from .rbac import Rbac, RbacPerRoute
from .records import dataclass
from .values import AppendAction, Fraction, HeaderMutation

if TYPE_CHECKING:
    from .route import RateLimit


@dataclass(frozen=True, slots=True)
class TokenBucket:
    """envoy.type.v3.TokenBucket; `tokens_per_fill` is 1 when unset."""

    max_tokens: int
    tokens_per_fill: int
    fill_interval_s: float


@dataclass(frozen=True, slots=True)
class LimitDescriptor:
    """envoy.extensions.common.ratelimit.v3.LocalRateLimitDescriptor; an entry without a value matches any value."""

    entries: tuple[tuple[str, str], ...]
    bucket: TokenBucket


@dataclass(frozen=True, slots=True)
class LocalRateLimit:
    """envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit; without a bucket nothing is limited."""

    stat_prefix: str
    bucket: TokenBucket | None = None
    enabled: Fraction | None = None
    enforced: Fraction | None = None
    status: int = 429
    descriptors: tuple[LimitDescriptor, ...] = ()
    response_headers: tuple[HeaderMutation, ...] = ()
    request_headers_when_not_enforced: tuple[HeaderMutation, ...] = ()
    stage: int = 0
    x_ratelimit_headers: bool = False
    vh_rate_limits: Literal["OVERRIDE", "INCLUDE", "IGNORE"] = "OVERRIDE"
    always_consume_default: bool = True
    resource_exhausted: bool = False
    per_connection: bool = False
    rate_limits: "tuple[RateLimit, ...]" = ()
    max_dynamic_descriptors: int = 20


@dataclass(frozen=True, slots=True)
class GrpcTarget:
    """A gRPC service that is asked, behind a cluster (envoy.config.core.v3.GrpcService.EnvoyGrpc)."""

    cluster: str
    authority: str = ""
    metadata: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class GlobalRateLimit:
    """envoy.extensions.filters.http.ratelimit.v3.RateLimit."""

    domain: str
    service: GrpcTarget
    stage: int = 0
    request_type: Literal["both", "internal", "external"] = "both"
    timeout_s: float = 0.02
    failure_mode_deny: bool = False
    failure_mode_deny_share: Fraction | None = None
    resource_exhausted: bool = False
    x_ratelimit_headers: bool = False
    x_envoy_ratelimited: bool = True
    status: int = 429
    status_on_error: int = 500
    response_headers: tuple[HeaderMutation, ...] = ()
    enabled: Fraction | None = None
    enforced: Fraction | None = None
    rate_limits: "tuple[RateLimit, ...]" = ()


@dataclass(frozen=True, slots=True)
class RateLimitPerRoute:
    """envoy.extensions.filters.http.ratelimit.v3.RateLimitPerRoute. `vh_rate_limits`: what becomes of the virtual
    host's own limits."""

    vh_rate_limits: Literal["OVERRIDE", "INCLUDE", "IGNORE"] = "OVERRIDE"
    rate_limits: "tuple[RateLimit, ...]" = ()
    domain: str = ""


@dataclass(frozen=True, slots=True)
class Alpn:
    """istio.envoy.config.filter.http.alpn.v2alpha1.FilterConfig: upstream protocol -> ALPN offered over mTLS."""

    overrides: tuple[tuple[str, tuple[str, ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class RouterFilter:
    """envoy.extensions.filters.http.router.v3.Router."""

    suppress_envoy_headers: bool = False


@dataclass(frozen=True, slots=True)
class InertFilter:
    """A filter that changes no request here: it means nothing in process, or its configuration asks for nothing."""


@dataclass(frozen=True, slots=True)
class Fault:
    """envoy.extensions.filters.http.fault.v3.HTTPFault. `by_header`: the request says how long, or which status."""

    delay: Fraction | None = None
    delay_s: float | None = None
    delay_by_header: bool = False
    abort: Fraction | None = None
    abort_status: int | None = None
    abort_grpc_status: int | None = None
    abort_by_header: bool = False
    upstream_cluster: str = ""
    headers: tuple[HeaderMatcher, ...] = ()
    downstream_nodes: frozenset[str] = frozenset()
    max_active: int | None = None


@dataclass(frozen=True, slots=True)
class CorsPolicy:
    """envoy.extensions.filters.http.cors.v3.CorsPolicy; a more general level says what this one leaves open (None, or
    empty)."""

    allow_origins: tuple[StringMatcher, ...] = ()
    allow_methods: str = ""
    allow_headers: str = ""
    expose_headers: str = ""
    max_age: str = ""
    allow_credentials: bool | None = None
    allow_private_network: bool | None = None
    forward_not_matching_preflights: bool | None = None
    enabled: Fraction | None = None


@dataclass(frozen=True, slots=True)
class Cors:
    """envoy.extensions.filters.http.cors.v3.Cors: its policies are those of routes and virtual hosts."""


@dataclass(frozen=True, slots=True)
class DynamicForwardProxy:
    """envoy.extensions.filters.http.dynamic_forward_proxy.v3.FilterConfig."""

    cache: DnsCache


@dataclass(frozen=True, slots=True)
class DynamicForwardProxyRoute:
    """envoy.extensions.filters.http.dynamic_forward_proxy.v3.PerRouteConfig."""

    host_rewrite: str = ""
    host_rewrite_header: str = ""


@dataclass(frozen=True, slots=True)
class ParameterMutation:
    """envoy.config.core.v3.KeyValueMutation of a query parameter; `value`: with `%...%` formatters, None removes it."""

    key: str
    value: str | None
    action: AppendAction = AppendAction.APPEND_IF_EXISTS_OR_ADD


@dataclass(frozen=True, slots=True)
class MutateHeaders:
    """envoy.extensions.filters.http.header_mutation.v3.HeaderMutation, and what a route says of it."""

    request: tuple[HeaderMutation | str | StringMatcher, ...] = ()
    parameters: tuple[ParameterMutation, ...] = ()
    response: tuple[HeaderMutation | str | StringMatcher, ...] = ()
    most_specific_wins: bool = False
    """Of the chain's alone: what is more specific comes later."""


@dataclass(frozen=True, slots=True)
class Buffer:
    """envoy.extensions.filters.http.buffer.v3.Buffer, and BufferPerRoute; None: bodies are not held here."""

    max_bytes: int | None


@dataclass(frozen=True, slots=True)
class DisabledFilter:
    """A filter that a route switches off (envoy.config.route.v3.FilterConfig.disabled)."""


@dataclass(frozen=True, slots=True)
class UnenforceableFilter:
    """A filter that must be enforced and cannot be: its chain is closed unless it is allowed by name or optional."""

    type_url: str
    reason: str
    known: bool = False
    """Filters of this type are enforced, this one configuration is not: `is_optional`, which is about filters that a
    client does not have at all, does not let anything through then."""


FilterConfig = (
    LocalRateLimit
    | ExtAuthz
    | ExtAuthzPerRoute
    | GlobalRateLimit
    | RateLimitPerRoute
    | Alpn
    | RouterFilter
    | Fault
    | AdmissionControl
    | AdaptiveConcurrency
    | Cors
    | CorsPolicy
    | DynamicForwardProxy
    | DynamicForwardProxyRoute
    | MutateHeaders
    | Rbac
    | RbacPerRoute
    | Buffer
    | JwtAuthentication
    | JwtPerRoute
    | Extension
    | InertFilter
    | DisabledFilter
    | UnenforceableFilter
)


@dataclass(frozen=True, slots=True)
class HttpFilter:
    """envoy.extensions.filters.network.http_connection_manager.v3.HttpFilter. `discovery` names an ECDS resource."""

    name: str
    config: FilterConfig | None
    optional: bool = False
    disabled: bool = False
    discovery: str = ""
    default: FilterConfig | None = field(default=None)
