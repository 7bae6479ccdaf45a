"""Locality weights: which locality of a priority takes the next request (envoy source: LocalityWrr).

A locality's weight counts as far as its hosts are there: weight * min(1, overprovisioning factor * available / all).
"""

from __future__ import annotations

from .edf import EdfScheduler
from .host_set import Availability, HostSet


def locality_schedule(hosts: HostSet, availability: Availability, seed: int) -> EdfScheduler[int] | None:
    """Turns of the localities by their index; None where no locality has a weight, which makes them count alike."""
    weights: dict[int, float] = {}
    for index, each in enumerate(hosts.localities):
        count = len(each.hosts) - each.excluded
        available = len(each.healthy if availability == "healthy" else each.degraded)
        if count > 0 and available and each.weight:
            weights[index] = each.weight * min(1.0, (hosts.factor / 100.0) * (1.0 * available / count))
    return EdfScheduler(weights, weights.__getitem__, seed) if weights else None
