"""A cluster in force: its endpoints, its balancing policy, its thresholds.

`ClusterState` is what outlives configuration: counts, connections, the requests under way at each address.
`ClusterRuntime` is one version of the configuration over that state; a new one is made when the cluster or its
endpoints change.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from threading import Lock
from typing import Any

from ..xds.model.cluster import Cluster, TransportSocket
from ..xds.model.dns import DNS_CACHE_PORT, DNS_CACHE_TLS_PORT, DnsCache
from ..xds.model.endpoint import ClusterLoadAssignment, LbEndpoint
from ..xds.model.values import Address, Note
from .aggregate import Aggregate
from .balancing.build import build_picker
from .balancing.context import ANY, Pick, PickContext
from .balancing.extension import looks
from .balancing.host import Host, HostState
from .balancing.host_set import HostSet, host_sets
from .balancing.out_of_band import LoadReports
from .balancing.setting import Memory, Setting
from .checking.checker import Checker
from .hashing import HashPolicies, compile_hashing
from .mirroring import compile_mirrors
from .names import NameCaches, full_name
from .outliers.detector import Detector
from .outliers.matching import response_test
from .pool import Breaker, Pool
from .retry import compile_retry
from .securing import Securing
from .sockets import socket_options

MAX_DYNAMIC_HOSTS = 4096
"""How many dialled addresses an ORIGINAL_DST cluster remembers."""


HASHED = frozenset({"RING_HASH", "MAGLEV"})


class ClusterState:
    """Survives configuration updates; keyed by the cluster's name."""

    __slots__ = (
        "_known",
        "_memory",
        "abandoned",
        "checker",
        "detector",
        "health_version",
        "high",
        "hosts",
        "lock",
        "name",
        "normal",
        "reports",
        "used_at",
    )

    def __init__(self, name: str, config: Cluster) -> None:
        self.name = name
        self.used_at = 0.0
        self.lock = Lock()
        self.normal = Breaker(config.default_thresholds)
        self.high = Breaker(config.high_thresholds)
        self.hosts: dict[str, HostState] = {}
        self.abandoned: deque[HostState] = deque()
        """Where TCP connections went that nobody closed and nobody has any more."""
        self.detector: Detector | None = None
        self.checker: Checker | None = None
        self.reports: LoadReports | None = None
        self.health_version = 0
        """Goes up when a host is ejected, comes back, or its active health changes: balancers look again then."""
        self._known: tuple[Cluster, Sequence[Host]] | None = None
        self._memory: tuple[Cluster, Memory] | None = None

    def memory(self, config: Cluster, setting: Setting) -> Memory:
        """What the balancer keeps: Envoy makes a new one for each configuration of the cluster, not of endpoints."""
        if self._memory is None or self._memory[0] is not config:
            self._memory = (config, Memory(setting, lambda: self.normal.requests + self.high.requests))
        return self._memory[1]

    def known(self, config: Cluster) -> Sequence[Host]:
        """The hosts that this configuration of the cluster had last."""
        return self._known[1] if self._known is not None and self._known[0] is config else ()

    def remember(self, config: Cluster, hosts: Sequence[Host]) -> None:
        """These are the hosts now."""
        self._known = (config, hosts)

    def health_changed(self) -> None:
        """A host's `ejected`, `failing`, `degraded` or `pending` has changed."""
        with self.lock:
            self.health_version += 1

    def drain(self, hosts: Iterable[HostState]) -> None:
        """Connections to these hosts take no new request: those that are idle are closed, the others when they are."""
        for host in hosts:
            for key in list(host.pools):
                pool: Pool | None = host.pools.pop(key, None)
                for slot in pool.retire() if pool is not None else ():
                    slot.connection.close()

    def host(self, address: str) -> HostState:
        """What is remembered of an address."""
        state = self.hosts.get(address)
        if state is None:
            with self.lock:
                state = self.hosts.setdefault(address, HostState(self.name))
        return state


class ClusterRuntime:
    """One version of a cluster, ready to pick."""

    __slots__ = (
        "_by_address",
        "_memory",
        "_seen",
        "_setting",
        "aggregate",
        "asks",
        "assignment",
        "config",
        "dropped",
        "hashes",
        "hashing",
        "host_sets",
        "hosts",
        "http2",
        "is_error",
        "limited",
        "listens",
        "mirrors",
        "name",
        "notes",
        "original_dst",
        "pick",
        "retry",
        "socket_options",
        "state",
        "tells",
    )

    def __init__(
        self,
        config: Cluster,
        assignment: ClusterLoadAssignment | None,
        state: ClusterState,
        setting: Setting,
        inner: Sequence["ClusterRuntime"] = (),
    ) -> None:
        """`inner`: the clusters that an aggregate is made of, as far as they exist."""
        self.name = config.name
        self.config = config
        self.assignment = assignment
        self.original_dst = config.type == "ORIGINAL_DST"
        self.aggregate: Aggregate | None = None
        self.http2 = config.http.protocol == "http2"
        self.mirrors = compile_mirrors(config.http.mirrors)
        self.socket_options = socket_options(config)
        self.hashes = config.lb_policy in HASHED
        """Whether the policy goes by a hash."""
        self.tells = looks(config.lb.extension)
        """Whether the policy is a package's and goes by more than the hosts."""
        self.asks = self.hashes or self.tells or config.lb.subset is not None or bool(config.lb.override_headers)
        """Whether the balancer looks at the request at all."""
        self.listens = config.lb.client_side is not None
        """Whether endpoints' reports of their load count."""
        self.hashing: HashPolicies | None = compile_hashing(config.lb.hash_policies or config.http.hash_policies)
        self.dropped = assignment.drop_overload[0][1] if assignment and assignment.drop_overload else 0.0
        """Percent of the requests that are answered without being tried."""
        matcher = config.http.error_matcher
        self.is_error = response_test(matcher) if matcher is not None else None
        self.state = state
        state.normal.configure(config.default_thresholds)
        state.high.configure(config.high_thresholds)
        self.retry = compile_retry(config.http.retry)
        self.limited = config.http.max_stream_duration_s is not None
        self.hosts: tuple[Host, ...] = tuple(self._hosts(assignment)) if assignment else ()
        self._by_address: dict[str, Host] | None = None
        self._setting = setting
        self._memory = state.memory(config, setting)
        self._seen = state.health_version
        self.host_sets = host_sets(self.hosts, assignment, setting.locality)
        self.pick: Pick = build_picker(config, self.host_sets, setting, self._memory)
        if config.aggregate:
            self.aggregate = Aggregate(inner, config.lb.panic_threshold, setting.draw)
            self.pick = self.aggregate.pick
            self.http2 = bool(inner) and all(each.http2 for each in inner)
        self.notes: tuple[Note, ...] = ()

    def look_again(self) -> tuple[HostSet, ...]:
        """The hosts of each priority as they are now. Only what a change of health touches is made anew."""
        version = self.state.health_version
        if version != self._seen:
            # Two threads may do this at once: they find the same, or the later one more.
            self.host_sets = tuple(each.again() for each in self.host_sets)
            self.pick = build_picker(self.config, self.host_sets, self._setting, self._memory)
            self._seen = version
        return self.host_sets

    def _hosts(self, assignment: ClusterLoadAssignment) -> list[Host]:
        """The hosts of an assignment; those that say the same as before are the same objects.

        Most updates change one of many endpoints, so each is looked for where it was before, then by its address.
        """
        before = self.state.known(self.config)
        by_address: dict[Address, Host] | None = None
        found: list[Host] = []
        for group in assignment.localities:
            for endpoint in group.endpoints:
                host = before[len(found)] if len(found) < len(before) else None
                if host is None or not host.says(endpoint, group.locality, group.priority):
                    if by_address is None:
                        by_address = {each.endpoint.address: each for each in before}
                    host = by_address.get(endpoint.address)
                    if host is None or not host.says(endpoint, group.locality, group.priority):
                        state = self.state.host(str(endpoint.address))
                        if host is None:
                            state.healthy_since = None  # another host, whatever was at this address once
                        host = Host(endpoint, state, group.locality, group.priority, self.socket(endpoint))
                found.append(host)
        if (
            self.config.drains_on_change
            and before
            and {each.address for each in before} != {each.address for each in found}
        ):
            self.state.drain(list(self.state.hosts.values()))
        self.state.remember(self.config, found)
        return found

    def socket(self, endpoint: LbEndpoint) -> TransportSocket:
        """How to talk to an endpoint (Cluster.transport_socket_matches): the first match, else the cluster's own."""
        labels = endpoint.metadata.get("envoy.transport_socket_match", {})
        for match in self.config.transport_socket_matches:
            if all(labels.get(key) == value for key, value in match.match.items()):
                return match.socket
        return self.config.transport_socket

    def dialled(self, host: str, port: int) -> Host:
        """The endpoint of an ORIGINAL_DST cluster: the address that was dialled."""
        endpoint = LbEndpoint(Address(host, self.config.original_dst_port or port))
        hosts = self.state.hosts
        if len(hosts) > MAX_DYNAMIC_HOSTS:
            for each, state in list(hosts.items()):
                if not state.active and not state.pools:
                    hosts.pop(each, None)
        return Host(endpoint, self.state.host(str(endpoint.address)), socket=self.socket(endpoint))

    def forwarded(self, cache: DnsCache, authority: bytes, names: NameCaches) -> Host | None:
        """The endpoint of a dynamic forward proxy: what the filter found for this Host."""
        host = full_name(authority, DNS_CACHE_TLS_PORT if self.config.transport_socket.tls else DNS_CACHE_PORT)
        found = names.get(cache).find(host)
        return self.dialled(found[0], int(host.rpartition(":")[2])) if found else None

    def choose(self, context: PickContext = ANY) -> Host | None:
        """The endpoint of the next request; None where there is nobody to give it to."""
        if self._seen != self.state.health_version:
            self.look_again()
        return self.pick(context)

    def of(self, host: Host) -> "ClusterRuntime":
        """The cluster that an endpoint belongs to: another one where this is an aggregate."""
        return self if self.aggregate is None else self.aggregate.of(host)

    def named(self, address: str) -> Host | None:
        """The endpoint of that address, whatever its priority and health."""
        if self._by_address is None:
            self._by_address = {host.address: host for host in self.hosts}
        return self._by_address.get(address)

    def breaker(self, high_priority: bool) -> Breaker:
        """The counts and limits of a routing priority."""
        return self.state.high if high_priority else self.state.normal

    def pool(self, host: Host, owner: Any, high_priority: bool, secure: Securing | None = None) -> Pool:
        """The connections to an endpoint that belong to `owner` (a library in an event loop)."""
        key: tuple[Any, ...] = (owner, high_priority)
        if secure is not None:
            key = (owner, high_priority, secure.alpn, secure.sni, secure.names)
        pool: Pool | None = host.state.pools.get(key)
        if (
            pool is not None
            and pool.settings is self.config.http
            and (secure is None or (pool.secure is not None and pool.secure.tls is secure.tls))
        ):
            return pool  # it secures its connections in this very way, if it does
        old: Pool | None = None
        with self.state.lock:
            pool = host.state.pools.get(key)
            if pool is not None and pool.secure != secure:
                pool, old = None, pool
            if pool is None:
                pool = Pool(self.state.lock, self.breaker(high_priority), host.state, secure)
                host.state.pools[key] = pool
            pool.secure = secure
            pool.configure(self.config.http)
        for slot in old.retire() if old is not None else ():
            slot.connection.close()
        return pool
