"""Resources of a view, encoded, and kept by what they were made of.

Clusters and assignments are kept one by one, since most changes touch few of them and clients share nearly all; the
other types are cheap to make beside what they weigh, and are kept for clients that are told the same.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator
from functools import partial

from ...wire.schema.types import endpoint_v3, google_protobuf
from ..api.envoy_filter import EnvoyFilter
from ..emit import self_discovery
from ..emit.clusters import Seen, clusters_of, passes_through
from ..emit.endpoints import Caller, Made, load_assignment
from ..emit.extensions import configuration
from ..emit.grpc_clusters import grpc_clusters
from ..emit.grpc_listeners import grpc_listeners
from ..emit.inbound import inbound_listeners
from ..emit.kept_tables import KeptTables
from ..emit.messages import pack, packed
from ..emit.name_table import name_table
from ..emit.outbound import outbound_listeners
from ..emit.own_clusters import own_clusters
from ..emit.patch import Patch, compiled
from ..emit.patch_clusters import patch_cluster
from ..emit.patch_routes import KINDS as TABLE_KINDS
from ..emit.patch_routes import patch_table
from ..emit.route_tables import RouteConfiguration, grpc_table, route_table
from ..emit.stock import stock_cluster, stock_listener
from ..emit.view import View
from ..hosts import parse_subset_key
from ..objects import Object, same
from ..registry.destination_rules import Rule
from ..registry.proxy import Proxy
from ..registry.scope import Scope
from ..registry.services import Port, Service
from ..registry.sidecars import SidecarObject
from ..registry.world import World
from . import rules
from .answers import Answers
from .cache import Cache
from .kinship import Kinship, Traits
from .rules import ResourceType

Any = google_protobuf.Any
ClusterLoadAssignment = endpoint_v3.ClusterLoadAssignment
Named = tuple[str, Any]


_Listeners = tuple[tuple[object, ...], tuple[Named, ...]]
"""What they were made of, and the listeners."""


def _made_of(view: View) -> tuple[object, ...]:
    """What the listeners of kin are made of: while each part is the same, they are, too.

    Of VirtualServices they have what is not HTTP, and the services of a view may depend on any of them.
    """
    listeners = view.scope.listeners
    routings = (each for listener in listeners for each in listener.routings if each.spec.tcp or each.spec.tls)
    services = (listener.services for listener in listeners)
    return (view.world.beside_routes, view.scope.services, *services, None, *routings)


class Resources:
    """Shared by all clients of a plane. Not for several threads."""

    def __init__(self, *, stock_envoy: bool = False) -> None:
        self._stock = stock_envoy
        self._clusters: Cache[tuple[Named, ...]] = Cache()
        self._assignments: Cache[Any] = Cache()
        self._tables: Cache[Any] = Cache()
        self._routes = KeptTables()
        self._listeners: dict[Hashable, _Listeners] = {}
        self._old_listeners: dict[Hashable, _Listeners] = {}
        self._filters: Cache[tuple[Patch, ...]] = Cache()
        self._scopes: dict[tuple[str, SidecarObject | None], Scope] = {}
        self._old_scopes: dict[tuple[str, SidecarObject | None], Scope] = {}
        self._world: World | None = None
        self._kinship = Kinship()
        self._views: dict[Hashable, View] = {}
        self.answers = Answers()

    def shared_view(self, world: World, proxy: Proxy, traits: Traits) -> View:
        """What a proxy sees; one for all that are told the same, and of the first of these."""
        self._enter(world)
        self._kinship.enter(world)
        scope = self._scope(world, proxy)
        kin = self._kinship.key(scope, proxy, traits)
        found = self._views.get((scope, kin))
        if found is None:
            found = self._views[scope, kin] = View(
                scope,
                proxy,
                self._compiled,
                stock=self._stock,
                kin=(scope.namespace, scope.sidecar, kin),
                as_caller=self._kinship.as_caller(proxy),
            )
        return found

    def view(self, world: World, proxy: Proxy) -> View:
        """Views of one world share the scope of their namespace and Sidecar."""
        self._enter(world)
        return View(self._scope(world, proxy), proxy, self._compiled, stock=self._stock)

    def _compiled(self, source: Object[EnvoyFilter]) -> tuple[Patch, ...]:
        return self._filters.get(source, lambda: compiled(source))

    def _enter(self, world: World) -> None:
        if world is self._world:
            return
        self._world = world
        self._old_scopes = self._scopes
        self._scopes = {}
        self._old_listeners, self._listeners = self._listeners, {}
        self._views.clear()
        self.answers.clear()
        self._clusters.age()
        self._assignments.age()
        self._tables.age()
        self._filters.age()
        self._routes.age()

    def _scope(self, world: World, proxy: Proxy) -> Scope:
        sidecar = world.sidecars.of_workload(proxy.namespace, proxy.labels)
        key = proxy.namespace, sidecar
        scope = self._scopes.get(key)
        if scope is None:
            scope = self._scopes[key] = Scope(world, proxy.namespace, sidecar, self._old_scopes.get(key))
        return scope

    def make(self, type_: ResourceType, view: View, names: Collection[str]) -> Iterator[Named]:
        """All resources of a wildcard type, the named ones of another."""
        if view.proxy.is_grpc and type_ in (rules.CLUSTER, rules.LISTENER, rules.ROUTE):
            yield from self._of_grpc(type_, view, names)
            return
        if type_ is rules.CLUSTER:
            yield from self.clusters(view, None)
        elif type_ is rules.ENDPOINT:
            made: Made = {}
            for name in names:
                yield name, self._assignment(name, view, made)
        elif type_ is rules.LISTENER:
            yield from self._all_listeners(view)
        elif type_ is rules.ROUTE:
            for name in names:
                yield name, self._table(name, view)
        elif type_ is rules.NAMES:
            yield "", pack(name_table(view))
        elif type_ is rules.EXTENSION:
            yield from self._extensions(view, names)

    def _all_listeners(self, view: View) -> tuple[Named, ...]:
        made_of = _made_of(view)
        known = self._old_listeners.get(view.kin) if view.kin is not None else None
        if known is not None and same(known[0], made_of):
            made = known[1]
        else:
            listeners = (*outbound_listeners(view), *inbound_listeners(view))
            made = tuple((each.name, pack(stock_listener(each) if view.stock else each)) for each in listeners)
        if view.kin is not None:
            self._listeners[view.kin] = made_of, made
        return made

    def clusters(self, view: View, hosts: Collection[str] | None) -> Iterator[Named]:
        """The clusters of some hosts, or of all, and always the proxy's own."""
        services = view.scope.services
        if hosts is not None:
            services = [service for service in services if service.hostname in hosts]
        for service in services:
            if service.resolution != "Alias":
                yield from self._service_clusters(service, view)
        for cluster in own_clusters(view):
            yield cluster.name, pack(stock_cluster(cluster) if view.stock else cluster)

    def _service_clusters(self, service: Service, view: View) -> Iterator[Named]:
        world, proxy = view.world, view.proxy
        rule = view.scope.rule(proxy, service.hostname)
        accounts = world.accounts(service)
        mode = world.peer_authentications.namespace_mode(service.namespace)
        patches = view.patches.get("CLUSTER", ())
        key: Hashable = (
            service,
            rule,
            accounts,
            mode,
            view.dns_family,
            view.mesh,
            patches,
            proxy.keeps_case,
            view.certificates,
            view.stock,
        )
        inline = service.is_dns or passes_through(service, rule)
        if inline:
            # Endpoints stand in the cluster, as the proxy sees them.
            key = (key, world.instances.get(service.key), view.caller_key, world.peer_authentications, world.gateways)

        def make(port: Port) -> tuple[Named, ...]:
            endpoints = world.endpoints(service, port.number) if inline else []
            seen = Seen(
                view.mesh,
                rule,
                accounts,
                mode,
                endpoints,
                view.dns_family,
                proxy.locality,
                proxy.labels,
                proxy.keeps_case,
                view.certificates,
                world.peer_authentications,
                world.gateways,
                proxy.standpoint,
                proxy.reach.local,
            )
            made = (patch_cluster(each, patches, "SIDECAR_OUTBOUND") for each in clusters_of(service, port, seen))
            kept = (cluster for cluster in made if cluster is not None)
            return tuple((c.name, pack(stock_cluster(c) if view.stock else c)) for c in kept)

        for port in service.ports:
            if port.protocol != "UDP":
                yield from self._clusters.get((key, port), partial(make, port))

    def made_of(self, name: str, view: View) -> Hashable:
        """What an assignment is made of: where that is equal, it is, too."""
        return self._parts(name, view)[0]

    def _parts(self, name: str, view: View) -> tuple[Hashable, Rule | None]:
        parsed = parse_subset_key(name)
        service = view.scope.by_host.get(parsed.host) if parsed else None
        rule = view.scope.rule(view.proxy, service.hostname) if service else None
        instances = view.world.instances.get(service.key) if service else None
        peers = view.world.peer_authentications
        return (name, service, instances, rule, peers, view.mesh, view.world.gateways, view.caller_key), rule

    def _assignment(self, name: str, view: View, made: Made) -> Any:
        if name == self_discovery.NAME:
            return packed(ClusterLoadAssignment, self_discovery.own_assignment(view))
        key, rule = self._parts(name, view)
        proxy = view.proxy
        caller = Caller(proxy.locality, proxy.labels, proxy.node_name, proxy.standpoint, proxy.reach.local)

        def make() -> Any:
            return packed(ClusterLoadAssignment, load_assignment(name, view.scope, rule, caller, made))

        return self._assignments.get(key, make)

    def _table(self, name: str, view: View) -> Any:
        patches = tuple(view.patches.get(kind, ()) for kind in TABLE_KINDS)
        key = (name, view.scope, view.proxy.node.domain, view.caller_key, view.proxy.config.proxy_headers, patches)

        def make() -> Any:
            if not any(patches):
                return packed(RouteConfiguration, self._routes.encoded(name, view.scope, view.proxy))
            table = route_table(name, view.scope, view.proxy, self._routes.routes)
            return pack(patch_table(table, view.patches, "SIDECAR_OUTBOUND"))

        return self._tables.get(key, make)

    def _of_grpc(self, type_: ResourceType, view: View, names: Collection[str]) -> Iterator[Named]:
        """gRPC's own xDS asks for each resource by name."""
        if type_ is rules.ROUTE:
            for name in names:
                table = grpc_table(name, view.scope, view.proxy)
                if table is not None:
                    yield name, pack(table)
        elif type_ is rules.CLUSTER:
            for cluster in grpc_clusters(view, names):
                yield cluster.name, pack(cluster)
        else:
            for listener in grpc_listeners(view, names):
                yield listener.name, pack(listener)

    def _extensions(self, view: View, names: Collection[str]) -> Iterator[Named]:
        """ECDS, for filters that refer to configurations: those that an EnvoyFilter adds by name, then extensions."""
        for patch in view.patches.get("EXTENSION_CONFIG", ()):
            name: str = getattr(patch.value, "name", "")
            if patch.operation == "ADD" and name in names:
                yield name, pack(patch.value)
        for name in sorted(names):
            found = view.world.extensions.named(name, view.proxy.namespace)
            made = configuration(found) if found is not None else None
            if made is not None:
                yield name, pack(made)
