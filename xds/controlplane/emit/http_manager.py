"""HTTP connection managers: the same frame for both directions, around each direction's own filters."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ...wire.schema.types import http_connection_manager_v3, listener_v3, route_v3
from ..registry import protocols
from ..registry.protocols import Protocol
from . import filters
from .access_logs import Side
from .filters import HttpFilter
from .messages import ads, duration, flag, pack
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
    security: tuple[HttpFilter, ...] = ()  # inbound: JWT and RBAC
    statistics: tuple[HttpFilter, ...] = ()


def connection_manager(served: Served, view: View) -> listener_v3.Filter:
    made = Manager(
        stat_prefix=served.stat_prefix,
        http_filters=_filters(served),
        tracing=view.tracing,
        access_log=view.access_logs(served.side),
        use_remote_address=flag(False),
        proxy_100_continue=True,
        upgrade_configs=[Manager.UpgradeConfig(upgrade_type="websocket")],
        stream_idle_timeout=duration(0),
        normalize_path=flag(True),
        path_with_escaped_slashes_action=Manager.KEEP_UNCHANGED,
        request_id_extension=filters.request_id(),
    )
    if view.idle_timeout_s is not None:
        made.common_http_protocol_options.idle_timeout.CopyFrom(duration(view.idle_timeout_s))
    if view.proxy.node.text("HTTP10") == "1":
        made.http_protocol_options.accept_http_10 = True
    if served.routes is not None:
        made.route_config.CopyFrom(served.routes)
    else:
        made.rds.config_source.CopyFrom(ads())
        made.rds.route_config_name = served.rds
    if served.side == "SERVER":
        _as_server(made, served.protocol)
    return listener_v3.Filter(name=HTTP_MANAGER, typed_config=pack(made))


def _as_server(made: Manager, protocol: Protocol) -> None:
    """Inbound: the caller's certificate goes on to the application, and answers carry the proxy's name."""
    if protocol in protocols.HTTP2:
        made.http2_protocol_options.SetInParent()
    made.server_name = "istio-envoy"
    made.forward_client_cert_details = Manager.APPEND_FORWARD
    details = made.set_current_client_cert_details
    details.subject.value = True
    details.dns = True
    details.uri = True


def _filters(served: Served) -> Iterable[HttpFilter]:
    """In istiod's order: peers first, so that refusals know them; the router last."""
    if served.side == "SERVER":
        yield filters.inbound_exchange()
    else:
        yield filters.outbound_exchange()
    yield from served.security
    if served.protocol == "GRPC-Web":
        yield filters.grpc_web()
    yield filters.grpc_stats()
    if served.side == "CLIENT":
        yield filters.alpn()
    yield filters.fault()
    yield filters.cors()
    yield from served.statistics
    yield filters.router()
