"""HTTP connection managers: the same frame for both directions, around each direction's own filters."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ...wire.schema.types import http_connection_manager_v3, listener_v3, route_v3
from ..registry import protocols
from ..registry.extensions import Side
from ..registry.protocols import Protocol
from ..registry.services import Service
from . import dynamic_dns, filters
from .connection_settings import normalize, settle
from .filters import HttpFilter
from .messages import ads, duration, flag, pack
from .proxy_headers import Headers, headers_of
from .view import View

Manager = http_connection_manager_v3.HttpConnectionManager
HTTP_MANAGER = "envoy.filters.network.http_connection_manager"


@dataclass(frozen=True, slots=True)
class Served:
    """What a connection manager is for. Either `rds` names its routes or `routes` holds them."""

    side: Side
    stat_prefix: str
    protocol: Protocol
    rds: str = ""
    routes: route_v3.RouteConfiguration | None = None
    port: int = 0  # which extensions are for it
    absolute_urls: bool = False  # as for a forward proxy
    resolves: Service | None = None  # whose names are resolved when they are called


def connection_manager(served: Served, view: View) -> listener_v3.Filter:
    config = view.proxy.config
    headers = headers_of(config.proxy_headers)
    traced = view.traced(served.side)
    made = Manager(
        stat_prefix=served.stat_prefix,
        http_filters=_filters(served, headers, view),
        tracing=traced.tracing,
        access_log=view.access_logs(served.side, "HTTP"),
        use_remote_address=flag(False),
        proxy_100_continue=True,
        upgrade_configs=[Manager.UpgradeConfig(upgrade_type="websocket")],
        stream_idle_timeout=duration(0),
        request_id_extension=filters.request_id(traced.by_request_id),
    )
    normalize(made, view.mesh.path_normalization)
    if view.idle_timeout_s is not None:
        made.common_http_protocol_options.idle_timeout.CopyFrom(duration(view.idle_timeout_s))
    if view.proxy.node.text("HTTP10") == "1":
        made.http_protocol_options.accept_http_10 = True
    if served.absolute_urls:
        made.http_protocol_options.allow_absolute_url.value = True
    if view.proxy.keeps_case:
        made.http_protocol_options.header_key_format.CopyFrom(filters.preserve_case())
    if served.routes is not None:
        made.route_config.CopyFrom(served.routes)
    else:
        made.rds.config_source.CopyFrom(ads())
        made.rds.route_config_name = served.rds
    if served.side == "SERVER" and served.protocol in protocols.HTTP2:
        made.http2_protocol_options.SetInParent()
    headers.configure(made, server=served.side == "SERVER")
    settings = config.connection_settings or view.mesh.default_config.connection_settings
    if settings is not None:
        settle(made, settings)
    return listener_v3.Filter(name=HTTP_MANAGER, typed_config=pack(made))


def _filters(served: Served, headers: Headers, view: View) -> Iterable[HttpFilter]:
    """In istiod's order: peers first, so that refusals know them; the router last."""
    inserted = view.http_extensions(served.side, served.port)
    if served.side == "SERVER":
        yield filters.inbound_exchange()
        yield from view.custom_http
        yield from inserted.get("AUTHN", ())
        yield from view.tokens
        yield from inserted.get("AUTHZ", ())
        yield from view.http_rules
    else:
        yield filters.outbound_exchange(mesh_only=headers.mesh_only)
        yield from inserted.get("AUTHN", ())
        yield from inserted.get("AUTHZ", ())
    yield from inserted.get("STATS", ())
    yield from inserted.get("UNSPECIFIED", ())
    if served.protocol == "GRPC-Web":
        yield filters.grpc_web()
    yield filters.grpc_stats()
    if served.side == "CLIENT":
        yield filters.alpn()
    yield filters.fault()
    yield filters.cors()
    yield from view.statistics(served.side).http
    if served.resolves is not None and dynamic_dns.resolves(served.resolves):
        yield dynamic_dns.http_filter(dynamic_dns.cache_of(served.resolves, view.dns_family))
    if served.side == "CLIENT" and view.scope.outbound_policy.mode == dynamic_dns.ANY_MODE:
        yield dynamic_dns.http_filter(dynamic_dns.cache_of_any(view.proxy))
    yield filters.router(debug=headers.debug)
