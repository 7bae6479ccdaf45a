"""One VirtualService's routes for one port: action, rewrite, mirror, faults, headers."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass

from ...wire.schema.types import (
    common_fault_v3,
    core_v3,
    cors_v3,
    http_fault_v3,
    matcher_v3,
    route_v3,
    type_v3,
)
from ..api.destination_rule import ConsistentHashLB, DestinationRule, PortTrafficPolicy, TrafficPolicy
from ..api.route_validity import GRPC_STATUS
from ..api.virtual_service import (
    CorsPolicy,
    Destination,
    Headers,
    HTTPDirectResponse,
    HTTPFaultInjection,
    HTTPMatchRequest,
    HTTPRedirect,
    HTTPRetry,
    HTTPRoute,
    HTTPRouteDestination,
    Percent,
)
from ..hosts import outbound, parse_subset_key
from ..mesh import MeshConfig
from ..registry.gateway_rules import quoted
from ..registry.services import Service
from ..registry.virtual_services import Routing
from . import retry
from .messages import config_metadata, duration, flag, optional_duration, pack, u32
from .route_match import is_catch_all, route_match, source_matches, string_matcher

Route = route_v3.Route
RouteAction = route_v3.RouteAction

_GRPC_CODES = {name: code for code, name in enumerate(GRPC_STATUS)}
UNKNOWN = "UnknownService"
"""The cluster of backends of a kind that nobody knows: no cluster is ever called so."""
REDIRECT_CODES = {
    0: "MOVED_PERMANENTLY",
    301: "MOVED_PERMANENTLY",
    302: "FOUND",
    303: "SEE_OTHER",
    307: "TEMPORARY_REDIRECT",
    308: "PERMANENT_REDIRECT",
}


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What routes of one table are built with: the port, the services on it, the rules, the source."""

    port: int
    services: Mapping[str, Service]  # on this port, holding this port only
    rule: Callable[[str], DestinationRule | None]
    labels: Mapping[str, str]
    namespace: str
    mesh: MeshConfig
    forwarded_host: bool = False  # whether a rewritten host goes on as x-forwarded-host
    grpc: bool = False  # for gRPC's own xDS

    @property
    def caller(self) -> Hashable:
        """What of the source routes are made of."""
        return self.namespace, tuple(sorted(self.labels.items())), self.forwarded_host, self.grpc


def routes_of(routing: Routing, around: Surroundings) -> list[Route]:
    """Routes that this source may take, up to the first that takes everything."""
    out = []
    for http in routing.spec.http:
        for match in http.match or (None,):
            made = _route(http, match, routing, around)
            if made is None:
                continue
            out.append(made)
            if match is None or is_catch_all(made.match):
                return out
        if not http.match:
            return out
    return out


def _route(http: HTTPRoute, match: HTTPMatchRequest | None, routing: Routing, around: Surroundings) -> Route | None:
    if match is not None and match.port and match.port != around.port:
        return None
    if not source_matches(match, around.labels, around.namespace):
        return None
    name = f"{http.name}.{match.name}" if match is not None and match.name else http.name
    made = Route(
        name=name,
        match=route_match(match, separated=routing.gateway_semantics),
        metadata=config_metadata(routing.source),
    )
    if match is not None and match.stat_prefix:
        made.stat_prefix = match.stat_prefix
    authority = add_headers(made, http.headers)
    if http.redirect is not None:
        _redirect(made, http.redirect, around.port)
    elif http.direct_response is not None:
        _respond(made, http.direct_response)
    else:
        _forward(made, http, authority, around, gateway=routing.gateway_semantics)
    made.decorator.operation = _operation(made, routing.name, around.port)
    if http.fault is not None:
        fault = fault_of(http.fault)
        made.typed_per_filter_config["envoy.filters.http.fault"].CopyFrom(pack(fault))
    if http.cors_policy is not None:
        cors = cors_of(http.cors_policy)
        made.typed_per_filter_config["envoy.filters.http.cors"].CopyFrom(pack(cors))
    return made


def add_headers(made: Route | route_v3.WeightedCluster.ClusterWeight, headers: Headers | None) -> str:
    """Adds and removes headers, `set` before `add`; returns the authority if one of them sets it."""
    if headers is None:
        return ""
    authority = ""
    if headers.request is not None:
        added = _values(headers.request.add, append=True)
        authority = _authority(headers.request.set) or _authority(headers.request.add)
        made.request_headers_to_add.extend(_values(headers.request.set, append=False) + added)
        made.request_headers_to_remove.extend(name for name in headers.request.remove if not _internal(name))
    if headers.response is not None:
        added = _values(headers.response.add, append=True)
        made.response_headers_to_add.extend(_values(headers.response.set, append=False) + added)
        made.response_headers_to_remove.extend(name for name in headers.response.remove if not _internal(name))
    return authority


def _values(headers: Mapping[str, str], *, append: bool) -> list[core_v3.HeaderValueOption]:
    action = (
        core_v3.HeaderValueOption.APPEND_IF_EXISTS_OR_ADD
        if append
        else core_v3.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD
    )
    return [
        core_v3.HeaderValueOption(header=core_v3.HeaderValue(key=key, value=headers[key]), append_action=action)
        for key in sorted(headers)
        if not _internal(key)
    ]


def _internal(name: str) -> bool:
    return name.startswith(":") or name.lower() == "host"


def _authority(headers: Mapping[str, str]) -> str:
    found = [value for key, value in headers.items() if key.lower() in (":authority", "host")]
    return found[-1] if found else ""


def _redirect(made: Route, wanted: HTTPRedirect, port: int) -> None:
    code = REDIRECT_CODES.get(wanted.redirect_code)
    if code is None:
        return  # istiod sends such a route without an action
    action = route_v3.RedirectAction(
        host_redirect=wanted.authority,
        response_code=route_v3.RedirectAction.RedirectResponseCode.Value(code),
    )
    if wanted.prefix_rewrite:
        action.prefix_rewrite = wanted.prefix_rewrite
    else:
        action.path_redirect = wanted.uri
    if wanted.scheme:
        action.scheme_redirect = wanted.scheme
    number = port if wanted.derive_port == "FROM_REQUEST_PORT" else wanted.port or 0
    usual = {"http": 80, "https": 443}.get(wanted.scheme or "http")
    action.port_redirect = 0 if number == usual else number
    made.redirect.CopyFrom(action)


def _respond(made: Route, wanted: HTTPDirectResponse) -> None:
    made.direct_response.status = wanted.status
    if wanted.body is not None:
        if wanted.body.string is not None:
            made.direct_response.body.inline_string = wanted.body.string
        elif wanted.body.bytes is not None:
            made.direct_response.body.inline_bytes = wanted.body.bytes


def _forward(made: Route, http: HTTPRoute, authority: str, around: Surroundings, *, gateway: bool) -> None:
    """`gateway`: a route of the Gateway API, where calls to backends that do not exist are answered 500."""
    action = made.route
    set_timeout(action, http.timeout, grpc=around.grpc)
    if gateway:
        action.cluster_not_found_response_code = RouteAction.INTERNAL_SERVER_ERROR
    if http.rewrite is not None:
        action.append_x_forwarded_host = around.forwarded_host
        if http.rewrite.uri_regex_rewrite is not None:
            action.regex_rewrite.pattern.regex = http.rewrite.uri_regex_rewrite.match
            action.regex_rewrite.substitution = http.rewrite.uri_regex_rewrite.rewrite
        elif http.rewrite.uri == "/" and gateway:
            # The prefix is removed, and what is left begins with a slash.
            action.regex_rewrite.pattern.regex = f"^{quoted(made.match.path_separated_prefix)}(/?)(.*)"
            action.regex_rewrite.substitution = r"/\2"
        elif http.rewrite.uri:
            action.prefix_rewrite = http.rewrite.uri
        authority = http.rewrite.authority or authority
    if authority:
        action.host_rewrite_literal = authority
    if http.mirror is not None:
        _mirror(action, http.mirror, _mirror_share(http), around)
    for mirror in http.mirrors:
        share = 100.0 if mirror.percentage is None else mirror.percentage.value
        _mirror(action, mirror.destination, (share, mirror.percentage is not None), around)
    hashed = False
    if len(http.route) == 1:
        hashed = _single(made, http.route[0], around)
    else:
        for destination in http.route:
            if destination.weight:
                _weighted(action, destination, around)
        action.weighted_clusters.SetInParent()
    policy = retry.outbound(http.retries, around.mesh.default_http_retry_policy, hashed=hashed)
    if policy is not None:
        action.retry_policy.CopyFrom(policy)


def set_timeout(action: RouteAction, timeout: float | None, *, grpc: bool = False) -> None:
    """None is no timeout. gRPC's own xDS reads `max_stream_duration`; Envoys get the old `max_grpc_timeout`."""
    made = duration(timeout or 0.0)
    action.timeout.CopyFrom(made)
    if grpc:
        action.max_stream_duration.max_stream_duration.CopyFrom(made)
    else:
        action.max_grpc_timeout.CopyFrom(made)


def _single(made: Route, destination: HTTPRouteDestination, around: Surroundings) -> bool:
    action = made.route
    action.cluster = destination_cluster(destination.destination, around)
    authority = add_headers(made, destination.headers)
    if authority and not action.WhichOneof("host_rewrite_specifier"):
        action.host_rewrite_literal = authority
    return _hash(action, destination.destination, around)


def _weighted(action: RouteAction, destination: HTTPRouteDestination, around: Surroundings) -> None:
    weight = route_v3.WeightedCluster.ClusterWeight(
        name=destination_cluster(destination.destination, around), weight=u32(destination.weight)
    )
    authority = add_headers(weight, destination.headers)
    if authority:
        weight.host_rewrite_literal = authority
    action.weighted_clusters.clusters.append(weight)
    _hash(action, destination.destination, around)


def _hash(action: RouteAction, destination: Destination, around: Surroundings) -> bool:
    consistent = hash_of_destination(around.rule(destination.host), destination)
    policy = hash_policy(consistent)
    if policy is not None:
        action.hash_policy.append(policy)
    return consistent is not None


def destination_cluster(destination: Destination, around: Surroundings) -> str:
    """The cluster of a destination. Without a port it is the service's only one, or the one that was called."""
    if not destination.host:
        return UNKNOWN
    service = around.services.get(destination.host)
    host = service.external_name if service is not None and service.external_name else destination.host
    port = around.port
    if destination.port is not None:
        port = destination.port.number
    elif service is not None and len(service.ports) == 1:
        port = service.ports[0].number
    return outbound(host, port, destination.subset)


def _mirror_share(http: HTTPRoute) -> tuple[float, bool]:
    """Percent, and whether it was given as a fraction."""
    if http.mirror_percentage is not None:
        return http.mirror_percentage.value, True
    if http.mirror_percent is not None:
        return float(http.mirror_percent), False
    return 100.0, False


def _mirror(action: RouteAction, to: Destination, share: tuple[float, bool], around: Surroundings) -> None:
    value, fraction = share
    if value <= 0:
        return
    percent = of_percent(Percent(value)) if fraction else whole_percent(int(value))
    action.request_mirror_policies.append(
        RouteAction.RequestMirrorPolicy(
            cluster=destination_cluster(to, around),
            runtime_fraction=core_v3.RuntimeFractionalPercent(default_value=percent),
            trace_sampled=flag(False),
            disable_shadow_host_suffix_append=True,
        )
    )


def of_percent(percent: Percent) -> type_v3.FractionalPercent:
    return type_v3.FractionalPercent(
        numerator=int(percent.value * 10000), denominator=type_v3.FractionalPercent.MILLION
    )


def whole_percent(percent: int) -> type_v3.FractionalPercent:
    return type_v3.FractionalPercent(numerator=percent, denominator=type_v3.FractionalPercent.HUNDRED)


def fault_of(wanted: HTTPFaultInjection) -> http_fault_v3.HTTPFault:
    made = http_fault_v3.HTTPFault()
    delay, abort = wanted.delay, wanted.abort
    if delay is not None and delay.fixed_delay is not None:
        share = of_percent(delay.percentage) if delay.percentage is not None else whole_percent(delay.percent)
        made.delay.CopyFrom(common_fault_v3.FaultDelay(fixed_delay=duration(delay.fixed_delay), percentage=share))
    if abort is not None and (abort.http_status is not None or abort.grpc_status is not None):
        if abort.percentage is not None:
            made.abort.percentage.CopyFrom(of_percent(abort.percentage))
        if abort.http_status is not None:
            made.abort.http_status = abort.http_status
        else:
            made.abort.grpc_status = _GRPC_CODES.get(abort.grpc_status or "", 0)
    return made


def cors_of(wanted: CorsPolicy) -> cors_v3.CorsPolicy:
    made = cors_v3.CorsPolicy(
        allow_methods=",".join(wanted.allow_methods),
        allow_headers=",".join(wanted.allow_headers),
        expose_headers=",".join(wanted.expose_headers),
        filter_enabled=core_v3.RuntimeFractionalPercent(default_value=whole_percent(100)),
        forward_not_matching_preflights=flag(wanted.unmatched_preflights != "IGNORE"),
    )
    if wanted.allow_origins is not None:
        matchers = [string_matcher(origin) for origin in wanted.allow_origins]
        made.allow_origin_string_match.extend(matcher for matcher in matchers if matcher is not None)
    else:
        made.allow_origin_string_match.extend(
            matcher_v3.StringMatcher(exact=origin) for origin in wanted.allow_origin or ()
        )
    if wanted.allow_credentials is not None:
        made.allow_credentials.value = wanted.allow_credentials
    if wanted.max_age is not None:
        made.max_age = str(int(wanted.max_age))
    return made


def _operation(made: Route, name: str, port: int) -> str:
    """The span's name: host, port and path of the one cluster it goes to, else of the VirtualService."""
    match = made.match
    path = "/*"
    kind = match.WhichOneof("path_specifier")
    if kind == "prefix":
        path = match.prefix + "*"
    elif kind == "path":
        path = match.path
    elif kind == "safe_regex":
        path = match.safe_regex.regex
    key = parse_subset_key(made.route.cluster)
    return f"{key.host}:{key.port}{path}" if key else f"{name}:{port}{path}"


def default_route(
    cluster: str, host: str, port: int, consistent: ConsistentHashLB | None, retries: HTTPRetry | None = None
) -> Route:
    """What a service without a VirtualService has."""
    made = Route(name="default", match=route_match(None))
    made.decorator.operation = f"{host}:{port}/*"
    made.route.cluster = cluster
    set_timeout(made.route, None)
    policy = retry.outbound(retries, hashed=False)
    if policy is not None:
        made.route.retry_policy.CopyFrom(policy)
    hashing = hash_policy(consistent)
    if hashing is not None:
        made.route.hash_policy.append(hashing)
    return made


def hash_policy(consistent: ConsistentHashLB | None) -> RouteAction.HashPolicy | None:
    """What of a request is hashed."""
    if consistent is None:
        return None
    made = RouteAction.HashPolicy()
    if consistent.http_header_name is not None:
        made.header.header_name = consistent.http_header_name
    elif consistent.http_cookie is not None:
        cookie = consistent.http_cookie
        ttl = optional_duration(cookie.ttl)
        attributes = [
            RouteAction.HashPolicy.CookieAttribute(name=item.name, value=item.value) for item in cookie.attributes
        ]
        made.cookie.CopyFrom(
            RouteAction.HashPolicy.Cookie(name=cookie.name, path=cookie.path, ttl=ttl, attributes=attributes)
        )
    elif consistent.use_source_ip is not None:
        made.connection_properties.source_ip = consistent.use_source_ip
    elif consistent.http_query_parameter_name is not None:
        made.query_parameter.name = consistent.http_query_parameter_name
    else:
        return None
    return made


def _consistent(policy: TrafficPolicy | PortTrafficPolicy | None) -> ConsistentHashLB | None:
    return policy.load_balancer.consistent_hash if policy is not None and policy.load_balancer is not None else None


def _of_port(policy: TrafficPolicy | None, number: int) -> PortTrafficPolicy | None:
    for own in policy.port_level_settings if policy is not None else ():
        if own.port is not None and own.port.number == number:
            return own
    return None


def hash_of_service(rule: DestinationRule | None, port: int) -> ConsistentHashLB | None:
    """The consistent hash of a service's port."""
    if rule is None:
        return None
    return _consistent(_of_port(rule.traffic_policy, port)) or _consistent(rule.traffic_policy)


def hash_of_destination(rule: DestinationRule | None, destination: Destination) -> ConsistentHashLB | None:
    """The consistent hash of a destination: of the subset's port, the subset, the port, the rule. Ports count only
    where the destination names one.
    """
    if rule is None:
        return None
    port = destination.port.number if destination.port is not None else None
    subset = next((item.traffic_policy for item in rule.subsets if item.name == destination.subset), None)
    found = (
        _consistent(_of_port(subset, port)) if port is not None else None,
        _consistent(subset),
        _consistent(_of_port(rule.traffic_policy, port)) if port is not None else None,
        _consistent(rule.traffic_policy),
    )
    return next((item for item in found if item is not None), None)
