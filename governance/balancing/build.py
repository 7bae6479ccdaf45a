"""From a cluster's endpoints to the function that picks one."""

from collections.abc import Callable, Sequence

from ...xds.model.cluster import Cluster, LbConfig
from ...xds.model.values import Note
from .host import Host
from .policies import Draw, Pick, least_request, random, round_robin
from .tables import maglev, ring_hash

Policy = Callable[[Sequence[Host], LbConfig, Draw], Pick]

POLICIES: dict[str, Policy] = {
    "ROUND_ROBIN": round_robin,
    "LEAST_REQUEST": least_request,
    "RANDOM": random,
    "RING_HASH": ring_hash,
    "MAGLEV": maglev,
}

HEALTHY = frozenset({"UNKNOWN", "HEALTHY"})


def build_picker(cluster: Cluster, hosts: Sequence[Host], draw: Draw, notes: list[Note]) -> Pick:
    """The picker of a cluster. What the cluster asks for and is not done is said in `notes`."""
    policy = POLICIES.get(cluster.lb_policy, round_robin)
    pool = _lowest_priority(cluster, hosts, notes)
    usable = _usable(cluster, pool)
    if not usable:
        return lambda context: None
    if len(usable) == 1:
        only = usable[0]
        return lambda context: only
    return policy(usable, cluster.lb, draw)


def _lowest_priority(cluster: Cluster, hosts: Sequence[Host], notes: list[Note]) -> Sequence[Host]:
    """The endpoints of the lowest priority that has a healthy one, else of the lowest that has any."""
    priorities = sorted({host.priority for host in hosts})
    if len(priorities) > 1:
        notes.append(
            Note(
                cluster.name,
                "load_assignment.endpoints.priority",
                "spilling over is not implemented yet: the lowest priority with healthy endpoints takes all",
            )
        )
    if cluster.lb.locality_weighted and len({(host.locality, host.priority) for host in hosts}) > len(priorities):
        notes.append(
            Note(
                cluster.name,
                "common_lb_config.locality_weighted_lb_config",
                "locality weights are not implemented yet: all localities of a priority count alike",
            )
        )
    for priority in priorities:
        members = [host for host in hosts if host.priority == priority]
        if any(host.health in HEALTHY for host in members):
            return members
    return [host for host in hosts if host.priority == priorities[0]] if priorities else []


def _usable(cluster: Cluster, hosts: Sequence[Host]) -> Sequence[Host]:
    """Healthy hosts, else degraded ones; all of them in a panic (CommonLbConfig.healthy_panic_threshold)."""
    healthy = [host for host in hosts if host.health in HEALTHY]
    if len(healthy) == len(hosts):
        return hosts
    degraded = [host for host in hosts if host.health == "DEGRADED"]
    if 100 * (len(healthy) + len(degraded)) < cluster.lb.panic_threshold * len(hosts):
        return hosts
    return healthy or degraded
