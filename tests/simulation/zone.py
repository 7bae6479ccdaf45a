"""A zone whose endpoints fail one after the other: where the requests of its clients go."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from proxyless.governance.balancing.host import Host
from proxyless.governance.balancing.host_set import HostSet
from proxyless.xds.model.cluster import Cluster, LbConfig

from .clockwork import Clockwork
from .fleet import Client, endpoints
from .report import Plot, Report, Series

ZONES = ("a", "b", "c")


@dataclass(frozen=True, slots=True)
class Moment:
    """Percent of the endpoints of zone a that are healthy; of its clients' requests, percent that stay; load of the
    endpoints that are left, over what they had before: of zone a and of the others; requests that nobody takes."""

    healthy: float
    stay: float
    own_load: float
    other_load: float
    failed: int


def simulate(seed: int = 1, *, clients: int = 1000, hosts: int = 10_000, each: int = 20) -> list[Moment]:
    """Failover as istiod encodes it: the own zone has priority 0, all others 1; no panic."""
    clock = Clockwork()
    members = endpoints(hosts, *ZONES)
    cluster = Cluster("fleet", lb=LbConfig(panic_threshold=0))
    by_zone = {zone: [host for host in members if host.locality.zone == zone] for zone in ZONES}
    sets = {
        zone: [HostSet(by_zone[zone]), HostSet([host for host in members if host.locality.zone != zone])]
        for zone in ZONES
    }
    fleet = [Client(cluster, sets[ZONES[number % 3]], seed + number, clock) for number in range(clients)]
    found = []
    failing = by_zone["a"]
    size = len(failing)
    for tenths in range(11):
        for host in failing[size * (tenths - 1) // 10 if tenths else 0 : size * tenths // 10]:
            host.state.failing = True  # what EDS or a health check says
        sets = {zone: [each_.again() for each_ in found_] for zone, found_ in sets.items()}
        taken: Counter[Host] = Counter()
        stayed = failed = 0
        for number, client in enumerate(fleet):
            client.look(sets[ZONES[number % 3]])
            for _ in range(each):
                picked = client.begin()
                if picked is None:
                    failed += 1
                    continue
                client.end(picked)
                taken[picked] += 1
                stayed += number % 3 == 0 and picked.locality.zone == "a"
        mean = clients * each / hosts
        left = [host for host in failing if not host.state.failing]
        others = [host for host in members if host.locality.zone != "a"]
        found.append(
            Moment(
                100.0 * len(left) / size,
                100.0 * stayed / (len(fleet[::3]) * each),
                sum(taken[host] for host in left) / len(left) / mean if left else 0.0,
                sum(taken[host] for host in others) / len(others) / mean,
                failed,
            )
        )
    return found


def report(seed: int = 1, *, clients: int = 1000, hosts: int = 10_000) -> Report:
    """The zone goes down in ten steps."""
    found = simulate(seed, clients=clients, hosts=hosts)
    x = [100.0 - each.healthy for each in found]
    return Report(
        "A failing zone",
        f"{clients:,} clients and {hosts:,} endpoints in three zones; clients prefer their own (locality failover: the "
        "own zone has priority 0). In zone a one tenth of the endpoints after the other fails. Load is over what an "
        "endpoint had when all were well.",
        ("healthy in zone a", "its requests that stay", "load of what is left of it", "load of other zones", "failed"),
        [(f"{e.healthy:.0f} %", f"{e.stay:.0f} %", e.own_load, e.other_load, e.failed) for e in found],
        "Until 71 % are left everything stays (the overprovisioning factor is 140 %), so those that are left carry "
        "1.4 times their load: that is the head room that each zone needs. From there on requests leave in proportion; "
        "when the zone is gone the two others carry half as much again. No request fails at any step.",
        [
            Plot(
                "zone",
                "Load of an endpoint while zone a fails",
                "percent of zone a that has failed",
                "load over the load before",
                [
                    Series("what is left of zone a", x[:-1], [each.own_load for each in found[:-1]]),
                    Series("zones b and c", x, [each.other_load for each in found]),
                ],
            )
        ],
    )
