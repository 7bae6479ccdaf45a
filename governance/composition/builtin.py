"""The mesh's own policies by name, in the order in which a request meets them, and what switching them means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from ...xds.model.records import dataclass

Mode = Literal["on", "shadow", "off"]


@dataclass(frozen=True, slots=True)
class Builtin:
    """One of them. `secures`: who switches it off is warned. `whole`: it belongs to the mesh, not to single suites.

    `outgoing`, `incoming`: where it is at work. `shadows`: whether it can decide without being enforced.
    """

    name: str
    what: str
    secures: bool = False
    whole: bool = False
    outgoing: bool = True
    incoming: bool = True
    shadows: bool = True


BUILTIN: Mapping[str, Builtin] = {
    each.name: each
    for each in (
        Builtin("routing", "routes, clusters, endpoints and their TLS", secures=True, incoming=False),
        Builtin("cors", "VirtualService corsPolicy", shadows=False),
        Builtin("jwt", "RequestAuthentication", secures=True),
        Builtin("authorization", "AuthorizationPolicy, external authorization", secures=True),
        Builtin("fault", "VirtualService fault"),
        Builtin("ratelimit", "local and global rate limits"),
        Builtin("admission_control", "admission control"),
        Builtin("adaptive_concurrency", "adaptive concurrency"),
        Builtin("mirror", "VirtualService mirrors", incoming=False),
        Builtin("timeout", "VirtualService timeout, perTryTimeout; idle timeouts, durations", incoming=False),
        Builtin("retry", "VirtualService retries; hedging", incoming=False),
        Builtin("breaker", "DestinationRule connectionPool (circuit breaker thresholds)", incoming=False),
        Builtin("outlier", "DestinationRule outlierDetection", whole=True, incoming=False),
    )
}

SHADOWED = tuple(each.name for each in BUILTIN.values() if each.shadows and each.name != "routing")
"""What shadow mode is about where nobody names anything: all that refuses, delays, repeats or copies a request."""
