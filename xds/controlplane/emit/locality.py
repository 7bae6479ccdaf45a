"""Locality load balancing: priorities and weights of endpoints as seen from the proxy's own locality."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...wire.schema.types import cluster_v3
from ..api.destination_rule import (
    Failover,
    LoadBalancerSettings,
    LocalityLoadBalancerSetting,
    ZoneAwareLoadBalancerSetting,
)
from ..mesh import MeshConfig
from ..registry.endpoints import HOSTNAME, NETWORK, REGION, SUBZONE, ZONE, Endpoint, locality_parts
from ..registry.services import Service
from .groups import Group, Locality
from .messages import percent, u64


@dataclass(frozen=True, slots=True)
class Setting:
    """The setting in force: of the DestinationRule, else of the service's trafficDistribution, else of the mesh."""

    locality: LocalityLoadBalancerSetting | None
    zone_aware: ZoneAwareLoadBalancerSetting | None = None
    forced: bool = False  # fail over without outlier detection

    @property
    def _routing(self) -> bool:
        return self.zone_aware is not None and self.zone_aware.enabled is not False

    def configure(self, cluster: cluster_v3.Cluster) -> None:
        """What of it shows in the cluster."""
        common = cluster.common_lb_config
        if self.zone_aware is not None:
            common.zone_aware_lb_config.SetInParent()
            if not self._routing:
                common.zone_aware_lb_config.routing_enabled.CopyFrom(percent(0))
            if self.zone_aware.min_cluster_size is not None:
                common.zone_aware_lb_config.min_cluster_size.CopyFrom(u64(self.zone_aware.min_cluster_size))
            return
        fails_over = self.forced or cluster.HasField("outlier_detection")
        wanted = self.locality
        if wanted is not None and (wanted.distribute or (fails_over and (wanted.failover or wanted.failover_priority))):
            common.locality_weighted_lb_config.SetInParent()

    def arrange_within(
        self,
        cluster: cluster_v3.Cluster,
        first: Sequence[Endpoint],
        own: Locality,
        labels: Mapping[str, str],
    ) -> None:
        """The same for a cluster that holds its endpoints; `first` are those of its first group, where they count."""
        held = cluster.load_assignment.endpoints
        groups = [Group.of(each) for each in held]
        known = [first] if first else []
        made = self.arrange(groups, known, own, labels, ejects=cluster.HasField("outlier_detection"))
        del held[:]
        held.extend([group.message() for group in made])

    def arrange(
        self,
        groups: list[Group],
        endpoints: Sequence[Sequence[Endpoint]],
        own: Locality,
        labels: Mapping[str, str],
        *,
        ejects: bool,
    ) -> list[Group]:
        """Groups with priorities and weights; `endpoints` are those of each group in order.

        A group of which they are missing cannot be told apart by labels: it is left out where another can.
        """
        if self.zone_aware is not None:
            if not self._routing:
                return groups
            if self.zone_aware.failover_priority:
                groups = _by_labels(groups, endpoints, labels, self.zone_aware.failover_priority)
            _by_region(groups, own, self.zone_aware.failover)
            return groups
        wanted = self.locality
        if wanted is None:
            return groups
        if wanted.distribute:
            _distribute(groups, own, wanted)
        elif ejects or self.forced:
            if wanted.failover_priority:
                groups = _by_labels(groups, endpoints, labels, wanted.failover_priority)
                if wanted.failover:
                    _by_distance(groups, own, wanted.failover)
            else:
                _by_distance(groups, own, wanted.failover)
        return groups


def effective(settings: LoadBalancerSettings | None, service: Service, mesh: MeshConfig) -> Setting | None:
    """None where locality balancing is switched off."""
    if settings is not None:
        if settings.zone_aware_lb_setting is not None:
            return Setting(None, settings.zone_aware_lb_setting)
        own = settings.locality_lb_setting
        if own is not None:
            return None if own.enabled is False else Setting(own)
    if service.traffic_distribution == "PreferSameZone":
        return Setting(LocalityLoadBalancerSetting(failover_priority=(NETWORK, REGION, ZONE)), forced=True)
    if service.traffic_distribution == "PreferSameNode":
        order = (NETWORK, REGION, ZONE, SUBZONE, HOSTNAME)
        return Setting(LocalityLoadBalancerSetting(failover_priority=order), forced=True)
    if mesh.zone_aware_lb_setting is not None:
        return Setting(None, mesh.zone_aware_lb_setting)
    of_mesh = mesh.locality_lb_setting
    return None if of_mesh is None or of_mesh.enabled is False else Setting(of_mesh)


def _fits(region: str, zone: str, subzone: str, pattern: str) -> bool:
    """Whether a locality is within a pattern: `*` for anything, missing parts for anything."""
    wanted = locality_parts(pattern)
    return wanted[0] in ("*", region) and wanted[1] in ("*", "", zone) and wanted[2] in ("*", "", subzone)


def _distribute(groups: list[Group], own: Locality, setting: LocalityLoadBalancerSetting) -> None:
    for rule in setting.distribute:
        if not _fits(*own, rule.from_):
            continue
        left = dict.fromkeys(range(len(groups)))
        for pattern, weight in rule.to.items():
            chosen = {}
            for index in list(left):
                group = groups[index]
                if _fits(*group.locality, pattern):
                    del left[index]
                    chosen[index] = 1 if group.weight is None else group.weight
            total = sum(chosen.values())
            for index, original in chosen.items():
                share = math.ceil(original * weight / total) if total else 0
                if share > 0:
                    groups[index].weight = share
        for index in left:
            groups[index].endpoints = []
        return


def _distance(own: Locality, at: Locality) -> int:
    """0 same place, 1 same zone, 2 same region, 3 elsewhere."""
    if at[0] != own[0]:
        return 3
    if at[1] != own[1]:
        return 2
    return 0 if at[2] == own[2] else 1


def _compact(groups: list[Group], wanted: list[int]) -> None:
    """Priorities without gaps: Envoy refuses gaps."""
    order = {priority: index for index, priority in enumerate(sorted(set(wanted)))}
    for group, priority in zip(groups, wanted, strict=True):
        group.priority = order[priority]


def _by_distance(groups: list[Group], own: Locality, failover: Sequence[Failover]) -> None:
    wanted = []
    for group in groups:
        at = group.locality
        distance = _distance(own, at)
        if distance == 3:
            target = next((rule.to for rule in failover if rule.from_ == own[0]), None)
            if target is not None and at[0] != target:
                distance = 4
        wanted.append(group.priority * 5 + distance)
    _compact(groups, wanted)


def _by_region(groups: list[Group], own: Locality, failover: Sequence[Failover]) -> None:
    wanted = []
    for group in groups:
        region = group.locality[0]
        target = next((rule.to for rule in failover if rule.from_ == own[0]), None)
        rank = 0 if region == own[0] else 1 if region == target else 2
        wanted.append(group.priority * 3 + rank)
    _compact(groups, wanted)


def _by_labels(
    groups: list[Group], endpoints: Sequence[Sequence[Endpoint]], labels: Mapping[str, str], order: Sequence[str]
) -> list[Group]:
    """Splits each group by how many of the labels, from the first on, an endpoint shares with the proxy."""
    if not labels or not endpoints:
        return groups
    names = [item.partition("=")[0] for item in order]
    given = {item.partition("=")[0]: item.partition("=")[2] for item in order if "=" in item}
    out: list[Group] = []
    for group, members in zip(groups, endpoints, strict=False):
        by_rank: dict[int, list[int]] = {}
        for index, endpoint in enumerate(members):
            by_rank.setdefault(_rank(endpoint, names, given, labels), []).append(index)
        for rank in sorted(by_rank):
            part = [group.endpoints[index] for index in by_rank[rank]]
            out.append(Group(group.locality, part, sum(weight for _, weight in part), rank))
    _compact(out, [group.priority for group in out])
    return out


def _rank(endpoint: Endpoint, names: list[str], given: Mapping[str, str], labels: Mapping[str, str]) -> int:
    """0 if all labels agree; a label further down that differs ranks better. The network weighs more than all."""
    theirs = endpoint.workload.labels
    adjust = 0
    for index, name in enumerate(names):
        mine = given.get(name, labels.get(name, ""))
        if mine != theirs.get(name, ""):
            if index == 0 and name == NETWORK:
                adjust = len(names)
                continue
            return len(names) - index + adjust
    return adjust
