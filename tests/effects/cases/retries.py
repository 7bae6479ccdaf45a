"""When an attempt is tried again (envoy.config.route.v3.RetryPolicy)."""

from __future__ import annotations

from typing import Any

from proxyless.governance.actions import Head

from ..registry import Effect, effect
from ..resources import Json, Shop, extension, shop
from ..scene import Scene
from ..seeing import drive, explained, tried

RETRY = "envoy.config.route.v3.RetryPolicy."
PREVIOUS = extension("envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate", "previous")


def retrying(**fields: Any) -> Shop:
    """A route that retries 5xx if it does not say otherwise."""
    return shop(action={"retry_policy": {"retry_on": "5xx", **fields}})


def slept(scene: Scene) -> list[float]:
    """How long a call that is tried again and again waits in between."""
    return drive(scene, [503] * 9).slept


def where(scene: Scene) -> list[list[str]]:
    """The endpoints that calls whose first try fails go to, one after the other."""
    return [drive(scene, [503, 200]).hosts for _ in range(8)]


def limit_of_a_try(scene: Scene) -> float | None:
    """How long the first try may take."""
    deadline = drive(scene, [200]).sent()[0].deadline
    return None if deadline is None else round(deadline - scene.world.clock(), 3)


TOLD: Json = {"retry_on": "retriable-headers", "retriable_headers": [{"name": "again", "present_match": True}]}
SLOW = retrying(num_retries=4, retry_back_off={"base_interval": "1s", "max_interval": "2s"})

ELSEWHERE = shop(
    action={
        "retry_policy": {
            "retry_on": "5xx",
            "retry_host_predicate": [PREVIOUS],
            "host_selection_retry_max_attempts": 50,
        }
    },
    cluster_fields={"lb_policy": "RANDOM"},
)

CASES: list[Effect] = [
    effect("envoy.config.route.v3.RouteAction.retry_policy", retrying(), tried([503, 200]), (2, 200, "-")),
    effect(RETRY + "retry_on", retrying(), tried([503, 200]), (2, 200, "-")),
    effect(RETRY + "num_retries", retrying(num_retries=3), tried([503] * 9), (4, 503, "URX")),
    effect(RETRY + "per_try_timeout", retrying(per_try_timeout="2s"), limit_of_a_try, 2.0),
    effect(
        RETRY + "retriable_status_codes",
        retrying(retry_on="retriable-status-codes", retriable_status_codes=[418]),
        tried([418, 200]),
        (2, 200, "-"),
    ),
    effect(
        RETRY + "retriable_headers", retrying(**TOLD), tried([Head(200, [(b"again", b"1")], None), 200]), (2, 200, "-")
    ),
    effect(RETRY + "retry_host_predicate", ELSEWHERE, where),
    effect(RETRY + "host_selection_retry_max_attempts", ELSEWHERE, where),
    effect(RETRY + "retry_back_off", SLOW, slept),
    effect(RETRY + "RetryBackOff.base_interval", SLOW, slept, against=retrying(num_retries=4)),
    effect(RETRY + "RetryBackOff.max_interval", SLOW, slept),
    effect(RETRY + "retry_on", retrying(), explained("retry"), what="explained"),
]
