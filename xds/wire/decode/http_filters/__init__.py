"""HTTP filters by type URL: what each asks for, and what becomes of the ones that nobody here understands.

Three kinds need no module of their own: filters that mean nothing inside a process, filters that are named until they
are done, and all others, which close their chain (decision 9 of the design). The type decides, as in Envoy; the name
only for Istio's filters whose types the schema does not have.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from google.protobuf.message import Message

from ....model.filters import (
    Alpn,
    Buffer,
    Cors,
    DisabledFilter,
    DynamicForwardProxy,
    DynamicForwardProxyRoute,
    FilterConfig,
    HttpFilter,
    InertFilter,
    LocalRateLimit,
    RouterFilter,
    UnenforceableFilter,
)
from ...installed import FILTERS, BrokenError
from ...opening import open_any, type_of
from ...refused import RefusedError
from ...schema import types as pb
from ..brought import brought
from ..cluster_type import cache_config
from ..extensions import HTTP_FILTERS, WITHOUT_ROUTES, extension
from ..inert import INERT_NAMES, INERT_TYPES, NOT_DONE
from ..values import named
from .cors import cors_policy
from .ext_authz import ext_authz, ext_authz_per_route
from .fault import fault
from .global_ratelimit import global_ratelimit, ratelimit_per_route
from .header_mutation import header_mutation
from .jwt_authn import jwt_authn, jwt_per_route
from .local_ratelimit import local_ratelimit
from .overload import adaptive_concurrency, admission_control
from .rbac import rbac, rbac_per_route

FORWARD_PROXY = "envoy.extensions.filters.http.dynamic_forward_proxy.v3."

ROUTER = "envoy.extensions.filters.http.router.v3.Router"

UPSTREAM_CODEC = "envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec"

PROTOCOLS = ("http/1.0", "http/1.1", "h2")


def http_filters(
    messages: Sequence[pb.http_connection_manager_v3.HttpFilter],
) -> tuple[HttpFilter, ...]:
    """HttpConnectionManager.http_filters, the last of which must be the router."""
    found = []
    for index, each in enumerate(messages):
        last = index == len(messages) - 1
        try:
            _refuse_misplaced(each, last=last)
            found.append(http_filter(each))
        except RefusedError as error:
            raise error.within(f"http filter {each.name}") from error
    return tuple(found)


def _refuse_misplaced(message: pb.http_connection_manager_v3.HttpFilter, *, last: bool) -> None:
    type_name = type_of(message.typed_config)
    kind = HTTP_FILTERS.get(type_name)
    if kind is None:
        return
    if (type_name == ROUTER) != last:
        what, must = ("non-terminal", "is the last filter") if last else ("terminal", "must be the last filter")
        raise RefusedError(f"Error: {what} filter named {message.name} of type {kind} {must} in a http filter chain.")
    if last and message.disabled:
        raise RefusedError(
            f"Error: the last (terminal) filter ({message.name}) in the chain cannot be disabled by default."
        )


def http_filter(message: pb.http_connection_manager_v3.HttpFilter) -> HttpFilter:
    """envoy.extensions.filters.network.http_connection_manager.v3.HttpFilter."""
    discovery, default, config = "", None, None
    if message.HasField("config_discovery"):
        discovery = message.name
        default = _default(message)
    else:
        config = filter_config(message.name, message.typed_config, optional=message.is_optional)
    return HttpFilter(message.name, config, message.is_optional, message.disabled, discovery, default)


def _default(message: pb.http_connection_manager_v3.HttpFilter) -> FilterConfig | None:
    source = message.config_discovery
    if not source.HasField("default_config"):
        if source.apply_default_config_without_warming:
            raise RefusedError(
                f"Error: filter config {message.name} applied without warming but has no default config."
            )
        return None
    type_name = type_of(source.default_config)
    wanted = [each.rpartition("/")[2] for each in source.type_urls]
    if type_name not in wanted:
        raise RefusedError(f"Error: filter config has type URL {type_name} but expect {', '.join(sorted(wanted))}.")
    return filter_config(message.name, source.default_config)


def filter_config(name: str, packed: pb.google_protobuf.Any, *, optional: bool = False) -> FilterConfig:
    """The configuration of a filter, of the chain or of a route. `optional`: of a type that Envoy need not have."""
    opened = open_any(packed) if optional else extension(name, packed, HTTP_FILTERS)
    type_name = type_of(packed)
    decode = DECODERS.get(type_name)
    if decode is not None and opened is not None:
        config = decode(opened)
        return replace(config, known=True) if isinstance(config, UnenforceableFilter) else config
    if type_name in INERT_TYPES or name in INERT_NAMES:
        return InertFilter()
    try:
        own = brought(FILTERS, name, packed, ("on_request", "on_response"))
        most = None if own is None else getattr(own.made, "max_request_bytes", None)
        if most is not None and not (isinstance(most, int) and most > 0):
            raise BrokenError(f"{own}: max_request_bytes is {most!r}, where a number of bytes above 0 is wanted")
    except BrokenError as error:
        return UnenforceableFilter(type_name, str(error), known=True)
    return own if own is not None else UnenforceableFilter(type_name, NOT_DONE)


def _alpn(message: pb.istio_alpn_v2alpha1.FilterConfig) -> FilterConfig:
    return Alpn(
        tuple((named(PROTOCOLS, each.upstream_protocol), tuple(each.alpn_override)) for each in message.alpn_override)
    )


def _router(message: pb.router_v3.Router) -> FilterConfig:
    for each in message.upstream_http_filters:
        if type_of(each.typed_config) != UPSTREAM_CODEC and not each.is_optional:
            return UnenforceableFilter(ROUTER, f"upstream HTTP filter {each.name}: {NOT_DONE}")
    return RouterFilter(message.suppress_envoy_headers)


def _forward_proxy(message: pb.http_dynamic_forward_proxy_v3.FilterConfig) -> FilterConfig:
    if not message.HasField("dns_cache_config"):
        return UnenforceableFilter(FORWARD_PROXY + "FilterConfig", "sub clusters are not made yet")
    return DynamicForwardProxy(cache_config(message.dns_cache_config))


DECODERS: Mapping[str, Callable[..., FilterConfig]] = {
    "envoy.extensions.filters.http.adaptive_concurrency.v3.AdaptiveConcurrency": adaptive_concurrency,
    "envoy.extensions.filters.http.admission_control.v3.AdmissionControl": admission_control,
    "envoy.extensions.filters.http.buffer.v3.Buffer": lambda message: Buffer(message.max_request_bytes.value),
    "envoy.extensions.filters.http.buffer.v3.BufferPerRoute": (
        lambda message: Buffer(None if message.disabled else message.buffer.max_request_bytes.value)
    ),
    "envoy.extensions.filters.http.cors.v3.Cors": lambda message: Cors(),
    "envoy.extensions.filters.http.cors.v3.CorsPolicy": cors_policy,
    "envoy.extensions.filters.http.ext_authz.v3.ExtAuthz": ext_authz,
    "envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute": ext_authz_per_route,
    "envoy.extensions.filters.http.fault.v3.HTTPFault": fault,
    FORWARD_PROXY + "FilterConfig": _forward_proxy,
    FORWARD_PROXY + "PerRouteConfig": (
        lambda message: DynamicForwardProxyRoute(message.host_rewrite_literal, message.host_rewrite_header)
    ),
    "envoy.extensions.filters.http.header_mutation.v3.HeaderMutation": header_mutation,
    "envoy.extensions.filters.http.header_mutation.v3.HeaderMutationPerRoute": header_mutation,
    "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication": jwt_authn,
    "envoy.extensions.filters.http.jwt_authn.v3.PerRouteConfig": jwt_per_route,
    "envoy.extensions.filters.http.ratelimit.v3.RateLimit": global_ratelimit,
    "envoy.extensions.filters.http.ratelimit.v3.RateLimitPerRoute": ratelimit_per_route,
    "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit": local_ratelimit,
    "envoy.extensions.filters.http.rbac.v3.RBAC": rbac,
    "envoy.extensions.filters.http.rbac.v3.RBACPerRoute": rbac_per_route,
    "istio.envoy.config.filter.http.alpn.v2alpha1.FilterConfig": _alpn,
    ROUTER: _router,
}
"""What is understood, by the full name of its message."""


def per_filter_configs(messages: Mapping[str, pb.google_protobuf.Any]) -> dict[str, FilterConfig]:
    """typed_per_filter_config of a route, virtual host, weighted cluster or route configuration."""
    configs: dict[str, FilterConfig] = {}
    for name, packed in messages.items():
        try:
            config = _per_filter_config(name, packed)
        except RefusedError as error:
            raise error.within(f"typed_per_filter_config[{name}]") from error
        if config is not None:
            configs[name] = config
    return configs


def _per_filter_config(name: str, packed: pb.google_protobuf.Any) -> FilterConfig | None:
    optional = False
    if type_of(packed) == "envoy.config.route.v3.FilterConfig":
        opened: Message | None = open_any(packed)
        if isinstance(opened, pb.route_v3.FilterConfig):
            if opened.disabled:
                return DisabledFilter()
            if not opened.HasField("config"):
                raise RefusedError(f"Empty route/virtual host per filter configuration for {name} filter")
            packed, optional = opened.config, opened.is_optional
            if not packed.type_url:
                return InertFilter()
    if type_of(packed) in WITHOUT_ROUTES:
        raise RefusedError(f"The filter {name} doesn't support virtual host or route specific configurations")
    config = filter_config(name, packed, optional=optional)
    if isinstance(config, LocalRateLimit) and config.bucket is None:
        raise RefusedError("local rate limit token bucket must be set for per filter configs")
    if optional and isinstance(config, UnenforceableFilter) and not config.known:
        return None  # as if it were not there
    return config
