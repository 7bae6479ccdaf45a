"""A snapshot compiled as far as it is used: from a dialled address to a route table, from a name to a cluster.

A plan is made for every snapshot and takes over from the one before whatever rests on unchanged resources, so an
endpoint update costs one small object, and calls never see half of a change.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from ipaddress import ip_address
from typing import TYPE_CHECKING, Literal, final

from ..xds.model.cluster import Cluster
from ..xds.model.endpoint import ClusterLoadAssignment
from ..xds.model.listener import FilterChain, HttpConnectionManager, Listener, TcpProxy
from ..xds.model.resource import Resource, ResourceError, ResourceType
from ..xds.model.route import RouteConfiguration
from ..xds.model.snapshot import Snapshot
from .admission import valid_authority
from .authorization.connections import Door
from .bodies import DEFAULT_BODY_LIMIT
from .chains import Connection, find_chain, looks_at_source
from .cluster import ClusterRuntime
from .entrance import connection_of
from .hello import Hello
from .http_runtime import HttpRuntime
from .passing import TcpRoute
from .route_table import RouteTable
from .routing import CompiledVirtualHost, Uniform

if TYPE_CHECKING:
    from .request import RequestView
    from .runtime import Runtime

MAX_DESTINATIONS = 4096
"""Dialled addresses remembered per plan; beyond it they are found anew."""

ANY_ADDRESS = "0.0.0.0"  # it names a listener
CATCH_ALL = "virtualOutbound"
INBOUND = "virtualInbound"

OPAQUE = b"opaque"
"""The scheme of a connection whose first bytes are no HTTP."""

ResolvedBy = Literal["name_table", "dns", "literal"]


@final
class Missing:
    """Something must be subscribed and arrive first. `what` is for people."""

    __slots__ = ("names", "type", "what")

    def __init__(self, type_: ResourceType | None, names: tuple[str, ...], what: str) -> None:
        self.type = type_
        self.names = names
        self.what = what


class BadAuthorityError(ValueError):
    """A Host header with characters that no authority may hold."""


@final
class Destination:
    """What becomes of connections to one dialled address."""

    __slots__ = (
        "body_limit",
        "chain",
        "cluster",
        "found",
        "hosts",
        "http",
        "kind",
        "listener",
        "reason",
        "resolved",
        "resolved_by",
        "table",
    )

    def __init__(
        self,
        kind: Literal["http", "tcp", "refused"],
        listener: str | None,
        chain: FilterChain | None,
        resolved: str | None,
        resolved_by: ResolvedBy | None,
        reason: str = "",
    ) -> None:
        self.kind = kind
        self.listener = listener
        self.chain = chain
        self.resolved = resolved
        self.resolved_by = resolved_by
        self.reason = reason
        self.http: HttpRuntime | None = None
        self.cluster = ""
        self.table: RouteTable | None = None
        """Its route table, once it was there: a destination lasts no longer than the routes do."""
        self.hosts: dict[bytes, CompiledVirtualHost | None] = {}
        self.body_limit = DEFAULT_BODY_LIMIT
        """The most of a body that is kept where no route says it; 0 for no limit."""
        self.found: tuple[str, ...] | None = None
        """The addresses that DNS had, where it was asked: it holds as long as they do."""

    def tcp_route(self, uniform: Uniform) -> TcpRoute:
        """Where one connection goes; to no cluster where there is none (TcpProxy.cluster, weighted_clusters)."""
        tcp = self.chain.tcp if self.chain is not None else None
        if self.cluster or tcp is None:
            return TcpRoute(self.cluster, tcp or TcpProxy(self.cluster))
        left = int(uniform() * sum(weight for _, weight in tcp.weighted_clusters))
        for index, (name, weight) in enumerate(tcp.weighted_clusters):
            left -= weight
            if left < 0:
                own = tcp.weighted_metadata[index] if tcp.weighted_metadata else None
                return TcpRoute(name, replace(tcp, metadata_match={**tcp.metadata_match, **own}) if own else tcp)
        return TcpRoute("", tcp)

    def virtual_host(self, request: RequestView, table: RouteTable) -> CompiledVirtualHost | None:
        """The virtual host of a request: of its authority, which is remembered, or of what `vhost_header` names.

        Raises:
            BadAuthorityError: Envoy's codec refuses the authority.
        """
        authority = request.authority
        try:
            found = self.hosts[authority]
        except KeyError:
            if not valid_authority(authority):
                raise BadAuthorityError from None
            found = table.find(authority)
            if len(self.hosts) > MAX_DESTINATIONS:
                self.hosts.clear()
            self.hosts[authority] = found
        return table.of(request) if table.vhost_header else found


class Plan:
    """One snapshot, compiled lazily. Its dictionaries only ever gain entries that every reader would compute alike."""

    __slots__ = (
        "_clusters",
        "_destinations",
        "_doors",
        "_https",
        "_inbound",
        "_ports",
        "_tables",
        "clusters",
        "runtime",
        "snapshot",
    )

    def __init__(self, snapshot: Snapshot, runtime: Runtime, previous: Plan | None = None) -> None:
        self.snapshot = snapshot
        self.runtime = runtime
        self.clusters: dict[str, ClusterRuntime] = {}
        self._clusters: dict[str, tuple[Resource[Cluster], object, ClusterRuntime]] = {}
        self._tables: dict[str, tuple[Resource[RouteConfiguration], RouteTable]] = {}
        self._https: dict[int, tuple[str, HttpConnectionManager, HttpRuntime]] = {}
        self._destinations: dict[tuple[bytes, bytes, int], Destination] = {}
        self._doors: dict[int, tuple[FilterChain, Door]] = {}
        self._inbound: dict[tuple[int, Hello | None, str | None], tuple[FilterChain, HttpRuntime | None] | None] = {}
        self._ports: frozenset[str] | None = None
        if previous is not None:
            self._take_over(previous)

    def _take_over(self, previous: Plan) -> None:
        old, new = previous.snapshot, self.snapshot
        for name, kept in list(previous._clusters.items()):
            resource, endpoints, cluster = kept
            if (
                new.clusters.get(name) is resource
                and cluster.aggregate is None  # it holds the others as they are in one snapshot
                and self._endpoints(cluster.config) is endpoints
                and cluster.config.secrets <= new.secrets
            ):
                self.clusters[name] = cluster
                self._clusters[name] = kept
        if old.routes is new.routes:
            self._tables = previous._tables
        else:
            for name, (handle, table) in list(previous._tables.items()):
                current = new.routes.get(name)
                if current is handle:
                    self._tables[name] = (handle, table)
                elif current is not None:
                    # The virtual hosts that did not change stay compiled.
                    with suppress(ResourceError):  # told to the calls that ask for it
                        self._tables[name] = (current, RouteTable(current.get(), table))
        if old.listeners is new.listeners:
            self._ports = previous._ports
            self._doors = previous._doors
        if old.extensions is new.extensions:
            if old.listeners is new.listeners:
                self._https = previous._https
            else:
                self._https = {
                    key: kept
                    for key, kept in list(previous._https.items())
                    if new.listeners.get(kept[0]) is old.listeners.get(kept[0])
                }
        if (
            old.complete == new.complete
            and old.listeners is new.listeners
            and old.routes is new.routes
            and old.names is new.names
            and old.extensions is new.extensions
        ):
            self._destinations = previous._destinations
            self._inbound = previous._inbound

    # -- outgoing ------------------------------------------------------------------------------------------------

    def destination(self, scheme: bytes, host: bytes, port: int) -> Destination | Missing:
        """What becomes of a connection dialled to `host` and `port` (decision 3 of the design)."""
        key = (scheme, host, port)
        known = self._destinations.get(key)
        if known is not None and (known.found is None or known.found == self._ask(host.decode("latin-1"))):
            return known
        found = self._find_destination(scheme, host.decode("latin-1"), port)
        if isinstance(found, Destination):
            if len(self._destinations) > MAX_DESTINATIONS:
                self._destinations.clear()
            self._destinations[key] = found
        return found

    def _find_destination(self, scheme: bytes, host: str, port: int) -> Destination | Missing:
        snapshot = self.snapshot
        if not snapshot.complete:
            return Missing(None, (), "the first complete configuration")
        resolved, by = self.resolve(host)
        addresses = None
        if resolved is None and self._by_address(port):
            addresses = self._ask(host)
            if addresses is None:
                return Missing(None, (), f"the address of {host}")
            if addresses:
                own = (each for each in addresses if f"{each}_{port}" in snapshot.listeners)
                resolved, by = next(own, addresses[0]), "dns"
        found = self._find_listener(scheme, host, port, resolved, by)
        if isinstance(found, Destination):
            found.found = addresses
        return found

    def _ask(self, host: str) -> tuple[str, ...] | None:
        return self.runtime.dialled.find(host.lower())

    def _by_address(self, port: int) -> bool:
        """Whether an address makes a difference at a port: something listens to one, or tells them apart."""
        if self.runtime.dialled.ask is None:
            return False
        listeners, ports = self.snapshot.listeners, self._ports
        if ports is None:
            named = (name.rpartition("_") for name in listeners)
            ports = self._ports = frozenset(own for address, _, own in named if address not in ("", ANY_ADDRESS))
        if str(port) in ports:
            return True
        resource = listeners.get(f"{ANY_ADDRESS}_{port}") or listeners.get(CATCH_ALL)
        with suppress(ResourceError):  # said by whoever takes it
            return resource is not None and any(chain.match.prefix_ranges for chain in resource.get().chains)
        return False

    def _find_listener(
        self, scheme: bytes, host: str, port: int, resolved: str | None, by: ResolvedBy | None
    ) -> Destination | Missing:
        snapshot, tls = self.snapshot, scheme == b"https"
        names = [f"{resolved}_{port}"] if resolved else []
        names += [f"{ANY_ADDRESS}_{port}", CATCH_ALL]
        resource = next((found for name in names if (found := snapshot.listeners.get(name)) is not None), None)
        if resource is None:
            return self._to_api_listener(scheme, host, port, resolved, by)
        try:
            listener = resource.get()
        except ResourceError as error:
            return Destination("refused", resource.name, None, resolved, by, str(error))
        transport, server_name = ("tls", host) if tls else ("raw_buffer", "")
        spoken = () if tls or scheme == OPAQUE else ("http/1.1",)
        source = self.runtime.options.workload.address
        connection = Connection(resolved or "", port, transport, server_name, spoken, source)
        return self._from_chain(listener, find_chain(listener, connection), resolved, by)

    def _to_api_listener(
        self, scheme: bytes, host: str, port: int, resolved: str | None, by: ResolvedBy | None
    ) -> Destination | Missing:
        """What istiod sends to the light profile (GENERATOR=grpc): a connection manager for each `host:port`."""
        name = host.lower().rstrip(".")
        full_names = (name, *(f"{name}.{domain}" for domain in self.runtime.options.search))
        for each in full_names if scheme == b"http" else ():
            resource = self.snapshot.listeners.get(f"{each}:{port}")
            if resource is not None:
                try:
                    listener = resource.get()
                except ResourceError as error:
                    return Destination("refused", resource.name, None, resolved, by, str(error))
                return self._from_chain(listener, listener.api_listener, resolved, by)
        return Destination("refused", None, None, resolved, by, f"no listener takes {host}:{port}")

    def _from_chain(
        self, listener: Listener, chain: FilterChain | None, resolved: str | None, by: ResolvedBy | None
    ) -> Destination | Missing:
        if chain is None:
            return Destination("refused", listener.name, None, resolved, by, "no filter chain matches")
        allowed = self.runtime.options.allow_unenforced
        for closing in chain.closed_by:
            if closing.name not in allowed and closing.type_url not in allowed:
                reason = f"network filter {closing.name} ({closing.type_url}) cannot be enforced: {closing.reason}"
                return Destination("refused", listener.name, chain, resolved, by, reason)
        if chain.http is not None:
            destination = Destination("http", listener.name, chain, resolved, by)
            http = self._http(chain.http, listener.name, chain.name)
            if http.filters.missing is not None:
                return Missing(ResourceType.EXTENSION, (http.filters.missing,), f"filter {http.filters.missing}")
            destination.http, destination.body_limit = http, listener.buffer_limit
            return destination
        if chain.tcp is not None:
            destination = Destination("tcp", listener.name, chain, resolved, by)
            destination.cluster = chain.tcp.cluster
            return destination
        return Destination("refused", listener.name, chain, resolved, by, "the filter chain leads nowhere")

    def _http(self, config: HttpConnectionManager, listener: str, chain: str) -> HttpRuntime:
        kept = self._https.get(id(config))
        if kept is not None:
            return kept[2]  # it holds the configuration, so the number is nobody else's
        http = HttpRuntime(config, f"{listener}/{chain}", self)
        if http.filters.missing is None:
            self._https[id(config)] = (listener, config, http)
        return http

    def http_runtimes(self) -> list[HttpRuntime]:
        """The connection managers in use."""
        return [http for _, _, http in list(self._https.values())]

    def resolve(self, host: str) -> tuple[str | None, ResolvedBy | None]:
        """The address that a name has in the mesh, and who says so."""
        override = self.runtime.options.overrides.get(host)
        if override is not None:
            return override, "literal"
        literal = host.strip("[]")
        try:
            ip_address(literal)
        except ValueError:
            pass
        else:
            return literal, "literal"
        addresses = self.snapshot.names.lookup(host, self.runtime.options.search)
        return (addresses[0], "name_table") if addresses else (None, None)

    def table(self, name: str) -> RouteTable | Missing:
        """A route table by its RDS name."""
        kept = self._tables.get(name)
        if kept is not None:
            return kept[1]
        resource = self.snapshot.routes.get(name)
        if resource is None:
            return Missing(ResourceType.ROUTE, (name,), f"route configuration {name!r}")
        table = RouteTable(resource.get())
        self._tables[name] = (resource, table)
        return table

    def configured(self, name: str) -> Cluster | None:
        """What CDS says of a cluster, whether or not its endpoints are there."""
        found = self.clusters.get(name)
        if found is not None:
            return found.config
        resource = self.snapshot.clusters.get(name)
        with suppress(ResourceError):
            return resource.get() if resource is not None else None
        return None

    def cluster(self, name: str) -> ClusterRuntime | Missing | None:
        """A cluster by name; None where CDS does not have it, `Missing` while its endpoints are on their way."""
        found = self.clusters.get(name)
        if found is not None:
            return found
        resource = self.snapshot.clusters.get(name)
        if resource is None:
            return None
        try:
            config = resource.get()
        except ResourceError:
            return None  # Envoy would have refused it, and so not have it
        endpoints = self._endpoints(config)
        if endpoints is None:
            # Whoever subscribes follows the cluster to its endpoints, by EDS or by DNS.
            return Missing(ResourceType.CLUSTER, (name,), f"endpoints of cluster {name!r}")
        if config.secrets:
            lacking = ", ".join(sorted(config.secrets - self.snapshot.secrets))
            needed = Missing(ResourceType.CLUSTER, (name,), f"secrets of cluster {name!r}: {lacking}")
            if lacking:
                return needed
            self.runtime.require(needed)  # others may need them too, and be gone first
        assignment = config.load_assignment
        if isinstance(endpoints, Resource):
            assignment = endpoints.get()
        elif isinstance(endpoints, ClusterLoadAssignment):
            assignment = endpoints
        inner: list[ClusterRuntime] = []
        for each in config.aggregate:
            part = self.cluster(each) if self._joins(each) else None
            if isinstance(part, Missing):
                # Whoever subscribes follows the aggregate to all of them.
                return Missing(ResourceType.CLUSTER, (name,), part.what)
            if part is not None:
                inner.append(part)
        found = ClusterRuntime(config, assignment, self.runtime.state(name, config), self.runtime.setting(name), inner)
        self._clusters[name] = (resource, endpoints, found)
        if self is self.runtime.plan:
            self.runtime.oversee(found)
            self.runtime.listen(found)
            if not self.runtime.check(found):
                return Missing(None, (), f"the health of cluster {name!r}")
        self.clusters[name] = found
        return found

    def _joins(self, name: str) -> bool:
        """Whether a cluster can be a part of an aggregate: another aggregate has no hosts, and would go round."""
        config = self.configured(name)
        return config is not None and not config.aggregate

    def _endpoints(self, config: Cluster) -> object | None:
        """What the endpoints of a cluster rest on; None while it is not there."""
        if config.type == "EDS":
            return self.snapshot.assignments.get(config.assignment_name)
        if config.type in ("STRICT_DNS", "LOGICAL_DNS"):
            return self.snapshot.resolved.get(config.name)
        return config

    @property
    def takes_requests(self) -> bool:
        """Whether a request has come in: else the inbound listener is nobody's."""
        return bool(self._inbound)

    # -- incoming ------------------------------------------------------------------------------------------------

    def entrance(self, port: int) -> Resource[Listener] | None:
        """The listener of an app port: `virtualInbound`, which connections are redirected to.

        Without redirection (INTERCEPTION_MODE NONE) it is the one that a Sidecar's `ingress` has bound to the port.
        """
        found = self.snapshot.listeners.get(INBOUND)
        if found is not None:
            return found
        for name, resource in self.snapshot.listeners.items():
            if name.endswith(f"_{port}"):
                with suppress(ResourceError):
                    if resource.get().direction == "INBOUND":
                        return resource
        return None

    def inbound(
        self, port: int, source: str, hello: Hello | None = None
    ) -> tuple[FilterChain, HttpRuntime | None] | Missing | None:
        """The chain that takes a request to an app port; None refuses it (decision 10 of the design).

        `hello` is what its connection began with, where it came by TLS.
        """
        key: tuple[int, Hello | None, str | None] = (port, hello, None)
        try:
            return self._inbound[key]
        except KeyError:
            pass
        own = (port, hello, source)
        if own in self._inbound:
            return self._inbound[own]
        resource = self.entrance(port)
        listener = resource.get() if resource is not None else None
        if listener is not None and looks_at_source(listener):
            key = own
        found: tuple[FilterChain, HttpRuntime | None] | None = None
        chain = find_chain(listener, connection_of(port, hello, source)) if listener is not None else None
        if chain is not None:
            where = resource.name if resource is not None else INBOUND
            http = self._http(chain.http, where, chain.name) if chain.http is not None else None
            if http is not None and http.filters.missing is not None:
                return Missing(ResourceType.EXTENSION, (http.filters.missing,), f"filter {http.filters.missing}")
            found = (chain, http)
        if len(self._inbound) > MAX_DESTINATIONS:
            self._inbound.clear()
        self._inbound[key] = found
        return found

    def chains_in_use(self) -> list[tuple[int, FilterChain, HttpRuntime | None]]:
        """By which connections have come in, with their app ports."""
        return [(key[0], *found) for key, found in list(self._inbound.items()) if found is not None]

    def door(self, chain: FilterChain) -> Door | None:
        """What decides whom a chain lets in; None where that is anybody."""
        if not chain.rbac:
            return None
        # Keyed by identity: the entry holds the chain, so the number cannot be reused while it is here.
        kept = self._doors.get(id(chain))
        if kept is None:
            kept = self._doors[id(chain)] = (chain, Door(chain.rbac))
        return kept[1]
