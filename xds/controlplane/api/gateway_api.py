"""gateway.networking.k8s.io HTTPRoute, GRPCRoute, TCPRoute and TLSRoute, field for field.

The defaults are those that the API server fills in: a rule without matches has one for the prefix `/`, so that the
objects of a folder are what a controller would read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from .fields import REQUIRED, UINT32_MAX, Bounds, GatewayDuration, Inert, Int32, OneOf

GATEWAY_GROUP = "gateway.networking.k8s.io"

RoutePort = Annotated[int, Bounds(1, 65535)]
Weight = Annotated[int, Bounds(0, 1_000_000)]
MatchType = Literal["Exact", "RegularExpression"]
_NO_SESSIONS = "Istio does not implement sessions of routes"
_NO_DEFAULTS = "only routes that name a Service or a ServiceEntry as their parent are served"


@dataclass(frozen=True, slots=True)
class ParentReference:
    """What a route belongs to: a Gateway, or a Service whose clients it governs. Port 0 is every port."""

    group: str = GATEWAY_GROUP
    kind: str = "Gateway"
    namespace: str = ""
    name: Annotated[str, REQUIRED] = ""
    section_name: str = ""
    port: RoutePort = 0


@dataclass(frozen=True, slots=True)
class BackendObjectReference:
    group: str = ""
    kind: str = "Service"
    name: Annotated[str, REQUIRED] = ""
    namespace: str | None = None
    port: RoutePort = 0


@dataclass(frozen=True, slots=True)
class BackendRef:
    group: str = ""
    kind: str = "Service"
    name: Annotated[str, REQUIRED] = ""
    namespace: str | None = None
    port: RoutePort = 0
    weight: Weight = 1


@dataclass(frozen=True, slots=True)
class HTTPHeader:
    name: Annotated[str, REQUIRED] = ""
    value: Annotated[str, REQUIRED] = ""


@dataclass(frozen=True, slots=True)
class HTTPHeaderFilter:
    set: tuple[HTTPHeader, ...] = ()
    add: tuple[HTTPHeader, ...] = ()
    remove: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HTTPPathModifier:
    type: Annotated[Literal["ReplaceFullPath", "ReplacePrefixMatch"], REQUIRED] = "ReplaceFullPath"
    replace_full_path: str | None = None
    replace_prefix_match: str | None = None


@dataclass(frozen=True, slots=True)
class HTTPRequestRedirectFilter:
    scheme: Literal["http", "https"] | None = None
    hostname: str = ""
    path: HTTPPathModifier | None = None
    port: RoutePort | None = None
    status_code: Int32 = 302


@dataclass(frozen=True, slots=True)
class HTTPURLRewriteFilter:
    hostname: str = ""
    path: HTTPPathModifier | None = None


@dataclass(frozen=True, slots=True)
class Fraction:
    numerator: Annotated[int, Bounds(0, UINT32_MAX)] = 0
    denominator: Annotated[int, Bounds(1, UINT32_MAX)] = 100


@dataclass(frozen=True, slots=True)
class HTTPRequestMirrorFilter:
    backend_ref: Annotated[BackendObjectReference, REQUIRED] = BackendObjectReference()
    percent: Annotated[int, Bounds(0, 100)] | None = None
    fraction: Fraction | None = None

    ONE_OF: ClassVar[OneOf] = (("percent", "fraction"),)


@dataclass(frozen=True, slots=True)
class HTTPCORSFilter:
    """`max_age` in seconds."""

    allow_origins: tuple[str, ...] = ()
    allow_credentials: bool = False
    allow_methods: tuple[str, ...] = ()
    allow_headers: tuple[str, ...] = ()
    expose_headers: tuple[str, ...] = ()
    max_age: Annotated[int, Bounds(1, 2**31 - 1)] = 5


@dataclass(frozen=True, slots=True)
class LocalObjectReference:
    group: str = ""
    kind: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class ForwardBody:
    max_size: Int32 = 0


@dataclass(frozen=True, slots=True)
class HTTPAuthConfig:
    path: str = ""
    allowed_headers: tuple[str, ...] = ()
    allowed_response_headers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GRPCAuthConfig:
    allowed_headers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HTTPExternalAuthFilter:
    protocol: Literal["HTTP", "GRPC"] = "HTTP"
    backend_ref: BackendObjectReference | None = None
    grpc: GRPCAuthConfig | None = None
    http: HTTPAuthConfig | None = None
    forward_body: ForwardBody | None = None


HTTPFilterType = Literal[
    "RequestHeaderModifier",
    "ResponseHeaderModifier",
    "RequestMirror",
    "RequestRedirect",
    "URLRewrite",
    "ExtensionRef",
    "CORS",
    "ExternalAuth",
]


@dataclass(frozen=True, slots=True)
class HTTPRouteFilter:
    """Exactly the member that `type` names is set."""

    type: Annotated[HTTPFilterType, REQUIRED] = "RequestHeaderModifier"
    request_header_modifier: HTTPHeaderFilter | None = None
    response_header_modifier: HTTPHeaderFilter | None = None
    request_mirror: HTTPRequestMirrorFilter | None = None
    request_redirect: HTTPRequestRedirectFilter | None = None
    url_rewrite: HTTPURLRewriteFilter | None = None
    cors: HTTPCORSFilter | None = None
    external_auth: HTTPExternalAuthFilter | None = None
    extension_ref: LocalObjectReference | None = None


@dataclass(frozen=True, slots=True)
class HTTPBackendRef:
    group: str = ""
    kind: str = "Service"
    name: Annotated[str, REQUIRED] = ""
    namespace: str | None = None
    port: RoutePort = 0
    weight: Weight = 1
    filters: tuple[HTTPRouteFilter, ...] = ()


@dataclass(frozen=True, slots=True)
class HTTPPathMatch:
    type: Literal["Exact", "PathPrefix", "RegularExpression"] = "PathPrefix"
    value: str = "/"


@dataclass(frozen=True, slots=True)
class HTTPHeaderMatch:
    type: MatchType = "Exact"
    name: Annotated[str, REQUIRED] = ""
    value: Annotated[str, REQUIRED] = ""


HTTPMethod = Literal["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"]


@dataclass(frozen=True, slots=True)
class HTTPRouteMatch:
    path: HTTPPathMatch = HTTPPathMatch()
    headers: tuple[HTTPHeaderMatch, ...] = ()
    query_params: tuple[HTTPHeaderMatch, ...] = ()
    method: HTTPMethod | None = None


@dataclass(frozen=True, slots=True)
class HTTPRouteTimeouts:
    """Seconds; 0 is none."""

    request: GatewayDuration | None = None
    backend_request: GatewayDuration | None = None


@dataclass(frozen=True, slots=True)
class HTTPRouteRetry:
    codes: tuple[Annotated[int, Bounds(400, 599)], ...] = ()
    attempts: Int32 | None = None
    backoff: GatewayDuration | None = None


@dataclass(frozen=True, slots=True)
class CookieConfig:
    lifetime_type: Literal["Permanent", "Session"] = "Session"


@dataclass(frozen=True, slots=True)
class SessionPersistence:
    session_name: str = ""
    absolute_timeout: GatewayDuration | None = None
    idle_timeout: GatewayDuration | None = None
    type: Literal["Cookie", "Header"] = "Cookie"
    cookie_config: CookieConfig | None = None


Sessions = Annotated[SessionPersistence, Inert(_NO_SESSIONS)]
UseDefaultGateways = Annotated[Literal["All", "None"], Inert(_NO_DEFAULTS)]


@dataclass(frozen=True, slots=True)
class HTTPRouteRule:
    name: str = ""
    matches: tuple[HTTPRouteMatch, ...] = (HTTPRouteMatch(),)
    filters: tuple[HTTPRouteFilter, ...] = ()
    backend_refs: tuple[HTTPBackendRef, ...] = ()
    timeouts: HTTPRouteTimeouts | None = None
    retry: HTTPRouteRetry | None = None
    session_persistence: Sessions | None = None


@dataclass(frozen=True, slots=True)
class HTTPRouteSpec:
    parent_refs: tuple[ParentReference, ...] = ()
    use_default_gateways: UseDefaultGateways | None = None
    hostnames: tuple[str, ...] = ()
    rules: tuple[HTTPRouteRule, ...] = (HTTPRouteRule(),)


@dataclass(frozen=True, slots=True)
class GRPCRouteFilter:
    """Exactly the member that `type` names is set."""

    type: Annotated[
        Literal["ResponseHeaderModifier", "RequestHeaderModifier", "RequestMirror", "ExtensionRef"], REQUIRED
    ] = "RequestHeaderModifier"
    request_header_modifier: HTTPHeaderFilter | None = None
    response_header_modifier: HTTPHeaderFilter | None = None
    request_mirror: HTTPRequestMirrorFilter | None = None
    extension_ref: LocalObjectReference | None = None


@dataclass(frozen=True, slots=True)
class GRPCBackendRef:
    group: str = ""
    kind: str = "Service"
    name: Annotated[str, REQUIRED] = ""
    namespace: str | None = None
    port: RoutePort = 0
    weight: Weight = 1
    filters: tuple[GRPCRouteFilter, ...] = ()


@dataclass(frozen=True, slots=True)
class GRPCMethodMatch:
    type: MatchType = "Exact"
    service: str | None = None
    method: str | None = None


@dataclass(frozen=True, slots=True)
class GRPCRouteMatch:
    method: GRPCMethodMatch | None = None
    headers: tuple[HTTPHeaderMatch, ...] = ()


@dataclass(frozen=True, slots=True)
class GRPCRouteRule:
    name: str = ""
    matches: tuple[GRPCRouteMatch, ...] = ()
    filters: tuple[GRPCRouteFilter, ...] = ()
    backend_refs: tuple[GRPCBackendRef, ...] = ()
    session_persistence: Sessions | None = None


@dataclass(frozen=True, slots=True)
class GRPCRouteSpec:
    parent_refs: tuple[ParentReference, ...] = ()
    use_default_gateways: UseDefaultGateways | None = None
    hostnames: tuple[str, ...] = ()
    rules: tuple[GRPCRouteRule, ...] = ()


@dataclass(frozen=True, slots=True)
class ConnectionRouteRule:
    """One rule of a TCPRoute or a TLSRoute."""

    name: str = ""
    backend_refs: tuple[BackendRef, ...] = ()


@dataclass(frozen=True, slots=True)
class TCPRouteSpec:
    parent_refs: tuple[ParentReference, ...] = ()
    use_default_gateways: UseDefaultGateways | None = None
    rules: Annotated[tuple[ConnectionRouteRule, ...], REQUIRED] = ()


@dataclass(frozen=True, slots=True)
class TLSRouteSpec:
    parent_refs: tuple[ParentReference, ...] = ()
    use_default_gateways: UseDefaultGateways | None = None
    hostnames: tuple[str, ...] = ()
    rules: Annotated[tuple[ConnectionRouteRule, ...], REQUIRED] = ()


RouteSpec = HTTPRouteSpec | GRPCRouteSpec | TCPRouteSpec | TLSRouteSpec
AnyBackendRef = BackendObjectReference | BackendRef | HTTPBackendRef | GRPCBackendRef
