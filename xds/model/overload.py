"""Filters that keep load away from what cannot carry it: admission control and adaptive concurrency."""

from .records import dataclass

GRPC_SUCCESSES = (0, 1, 2, 3, 5, 6, 7, 9, 11, 12, 16)
"""What Envoy counts as a success unless told otherwise: that fewer requests would change nothing about."""


@dataclass(frozen=True, slots=True)
class AdmissionControl:
    """envoy.extensions.filters.http.admission_control.v3.AdmissionControl. Thresholds are shares, 0 to 1; the ranges of
    HTTP statuses are half open."""

    http_successes: tuple[tuple[int, int], ...] = ((0, 500),)
    grpc_successes: tuple[int, ...] = GRPC_SUCCESSES
    window_s: int = 30
    aggression: float = 1.0
    success_threshold: float = 0.95
    rps_threshold: int = 0
    max_rejection: float = 0.8
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class AdaptiveConcurrency:
    """envoy.extensions.filters.http.adaptive_concurrency.v3.AdaptiveConcurrency with its gradient controller.
    Percentages are shares, 0 to 1; `fixed_rtt_s` takes the place of measuring."""

    update_interval_s: float
    rtt_interval_s: float
    fixed_rtt_s: float = 0.0
    percentile: float = 0.5
    max_limit: int = 1000
    min_limit: int = 3
    rtt_requests: int = 50
    jitter: float = 0.15
    buffer: float = 0.25
    status: int = 503
    enabled: bool = True
