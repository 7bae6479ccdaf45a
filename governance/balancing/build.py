"""From a cluster's endpoints to the function that picks one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ...xds.model.cluster import Cluster, LbConfig
from .client_side import client_side
from .context import Pick
from .extension import by_extension
from .hashed import hashed
from .host_set import HostSet
from .policies import HostPolicy, least_request, random, round_robin
from .setting import Memory, Setting
from .spread import spread
from .subsets import Subsets
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
    policy, config = cluster.lb_policy, cluster.lb
    subset = config.subset
    if subset is None:
        return _whole(policy, config, sets, setting, memory)
    aware = config.locality_weighted and subset.locality_weight_aware
    inner = replace(config, subset=None, locality_weighted=aware)

    def build(part: Sequence[HostSet], name: object) -> Pick:
        own = memory.parts.get(name)
        if own is None:
            own = memory.parts.setdefault(name, Memory(setting, memory.active))
        return _whole(policy, inner, part, setting, own)

    return Subsets(sets, subset, build).pick


def _whole(policy: str, config: LbConfig, sets: Sequence[HostSet], setting: Setting, memory: Memory) -> Pick:
    table = TABLES.get(policy)
    if table is not None:
        return hashed(sets, table, config, setting, memory)
    chosen = POLICIES.get(policy, round_robin)
    if config.extension is not None:
        chosen = by_extension(config.extension)
    if config.client_side is not None:
        return client_side(
            sets, config.client_side, setting, memory, lambda: spread(sets, chosen, config, setting, memory)
        )
    return spread(sets, chosen, config, setting, memory)
