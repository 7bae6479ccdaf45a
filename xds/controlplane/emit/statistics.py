"""Metrics: Telemetry's `metrics` and the mesh's default providers as the proxy's statistics filters.

Only providers of kind `prometheus` have a filter. The overrides of all levels are laid over one another, metric by
metric, for callers and for servers apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ...wire.schema.types import istio_stats, listener_v3
from ..api.telemetry import MetricSelector, MetricsOverrides, TagOverride, Telemetry
from ..mesh import MeshConfig
from ..registry.extensions import Side
from .filters import HttpFilter
from .messages import duration, pack

NAME = "istio.stats"

# Istio's metrics, by the names that Prometheus has for them; the order is that of the configuration.
METRICS = {
    "GRPC_REQUEST_MESSAGES": "request_messages_total",
    "GRPC_RESPONSE_MESSAGES": "response_messages_total",
    "REQUEST_COUNT": "requests_total",
    "REQUEST_DURATION": "request_duration_milliseconds",
    "REQUEST_SIZE": "request_bytes",
    "RESPONSE_SIZE": "response_bytes",
    "TCP_CLOSED_CONNECTIONS": "tcp_connections_closed_total",
    "TCP_OPENED_CONNECTIONS": "tcp_connections_opened_total",
    "TCP_RECEIVED_BYTES": "tcp_received_bytes_total",
    "TCP_SENT_BYTES": "tcp_sent_bytes_total",
}


@dataclass(frozen=True, slots=True)
class Statistics:
    """The filters of one direction, for requests and for connections."""

    http: tuple[HttpFilter, ...] = ()
    tcp: tuple[listener_v3.Filter, ...] = ()


@dataclass(frozen=True, slots=True)
class _Override:
    drop: bool = False
    tags: Mapping[str, TagOverride] = field(default_factory=dict)


@dataclass(slots=True)
class _Wanted:
    """What one provider is told; `silent` ones are told nothing."""

    silent: bool = False
    interval: float | None = None
    overrides: dict[str, _Override] = field(default_factory=dict)


def statistics(applied: Sequence[Telemetry], side: Side, mesh: MeshConfig) -> Statistics:
    configs = [
        pack(_config(wanted, side))
        for name, wanted in sorted(_wanted(applied, side, mesh).items())
        if not wanted.silent and (provider := mesh.provider(name)) is not None and provider.prometheus is not None
    ]
    return Statistics(
        tuple(HttpFilter(name=NAME, typed_config=each) for each in configs),
        tuple(listener_v3.Filter(name=NAME, typed_config=each) for each in configs),
    )


def _wanted(applied: Sequence[Telemetry], side: Side, mesh: MeshConfig) -> dict[str, _Wanted]:
    """By provider. The innermost level that names providers says which ones there are."""
    defaults = mesh.default_providers.metrics
    every = [metrics for telemetry in applied for metrics in telemetry.metrics]
    named = [tuple(provider.name for provider in metrics.providers) for metrics in every]
    in_scope = next((names for names in reversed(named) if names), defaults)
    if not every:
        return {name: _Wanted() for name in defaults}
    out: dict[str, _Wanted] = {}
    inherited = defaults
    for metrics, names in zip(every, named, strict=True):
        inherited = names or inherited
        for name in inherited:
            if name not in in_scope:
                continue
            wanted = out.setdefault(name, _Wanted())
            if metrics.reporting_interval is not None:
                wanted.interval = metrics.reporting_interval
            for override in metrics.overrides:
                _lay(wanted, override, side)
    return out


def _lay(wanted: _Wanted, override: MetricsOverrides, side: Side) -> None:
    match = override.match or MetricSelector()
    if match.mode not in ("CLIENT_AND_SERVER", side):
        return
    every = match.custom_metric is None and match.metric in (None, "ALL_METRICS")
    wanted.silent = every and bool(override.disabled)
    if wanted.silent:
        return
    for metric in METRICS if every else (match.custom_metric or str(match.metric),):
        known = wanted.overrides.get(metric, _Override())
        if override.disabled is not None:
            known = replace(known, drop=override.disabled)
        wanted.overrides[metric] = replace(known, tags={**known.tags, **override.tag_overrides})


def _config(wanted: _Wanted, side: Side) -> istio_stats.PluginConfig:
    return istio_stats.PluginConfig(
        disable_host_header_fallback=side == "SERVER",
        tcp_reporting_duration=None if wanted.interval is None else duration(wanted.interval),
        metrics=_metrics(wanted.overrides),
    )


def _metrics(overrides: Mapping[str, _Override]) -> Iterable[istio_stats.MetricConfig]:
    for metric, override in sorted(overrides.items()):
        tags = sorted(override.tags.items())
        yield istio_stats.MetricConfig(
            name=METRICS.get(metric, metric),
            drop=override.drop,
            dimensions={tag: each.value for tag, each in tags if each.operation == "UPSERT"},
            tags_to_remove=[tag for tag, each in tags if each.operation == "REMOVE"],
        )
