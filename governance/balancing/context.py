"""What one request says about the endpoint it wants (envoy source: Upstream::LoadBalancerContext)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, final

from ...xds.model.values import MetadataValue
from .host import Host

if TYPE_CHECKING:
    from .extension import LoadBalancerContext

Loads = tuple[Sequence[int], Sequence[int]]
"""Percent of the requests for each priority: (to its healthy hosts, to its degraded ones); together 100."""

PriorityLoad = Callable[[Loads, Loads], Loads]
"""Of the usual loads, and of what each priority could take, in percent."""


MOST_ATTEMPTS = 10_000
"""Picks for one try at most. Envoy's limit is the policy's alone, however large, and it stands still for as long."""


@final
class PickContext:
    """A balancer reads it and changes nothing in it.

    `hash`: 64 bits from the route's hash policies, None without one that has something to say.
    `metadata_match`: what the subset must have (namespace `envoy.lb` of RouteAction.metadata_match).
    `rejects`: hosts to pass over (retry host predicates); a pick is repeated `attempts` times at most, then taken
    all the same. `priority_load`: a retry's own view of the priorities (retry_priority). `override`: the endpoint to
    take before the policy is asked (load balancing policy OverrideHost). `told`: for a policy of another package.
    """

    __slots__ = ("attempts", "hash", "metadata_match", "override", "priority_load", "rejects", "told")

    def __init__(
        self,
        hash_: int | None = None,
        metadata_match: Mapping[str, MetadataValue] | None = None,
        rejects: Callable[[Host], bool] | None = None,
        attempts: int = 1,
        priority_load: PriorityLoad | None = None,
        override: Host | None = None,
        told: LoadBalancerContext | None = None,
    ) -> None:
        self.hash = hash_
        self.metadata_match = metadata_match
        self.rejects = rejects
        self.attempts = attempts
        self.priority_load = priority_load
        self.override = override
        self.told = told

    def again(
        self, rejects: Callable[[Host], bool] | None, attempts: int, priority_load: PriorityLoad | None = None
    ) -> PickContext:
        """The same wishes of a retry that passes over some hosts, and may have its own view of the priorities."""
        attempts = min(attempts, MOST_ATTEMPTS)
        return PickContext(self.hash, self.metadata_match, rejects, attempts, priority_load, self.override, self.told)


Pick = Callable[[PickContext], Host | None]
"""How a cluster chooses while its endpoints stay as they are: rejected hosts, retries of the choice and all."""

ANY = PickContext()
"""A request that wants nothing in particular."""
