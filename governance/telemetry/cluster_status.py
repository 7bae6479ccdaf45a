"""What the status document says of one cluster: docs/status.md describes every key."""

from __future__ import annotations

from typing import Any

from ..balancing.host import Host
from ..checking.checker import Checker
from ..cluster import ClusterRuntime, ClusterState
from ..outliers.detector import Detector
from ..pool import Breaker

Document = dict[str, Any]


def cluster_status(
    name: str, cluster: ClusterRuntime | None, state: ClusterState, offset: float, now: float
) -> Document:
    """The configuration in force, if any is, and what survives it. `offset`: from the runtime's clock to Unix time."""
    with state.lock:  # looking at a budget forgets what is over
        breakers = {"default": _breaker(state.normal, now), "high": _breaker(state.high, now)}
    return {
        "name": name,
        "in_force": cluster is not None,
        "type": None if cluster is None else cluster.config.type,
        "lb_policy": None if cluster is None else cluster.config.lb_policy,
        "endpoints": [] if cluster is None else [_endpoint(each, offset) for each in cluster.hosts],
        "breakers": breakers,
        "outlier_detection": None if state.detector is None else _detector(state.detector),
        "health_checks": None if state.checker is None else _checker(state.checker),
    }


def _endpoint(host: Host, offset: float) -> Document:
    locality, state = host.locality, host.state
    monitor = state.monitor
    out = monitor is not None and state.ejected
    return {
        "address": host.address,
        "health": host.health,
        "in_all": host.coarse_health,
        "failing": state.failing,
        "degraded": state.degraded or state.self_degraded,
        "pending": state.pending,
        "ejected": out,
        "ejected_until": round(monitor.ends_at + offset, 3) if monitor is not None and out else None,
        "ejections": 0 if monitor is None else monitor.ejections,
        "weight": host.weight,
        "reported_weight": None if state.load is None else state.load.weight,
        "priority": host.priority,
        "locality": "/".join((locality.region, locality.zone, locality.sub_zone)).rstrip("/"),
        "workload": host.endpoint.metadata.get("istio", {}).get("workload"),
        "tls": host.socket.tls,
        "tls_failure": state.not_secured or None,
        "active": state.active,
        "connections": sum(pool.size for pool in list(state.pools.values())),
    }


def _breaker(breaker: Breaker, now: float) -> Document:
    limits = breaker.limits
    return {
        "connections": {"now": breaker.connections, "limit": limits.max_connections},
        "pending": {"now": breaker.pending, "limit": limits.max_pending_requests},
        "requests": {"now": breaker.requests, "limit": limits.max_requests},
        "retries": {"now": breaker.retries, "limit": breaker.max_retries(now), "budget": _budget(breaker)},
        "pools": {"now": breaker.pools, "limit": limits.max_connection_pools},
        "overflows": dict(breaker.overflows),
    }


def _budget(breaker: Breaker) -> Document | None:
    budget = breaker.limits.retry_budget
    if budget is None:
        return None
    return {
        "percent": budget.percent,
        "min_concurrency": budget.min_concurrency,
        "interval_s": budget.interval_s or None,
    }


def _detector(detector: Detector) -> Document:
    return {
        "ejected": detector.active,
        "detected": dict(detector.detected),
        "enforced": dict(detector.enforced),
        "overflows": detector.overflows,
    }


def _checker(checker: Checker) -> Document:
    return {
        "asked": len(checker.sessions),
        "warm": checker.warm,
        "attempts": checker.attempts,
        "successes": checker.successes,
        "failures": dict(checker.failures),
    }
