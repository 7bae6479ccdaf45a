"""Configuration for tests, as the model values that a rule needs and nothing else: no protobuf, no recording."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from proxyless.xds.model.cluster import Cluster, HttpProtocol, Thresholds
from proxyless.xds.model.endpoint import ClusterLoadAssignment, LbEndpoint, LocalityLbEndpoints
from proxyless.xds.model.filters import FilterConfig, HttpFilter
from proxyless.xds.model.listener import FilterChain, FilterChainMatch, HttpConnectionManager, Listener, TcpProxy
from proxyless.xds.model.matchers import PathMatcher
from proxyless.xds.model.names import NameTable
from proxyless.xds.model.resource import Resource, ResourceError, ResourceType
from proxyless.xds.model.route import (
    DirectResponseAction,
    LazyVirtualHost,
    NonForwardingAction,
    RedirectAction,
    Route,
    RouteAction,
    RouteConfiguration,
    RouteMatch,
    VirtualHost,
    WeightedCluster,
)
from proxyless.xds.model.snapshot import Snapshot
from proxyless.xds.model.tracing import Sampling, Tracing
from proxyless.xds.model.values import Address, Fraction

T = TypeVar("T")
Action = RouteAction | RedirectAction | DirectResponseAction | NonForwardingAction

LISTENER, ROUTE, CLUSTER = ResourceType.LISTENER, ResourceType.ROUTE, ResourceType.CLUSTER
ENDPOINT, EXTENSION = ResourceType.ENDPOINT, ResourceType.EXTENSION

PREVIOUS_HOSTS = ("envoy.retry_host_predicates.previous_hosts",)


def resource(type_: ResourceType, name: str, value: T, previous: Resource[T] | None = None) -> Resource[T]:
    """A resource that decodes to `value`."""
    return Resource(type_, name, "1", b"", lambda raw: value, previous)


def bad(type_: ResourceType, name: str, reason: str = "bad", previous: Resource[Any] | None = None) -> Resource[Any]:
    """A resource that Envoy would refuse: nobody notices until it is used."""

    def refuse(raw: bytes) -> Any:
        raise ResourceError(type_, name, reason)

    return Resource(type_, name, "2", b"", refuse, previous)


def host(address: str, **fields: Any) -> LbEndpoint:
    """An endpoint; `address` is `host:port`."""
    name, _, port = address.rpartition(":")
    return LbEndpoint(Address(name.strip("[]"), int(port)), **fields)


def assignment(name: str, *endpoints: str | LbEndpoint | LocalityLbEndpoints) -> ClusterLoadAssignment:
    """Endpoints given bare stand together in one locality."""
    bare = tuple(host(each) if isinstance(each, str) else each for each in endpoints if not _is_locality(each))
    groups = [each for each in endpoints if isinstance(each, LocalityLbEndpoints)]
    own = [LocalityLbEndpoints(tuple(each for each in bare if isinstance(each, LbEndpoint)))] if bare else []
    return ClusterLoadAssignment(name, tuple(own + groups))


def _is_locality(endpoint: object) -> bool:
    return isinstance(endpoint, LocalityLbEndpoints)


def cluster(name: str, *endpoints: str | LbEndpoint | LocalityLbEndpoints, **fields: Any) -> Cluster:
    """A STATIC cluster; thresholds are out of the way unless given as `limits`, HTTP/2 by `http2=True`."""
    limits = fields.pop("limits", Thresholds(10_000, 10_000, 10_000, 10_000))
    http = fields.pop("http", HttpProtocol(protocol="http2" if fields.pop("http2", False) else "http1"))
    return Cluster(name, load_assignment=assignment(name, *endpoints), default_thresholds=limits, http=http, **fields)


def eds(name: str, **fields: Any) -> Cluster:
    """A cluster whose endpoints come by EDS."""
    return Cluster(name, type="EDS", **fields)


def route(
    match: str | PathMatcher | RouteMatch = "/", to: str | Mapping[str, int] | Action = "a", **more: Any
) -> Route:
    """A route: a bare match is a path prefix; `to` is a cluster, weighted clusters, or the action itself.

    What is not a field of `Route` is one of the action's.
    """
    if isinstance(match, str):
        match = PathMatcher("prefix", match)
    if isinstance(match, PathMatcher):
        match = RouteMatch(match)
    own = {name: more.pop(name) for name in list(more) if name in Route.__slots__}
    if isinstance(to, str):
        to = RouteAction(cluster=to, **more)
    elif isinstance(to, Mapping):
        to = RouteAction(weighted_clusters=tuple(WeightedCluster(*each) for each in to.items()), **more)
    return Route(match, to, **own)


def vhost(*routes: Route, domains: Iterable[str] = ("*",), name: str = "", **fields: Any) -> LazyVirtualHost:
    """A virtual host that has not been decoded yet."""
    domains = tuple(domains)
    value = VirtualHost(name or domains[0], domains, routes, **fields)
    return LazyVirtualHost(value.name, domains, value.name.encode(), lambda raw: value)


def bad_vhost(reason: str, domains: Iterable[str] = ("*",)) -> LazyVirtualHost:
    """A virtual host that Envoy would refuse."""

    def refuse(raw: bytes) -> VirtualHost:
        raise ResourceError(ROUTE, "80", reason)

    return LazyVirtualHost("bad", tuple(domains), b"", refuse)


def table(*hosts: LazyVirtualHost | Route, name: str = "80", **fields: Any) -> RouteConfiguration:
    """A route table; bare routes stand in one virtual host for every name."""
    routes = [each for each in hosts if isinstance(each, Route)]
    lazy = [each for each in hosts if isinstance(each, LazyVirtualHost)]
    return RouteConfiguration(name, tuple([*lazy, vhost(*routes)] if routes else lazy), **fields)


def manager(routes: RouteConfiguration | str, *filters: HttpFilter, **fields: Any) -> HttpConnectionManager:
    """A connection manager as istiod makes them: paths are normalized, tracing is on, streams may idle; a name asks for
    RDS."""
    fields = {"normalize_path": True, "tracing": True, "stream_idle_timeout_s": None, **fields}
    if isinstance(fields["tracing"], bool):
        fields["tracing"] = Tracing(Sampling(random=Fraction(0))) if fields["tracing"] else None
    if isinstance(routes, str):
        return HttpConnectionManager("test", rds=routes, http_filters=filters, **fields)
    return HttpConnectionManager("test", routes, http_filters=filters, **fields)


def http_filter(name: str, config: FilterConfig | None, **fields: Any) -> HttpFilter:
    """A filter of a connection manager."""
    return HttpFilter(name, config, **fields)


def chain(to: HttpConnectionManager | TcpProxy | None, name: str = "", **match: Any) -> FilterChain:
    """A filter chain that ends in HTTP, in TCP, or nowhere; the rest are the fields of its match."""
    return FilterChain(
        name,
        FilterChainMatch(**match),
        http=to if isinstance(to, HttpConnectionManager) else None,
        tcp=to if isinstance(to, TcpProxy) else None,
    )


def listener(name: str, *chains: FilterChain, **fields: Any) -> Listener:
    """A listener."""
    return Listener(name, None, chains, **fields)


def snapshot(
    *,
    tables: Iterable[RouteConfiguration] = (),
    clusters: Iterable[Cluster] = (),
    listeners: Iterable[Listener] | None = None,
    assignments: Iterable[ClusterLoadAssignment] = (),
    names: Mapping[str, str] | None = None,
    filters: Iterable[HttpFilter] = (),
    **fields: Any,
) -> Snapshot:
    """A complete snapshot; by default one listener takes port 80 and asks for the table "80" by RDS."""
    if listeners is None:
        listeners = [listener("0.0.0.0_80", chain(manager("80", *filters)))]
    return Snapshot(
        complete=fields.pop("complete", True),
        listeners={each.name: resource(LISTENER, each.name, each) for each in listeners},
        routes={each.name: resource(ROUTE, each.name, each) for each in tables},
        clusters={each.name: resource(CLUSTER, each.name, each) for each in clusters},
        assignments={each.cluster_name: resource(ENDPOINT, each.cluster_name, each) for each in assignments},
        names=NameTable({name: (address,) for name, address in (names or {}).items()}),
        **fields,
    )
