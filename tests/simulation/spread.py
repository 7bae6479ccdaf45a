"""How evenly the policies load the endpoints of a large fleet."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass
from functools import partial

from proxyless.governance.balancing.context import PickContext
from proxyless.governance.balancing.host import Host
from proxyless.governance.balancing.host_set import HostSet
from proxyless.xds.model.cluster import Cluster, LbConfig, LbPolicy

from .clockwork import Clockwork
from .fleet import Client, endpoints
from .report import Plot, Report, Series

Policy = tuple[str, LbPolicy, LbConfig]
POLICIES: tuple[Policy, ...] = (
    ("ROUND_ROBIN", "ROUND_ROBIN", LbConfig()),
    ("LEAST_REQUEST", "LEAST_REQUEST", LbConfig()),
    ("RANDOM", "RANDOM", LbConfig()),
    ("RING_HASH", "RING_HASH", LbConfig()),
    ("RING_HASH, 300,000 entries", "RING_HASH", LbConfig(ring_min=300_000)),
    ("MAGLEV", "MAGLEV", LbConfig()),
)


@dataclass(frozen=True, slots=True)
class Spread:
    """Requests of each endpoint: least, median, 99th percentile, most; of the busiest moment, how many at once."""

    policy: str
    mean: float
    counts: tuple[int, ...]
    at_once: int

    def at(self, share: float) -> int:
        """A percentile of the counts."""
        return self.counts[min(len(self.counts) - 1, int(share * len(self.counts)))]


def simulate(
    policy: str, kind: LbPolicy, config: LbConfig, *, clients: int, hosts: int, each: int, seed: int
) -> Spread:
    """Every client sends `each` requests, at times of its own within ten seconds; one takes 0.1 s, more or less."""
    clock = Clockwork()
    chance = random.Random(seed)
    members = endpoints(hosts)
    sets = [HostSet(members)]
    cluster = Cluster("fleet", lb_policy=kind, lb=config)
    views = 1 if _by_hash(kind) else clients  # by hash all clients have the same table
    fleet = [Client(cluster, sets, seed * 1_000_003 + number, clock) for number in range(views)]
    counts: Counter[Host] = Counter()
    now: Counter[Host] = Counter()
    busiest = 0

    def begin(client: Client, context: PickContext) -> None:
        nonlocal busiest
        host = client.begin(context)
        assert host is not None
        counts[host] += 1
        now[host] += 1
        busiest = max(busiest, now[host])
        clock.after(chance.expovariate(10.0), partial(end, client, host))

    def end(client: Client, host: Host) -> None:
        client.end(host)
        now[host] -= 1

    for number in range(clients):
        client = fleet[number % views]
        for _ in range(each):
            context = PickContext(chance.getrandbits(64)) if _by_hash(kind) else PickContext()
            clock.at(chance.random() * 10.0, partial(begin, client, context))
    clock.run(1000.0)
    found = sorted(counts[host] for host in members)
    return Spread(policy, clients * each / hosts, tuple(found), busiest)


def _by_hash(kind: LbPolicy) -> bool:
    return kind in ("RING_HASH", "MAGLEV")


def report(seed: int = 1, *, clients: int = 1000, hosts: int = 10_000, each: int = 40) -> Report:
    """Every policy on one fleet."""
    found = [simulate(*policy, clients=clients, hosts=hosts, each=each, seed=seed) for policy in POLICIES]
    shares = [number / 200 for number in range(200)]
    return Report(
        "Who gets how much",
        f"{clients:,} clients send {each} requests each to {hosts:,} endpoints, {clients * each / hosts:.0f} for each "
        "endpoint if they were dealt out evenly. Keys of hash policies are all different.",
        ("policy", "least", "median", "99th percentile", "most", "most at once"),
        [(s.policy, s.counts[0], s.at(0.5), s.at(0.99), s.counts[-1], s.at_once) for s in found],
        "A client knows its own requests only, and has one or two under way: least request then sees no difference "
        "between two endpoints and is as good as chance, and so is round robin, whose clients begin anywhere. What "
        "they do against a slow endpoint needs many requests of one client. A ring of the default size has hardly one "
        "entry for each endpoint: some get nothing, others ten times their share; thirty entries for each "
        "come near chance. Maglev's table of 65,537 has six or seven for each.",
        [
            Plot(
                "spread",
                "Requests of an endpoint over the mean, endpoints in order of their load",
                "share of the endpoints",
                "requests over the mean",
                [Series(s.policy, shares, [s.at(share) / s.mean for share in shares]) for s in found],
            )
        ],
    )
