"""The walk: scenarios in order. Each says what it expects, does something to the shop, and yields checks.

A scenario leaves the shop as it found it, but for what it is about; whatever it raises is a check that failed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ..checks import Check
from ..run import Demo
from . import breaker, change, limits, mtls, restart, retries, routing

Walk = Callable[[Demo], Iterator[Check]]


@dataclass(frozen=True, slots=True)
class Scenario:
    """`expects`: what the shipped configuration means for it, in a line."""

    key: str
    title: str
    expects: Callable[[Demo], str]
    walk: Walk


SCENARIOS = (
    Scenario("weights", "canary weights", routing.expects_weights, routing.weights),
    Scenario("headers", "header routing", routing.expects_headers, routing.headers),
    Scenario("retries", "retries", retries.expects, retries.walk),
    Scenario("breaker", "circuit breaker", breaker.expects, breaker.walk),
    Scenario("ratelimit", "rate limit", limits.expects_payments, limits.payments),
    Scenario("users", "rate limit per user", limits.expects_users, limits.users),
    Scenario("change", "hot change", change.expects_change, change.change),
    Scenario("broken", "broken file", change.expects_broken, change.broken),
    Scenario("restart", "control plane restart", restart.expects, restart.walk),
)

WITH_MTLS = (
    Scenario("strict", "STRICT mTLS", mtls.expects_strict, mtls.strict),
    Scenario("principals", "identities", mtls.expects_principals, mtls.principals),
    Scenario("rotation", "rotation", mtls.expects_rotation, mtls.rotation),
)
"""What `--mtls` adds."""
