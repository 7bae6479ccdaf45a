"""Filters that mean nothing inside a process, and what is said of those that are not done."""

from __future__ import annotations

INERT_NAMES = frozenset({"istio.metadata_exchange", "istio.stats", "istio_authn", "envoy.filters.http.grpc_stats"})
"""HTTP filters that observe or exchange what has no meaning inside a process, by the names that istiod gives them."""

INERT_TYPES = frozenset(
    {
        "envoy.extensions.filters.http.grpc_stats.v3.FilterConfig",
        "io.istio.http.peer_metadata.Config",
        "stats.PluginConfig",
    }
)

INERT_NETWORK_FILTERS = frozenset({"istio.metadata_exchange", "istio.stats"})
"""The same for filters of connections."""

INERT_NETWORK_TYPES = frozenset({"envoy.tcp.metadataexchange.config.MetadataExchange", "stats.PluginConfig"})

NOT_DONE = "this version of proxyless does not implement it"
