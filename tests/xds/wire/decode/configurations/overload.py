"""Admission control and adaptive concurrency."""

from __future__ import annotations

from typing import Any

from . import Case, Json
from .build import ROUTER, extension, filtered, route, typed

ADMISSION = "envoy.extensions.filters.http.admission_control.v3.AdmissionControl"
ADAPTIVE = "envoy.extensions.filters.http.adaptive_concurrency.v3.AdaptiveConcurrency"
RTT: Json = {"interval": "60s"}


def admission(**fields: Any) -> Json:
    """An admission control filter."""
    return filtered(extension(ADMISSION, "envoy.filters.http.admission_control", **fields), ROUTER)


def judged(**criteria: Any) -> Json:
    """One with criteria of its own."""
    return admission(success_criteria=criteria)


def statuses(start: int, end: int) -> Json:
    """One that counts these HTTP statuses as successes."""
    return judged(http_criteria={"http_success_status": [{"start": start, "end": end}]})


def adaptive(rtt: Json, limits: Json | None = None, **fields: Any) -> Json:
    """An adaptive concurrency filter."""
    gradient = {"concurrency_limit_params": limits or {"concurrency_update_interval": "1s"}, "min_rtt_calc_params": rtt}
    config = {"gradient_controller_config": gradient, **fields}
    return filtered(extension(ADAPTIVE, "envoy.filters.http.adaptive_concurrency", **config), ROUTER)


def threshold(percent: float) -> Json:
    """An admission control filter with this threshold."""
    return admission(success_criteria={}, sr_threshold={"default_value": {"value": percent}, "runtime_key": "k"})


def of_route(kind: str, **fields: Any) -> Json:
    """A route that configures a filter that it may only switch on and off."""
    name = "envoy.filters.http." + kind.split(".")[4]
    config = typed(kind, **fields)
    return route(filters=[extension(kind, name, **fields), ROUTER], typed_per_filter_config={name: config})


GRADIENT: Json = {
    "gradient_controller_config": {
        "concurrency_limit_params": {"concurrency_update_interval": "1s"},
        "min_rtt_calc_params": RTT,
    }
}
NO_ROUTES = "doesn't support virtual host or route specific configurations"

CASES = [
    Case("admission control: of a route", of_route(ADMISSION, success_criteria={}), NO_ROUTES),
    Case("adaptive concurrency: of a route", of_route(ADAPTIVE, **GRADIENT), NO_ROUTES),
    Case("admission control", judged()),
    Case("admission control: no criteria", admission(), "is required"),
    Case("admission control: HTTP", statuses(100, 600)),
    Case("admission control: HTTP from 99", statuses(99, 600), "invalid HTTP range: [99, 600)"),
    Case("admission control: HTTP to 601", statuses(100, 601), "invalid HTTP range: [100, 601)"),
    Case("admission control: HTTP, nothing", statuses(200, 200)),
    Case("admission control: HTTP backwards", statuses(300, 200), "invalid HTTP range: [300, 200)"),
    Case("admission control: no HTTP", judged(http_criteria={}), "HttpSuccessStatus"),
    Case("admission control: gRPC", judged(grpc_criteria={"grpc_success_status": [0, 16]})),
    Case("admission control: gRPC 17", judged(grpc_criteria={"grpc_success_status": [17]}), "invalid gRPC code 17"),
    Case("admission control: threshold 1", threshold(1.0)),
    Case("admission control: threshold 0.9", threshold(0.9), "Success rate threshold cannot be less than 1.0%."),
    Case("adaptive concurrency", adaptive(RTT)),
    Case("adaptive concurrency: fixed", adaptive({"fixed_value": "0.1s"})),
    Case(
        "adaptive concurrency: neither",
        adaptive({}),
        "adaptive_concurrency: neither `concurrency_update_interval` nor `fixed_value` set",
    ),
    Case("adaptive concurrency: interval 0", adaptive({"interval": "0s", "fixed_value": "1s"}), "Interval"),
    Case("adaptive concurrency: no limit", adaptive(RTT, {"max_concurrency_limit": 5}), "ConcurrencyUpdateInterval"),
    Case("adaptive concurrency: status 200", adaptive(RTT, concurrency_limit_exceeded_status={"code": "OK"})),
    Case("adaptive concurrency: least 0", adaptive({**RTT, "min_concurrency": 0}), "MinConcurrency"),
]
