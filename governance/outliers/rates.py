"""Which hosts' rates of success are too low (envoy source: DetectorImpl::processSuccessRateEjections)."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import Generic, TypeVar

from ...xds.model.cluster import OutlierDetection
from ...xds.model.records import dataclass

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Outliers(Generic[T]):
    """`by_rate` are below the `threshold` that the `average` of all gives; `by_percentage` fail too often by
    themselves. With each its rate in percent."""

    by_rate: Sequence[tuple[T, float]] = ()
    by_percentage: Sequence[tuple[T, float]] = ()
    average: float | None = None
    threshold: float | None = None


def find_outliers(counts: Sequence[tuple[T, int, int]], hosts: int, config: OutlierDetection) -> Outliers[T]:
    """`counts`: (host, good, all) of those in rotation; `hosts`: how many the cluster has, ejected ones too."""
    if hosts < config.success_rate_minimum_hosts and hosts < config.failure_percentage_minimum_hosts:
        return Outliers()
    rates = [(host, 100.0 * good / total, total) for host, good, total in counts if total]
    average = threshold = None
    by_rate: list[tuple[T, float]] = []
    judged = [(host, rate) for host, rate, total in rates if total >= config.success_rate_request_volume]
    if judged and len(judged) >= config.success_rate_minimum_hosts:
        average = sum(rate for _, rate in judged) / len(judged)
        variance = sum((rate - average) ** 2 for _, rate in judged) / len(judged)
        threshold = average - config.success_rate_stdev_factor / 1000 * sqrt(variance)
        by_rate = [(host, rate) for host, rate in judged if rate < threshold]
    judged = [(host, rate) for host, rate, total in rates if total >= config.failure_percentage_request_volume]
    by_percentage: list[tuple[T, float]] = []
    if judged and len(judged) >= config.failure_percentage_minimum_hosts:
        by_percentage = [pair for pair in judged if 100.0 - pair[1] >= config.failure_percentage_threshold]
    return Outliers(by_rate, by_percentage, average, threshold)
