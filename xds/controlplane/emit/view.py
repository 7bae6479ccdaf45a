"""What the emitters of one proxy share: the proxy, what its namespace sees, and the policies that hold for it."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import cached_property

from ...wire.schema.types import accesslog_v3, listener_v3
from ..api.decode import duration_s
from ..api.envoy_filter import ApplyTo, EnvoyFilter
from ..api.telemetry import Telemetry
from ..mesh import MeshConfig
from ..objects import Object
from ..registry.authn import PeerPolicy, selects
from ..registry.extensions import Extension, Side
from ..registry.node import PROCESS
from ..registry.policies import Applied
from ..registry.proxy import Proxy
from ..registry.scope import Scope
from ..registry.world import World
from . import extensions, jwt, rbac
from .access_logs import Where, access_logs
from .cluster_target import Certificates, certificates_of
from .dynamic_dns import dns_family
from .filters import HttpFilter
from .patch import Patch, applicable, compiled
from .statistics import Statistics, statistics
from .tracing import Traced, traced

Compile = Callable[[Object[EnvoyFilter]], tuple[Patch, ...]]

_OWN_PORTS = (
    "ENVOY_STATUS_PORT",
    "ENVOY_PROMETHEUS_PORT",
    "ENVOY_SECURE_METRICS_PORT",
    "ENVOY_SECURE_MERGED_METRICS_PORT",
)


class View:
    """One proxy in one world. Parts are made when first asked for. `stock`: it is not Istio's build of Envoy. `kin`:
    equal for views, of this world or another, that are told the same of the same. `as_caller`: what of the proxy
    decides how it sees others, where that is known to be less than everything.
    """

    def __init__(
        self,
        scope: Scope,
        proxy: Proxy,
        compile_filter: Compile = compiled,
        *,
        stock: bool = False,
        kin: Hashable = None,
        as_caller: Hashable = None,
    ) -> None:
        self.kin = kin
        self.scope = scope
        self.proxy = proxy
        self.stock = proxy.is_stock or (stock and proxy.node.agent != PROCESS)
        self._compile = compile_filter
        self._as_caller = as_caller

    @property
    def world(self) -> World:
        return self.scope.world

    @property
    def mesh(self) -> MeshConfig:
        return self.scope.world.mesh

    @cached_property
    def patches(self) -> dict[ApplyTo, tuple[Patch, ...]]:
        """The patches of all EnvoyFilters that pick this proxy, in their order, by what they apply to."""
        out: dict[ApplyTo, tuple[Patch, ...]] = {}
        for source in self.world.envoy_filters:
            if self._picked(source):
                for patch in applicable(self._compile(source), self.proxy):
                    out[patch.apply_to] = (*out.get(patch.apply_to, ()), patch)
        return out

    def _picked(self, source: Object[EnvoyFilter]) -> bool:
        if source.meta.namespace not in (self.mesh.root_namespace, self.proxy.namespace) or source.spec.target_refs:
            return False
        selector = source.spec.workload_selector
        return selector is None or selects(selector.labels, self.proxy.labels)

    @cached_property
    def caller_key(self) -> Hashable:
        """What of a proxy decides how it sees others."""
        proxy = self.proxy
        if self._as_caller is not None:
            return self._as_caller
        return proxy.locality, tuple(sorted(proxy.labels.items())), proxy.node_name, proxy.reach, proxy.standpoint

    @cached_property
    def dns_family(self) -> int:
        return dns_family(self.proxy.node.addresses)

    @cached_property
    def certificates(self) -> Certificates:
        return certificates_of(self.proxy.node)

    @cached_property
    def idle_timeout_s(self) -> float | None:
        """A proxy's own idle timeout for all its connections, which its metadata may set."""
        return duration_s(self.proxy.node.text("IDLE_TIMEOUT"))

    @cached_property
    def forward_proxy_port(self) -> int:
        """Where it is a forward proxy: as its metadata says, else as the mesh does; 0 for nowhere."""
        said = self.proxy.node.text("HTTP_PROXY_PORT")
        return int(said) if said.isdecimal() else self.mesh.proxy_http_port

    @cached_property
    def metric_ports(self) -> frozenset[int]:
        """Ports at the wildcard address where the proxy itself tells how it fares."""
        said = (self.proxy.node.metadata.get(key) for key in _OWN_PORTS)
        return frozenset(
            int(port)
            for port in said
            if isinstance(port, (int, float, str)) and str(port).removesuffix(".0").isdecimal()
        )

    @cached_property
    def reserved_ports(self) -> frozenset[int]:
        """Ports at the wildcard address that the proxy itself uses."""
        return self.metric_ports | {self.mesh.proxy_listen_port, self.mesh.proxy_inbound_listen_port}

    @cached_property
    def _telemetry(self) -> tuple[Telemetry, ...]:
        return self.world.telemetries.of_workload(self.proxy.namespace, self.proxy.labels)

    @cached_property
    def _traced(self) -> dict[Side, Traced]:
        return {}

    def traced(self, side: Side) -> Traced:
        if side not in self._traced:
            self._traced[side] = traced(self._telemetry, side, self.proxy, self.world)
        return self._traced[side]

    @cached_property
    def _logs(self) -> dict[tuple[Side, Where], list[accesslog_v3.AccessLog]]:
        return {}

    def access_logs(self, side: Side, where: Where) -> list[accesslog_v3.AccessLog]:
        key = (side, where)
        if key not in self._logs:
            self._logs[key] = access_logs(self._telemetry, side, self.world, where)
        return self._logs[key]

    @cached_property
    def peer_policy(self) -> PeerPolicy:
        return self.world.peer_authentications.of_workload(self.proxy.namespace, self.proxy.labels)

    @cached_property
    def applied(self) -> Applied:
        return self.world.policies.of_workload(self.proxy.namespace, self.proxy.labels)

    @cached_property
    def custom_http(self) -> tuple[HttpFilter, ...]:
        return tuple(rbac.custom_http_filters(self.applied, self.world))

    @cached_property
    def tokens(self) -> tuple[HttpFilter, ...]:
        rules = self.world.policies.tokens_of_workload(self.proxy.namespace, self.proxy.labels)
        made = jwt.jwt_filter(rules, self.world.keys)
        return (made,) if made is not None else ()

    @cached_property
    def http_rules(self) -> tuple[HttpFilter, ...]:
        return tuple(rbac.http_filters(self.applied, self.mesh))

    @cached_property
    def custom_tcp(self) -> tuple[listener_v3.Filter, ...]:
        return tuple(rbac.custom_tcp_filters(self.applied, self.world))

    @cached_property
    def tcp_rules(self) -> tuple[listener_v3.Filter, ...]:
        return tuple(rbac.tcp_filters(self.applied, self.mesh))

    @cached_property
    def _extensions(self) -> tuple[Extension, ...]:
        return self.world.extensions.of_workload(self.proxy.namespace, self.proxy.labels)

    def http_extensions(self, side: Side, port: int) -> extensions.HttpByPhase:
        """Those of a connection manager at a port, by where they stand."""
        return extensions.http_filters(self._extensions, side, port) if self._extensions else {}

    def network_extensions(self, side: Side, port: int) -> extensions.NetworkByPhase:
        return extensions.network_filters(self._extensions, side, port) if self._extensions else {}

    @cached_property
    def _statistics(self) -> dict[Side, Statistics]:
        return {}

    def statistics(self, side: Side) -> Statistics:
        if side not in self._statistics:
            self._statistics[side] = statistics(self._telemetry, side, self.mesh)
        return self._statistics[side]
