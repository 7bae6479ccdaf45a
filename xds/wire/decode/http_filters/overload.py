"""envoy.extensions.filters.http.admission_control.v3 and adaptive_concurrency.v3."""

from __future__ import annotations

from ....model.overload import GRPC_SUCCESSES, AdaptiveConcurrency, AdmissionControl
from ...refused import RefusedError
from ...schema import types as pb
from ..values import optional, seconds

LAST_GRPC_STATUS = 16


def admission_control(message: pb.admission_control_v3.AdmissionControl) -> AdmissionControl:
    """What counts as a success, and what follows from the rate of it."""
    threshold = message.sr_threshold.default_value.value if message.HasField("sr_threshold") else 95.0
    if threshold < 1.0:
        raise RefusedError("Success rate threshold cannot be less than 1.0%.")
    criteria = message.success_criteria
    http: tuple[tuple[int, int], ...] = ((0, 500),)
    if criteria.HasField("http_criteria"):
        http = tuple((each.start, each.end) for each in criteria.http_criteria.http_success_status)
        for start, end in http:
            if not (100 <= start <= end <= 600):
                raise RefusedError(f"invalid HTTP range: [{start}, {end})")
    grpc: tuple[int, ...] = GRPC_SUCCESSES
    if criteria.HasField("grpc_criteria"):
        grpc = tuple(criteria.grpc_criteria.grpc_success_status)
        for status in grpc:
            if status > LAST_GRPC_STATUS:
                raise RefusedError(f"invalid gRPC code {status}")
    maximum = 80.0
    if message.HasField("max_rejection_probability"):
        maximum = message.max_rejection_probability.default_value.value
    return AdmissionControl(
        http_successes=http,
        grpc_successes=grpc,
        window_s=int(seconds(message.sampling_window)) if message.HasField("sampling_window") else 30,
        aggression=max(1.0, message.aggression.default_value),
        success_threshold=min(threshold, 100.0) / 100,
        rps_threshold=message.rps_threshold.default_value,
        max_rejection=maximum / 100,
        enabled=_enabled(message.enabled),
    )


def adaptive_concurrency(message: pb.adaptive_concurrency_v3.AdaptiveConcurrency) -> AdaptiveConcurrency:
    """How the limit is found."""
    config = message.gradient_controller_config
    limits, rtt = config.concurrency_limit_params, config.min_rtt_calc_params
    interval_s, fixed_s = seconds(rtt.interval), seconds(rtt.fixed_value)
    if not interval_s and not fixed_s:
        raise RefusedError("adaptive_concurrency: neither `concurrency_update_interval` nor `fixed_value` set")
    status = message.concurrency_limit_exceeded_status.code
    return AdaptiveConcurrency(
        update_interval_s=max(0.001, seconds(limits.concurrency_update_interval)),
        rtt_interval_s=interval_s,
        fixed_rtt_s=fixed_s,
        percentile=_share(config.sample_aggregate_percentile, config.HasField("sample_aggregate_percentile"), 50.0),
        max_limit=optional(limits, "max_concurrency_limit", 1000),
        min_limit=optional(rtt, "min_concurrency", 3),
        rtt_requests=optional(rtt, "request_count", 50),
        jitter=_share(rtt.jitter, rtt.HasField("jitter"), 15.0),
        buffer=_share(rtt.buffer, rtt.HasField("buffer"), 25.0),
        status=status if status >= 400 else 503,
        enabled=_enabled(message.enabled),
    )


def _share(percent: pb.type_v3.Percent, said: bool, unsaid: float) -> float:
    return (percent.value if said else unsaid) / 100


def _enabled(flag: pb.core_v3.RuntimeFeatureFlag) -> bool:
    """The default value: there is no runtime to override it."""
    return flag.default_value.value if flag.HasField("default_value") else True
