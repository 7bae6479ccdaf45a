"""Tries beside each other (envoy.config.route.v3.HedgePolicy)."""

from __future__ import annotations

from proxyless.governance.actions import Run

from ..registry import Effect, effect
from ..resources import Json, shop
from ..scene import Scene

HEDGE: Json = {"hedge_policy": {"hedge_on_per_try_timeout": True}}
TIMED: Json = {"retry_policy": {"retry_on": "5xx", "per_try_timeout": "1s"}}


def beside(scene: Scene) -> bool:
    """Whether a call's tries run beside each other."""
    return isinstance(scene.world.steps("http://shop/a").action, Run)


CASES: list[Effect] = [
    effect("envoy.config.route.v3.RouteAction.hedge_policy", shop(action={**TIMED, **HEDGE}), beside, True),
    effect("envoy.config.route.v3.VirtualHost.hedge_policy", shop(action=TIMED, host_fields=HEDGE), beside, True),
    effect("envoy.config.route.v3.HedgePolicy.hedge_on_per_try_timeout", shop(action={**TIMED, **HEDGE}), beside, True),
]
