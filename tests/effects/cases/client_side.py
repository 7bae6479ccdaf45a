"""Client-side weighted round robin: weights from what endpoints report."""

from __future__ import annotations

from typing import Any

from proxyless.governance.actions import Head
from tests.effects.registry import effect
from tests.effects.resources import Json, Shop, extension, shop
from tests.effects.scene import Scene
from tests.effects.seeing import See

LB = "envoy.extensions.load_balancing_policies."
CLIENT_SIDE = LB + "client_side_weighted_round_robin.v3.ClientSideWeightedRoundRobin"
WRR_LOCALITY = LB + "wrr_locality.v3.WrrLocality"


def weighed(seconds: int, text: str = "rps_fractional:{rate},cpu_utilization:0.5", pause: int = 0) -> See:
    """The weights after so many seconds in which both endpoints report, the one more than the other."""

    def see(scene: Scene) -> list[int]:
        def answer(action: Any) -> Head:
            rate = 10 if action.host.address.startswith("10.0.0.1:") else 30
            return Head(200, [(b"endpoint-load-metrics", b"TEXT " + text.format(rate=rate).encode())], None)

        for _ in range(seconds):
            for _ in range(2):
                scene.call("http://shop/a", answers=[answer])
            scene.world.clock.advance(1.0)
        scene.world.clock.advance(pause)
        scene.call("http://shop/a", answers=[answer])
        return [each.weight for each in scene.world.cluster("a").hosts]

    return see


def policy(kind: str, **fields: Any) -> Shop:
    own: Json = {"policies": [{"typed_extension_config": extension(kind, **fields)}]}
    return shop(cluster_fields={"load_balancing_policy": own})


INNER: Json = {"policies": [{"typed_extension_config": extension(CLIENT_SIDE, blackout_period="1s")}]}
PENALTY = "rps_fractional:{rate},cpu_utilization:0.5,eps:5"
NAMED = "rps_fractional:{rate},cpu_utilization:0.5,named_metrics.x:2"


def streams(scene: Scene) -> list[tuple[str, float, int, str]]:
    """Of each endpoint that is asked for its load out of band: how often, at which port, by which name."""
    runtime = scene.world.runtime
    runtime.on_reports = lambda: None
    scene.explain("http://shop/a")
    reports = scene.world.cluster("a").state.reports
    if reports is None or reports.config is None:
        return []
    config = reports.config
    return [
        (address, reports.period_s, config.out_of_band_port, config.out_of_band_authority)
        for address in reports.streams
    ]


def both_asked(seconds: float = 10.0, port: int = 0, authority: str = "") -> list[tuple[str, float, int, str]]:
    return [(f"10.0.0.{last}:80", seconds, port, authority) for last in (1, 2)]


def out_of_band(**fields: Any) -> Shop:
    return policy(CLIENT_SIDE, enable_oob_load_report=True, **fields)


CASES = [
    effect(f"{CLIENT_SIDE}.enable_oob_load_report", out_of_band(), streams, both_asked()),
    effect(f"{CLIENT_SIDE}.oob_reporting_period", out_of_band(oob_reporting_period="3s"), streams, both_asked(3.0)),
    effect(
        f"{CLIENT_SIDE}.oob_reporting_config",
        out_of_band(oob_reporting_config={"port_value": 99}),
        streams,
        both_asked(port=99),
    ),
    effect(
        f"{LB}common.v3.OrcaOobReportingConfig.port_value",
        out_of_band(oob_reporting_config={"port_value": 99}),
        streams,
        both_asked(port=99),
    ),
    effect(
        f"{LB}common.v3.OrcaOobReportingConfig.authority",
        out_of_band(oob_reporting_config={"authority": "x"}),
        streams,
        both_asked(authority="x"),
    ),
    effect(f"{CLIENT_SIDE}.blackout_period", policy(CLIENT_SIDE, blackout_period="3s"), weighed(6), [20, 60]),
    effect(
        f"{CLIENT_SIDE}.weight_expiration_period",
        policy(CLIENT_SIDE, weight_expiration_period="20s"),
        weighed(14, pause=30),
        [1, 1],
    ),
    effect(
        f"{CLIENT_SIDE}.weight_update_period", policy(CLIENT_SIDE, weight_update_period="100s"), weighed(14), [1, 1]
    ),
    effect(
        f"{CLIENT_SIDE}.error_utilization_penalty",
        policy(CLIENT_SIDE, error_utilization_penalty=2.0),
        weighed(14, PENALTY),
    ),
    effect(
        f"{CLIENT_SIDE}.metric_names_for_computing_utilization",
        policy(CLIENT_SIDE, metric_names_for_computing_utilization=["named_metrics.x"]),
        weighed(14, NAMED),
        [5, 15],
    ),
    effect(
        f"{WRR_LOCALITY}.endpoint_picking_policy",
        policy(WRR_LOCALITY, endpoint_picking_policy=INNER),
        weighed(6),
        [20, 60],
        against=policy(CLIENT_SIDE),
    ),
]
