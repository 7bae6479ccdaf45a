"""Where a route leads, with what routes and virtual hosts bring for filters."""

from __future__ import annotations

from proxyless.governance.route_table import RouteTable
from proxyless.governance.routing import Target
from proxyless.xds.model.filters import CorsPolicy, FilterConfig
from proxyless.xds.model.route import RouteAction
from tests.support.model import route, table, vhost


def target(
    cluster: str = "",
    *,
    header: str = "",
    host: dict[str, FilterConfig] | None = None,
    old_cors: CorsPolicy | None = None,
    host_cors: CorsPolicy | None = None,
    **filters: FilterConfig,
) -> Target:
    """A route to a cluster (or to the one that a header names) with these configurations of filters."""
    name = cluster or ("" if header else "a")
    wants = route("/", RouteAction(cluster=name, cluster_header=header, cors=old_cors), filters=filters)
    found = RouteTable(table(vhost(wants, domains=["*"], filters=host or {}, cors=host_cors))).find(b"x")
    assert found is not None
    return found.routes[0].targets[0]
