"""What a process governs by: the plan in force, the state that survives it, and who is told what happens."""

import random
from collections.abc import Callable, Collection, Hashable, Sequence
from dataclasses import field, fields, replace
from time import monotonic, time
from typing import Any, Protocol, TypeVar, cast

from ..xds.model.cluster import Cluster, OutlierDetection
from ..xds.model.ext_authz import HttpAuthorizer
from ..xds.model.filters import GrpcTarget
from ..xds.model.jwt import RemoteJwks
from ..xds.model.records import dataclass
from ..xds.model.resource import ResourceType
from ..xds.model.snapshot import Snapshot
from ..xds.model.values import Locality
from .access_logs import Logged, Write
from .actions import Asked, Nobody, Service, Told
from .background import Background
from .balancing.host_set import HostSet
from .balancing.out_of_band import LoadReports
from .balancing.setting import Setting
from .checking.checker import Checker
from .cluster import ClusterRuntime, ClusterState
from .composition.compose import NONE, Entry, Policies
from .dialled import DialledHosts
from .events import Ejected, Event
from .filters.local_ratelimit import Limiters
from .forwarding import Workload
from .names import NameCaches, NoResolver
from .outliers.detector import Detector
from .plan import Missing, Plan
from .securing import Tls
from .tokens.provider import RemoteKeys
from .tracing import Spans
from .waiting import Changes


class Random(Protocol):
    """The part of `random.Random` that decisions draw from."""

    def random(self) -> float: ...

    def getrandbits(self, k: int, /) -> int: ...


class Listener(Protocol):
    """Hears of calls and requests as they end; must be quick and must not raise."""

    def on_call(self, call: Any) -> None: ...

    def on_request(self, request: Any) -> None: ...


class EventListener(Protocol):
    """Hears of hosts that go and come; must be quick and must not raise."""

    def on_event(self, event: Event) -> None: ...


@dataclass(frozen=True, slots=True)
class Options:
    """Choices of the user that change decisions.

    `allow_unenforced`: filters (by name or type URL) whose policy may be left unenforced.
    `passthrough_until_ready`: let requests through, both ways, before the first complete configuration.
    `search`: the domains that a pod's resolver appends to short names. `overrides`: addresses of hosts, before any
    name table. `locality`: where it runs, as its node says. `local_cluster`: the cluster that it is itself a part of
    (bootstrap: `cluster_manager.local_cluster_name`), without which there is no zone-aware routing. `workload`: how
    this process appears in headers, and from where its calls come. `ungoverned`: hosts (`*.`: all below) whose calls
    go by the library's own means. `tracer`: the bootstrap's tracer, for connection managers that name
    none (xds.model.tracing.TRACERS). `trace_attempts`: each try has a span, asked for or not.
    `policies`: the user's own, for all suites.
    """

    allow_unenforced: frozenset[str] = frozenset()
    passthrough_until_ready: bool = False
    search: tuple[str, ...] = ()
    overrides: dict[str, str] = field(default_factory=dict)
    locality: Locality | None = None
    local_cluster: str = ""
    workload: Workload = Workload()
    ungoverned: frozenset[str] = frozenset()
    tracer: str = ""
    trace_attempts: bool = False
    policies: Policies | None = None

    def leaves_alone(self, host: bytes) -> bool:
        """Whether the user wants calls to this host ungoverned."""
        name = host.decode("latin-1").lower()
        return name in self.ungoverned or any(each[:2] == "*." and name.endswith(each[1:]) for each in self.ungoverned)


MOST_SUITES = 256
"""How many different suites are remembered for `status`."""


T = TypeVar("T")

NOT_ENFORCED: dict[str, Any] = {
    each.name: False if each.name == "detect_degraded_hosts" else 0
    for each in fields(OutlierDetection)
    if each.name.startswith("enforcing_") or each.name == "detect_degraded_hosts"
}
"""Outlier detection that only notices (OutlierDetection.enforcing_...: 0)."""


def _nobody_subscribes(type_: ResourceType, names: Collection[str]) -> None:
    del type_, names


class Runtime:
    """One mesh's decisions. Calls read `plan` once and keep it; everything else here is for the slow paths."""

    __slots__ = (
        "__weakref__",
        "_lasting",
        "_own_chance",
        "_setting",
        "_setting_of_local",
        "access_log",
        "asked",
        "authorizer",
        "background",
        "behind",
        "changes",
        "clock",
        "closed",
        "dialled",
        "draining",
        "event_listeners",
        "keys",
        "keys_ahead",
        "lasting_clock",
        "limiters",
        "listeners",
        "logged",
        "names",
        "on_checks",
        "on_keys",
        "on_reports",
        "on_reset",
        "on_sweep",
        "options",
        "plan",
        "policies",
        "rate_limiter",
        "resolver",
        "rng",
        "spans",
        "states",
        "subscribe",
        "suites",
        "tls",
        "uniform",
        "wall",
    )

    def __init__(
        self,
        options: Options = Options(),
        clock: Callable[[], float] = monotonic,
        rng: Random | None = None,
        subscribe: Callable[[ResourceType, Collection[str]], None] = _nobody_subscribes,
        wall: Callable[[], float] = time,
        lasting_clock: Callable[[], float] | None = None,
    ) -> None:
        """`lasting_clock`: for what outlives single calls (ejections, token buckets, slow start ...), where that is not
        `clock`."""
        self.options = options
        self.policies = options.policies
        self.suites: dict[tuple[str, tuple[Entry, ...]], int] = {}
        """The suites that were made, with their policies: how many of each."""
        self.clock = clock
        self.lasting_clock = lasting = clock if lasting_clock is None else lasting_clock
        self.wall = wall
        chance = random.Random()
        self._own_chance = chance if rng is None else None
        self.rng: Random = chance if rng is None else rng
        self.uniform = self.rng.random
        self.subscribe = subscribe
        self.behind: Callable[[], str] = str
        """What keeps configuration away; empty where nothing is known to."""
        self.closed = False
        self.draining = False
        """Whether clients are to take their next requests elsewhere."""
        self.on_checks: Callable[[], None] | None = None
        """Called when there is somebody to ask for health; None where nobody asks."""
        self.on_reports: Callable[[], None] | None = None
        """Called when there is somebody to listen to for reports of load; None where nobody listens."""
        self.on_keys: Callable[[], None] | None = None
        """Called when there are key sets to fetch ahead of time; None where nobody fetches any."""
        self.background = Background()
        self.changes = Changes()
        self.listeners: tuple[Listener, ...] = ()
        self.event_listeners: tuple[EventListener, ...] = ()
        self.states: dict[str, ClusterState] = {}
        self.names: NameCaches = NameCaches(lasting)
        self.dialled = DialledHosts(lasting)
        self.resolver: Service = NoResolver()
        self.limiters: Limiters = Limiters(lasting, self.uniform)
        self._lasting: dict[Hashable, object] = {}
        own, local = options.locality, self._local_hosts if options.local_cluster else None
        self._setting = Setting(self.draw, lasting, own, local)
        self._setting_of_local = Setting(self.draw, lasting, own)
        self.asked: dict[tuple[str, str], Asked] = {}
        """The services that were asked, by cluster and method; for telemetry."""
        self.rate_limiter: Callable[[GrpcTarget], Told] = lambda target: Nobody()
        """Where rate limits are asked for; whoever assembles the mesh knows."""
        self.access_log: Write | None = None
        self.logged: Callable[[], Logged] | None = None
        """Where lines of access logs go; None where none are written."""
        self.spans: Spans | None = None
        """Where spans are made; None where nothing records any."""
        self.tls: Tls | None = None
        """Who secures connections; None where this process has no identity, nor roots."""
        self.keys: Service = Nobody()
        """Where key sets of tokens are fetched: it is asked with an `xds.model.jwt.RemoteJwks`, and answers bytes."""
        self.keys_ahead: tuple[RemoteKeys, ...] = ()
        """Those that are fetched before anybody needs them."""
        self.authorizer: Callable[[GrpcTarget | HttpAuthorizer], Service] = lambda target: Nobody()
        """Where it is asked who may do what."""
        self.on_reset: Callable[[], None] = lambda: None
        self.on_sweep: Callable[[], None] = lambda: None
        """Called about once a second, to close connections to whoever is asked no more."""
        """Called in a forked child, and when the mesh ends, to give up what belongs to those that are asked."""
        self.plan = Plan(Snapshot(), self)

    def require(self, missing: Missing) -> None:
        """Ask for what a decision lacks."""
        if missing.type is not None:
            self.subscribe(missing.type, missing.names)

    def late(self, missing: str) -> str:
        """What to say of configuration that has not come in time."""
        why = self.behind()
        return f"timed out waiting for {missing} ({why})" if why else f"timed out waiting for {missing}"

    def reset(self) -> None:
        """In a forked child: keep the configuration, drop connections, counts and locks that belong to the parent.

        Its chance is its own: else all children of a parent would give their requests the same ids.
        """
        if self._own_chance is not None:
            self._own_chance.seed()
        self.background = Background()
        self.changes = Changes()
        self.states = {}
        self.names = NameCaches(self.lasting_clock)
        asks, self.dialled = self.dialled.ask, DialledHosts(self.lasting_clock)
        self.dialled.ask = asks
        self.limiters = Limiters(self.lasting_clock, self.uniform)
        self._lasting = {}
        self.keys_ahead = ()
        self.asked = {}
        self.on_reset()
        self.plan = Plan(self.plan.snapshot, self)

    def key_set(self, remote: RemoteJwks) -> RemoteKeys:
        """The keys that are fetched from one place, from one configuration to the next."""
        keys = self.lasting(("keys", remote), lambda: RemoteKeys(remote, self.clock))
        if remote.ahead and self.on_keys is not None and keys not in self.keys_ahead:
            self.keys_ahead = (*self.keys_ahead, keys)
            self.on_keys()
        return keys

    def lasting(self, key: Hashable, make: Callable[[], T]) -> T:
        """What a filter measures from one configuration to the next: made once for each key."""
        found = self._lasting.get(key)
        if found is None:
            found = self._lasting.setdefault(key, make())
        return cast("T", found)

    def busy(self) -> bool:
        """Whether calls are under way."""
        return any(state.normal.requests or state.high.requests for state in list(self.states.values()))

    def close(self) -> None:
        """Nothing more comes: what is in force stays, and whoever waits for more is told. Idle connections go."""
        self.closed = True
        self.changes.advance()
        self.background.close()
        self.on_reset()
        self.close_idle()

    def close_idle(self) -> None:
        """Close the connections that no call uses."""
        for state in list(self.states.values()):
            for host in list(state.hosts.values()):
                for pool in list(host.pools.values()):
                    for slot in pool.drain():
                        slot.connection.close()

    def draw(self, n: int) -> int:
        """An integer in [0, n)."""
        return int(self.uniform() * n)

    def setting(self, name: str) -> Setting:
        """What the balancer of a cluster is given. The local cluster is not balanced by what it is itself."""
        return self._setting_of_local if name == self.options.local_cluster else self._setting

    def _local_hosts(self) -> HostSet | None:
        found = self.plan.cluster(self.options.local_cluster)
        if isinstance(found, ClusterRuntime):
            return found.look_again()[0]
        if found is not None:
            self.require(found)
        return None

    def publish(self, snapshot: Snapshot) -> None:
        """Put a snapshot in force: one assignment, then those who wait for it are woken."""
        self.plan = Plan(snapshot, self, self.plan)
        self.changes.advance()

    def state(self, name: str, config: Cluster) -> ClusterState:
        """What outlives the configuration of a cluster."""
        state = self.states.get(name)
        if state is None:
            state = self.states.setdefault(name, ClusterState(name, config))
        return state

    def oversee(self, cluster: ClusterRuntime) -> None:
        """Detect outliers as this version of a cluster wants it. Where addresses are dialled nobody is chosen."""
        state, config = cluster.state, cluster.config.outlier_detection
        mode = "on" if self.policies is None else self.policies.mode("outlier")
        if config is not None and mode != "on":
            config = None if mode == "off" else replace(config, **NOT_ENFORCED)
        detector = state.detector
        if config is not None and not cluster.original_dst:
            if detector is None:
                detector = state.detector = Detector(
                    state.name, self.lasting_clock, self.draw, state.health_changed, self.emit
                )
            detector.configure(config, {host.address: host.state for host in cluster.hosts})
        elif detector is not None:
            detector.close()

    def check(self, cluster: ClusterRuntime) -> bool:
        """Ask the endpoints of a cluster for their health as this version of it wants; whether it may be used now."""
        state, config = cluster.state, cluster.config.health_check
        wake = self.on_checks
        if wake is None or (config is None and state.checker is None):
            return True
        checker = state.checker
        if checker is None:
            checker = state.checker = Checker(
                state.name,
                self.clock,
                self.uniform,
                state.health_changed,
                self.emit,
                lambda: state.used_at > 0.0,
                self.changes.advance,
            )
        checker.configure(config, cluster.hosts, ignore_new=cluster.config.ignore_new_hosts)
        wake()
        return checker.warm

    def listen(self, cluster: ClusterRuntime) -> None:
        """Have the endpoints of a cluster report their load by streams of their own, where this version wants it."""
        state, config = cluster.state, cluster.config.lb.client_side
        wanted = config if config is not None and config.out_of_band_s is not None else None
        if self.on_reports is None or (wanted is None and state.reports is None):
            return
        if state.reports is None:
            state.reports = LoadReports(self.clock, self.uniform)
        state.reports.configure(wanted, cluster.hosts)
        self.on_reports()

    def emit(self, event: Event) -> None:
        """Tell everybody what has happened to a host. Connections to one that fails are given up: new ones may do
        better (envoy source: ClusterManagerImpl::postThreadLocalHealthFailure)."""
        if event.enforced if isinstance(event, Ejected) else getattr(event, "health", "") == "unhealthy":
            state = self.states.get(event.cluster)
            host = state.hosts.get(event.address) if state is not None else None
            if state is not None and host is not None:
                state.drain((host,))
        for listener in self.event_listeners:
            listener.on_event(event)

    def made(self, suite: str, policies: Policies | None, *, incoming: bool) -> None:
        """A suite was made; `status` lists those that differ."""
        key = (suite, tuple((NONE if policies is None else policies).entries(incoming=incoming)))
        if key in self.suites or len(self.suites) < MOST_SUITES:
            self.suites[key] = self.suites.get(key, 0) + 1

    def add_event_listener(self, listener: EventListener) -> None:
        """From now on `listener` hears of every event."""
        self.event_listeners = (*self.event_listeners, listener)

    def tick(self) -> None:
        """About once a second: what falls due although nobody calls."""
        now = self.lasting_clock()
        for state in list(self.states.values()):
            if state.detector is not None:
                state.detector.look(now)

    def add_listener(self, listener: Listener) -> None:
        """From now on `listener` hears of every call and request."""
        self.listeners = (*self.listeners, listener)

    def idle(self, before: float, kept: Sequence[str] = ()) -> list[str]:
        """Clusters that no call has used since `before`, with nothing under way."""
        return [
            name
            for name, state in list(self.states.items())
            if state.used_at < before and name not in kept and not state.normal.requests and not state.high.requests
        ]
