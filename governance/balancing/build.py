"""From a cluster's endpoints to the function that picks one."""

from __future__ import annotations

from collections.abc import Sequence

from ...xds.model.cluster import Cluster
from .context import Pick
from .hashed import hashed
from .host_set import HostSet
from .policies import HostPolicy, least_request, random, round_robin
from .setting import Memory, Setting
from .spread import spread
from .tables import TABLES

POLICIES: dict[str, HostPolicy] = {
    "ROUND_ROBIN": round_robin,
    "LEAST_REQUEST": least_request,
    "RANDOM": random,
    "CLUSTER_PROVIDED": round_robin,
}
"""Policies that choose among hosts as they come."""


def build_picker(cluster: Cluster, sets: Sequence[HostSet], setting: Setting, memory: Memory) -> Pick:
    """The picker of a cluster, or of one of its subsets, while its hosts are these.

    It is made anew when hosts come, go or change their health; what must go on is in `memory`.
    """
    table = TABLES.get(cluster.lb_policy)
    if table is not None:
        return hashed(sets, table, cluster.lb, setting, memory)
    return spread(sets, POLICIES.get(cluster.lb_policy, round_robin), cluster.lb, setting, memory)
