"""What happens to endpoints beside calls, as data: listeners hear of it, the log and the tests read it."""

from dataclasses import field
from typing import Literal

from ..xds.model.records import dataclass

EjectionType = Literal[
    "CONSECUTIVE_5XX",
    "CONSECUTIVE_GATEWAY_FAILURE",
    "CONSECUTIVE_LOCAL_ORIGIN_FAILURE",
    "SUCCESS_RATE",
    "SUCCESS_RATE_LOCAL_ORIGIN",
    "FAILURE_PERCENTAGE",
    "FAILURE_PERCENTAGE_LOCAL_ORIGIN",
    "DEGRADED",
]
"""envoy.data.cluster.v3.OutlierEjectionType."""


@dataclass(frozen=True, slots=True)
class Ejected:
    """Outlier detection found a host (envoy.data.cluster.v3.OutlierDetectionEvent, action EJECT).

    `enforced` False: only noticed, the host stays in rotation. `for_s`: how long it stays out at least; it comes back
    at the first interval's end after that. `ejections` counts those of this host. `success_rate` in percent is the
    host's and (`average`, `threshold`) are the cluster's, where they were what counted.
    """

    cluster: str
    address: str
    type: EjectionType
    enforced: bool
    ejections: int
    for_s: float = 0.0
    success_rate: float | None = None
    average: float | None = None
    threshold: float | None = None


@dataclass(frozen=True, slots=True)
class Unejected:
    """An ejected host is back (action UNEJECT). `after_s`: how long it was away."""

    cluster: str
    address: str
    ejections: int
    after_s: float


Health = Literal["healthy", "unhealthy", "degraded", "not degraded"]


@dataclass(frozen=True, slots=True)
class HealthChanged:
    """What a host says of itself, or how it answers active health checks, has changed. `reason` is for people."""

    cluster: str
    address: str
    health: Health
    reason: str = ""


@dataclass(frozen=True, slots=True)
class NotSecured:
    """A connection to a host was made, and its TLS failed. `reason` is for people; the same one is told once."""

    cluster: str
    address: str
    reason: str


@dataclass(frozen=True, slots=True)
class NotEnforced:
    """A policy in shadow mode would have refused, delayed or repeated something. `outcome`: the status of its reply, or
    a word. `cluster`: of a call; empty for incoming requests."""

    policy: str
    outcome: str
    cluster: str
    address: str = ""


@dataclass(frozen=True, slots=True)
class ExtensionFailed:
    """What another package brings has failed at work. `reason` names it; the cause of `error` is what it has raised."""

    reason: str
    error: BaseException = field(compare=False)
    cluster: str = ""
    address: str = ""


Event = Ejected | Unejected | HealthChanged | NotSecured | NotEnforced | ExtensionFailed
