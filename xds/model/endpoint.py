"""Load assignments (envoy.config.endpoint.v3)."""

from dataclasses import field
from typing import Literal

from .records import dataclass
from .values import Address, FilterMetadata, Locality, Note

HealthStatus = Literal["UNKNOWN", "HEALTHY", "UNHEALTHY", "DRAINING", "TIMEOUT", "DEGRADED"]


@dataclass(frozen=True, slots=True)
class HealthCheckConfig:
    """envoy.config.endpoint.v3.Endpoint.HealthCheckConfig: where and as whom the endpoint is asked, if it is."""

    host: str = ""
    port: int = 0
    hostname: str = ""
    disabled: bool = False


@dataclass(frozen=True, slots=True)
class LbEndpoint:
    """envoy.config.endpoint.v3.LbEndpoint; the weight is 1 when unset. `hostname` serves auto_host_rewrite."""

    address: Address
    weight: int = 1
    health: HealthStatus = "UNKNOWN"
    metadata: FilterMetadata = field(default_factory=dict)
    hostname: str = ""
    health_check: HealthCheckConfig = HealthCheckConfig()


@dataclass(frozen=True, slots=True)
class LocalityLbEndpoints:
    """envoy.config.endpoint.v3.LocalityLbEndpoints; priority 0 is the highest. Weight None: no weight was given."""

    endpoints: tuple[LbEndpoint, ...]
    locality: Locality = Locality()
    priority: int = 0
    weight: int | None = None


@dataclass(frozen=True, slots=True)
class ClusterLoadAssignment:
    """envoy.config.endpoint.v3.ClusterLoadAssignment."""

    cluster_name: str
    localities: tuple[LocalityLbEndpoints, ...] = ()
    overprovisioning_factor: int = 140
    weighted_priority_health: bool = False
    drop_overload: tuple[tuple[str, float], ...] = ()
    """(category, percent) in order (Policy.DropOverload)."""
    notes: tuple[Note, ...] = ()
