"""Admission control and adaptive concurrency."""

from __future__ import annotations

from typing import Any

from proxyless.governance.actions import Head, Send

from ..registry import Effect, effect
from ..resources import Json, extension, shop
from ..scene import Scene
from ..seeing import See, drive

ADMISSION = "envoy.extensions.filters.http.admission_control.v3.AdmissionControl"
ADAPTIVE = "envoy.extensions.filters.http.adaptive_concurrency.v3."
GRADIENT = ADAPTIVE + "GradientControllerConfig"
CORE = "envoy.config.core.v3."
FINE = Head(200, [(b"grpc-status", b"0")], None)


def admission(**fields: Any) -> Any:
    """Admission control in the chain."""
    own = {"success_criteria": {}, **fields}
    return shop(filters=[extension(ADMISSION, "envoy.filters.http.admission_control", **own)])


def judged(**criteria: Any) -> Any:
    return admission(success_criteria=criteria)


def successes(start: int, end: int) -> Json:
    return {"http_success_status": [{"start": start, "end": end}]}


def said(value: Any) -> Json:
    """A value that a runtime might override."""
    return {"default_value": value, "runtime_key": "k"}


def told(*answers: Any, draw: float = 0.0, step_s: float = 0.0) -> See:
    """The statuses of calls whose endpoints answer like this, one after the other."""

    def see(scene: Scene) -> list[int]:
        scene.world.draws.give(*[draw] * 100)
        found = []
        for each in answers:
            found.append(drive(scene, [each]).status)
            scene.world.clock.advance(step_s)
        return found

    return see


FAILING = told(500, 500)
HTTP_CRITERIA = ADMISSION + ".SuccessCriteria.HttpCriteria"

ADMITTED = [
    effect(ADMISSION + ".enabled", admission(enabled=said(False)), FAILING, [500, 500]),
    effect(CORE + "RuntimeFeatureFlag.default_value", admission(enabled=said(False)), FAILING, [500, 500]),
    effect(ADMISSION + ".success_criteria", admission(), FAILING, [500, 503]),
    effect(
        ADMISSION + ".SuccessCriteria.http_criteria",
        judged(http_criteria=successes(200, 300)),
        told(404, 404),
        [404, 503],
    ),
    effect(
        HTTP_CRITERIA + ".http_success_status", judged(http_criteria=successes(200, 300)), told(404, 404), [404, 503]
    ),
    effect(
        "envoy.type.v3.Int32Range.start",
        judged(http_criteria=successes(300, 600)),
        told(200, 200, 500),
        [200, 503, 503],
    ),
    effect("envoy.type.v3.Int32Range.end", judged(http_criteria=successes(100, 600)), FAILING, [500, 500]),
    effect(
        ADMISSION + ".SuccessCriteria.grpc_criteria",
        judged(grpc_criteria={"grpc_success_status": [5]}),
        told(FINE, 200),
        [200, 503],
    ),
    effect(
        ADMISSION + ".SuccessCriteria.GrpcCriteria.grpc_success_status",
        judged(grpc_criteria={"grpc_success_status": [5]}),
        told(FINE, 200),
        [200, 503],
    ),
    effect(ADMISSION + ".sampling_window", admission(sampling_window="5s"), told(500, 500, step_s=6.0), [500, 500]),
    effect(ADMISSION + ".aggression", admission(aggression=said(2.0)), told(500, 500, draw=0.6), [500, 503]),
    effect(
        ADMISSION + ".sr_threshold", admission(sr_threshold=said({"value": 50})), told(200, 500, 200), [200, 500, 200]
    ),
    effect(ADMISSION + ".rps_threshold", admission(rps_threshold=said(5)), FAILING, [500, 500]),
    effect(CORE + "RuntimeUInt32.default_value", admission(rps_threshold=said(5)), FAILING, [500, 500]),
    effect(
        ADMISSION + ".max_rejection_probability",
        admission(max_rejection_probability=said({"value": 10})),
        told(500, 500, draw=0.2),
        [500, 500],
    ),
    effect(
        CORE + "RuntimePercent.default_value",
        admission(max_rejection_probability=said({"value": 10})),
        FAILING,
        [500, 503],
    ),
]

MANY = 40


def adaptive(rtt: Json | None = None, limits: Json | None = None, gradient: Json | None = None, **fields: Any) -> Any:
    """Adaptive concurrency in the chain: four at a time while one request shows the minimum."""
    own: Json = {
        "gradient_controller_config": {
            "concurrency_limit_params": {"concurrency_update_interval": "1s", **(limits or {})},
            "min_rtt_calc_params": {
                "interval": "60s",
                "request_count": 1,
                "min_concurrency": 4,
                "jitter": {"value": 0},
                **(rtt or {}),
            },
            **(gradient or {}),
        },
        **fields,
    }
    return shop(filters=[extension(ADAPTIVE + "AdaptiveConcurrency", "envoy.filters.http.adaptive_concurrency", **own)])


def limits(*rounds: tuple[float, ...], wait_s: float = 1.0, draw: float = 0.5) -> See:
    """Rounds of calls that take so long; after each, and some time, how many get through at the same time."""

    def see(scene: Scene) -> list[int]:
        scene.world.draws.give(*[draw] * 1000)
        found = []
        for latencies in rounds:
            for latency in latencies:
                one = scene.world.steps("http://shop/a")
                one.until(Send)
                scene.world.clock.advance(latency)
                one.finish([200])
            scene.world.clock.advance(wait_s)
            several = [scene.world.steps("http://shop/a") for _ in range(MANY)]
            found.append(sum(each.reply is None for each in several))
            for each in several:
                each.close()
        return found

    return see


def rejected(scene: Scene) -> int:
    """The status of what is too much."""
    several = [scene.world.steps("http://shop/a") for _ in range(MANY)]
    return several[-1].status


TWICE = limits((0.1,), (0.1,))
PARAMS = GRADIENT + ".MinimumRTTCalculationParams"

ADAPTED = [
    effect(ADAPTIVE + "AdaptiveConcurrency.gradient_controller_config", adaptive(), TWICE, [4, 7]),
    effect(ADAPTIVE + "AdaptiveConcurrency.enabled", adaptive(enabled=said(False)), TWICE, [MANY, MANY]),
    effect(
        ADAPTIVE + "AdaptiveConcurrency.concurrency_limit_exceeded_status",
        adaptive(concurrency_limit_exceeded_status={"code": "TooManyRequests"}),
        rejected,
        429,
    ),
    effect(
        GRADIENT + ".sample_aggregate_percentile",
        adaptive(gradient={"sample_aggregate_percentile": {"value": 100}}),
        limits((0.1,), (0.1, 0.3)),
        [4, 4],
    ),
    effect(GRADIENT + ".concurrency_limit_params", adaptive(), TWICE, [4, 7]),
    effect(GRADIENT + ".min_rtt_calc_params", adaptive(), TWICE, [4, 7]),
    effect(
        GRADIENT + ".ConcurrencyLimitCalculationParams.max_concurrency_limit",
        adaptive(limits={"max_concurrency_limit": 5}),
        TWICE,
        [4, 5],
    ),
    effect(
        GRADIENT + ".ConcurrencyLimitCalculationParams.concurrency_update_interval",
        adaptive(limits={"concurrency_update_interval": "3s"}),
        TWICE,
        [4, 4],
        against=adaptive(),
    ),
    effect(PARAMS + ".interval", adaptive({"interval": "2s"}), TWICE, [4, 4], against=adaptive()),
    effect(PARAMS + ".fixed_value", adaptive({"fixed_value": "0.1s"}), limits((0.1,)), [6]),
    effect(PARAMS + ".request_count", adaptive(), TWICE, [4, 7]),
    effect(
        PARAMS + ".jitter",
        adaptive({"interval": "2s", "jitter": {"value": 100}}),
        limits((0.1,), (0.1,), wait_s=1.05),
        [4, 7],
    ),
    effect(PARAMS + ".min_concurrency", adaptive(), TWICE, [4, 7]),
    effect(PARAMS + ".buffer", adaptive({"buffer": {"value": 0}}), TWICE, [4, 6]),
]

CASES: list[Effect] = ADMITTED + ADAPTED
