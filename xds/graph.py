"""LDS, RDS, CDS and EDS joined into one consistent snapshot, make before break.

In: responses, and names that calls want. Out: snapshots, and the names to subscribe. Sans-I/O; one thread drives it.

What keeps a call from seeing half of a change: a listener that names a route table which is not there yet, a route
table in use that newly leads to a cluster whose endpoints are not there yet, a cluster in use whose assignment changed
its name, and a cluster or inbound listener in use that names a secret which is not there yet are held back, and the
version before serves, until what they need has come (or `release` is called, when it has been waited for long enough).
What is not in use changes at once; a call that then needs more waits for it. Of secrets only the names are in here.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Protocol

from .model.cluster import Cluster
from .model.endpoint import ClusterLoadAssignment
from .model.listener import Listener
from .model.names import NameTable
from .model.resource import Resource, ResourceError, ResourceType
from .model.route import LazyVirtualHost, Route, RouteAction, RouteConfiguration
from .model.snapshot import Snapshot
from .protocol.events import Rejection, Response

EAGER_BYTES = 256 * 1024
"""A response of at most so many bytes is decoded at once: what is bad in it is NACKed then, and no late reject."""

LISTENER, ROUTE, CLUSTER = ResourceType.LISTENER, ResourceType.ROUTE, ResourceType.CLUSTER
ENDPOINT, EXTENSION, NAMES = ResourceType.ENDPOINT, ResourceType.EXTENSION, ResourceType.NAMES
SECRET = ResourceType.SECRET
UNIQUE = {LISTENER: "listener", CLUSTER: "cluster"}
"""Where Envoy refuses the second resource of a name, and what it calls it."""

KEPT = frozenset({ROUTE, ENDPOINT, SECRET})
"""What a delta response cannot take away from what still needs it (Envoy ignores such a removal): CDS and LDS can."""

DNS_TYPES = frozenset({"STRICT_DNS", "LOGICAL_DNS"})


class MakeResource(Protocol):
    """Wire's `codec.resource`, handed in: the graph knows no bytes."""

    def __call__(
        self,
        type_: ResourceType,
        name: str,
        version: str,
        raw: bytes,
        previous: Resource[Any] | None = None,
        on_reject: Callable[[ResourceError], None] | None = None,
    ) -> Resource[Any]: ...


@dataclass(slots=True)
class Held:
    """A resource that waits for others before it comes into force."""

    resource: Resource[Any]
    routes: set[str] = field(default_factory=set)
    endpoints: set[str] = field(default_factory=set)
    secrets: set[str] = field(default_factory=set)

    def __bool__(self) -> bool:
        """Whether there is anything to wait for."""
        return bool(self.routes or self.endpoints or self.secrets)


class Graph:
    """The join. `snapshot` is what is in force; `newest` holds the last good version of everything."""

    def __init__(
        self,
        make: MakeResource,
        pause: Callable[[], None] = lambda: None,
        *,
        await_names: bool = False,
        on_late_reject: Callable[[ResourceError], None] = lambda error: None,
    ) -> None:
        """`await_names`: the configuration is complete with the name table only, or after `no_names`.

        `on_late_reject` hears of what was acknowledged and turned out to be bad when it was used, on the thread of
        whoever used it.
        """
        self._awaited = {LISTENER, CLUSTER, NAMES} if await_names else {LISTENER, CLUSTER}
        self._make = make
        self._pause = pause
        self._on_late_reject = on_late_reject
        self.snapshot = Snapshot()
        self.newest: dict[ResourceType, dict[str, Resource[Any]]] = {each: {} for each in ResourceType}
        self.versions: dict[ResourceType, str] = {}
        self.rejected: dict[tuple[ResourceType, str], str] = {}
        self.wanted: dict[ResourceType, set[str]] = {each: set() for each in (ROUTE, ENDPOINT, EXTENSION, SECRET)}
        self.wanted_dns: set[str] = set()
        self._used_clusters: set[str] = set()
        self._followed: set[str] = set()
        self._refused_before: set[tuple[ResourceType, str]] = set()
        self._held: dict[tuple[ResourceType, str], Held] = {}
        self._seen: set[ResourceType] = set()
        self._served: set[str] = set()
        """The secrets of inbound listeners that somebody has looked at."""

    # -- what comes in -------------------------------------------------------------------------------------------

    def new_stream(self) -> None:
        """Another stream: what was refused will be sent anew on it, or was made good or taken away unseen."""
        late = (key for key in self.rejected if (held := self.newest[key[0]].get(key[1])) and late_reason(held))
        self._refused_before = set(self.rejected).difference(late)

    def apply(self, response: Response) -> list[Rejection]:
        """Take a response over, but for what is refused; the refused keep their last good version."""
        type_ = response.type
        if type_ is None:
            return []
        rejections = list(response.broken)
        newest = self.newest[type_]
        after = dict(newest) if not (response.full and type_.is_wildcard) else {}
        for refused in response.broken:
            if refused.name in newest:
                after[refused.name] = newest[refused.name]
            elif response.full and type_.is_wildcard:
                # Without its name nobody can say which resource is meant: none is given up for it.
                after = {**newest, **after}
        eager = sum(len(each.raw) for each in response.resources) <= EAGER_BYTES
        seen: set[str] = set()
        late_reject = self._late_reject  # one for all of them
        for each in response.resources:
            self._pause()
            if type_ is SECRET:
                each = replace(each, raw=b"")  # whoever uses it has it, and nobody shows it
            if each.name in seen and type_ in UNIQUE:
                rejections.append(Rejection(each.name, f"duplicate {UNIQUE[type_]} {each.name} found"))
                continue
            seen.add(each.name)
            before = newest.get(each.name)
            if before is not None and before.raw == each.raw:
                before.version = each.version
                after[each.name] = before
                if (found := late_reason(before)) is not None:
                    rejections.append(Rejection(each.name, found))
                continue
            late = Late(late_reject)
            resource = self._make(type_, each.name, each.version, each.raw, before, late)
            if eager or type_ is NAMES or (before is not None and before.decoded):
                reason = self._refuse(resource, before, thoroughly=eager)
                if reason is not None:
                    rejections.append(Rejection(each.name, reason))
                    if before is not None:
                        after[each.name] = before
                    continue
            late.armed = True
            after[each.name] = resource
        for name in response.removed:
            if type_ not in KEPT or name not in self.wanted[type_]:
                after.pop(name, None)
        self.newest[type_] = after
        self._note(response, type_, rejections)
        self.versions[type_] = response.version
        self._seen.add(type_)
        if type_ is SECRET:
            self._settle(seen.union(response.removed, (refused.name for refused in rejections)))
        self._join(type_)
        return rejections

    def _settle(self, names: Iterable[str]) -> None:
        """Nobody waits for these secrets any more. What a delta response takes away stays, but is not waited for."""
        settled = self.snapshot.secrets | (self.wanted[SECRET] & set(names))
        if settled != self.snapshot.secrets:
            self._replace(secrets=settled)

    def _refuse(self, resource: Resource[Any], before: Resource[Any] | None, *, thoroughly: bool) -> str | None:
        """Decode now; why it is refused, or None. Of a large route table only the hosts in use are looked into."""
        try:
            value = resource.get()
            if resource.error is not None:
                return resource.error.reason
            if isinstance(value, RouteConfiguration):
                used = hosts_in_use(before) | hosts_in_use(self.snapshot.routes.get(resource.name))
                for host in value.virtual_hosts:
                    self._pause()
                    if thoroughly or host.name in used:
                        host.value()
                        if host.error is not None:
                            return host.error.reason
        except ResourceError as error:
            return error.reason
        return None

    def _late_reject(self, error: ResourceError) -> None:
        self.rejected[error.type, error.name] = f"late: {error.reason}"
        self._on_late_reject(error)

    def _note(self, response: Response, type_: ResourceType, rejections: Iterable[Rejection]) -> None:
        """Keep what is refused, until something is said of the resource again that is not."""
        said = {each.name for each in response.resources}.union(response.removed)
        known = self.newest[type_].keys() | self.wanted.get(type_, set())
        for kind, name in list(self.rejected):
            silent = name not in said and not (response.full and (type_.is_wildcard or name not in known))
            if kind is type_ and (not silent or (kind, name) in self._refused_before):
                del self.rejected[kind, name]
        self._refused_before = {each for each in self._refused_before if each[0] is not type_}
        for each in rejections:
            self.rejected[type_, each.name] = each.reason

    def no_names(self) -> None:
        """This control plane sends no name table: do not wait for one."""
        self._awaited = {LISTENER, CLUSTER}
        self._join(None)

    @property
    def lacks_names_only(self) -> bool:
        """Whether nothing but the name table is missing from a complete configuration."""
        return not self.snapshot.complete and {LISTENER, CLUSTER} <= self._seen

    def resolved(self, cluster: str, assignment: ClusterLoadAssignment) -> None:
        """DNS has answered for a cluster; for one that nothing asks about any more it is too late."""
        if cluster not in self.wanted_dns or self.snapshot.resolved.get(cluster) == assignment:
            return
        self.snapshot = replace(
            self.snapshot,
            generation=self.snapshot.generation + 1,
            resolved={**self.snapshot.resolved, cluster: assignment},
        )

    # -- what is wanted ------------------------------------------------------------------------------------------

    def want(self, type_: ResourceType, names: Iterable[str]) -> None:
        """Names that a call needs. A cluster is followed to its endpoints, by EDS or DNS."""
        if type_ is CLUSTER:
            self._used_clusters.update(names)
            self._follow_clusters()
        elif type_ is LISTENER:
            self._follow_listeners()
        elif type_ in self.wanted:
            self.wanted[type_].update(names)

    def unwant(self, type_: ResourceType, names: Iterable[str]) -> None:
        """Names that nothing needs any more. What is held of them goes."""
        gone = set(names)
        if type_ is CLUSTER:
            self._used_clusters -= gone
            self._let_go()
        elif type_ in self.wanted:
            self.wanted[type_] -= gone
            self.newest[type_] = {name: each for name, each in self.newest[type_].items() if name not in gone}
            if type_ is SECRET:
                self._replace(secrets=self.snapshot.secrets - gone)
            for key in list(self.rejected):
                if key[0] is type_ and key[1] in gone:
                    del self.rejected[key]
            self._join(type_)

    def _follow_clusters(self) -> None:
        clusters = self._followed_clusters()
        names = self._assignment_names(clusters)
        self._followed |= names
        self.wanted[ENDPOINT] |= names
        self.wanted[SECRET] |= self._secret_names(clusters)
        self.wanted_dns |= self._dns_names(clusters)

    def _follow_listeners(self) -> None:
        """The secrets of inbound listeners that somebody has looked at, of the newest and those in force."""
        found: set[str] = set()
        for table in (self.newest[LISTENER], self.snapshot.listeners):
            found.update(*(secrets_of(each.get()) for each in table.values() if each.decoded))
        self._served = found
        self.wanted[SECRET] |= found

    def _let_go(self) -> None:
        """What clusters in use do not lead to any more: neither the newest nor those still in force."""
        clusters = self._followed_clusters()
        needed = self._assignment_names(clusters).union(*(each.endpoints for each in self._held.values()))
        gone, self._followed = self._followed - needed, needed
        if gone:
            self.unwant(ENDPOINT, gone)
        secrets = self._secret_names(clusters).union(self._served, *(each.secrets for each in self._held.values()))
        if unneeded := self.wanted[SECRET] - secrets:
            self.unwant(SECRET, unneeded)
        self.wanted_dns = self._dns_names(clusters)
        resolved = self.snapshot.resolved
        if not self.wanted_dns.issuperset(resolved):
            self._replace(resolved={name: each for name, each in resolved.items() if name in self.wanted_dns})

    def _assignment_names(self, clusters: Iterable[str]) -> set[str]:
        return {config.assignment_name for name in clusters for config in self._clusters(name) if config.type == "EDS"}

    def _secret_names(self, clusters: Iterable[str]) -> set[str]:
        return {each for name in clusters for config in self._clusters(name) for each in config.secrets}

    def _dns_names(self, clusters: Iterable[str]) -> set[str]:
        return {name for name in clusters for config in self._clusters(name) if config.type in DNS_TYPES}

    def _followed_clusters(self) -> set[str]:
        """The clusters in use, and those that aggregates among them join."""
        return self._used_clusters | self._joined(self._used_clusters)

    def _joined(self, names: Iterable[str]) -> set[str]:
        return {each for name in names for config in self._clusters(name) for each in config.aggregate}

    def _clusters(self, name: str) -> Iterable[Cluster]:
        """The newest version of a cluster, and the one in force."""
        newest, now = self.newest[CLUSTER].get(name), self.snapshot.clusters.get(name)
        for resource in (newest,) if newest is now else (newest, now):
            if resource is not None:
                with suppress(ResourceError):
                    yield resource.get()

    # -- the join ------------------------------------------------------------------------------------------------

    def release(self) -> None:
        """What was held back has waited long enough: put it in force."""
        for held in self._held.values():
            held.routes.clear()
            held.endpoints.clear()
        self._settle(self.wanted[SECRET])
        self._join(None)

    @property
    def held_back(self) -> list[str]:
        """What waits for others, for status."""
        return [f"{type_.message} {name}" for type_, name in list(self._held)]

    @property
    def missing_secrets(self) -> list[str]:
        """Those that are waited for."""
        return sorted(self.wanted[SECRET] - self.snapshot.secrets)

    def _join(self, changed: ResourceType | None) -> None:
        if changed is CLUSTER:
            self._follow_clusters()
        elif changed is LISTENER:
            self._follow_listeners()
        endpoints = self.newest[ENDPOINT]
        clusters = self._admit(CLUSTER, partial(self._needs_of_cluster, self._followed_clusters()), changed)
        routes = self._admit(ROUTE, self._needs_of_table, changed)
        listeners = self._admit(LISTENER, self._needs_of_listener, changed)
        before = self.snapshot
        names = before.names
        if changed is NAMES:
            names = next((each.get() for each in self.newest[NAMES].values()), NameTable())
        self._replace(
            complete=before.complete or self._awaited <= self._seen,
            listeners=listeners,
            routes=routes,
            clusters=clusters,
            assignments=before.assignments if before.assignments == endpoints else endpoints,
            extensions=self.newest[EXTENSION] if changed is EXTENSION else before.extensions,
            names=names,
            warming=frozenset(name for type_, name in self._held if type_ is CLUSTER),
        )
        if listeners is not before.listeners:
            self._follow_listeners()
        self._let_go()

    def _replace(self, **changes: Any) -> None:
        self.snapshot = replace(self.snapshot, generation=self.snapshot.generation + 1, **changes)

    def _admit(
        self, type_: ResourceType, needs: Callable[[Resource[Any], Resource[Any]], Held], changed: ResourceType | None
    ) -> Any:
        """The resources of a type that may be in force: the newest, but for those that are held back."""
        newest = self.newest[type_]
        current: dict[str, Resource[Any]] = self._in_force(type_)
        waiting = [name for kind, name in self._held if kind is type_]
        if not waiting and (changed is not type_ or newest == current):
            return current
        result = dict(newest) if changed is type_ else dict(current)
        for name in newest if changed is type_ else waiting:
            resource = newest.get(name)
            now = current.get(name)
            held = self._held.pop((type_, name), None)
            if resource is None or now is None or now is resource:
                continue
            if held is None or held.resource is not resource:
                held = needs(resource, now)
            held.routes -= set(self.newest[ROUTE])
            held.endpoints = {each for each in held.endpoints if each not in self.newest[ENDPOINT]}
            held.secrets -= self.snapshot.secrets
            if held:
                self.wanted[ROUTE] |= held.routes
                self.wanted[ENDPOINT] |= held.endpoints
                self.wanted[SECRET] |= held.secrets
                self._held[type_, name] = held
                result[name] = now
            else:
                result[name] = resource
        for key in [key for key in self._held if key[0] is type_ and key[1] not in newest]:
            del self._held[key]
        return current if result == current else result

    def _in_force(self, type_: ResourceType) -> dict[str, Resource[Any]]:
        snapshot = self.snapshot
        table: Any = {LISTENER: snapshot.listeners, ROUTE: snapshot.routes, CLUSTER: snapshot.clusters}[type_]
        return dict(table) if not isinstance(table, dict) else table

    def _needs_of_listener(self, resource: Resource[Any], now: Resource[Any]) -> Held:
        """A listener whose table is in use keeps serving until the tables that its successor names are there, and one
        that somebody has looked at until the secrets are."""
        held = Held(resource, secrets=set(secrets_of(resource.get())) if now.decoded else set())
        if now.decoded and not self.wanted[ROUTE].isdisjoint(tables_of(now.get())):
            held.routes = tables_of(resource.get())
        return held

    def _needs_of_cluster(self, followed: set[str], resource: Resource[Any], now: Resource[Any]) -> Held:
        held = Held(resource)
        if now.decoded and resource.name in followed:
            config: Cluster = resource.get()
            held.secrets = set(config.secrets)
            if config.type == "EDS":
                held.endpoints = {config.assignment_name}
            elif config.aggregate:
                held.endpoints = self._assignment_names(config.aggregate)
        return held

    def _needs_of_table(self, resource: Resource[Any], now: Resource[Any]) -> Held:
        held = Held(resource)
        used = hosts_in_use(now)
        if not used:
            return held
        new: RouteConfiguration = resource.get()
        for host in new.virtual_hosts:
            before = used.get(host.name)
            if before is None or before is host:
                continue
            reached = self._reached(before, host)
            self._used_clusters |= reached
            held.endpoints |= self._assignment_names(reached | self._joined(reached))
        return held

    def _reached(self, before: LazyVirtualHost, host: LazyVirtualHost) -> set[str]:
        """The clusters that routes in use will lead to: those whose matcher stays, and whose old clusters are used."""
        in_use = [
            route.match for route in before.value().routes if not self._used_clusters.isdisjoint(clusters_of(route))
        ]
        reached: set[str] = set()
        with suppress(ResourceError):  # a call has used it for the first time since it was looked at
            reached.update(*(clusters_of(route) for route in host.value().routes if route.match in in_use))
        return reached


class Late:
    """Hands on what is found out about a resource once it is in force; until then it is simply refused."""

    __slots__ = ("_hear", "armed")

    def __init__(self, hear: Callable[[ResourceError], None]) -> None:
        self._hear = hear
        self.armed = False

    def __call__(self, error: ResourceError) -> None:
        if self.armed:
            self._hear(error)


def hosts_in_use(table: Resource[Any] | None) -> dict[str, LazyVirtualHost]:
    """The virtual hosts that calls have used, by name."""
    if table is None or not table.decoded:
        return {}
    value: RouteConfiguration = table.get()
    return {host.name: host for host in value.virtual_hosts if host.decoded}


def late_reason(resource: Resource[Any]) -> str | None:
    """Why a resource, or a virtual host of it, could not be decoded when it was used; None where it could, so far."""
    if resource.error is not None:
        return resource.error.reason
    value = resource.get() if resource.decoded else None
    hosts = value.virtual_hosts if isinstance(value, RouteConfiguration) else ()
    return next((host.error.reason for host in hosts if host.error is not None), None)


def tables_of(listener: Listener) -> set[str]:
    """The route tables that a listener names."""
    return {chain.http.rds for chain in listener.all_chains() if chain.http is not None and chain.http.rds}


def secrets_of(listener: Listener) -> frozenset[str]:
    """What the control plane has to send before the chains of a listener can terminate TLS."""
    contexts = (chain.downstream for chain in listener.all_chains())
    return frozenset().union(*(each.common.discovered for each in contexts if each is not None))


def clusters_of(route: Route) -> list[str]:
    """The clusters that a route can lead to."""
    action = route.action
    if not isinstance(action, RouteAction):
        return []
    if action.weighted_clusters:
        return [each.name for each in action.weighted_clusters if each.weight]
    return [action.cluster]
