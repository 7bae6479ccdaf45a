"""Which way a change goes: whether less is let through than before (`tightens`), more (`loosens`), or just other."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

Effect = Literal["tightens", "loosens", "changes"]

MORE_LOOSENS = frozenset(
    {
        "consecutive_5xx",
        "consecutive_gateway_failure",
        "consecutive_local_origin_failure",
        "connect_timeout_s",
        "failure_percentage_minimum_hosts",
        "failure_percentage_request_volume",
        "failure_percentage_threshold",
        "idle_timeout",
        "idle_timeout_s",
        "interval_s",
        "max_concurrent_streams",
        "max_connection_duration_s",
        "max_connection_pools",
        "max_connections",
        "max_connections_per_host",
        "max_pending_requests",
        "max_requests",
        "max_retries",
        "max_stream_duration_s",
        "max_tokens",
        "min_concurrency",
        "num_retries",
        "per_try_idle_timeout_s",
        "per_try_timeout",
        "per_try_timeout_s",
        "request_timeout_s",
        "retries",
        "stream_idle_timeout_s",
        "success_rate_minimum_hosts",
        "success_rate_request_volume",
        "success_rate_stdev_factor",
        "timeout",
        "timeout_s",
        "tokens_per_fill",
    }
)
"""A greater number lets more through, or waits for longer; none at all is the greatest."""

MORE_TIGHTENS = frozenset(
    {
        "base_ejection_time_s",
        "enforcing_consecutive_5xx",
        "enforcing_consecutive_gateway_failure",
        "enforcing_consecutive_local_origin_failure",
        "enforcing_failure_percentage",
        "enforcing_failure_percentage_local_origin",
        "enforcing_local_origin_success_rate",
        "enforcing_success_rate",
        "fill_interval",
        "fill_interval_s",
        "max_ejection_percent",
        "max_ejection_time_s",
    }
)
"""A greater number lets less through; none at all is the least."""

BEING_THERE_TIGHTENS = frozenset({"abort", "bucket", "delay", "outlier_detection", "retry_budget", "sans"})
"""A policy that was not there before."""

ORDERS: Mapping[str, tuple[Any, ...]] = {
    "mtls": ("DISABLE", "PERMISSIVE", "STRICT"),
    "outbound": ("ALLOW_ANY", "REGISTRY_ONLY"),
    "tls": ("DISABLE", "SIMPLE", "AUTO_MTLS", "MUTUAL"),
}
"""Modes from the loosest to the tightest."""

_INDEX = re.compile(r"\[[^]]*\]")
_DURATION = re.compile(r"(-?[0-9.]+)(?:s| s| %)")


def effect_of(path: str, old: Any, new: Any) -> Effect:
    """The effect of a field that changed, by the last part of its path."""
    name = _INDEX.sub("", path.rpartition(".")[2])
    order = ORDERS.get(name)
    if order is not None and old in order and new in order:
        return "tightens" if order.index(new) > order.index(old) else "loosens"
    if name in MORE_LOOSENS | MORE_TIGHTENS:
        before, after = _number(old), _number(new)
        if before is None and after is None:
            return "changes"
        nothing = float("inf") if name in MORE_LOOSENS else float("-inf")
        fewer = (nothing if after is None else after) < (nothing if before is None else before)
        return "tightens" if fewer is (name in MORE_LOOSENS) else "loosens"
    if name in BEING_THERE_TIGHTENS and (not old) != (not new):
        return "loosens" if not new else "tightens"
    return "changes"


def _number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value)
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    return float(found[1]) if found is not None else None
