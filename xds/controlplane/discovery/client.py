"""One connected proxy: what it sees now, what it saw before, and its resources type by type."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from ..collecting import uncollected
from ..emit import self_discovery
from ..hosts import parse_subset_key
from ..objects import Ref
from ..registry.node import Node
from ..registry.proxy import place
from ..registry.world import World
from . import rules
from .answers import Answer, Resource
from .changes import Changes
from .kinship import traits
from .named import scoped
from .resources import Resources
from .rules import ENDPOINTS, SERVICE, Key, ResourceType

_INBOUND = "inbound|"


def _ref(key: Key) -> Ref:
    return Ref(key.kind, key.namespace, key.name)


class Client:
    """Not for several threads. `view` is shared with clients that are told the same, `proxy` is this one's own."""

    def __init__(self, node: Node, world: World, resources: Resources) -> None:
        self.node = node
        self._resources = resources
        self._traits = traits(node)
        self.world = world
        self.proxy = place(node, world)
        self.view = resources.shared_view(world, self.proxy, self._traits)
        self._before = self.view

    def move(self, world: World, changes: Changes) -> Changes:
        """Goes on to a new world; returns what of the changes concerns this client."""
        old, self.proxy = self.proxy, place(self.node, world)
        proxy = self.proxy
        self._before = self.view
        self.world = world
        self.view = self._resources.shared_view(world, proxy, self._traits)
        if changes.everything or (proxy.labels, proxy.locality) != (old.labels, old.locality):
            return Changes(everything=True)
        relevant = {key for key in changes.keys if self._concerns(key)}
        # A service that selects the proxy concerns it even where it is not visible to it.
        targets = {target.service.key for view in (self._before, self.view) for target in view.proxy.targets}
        relevant |= {key for key in changes.keys if key.kind == SERVICE and (key.namespace, key.name) in targets}
        return changes.only(relevant)

    def _concerns(self, key: Key) -> bool:
        if key.kind in rules.NAMESPACED:
            return key.namespace in (self.world.mesh.root_namespace, self.node.namespace)
        if key.kind not in rules.SCOPED:
            return True
        return any(view.scope.depends_on(*key) for view in (self.view, self._before))

    def named(self, type_: ResourceType) -> bool:
        """Whether a type is made by name for this client, and an answer says of the names that it lacks that they mean
        nothing: clusters, listeners and routes of gRPC's own xDS."""
        return self.view.proxy.is_grpc and type_ in (rules.CLUSTER, rules.LISTENER, rules.ROUTE)

    def wants(self, type_: ResourceType, changes: Changes) -> bool:
        """Whether a type is pushed for changes."""
        if changes.everything:
            return True
        keys = [key for key in changes.keys if key.kind not in type_.unaffected_by]
        if type_ is rules.LISTENER:
            mine = (self.world.mesh.root_namespace, self.node.namespace)
            keys = [key for key in keys if key.kind != "PeerAuthentication" or key.namespace in mine]
        if type_ in (rules.CLUSTER, rules.ROUTE) and changes.headless and not changes.services:
            # Pods of a headless service are in its listeners, not in its clusters and routes. istiod forgets that as
            # soon as anything else is in the push, be it the same pods as endpoints.
            return bool(keys) and any(key.kind != SERVICE for key in changes.keys)
        return bool(keys)

    def answer(self, type_: ResourceType, names: Collection[str], changes: Changes) -> Answer | None:
        """What to send for a type that changes concern; None for nothing."""
        if self.named(type_):
            touching = scoped(changes, type_, names, (self.view, self._before))
            # Of a headless service an account may be new, and with it the identities that a cluster accepts.
            if not self.wants(type_, touching) and not (type_ is rules.CLUSTER and touching.has(SERVICE)):
                return None
            return self._whole(type_, names)
        if not self.wants(type_, changes):
            return None
        if type_ is rules.ENDPOINT and self._is_partial(changes):
            return self._kept(("touched", self._names(names), changes), lambda: self._touched(names, changes))
        return self._whole(type_, names)

    def _touched(self, names: Collection[str], changes: Changes) -> Answer:
        touched = [name for name in names if self._touches(name, changes)]
        return Answer(self._made(rules.ENDPOINT, touched), whole=False)

    def _whole(self, type_: ResourceType, names: Collection[str]) -> Answer:
        asked = self._names(names) if self.named(type_) or not type_.wildcard else None
        return self._resources.answers.answer((self.view, type_, asked), lambda: Answer(self._made(type_, names)))

    def _kept(self, key: tuple[object, ...], make: Callable[[], Answer]) -> Answer:
        """An answer that depends on what changed, too."""
        return self._resources.answers.answer((self.view, self._before, *key), make)

    def _names(self, names: Collection[str]) -> frozenset[str]:
        return names if isinstance(names, frozenset) else frozenset(names)

    def _is_partial(self, changes: Changes) -> bool:
        """Whether the changes say which assignments they touch."""
        return not changes.everything and all(
            key.kind in rules.PARTIAL_ENDPOINTS and not self._mesh_wide(key) for key in changes.keys
        )

    def cluster_delta(self, held: Collection[str], changes: Changes) -> Answer | None:
        """The clusters that changes touch, and those among the held ones that are gone."""
        if not self.wants(rules.CLUSTER, changes):
            return None
        keys = [key for key in changes.keys if key.kind not in rules.CLUSTER.unaffected_by]
        if changes.everything or any(key.kind not in rules.PARTIAL_CLUSTERS or self._mesh_wide(key) for key in keys):
            return self._whole(rules.CLUSTER, ())
        key = ("clusters", self._names(held), changes)
        return self._kept(key, lambda: self._cluster_delta(held, keys))

    def _cluster_delta(self, held: Collection[str], keys: Iterable[Key]) -> Answer:
        if self._other_routes_only(keys):
            hosts, gone = set[str](), {name for name in held if name.startswith(_INBOUND)}
        else:
            hosts, gone = self._affected_clusters(held, keys)
        made = self._clusters(hosts)
        built = {resource.name for resource in made}
        return Answer(made, whole=False, removed=sorted(gone - built))

    def _other_routes_only(self, keys: Iterable[Key]) -> bool:
        """Whether VirtualServices changed, and with them no service that is seen: then clusters are as they were."""
        now, before = self.view, self._before
        alike = now.world.beside_routes is before.world.beside_routes and now.scope.services is before.scope.services
        return alike and all(key.kind == "VirtualService" for key in keys)

    def _mesh_wide(self, key: Key) -> bool:
        return key.kind == "PeerAuthentication" and key.namespace == self.world.mesh.root_namespace

    def _touches(self, name: str, changes: Changes) -> bool:
        """Whether an assignment depends on one of the keys, all of them of PARTIAL_ENDPOINTS kinds."""
        if name == self_discovery.NAME:
            return self._touches_own(changes)
        parsed = parse_subset_key(name)
        if parsed is None:
            return False
        service = self.view.scope.by_host.get(parsed.host)
        for key in changes.keys:
            if key.kind in (SERVICE, ENDPOINTS) and key.name == parsed.host:
                return True
            if service is None:
                continue
            if key.kind == "PeerAuthentication" and key.namespace == service.namespace:
                return True
            if key.kind == "DestinationRule" and any(
                view.scope.ruled_by(view.proxy, parsed.host, _ref(key)) for view in (self.view, self._before)
            ):
                return True
        return False

    def _touches_own(self, changes: Changes) -> bool:
        """Whether the endpoints beside the proxy are others, or those of another service."""
        own, before = (self_discovery.own_service(view) for view in (self.view, self._before))
        hosts = {found[0].hostname for found in (own, before) if found is not None}
        return any(key.kind in (SERVICE, ENDPOINTS) and key.name in hosts for key in changes.keys)

    def _affected_clusters(self, held: Collection[str], keys: Iterable[Key]) -> tuple[set[str], set[str]]:
        """Hosts whose clusters are made anew, and names of held clusters that are gone unless made again."""
        scope = self.view.scope
        default: dict[str, set[str]] = {}
        subsets: dict[str, set[str]] = {}
        gone: set[str] = set()
        for name in held:
            parsed = parse_subset_key(name)
            if parsed is None:
                continue
            if parsed.direction == "inbound":
                gone.add(name)
                continue
            (subsets if parsed.subset else default).setdefault(parsed.host, set()).add(name)
        hosts: set[str] = set()
        for key in keys:
            match key.kind:
                case "ServiceEntry":
                    service = scope.by_host.get(key.name)
                    names = default.get(key.name, set()) | subsets.get(key.name, set())
                    if service is None:
                        gone |= names
                    else:
                        hosts.add(key.name)
                        ports = {port.number for port in service.ports}
                        gone |= {n for n in names if (p := parse_subset_key(n)) and p.port not in ports}
                case "DestinationRule":
                    for view in (self.view, self._before):
                        named = view.scope.rule_host(_ref(key))
                        hosts |= scope.hosts_matching(named) if named else set()
                    for host in hosts:
                        gone |= subsets.get(host, set())
                case "PeerAuthentication":
                    hosts |= {s.hostname for s in scope.services if s.namespace == key.namespace}
                case _:  # VirtualService, Sidecar: they may change which services are seen
                    hosts |= scope.by_host.keys() - default.keys()
                    for host in default.keys() - scope.by_host.keys():
                        gone |= default[host] | subsets.get(host, set())
        return hosts, gone

    def _clusters(self, hosts: Collection[str]) -> list[Resource]:
        return [Resource(*item) for item in self._resources.clusters(self.view, hosts)]

    def _made(self, type_: ResourceType, names: Collection[str]) -> list[Resource]:
        with uncollected():
            return [Resource(*item) for item in self._resources.make(type_, self.view, names)]
