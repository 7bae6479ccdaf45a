"""networking.istio.io VirtualService, field for field."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from .fields import (
    REQUIRED,
    Bytes,
    Duration,
    HttpStatus,
    Inert,
    Int32,
    OneOf,
    Percentage,
    Port,
    Regex,
    UInt32,
    WholePercentage,
)


@dataclass(frozen=True, slots=True)
class PortSelector:
    number: Port = 0


@dataclass(frozen=True, slots=True)
class Destination:
    host: Annotated[str, REQUIRED] = ""
    subset: str = ""
    port: PortSelector | None = None


@dataclass(frozen=True, slots=True)
class StringMatch:
    """No member set means present."""

    exact: str | None = None
    prefix: str | None = None
    regex: Regex | None = None

    ONE_OF: ClassVar[OneOf] = (("exact", "prefix", "regex"),)


@dataclass(frozen=True, slots=True)
class HeaderOperations:
    set: dict[str, str] = field(default_factory=dict)
    add: dict[str, str] = field(default_factory=dict)
    remove: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Headers:
    request: HeaderOperations | None = None
    response: HeaderOperations | None = None


@dataclass(frozen=True, slots=True)
class HTTPMatchRequest:
    name: str = ""
    uri: StringMatch | None = None
    scheme: StringMatch | None = None
    method: StringMatch | None = None
    authority: StringMatch | None = None
    headers: dict[str, StringMatch] = field(default_factory=dict)
    port: Port = 0
    source_labels: dict[str, str] = field(default_factory=dict)
    gateways: tuple[str, ...] = ()
    query_params: dict[str, StringMatch] = field(default_factory=dict)
    ignore_uri_case: bool = False
    without_headers: dict[str, StringMatch] = field(default_factory=dict)
    source_namespace: str = ""
    stat_prefix: str = ""


@dataclass(frozen=True, slots=True)
class HTTPRouteDestination:
    destination: Annotated[Destination, REQUIRED] = Destination()
    weight: Int32 = 0
    headers: Headers | None = None


@dataclass(frozen=True, slots=True)
class HTTPRedirect:
    uri: str = ""
    authority: str = ""
    port: Port | None = None
    derive_port: Literal["FROM_PROTOCOL_DEFAULT", "FROM_REQUEST_PORT"] | None = None
    scheme: str = ""
    redirect_code: UInt32 = 0
    prefix_rewrite: str = ""

    ONE_OF: ClassVar[OneOf] = (("port", "derive_port"),)


@dataclass(frozen=True, slots=True)
class HTTPBody:
    string: str | None = None
    bytes: Bytes | None = None

    ONE_OF: ClassVar[OneOf] = (("string", "bytes"),)


@dataclass(frozen=True, slots=True)
class HTTPDirectResponse:
    status: Annotated[HttpStatus, REQUIRED] = 0
    body: HTTPBody | None = None


@dataclass(frozen=True, slots=True)
class Delegate:
    name: str = ""
    namespace: str = ""


@dataclass(frozen=True, slots=True)
class RegexRewrite:
    match: Regex = ""
    rewrite: str = ""


@dataclass(frozen=True, slots=True)
class HTTPRewrite:
    uri: str = ""
    authority: str = ""
    uri_regex_rewrite: RegexRewrite | None = None


@dataclass(frozen=True, slots=True)
class HTTPRetry:
    attempts: Int32 = 0
    per_try_timeout: Duration | None = None
    retry_on: str = ""
    retry_remote_localities: bool | None = None
    retry_ignore_previous_hosts: bool | None = None
    backoff: Duration | None = None


@dataclass(frozen=True, slots=True)
class Percent:
    value: Percentage = 0.0


@dataclass(frozen=True, slots=True)
class Delay:
    percent: WholePercentage = 0
    fixed_delay: Duration | None = None
    exponential_delay: Annotated[Duration, Inert("Istio does not implement exponential delays")] | None = None
    percentage: Percent | None = None

    ONE_OF: ClassVar[OneOf] = (("fixed_delay", "exponential_delay"),)


@dataclass(frozen=True, slots=True)
class Abort:
    http_status: Int32 | None = None
    grpc_status: str | None = None
    http2_error: Annotated[str, Inert("Istio does not implement HTTP/2 error aborts")] | None = None
    percentage: Percent | None = None

    ONE_OF: ClassVar[OneOf] = (("http_status", "grpc_status", "http2_error"),)


@dataclass(frozen=True, slots=True)
class HTTPFaultInjection:
    delay: Delay | None = None
    abort: Abort | None = None


@dataclass(frozen=True, slots=True)
class HTTPMirrorPolicy:
    destination: Annotated[Destination, REQUIRED] = Destination()
    percentage: Percent | None = None


@dataclass(frozen=True, slots=True)
class CorsPolicy:
    allow_origin: tuple[str, ...] | None = None
    allow_methods: tuple[str, ...] = ()
    allow_headers: tuple[str, ...] = ()
    expose_headers: tuple[str, ...] = ()
    max_age: Duration | None = None
    allow_credentials: bool | None = None
    allow_origins: tuple[StringMatch, ...] | None = None
    unmatched_preflights: Literal["UNSPECIFIED", "FORWARD", "IGNORE"] = "UNSPECIFIED"


@dataclass(frozen=True, slots=True)
class HTTPRoute:
    name: str = ""
    match: tuple[HTTPMatchRequest, ...] = ()
    route: tuple[HTTPRouteDestination, ...] = ()
    redirect: HTTPRedirect | None = None
    direct_response: HTTPDirectResponse | None = None
    delegate: Delegate | None = None
    rewrite: HTTPRewrite | None = None
    timeout: Duration | None = None
    retries: HTTPRetry | None = None
    fault: HTTPFaultInjection | None = None
    mirror: Destination | None = None
    mirrors: tuple[HTTPMirrorPolicy, ...] = ()
    mirror_percent: UInt32 | None = None
    mirror_percentage: Percent | None = None
    cors_policy: CorsPolicy | None = None
    headers: Headers | None = None


@dataclass(frozen=True, slots=True)
class RouteDestination:
    destination: Annotated[Destination, REQUIRED] = Destination()
    weight: Int32 = 0


@dataclass(frozen=True, slots=True)
class L4MatchAttributes:
    destination_subnets: tuple[str, ...] = ()
    port: Port = 0
    source_subnet: Annotated[str, Inert("Istio ignores it")] = ""
    source_labels: dict[str, str] = field(default_factory=dict)
    gateways: tuple[str, ...] = ()
    source_namespace: str = ""


@dataclass(frozen=True, slots=True)
class TLSMatchAttributes:
    sni_hosts: tuple[str, ...] = ()
    destination_subnets: tuple[str, ...] = ()
    port: Port = 0
    source_labels: dict[str, str] = field(default_factory=dict)
    gateways: tuple[str, ...] = ()
    source_namespace: str = ""


@dataclass(frozen=True, slots=True)
class TLSRoute:
    match: tuple[TLSMatchAttributes, ...] = ()
    route: tuple[RouteDestination, ...] = ()


@dataclass(frozen=True, slots=True)
class TCPRoute:
    match: tuple[L4MatchAttributes, ...] = ()
    route: tuple[RouteDestination, ...] = ()


@dataclass(frozen=True, slots=True)
class VirtualService:
    hosts: tuple[str, ...] = ()
    gateways: tuple[str, ...] = ()
    http: tuple[HTTPRoute, ...] = ()
    tls: tuple[TLSRoute, ...] = ()
    tcp: tuple[TCPRoute, ...] = ()
    export_to: tuple[str, ...] = ()
