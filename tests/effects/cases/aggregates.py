"""Aggregate clusters: which clusters are joined."""

from __future__ import annotations

from ..registry import Effect, effect
from ..resources import cluster, extension, shop
from ..seeing import explained

AGGREGATE = "envoy.extensions.clusters.aggregate.v3.ClusterConfig"

CASES: list[Effect] = [
    effect(
        AGGREGATE + ".clusters",
        shop(
            action={"cluster": "all"},
            clusters=[
                cluster(
                    "all",
                    lb_policy="CLUSTER_PROVIDED",
                    cluster_type=extension(AGGREGATE, "envoy.clusters.aggregate", clusters=["none", "b", "c"]),
                )
            ],
        ),
        explained("cluster", "endpoint", "lb_policy"),
        ("all", "10.0.0.3:80", "CLUSTER_PROVIDED"),
    )
]
