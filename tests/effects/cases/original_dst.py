"""Clusters whose endpoint is what was dialled, or what the request names."""

from __future__ import annotations

from typing import Any

from ..registry import Effect, effect
from ..resources import Json, Shop, cluster, extension, shop
from ..seeing import explained, refusals

CLUSTER = "envoy.config.cluster.v3.Cluster."
OLDER = CLUSTER + "OriginalDstLbConfig."
TYPED = "envoy.extensions.clusters.original_dst.v3.OriginalDstCluster"
NAMED = [("x-envoy-original-dst-host", "10.9.0.1:81"), ("x-to", "10.9.0.2:82")]


def older(**config: Any) -> Shop:
    """By the cluster's own fields."""
    return shop(
        clusters=[cluster("a", type="ORIGINAL_DST", lb_policy="CLUSTER_PROVIDED", original_dst_lb_config=config)]
    )


def by_type(**config: Any) -> Shop:
    """By the extension."""
    kind: Json = extension(TYPED, "envoy.cluster.original_dst", **config)
    return shop(clusters=[cluster("a", lb_policy="CLUSTER_PROVIDED", cluster_type=kind)])


WHERE = explained("endpoint", headers=NAMED, url="http://10.8.0.1:80/")

CASES: list[Effect] = [
    effect(CLUSTER + "original_dst_lb_config", older(use_http_header=True), WHERE, "10.9.0.1:81"),
    effect(OLDER + "use_http_header", older(use_http_header=True), WHERE, "10.9.0.1:81"),
    effect(OLDER + "http_header_name", older(use_http_header=True, http_header_name="x-to"), WHERE, "10.9.0.2:82"),
    effect(OLDER + "upstream_port_override", older(upstream_port_override=99), WHERE, "10.8.0.1:99"),
    effect(OLDER + "http_header_name", older(http_header_name="x-to"), refusals, what="refused"),
    effect(TYPED + ".use_http_header", by_type(use_http_header=True), WHERE, "10.9.0.1:81"),
    effect(TYPED + ".http_header_name", by_type(use_http_header=True, http_header_name="x-to"), WHERE, "10.9.0.2:82"),
    effect(TYPED + ".upstream_port_override", by_type(upstream_port_override=99), WHERE, "10.8.0.1:99"),
]
