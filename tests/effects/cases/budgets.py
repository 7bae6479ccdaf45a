"""How many retries, connections to an endpoint and pools a cluster may have (CircuitBreakers)."""

from __future__ import annotations

from typing import Any

from proxyless.governance.actions import Deliver, Head, OpenConnection, Send

from ..registry import Effect, effect
from ..resources import Json, Shop, endpoint, shop
from ..scene import Scene
from ..seeing import See

BREAKERS = "envoy.config.cluster.v3.CircuitBreakers."
THRESHOLDS = BREAKERS + "Thresholds."
BUDGETS = THRESHOLDS + "RetryBudget."


def breaking(hosts: int = 1, **fields: Any) -> Shop:
    """Cluster `a` with so many hosts; 5xx are retried."""
    endpoints = [endpoint(f"10.0.0.{number + 1}") for number in range(hosts)]
    return shop(
        action={"retry_policy": {"retry_on": "5xx"}}, endpoints=endpoints, cluster_fields={"circuit_breakers": fields}
    )


def budget(**fields: Any) -> Shop:
    """A retry budget."""
    return breaking(thresholds=[{"retry_budget": fields}])


def under_way(count: int) -> See:
    """What becomes of so many calls of which none ends: what each wants, or its status and flags."""

    def see(scene: Scene) -> list[str]:
        found, alive = [], []
        for _ in range(count):
            steps = scene.world.steps("http://shop/a")
            alive.append(steps)
            if isinstance(steps.action, OpenConnection):
                steps.answer(steps.connection())
            found.append(type(steps.action).__name__ if steps.action is not None else f"{steps.status} {steps.flags}")
        return found

    return see


def retried(before: int, count: int) -> See:
    """How many of so many calls at once that fail at first are tried again, after some that went well."""

    def see(scene: Scene) -> int:
        for _ in range(before):
            scene.call("http://shop/a")
        steps = [scene.world.steps("http://shop/a") for _ in range(count)]
        for each in steps:
            each.until(Send)
        again = 0
        for each in steps:
            each.answer(Head(503, [], None))
            again += not isinstance(each.action, Deliver)
        return again

    return see


POOLS: Json = {"thresholds": [{"max_connection_pools": 1}]}
PER_HOST: Json = {"per_host_thresholds": [{"max_connections": 1}]}
BUDGET = budget(budget_percent={"value": 25}, min_retry_concurrency=1)
WINDOW = budget(budget_percent={"value": 25}, min_retry_concurrency=0, budget_interval="60s")

CASES: list[Effect] = [
    effect(THRESHOLDS + "max_connection_pools", breaking(2, **POOLS), under_way(2), ["Send", "503 UH"]),
    effect(BREAKERS + "per_host_thresholds", breaking(**PER_HOST), under_way(2), ["Send", "AwaitSlot"]),
    effect(BREAKERS + "per_host_thresholds.max_connections", breaking(**PER_HOST), under_way(2), ["Send", "AwaitSlot"]),
    effect(
        BREAKERS + "per_host_thresholds.priority",
        breaking(per_host_thresholds=[{"priority": "HIGH", "max_connections": 1}]),
        under_way(2),
        ["Send", "Send"],
    ),
    effect(THRESHOLDS + "retry_budget", BUDGET, retried(0, 8), 2),
    effect(BUDGETS + "budget_percent", BUDGET, retried(0, 12), 3),
    effect(BUDGETS + "min_retry_concurrency", BUDGET, retried(0, 4), 1),
    effect(BUDGETS + "budget_interval", WINDOW, retried(12, 8), 5),
]
