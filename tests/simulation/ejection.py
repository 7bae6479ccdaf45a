"""How long bad endpoints go on to be asked: outlier detection sees what one client asks, and no more."""

from __future__ import annotations

from dataclasses import dataclass

from proxyless.governance.balancing.host_set import HostSet
from proxyless.governance.outliers.detector import Detector
from proxyless.xds.model.cluster import Cluster, OutlierDetection

from .clockwork import Clockwork
from .fleet import Client, endpoints
from .report import Plot, Report, Series

PER_S = 100
"""Requests of one client in a second."""
BAD = 20
"""One endpoint of so many answers 503."""
SIZES = (100, 1000, 10_000)
CONFIG = OutlierDetection(consecutive_5xx=5, interval_s=10.0, base_ejection_time_s=30.0, max_ejection_percent=10)


@dataclass(frozen=True, slots=True)
class Seen:
    """Percent of a client's requests that fail, by the step of ten seconds; its ejections."""

    hosts: int
    failing: tuple[float, ...]
    ejections: int


def simulate(hosts: int, seed: int, *, seconds: int = 600, step_s: int = 10) -> Seen:
    """One client; others are like it and change nothing for it."""
    clock = Clockwork()
    members = endpoints(hosts)
    sets = [HostSet(members)]
    client = Client(Cluster("fleet"), sets, seed, clock)
    changed = False

    def look() -> None:
        nonlocal changed
        changed = True

    detector = Detector("fleet", clock, lambda n: int(client.uniform() * n), look, lambda event: None)
    detector.configure(CONFIG, {host.address: host.state for host in members})
    bad = {host for number, host in enumerate(members) if number % BAD == 0}
    failing = []
    for _ in range(seconds // step_s):
        failed = 0
        for _ in range(step_s * PER_S):
            clock.now += 1.0 / PER_S
            detector.look(clock.now)
            if changed:
                sets, changed = [each.again() for each in sets], False
                client.look(sets)
            host = client.begin()
            assert host is not None
            client.end(host)
            assert host.state.monitor is not None
            host.state.monitor.status(503 if host in bad else 200)
            failed += host in bad
        failing.append(100.0 * failed / (step_s * PER_S))
    return Seen(hosts, tuple(failing), sum(detector.enforced.values()))


def report(seed: int = 1, *, clients: int = 2, seconds: int = 600) -> Report:
    """The mean of a few clients for each size."""
    rows = []
    lines = []
    for hosts in SIZES:
        seen = [simulate(hosts, seed + number, seconds=seconds) for number in range(clients)]
        mean = [sum(each.failing[step] for each in seen) / clients for step in range(len(seen[0].failing))]
        first = next((10 * (step + 1) for step, value in enumerate(mean) if value < mean[0] / 2), None)
        rows.append(
            (
                f"{hosts:,}",
                mean[0],
                mean[6],
                mean[-1],
                f"{first} s" if first else f"not in {seconds} s",
                sum(each.ejections for each in seen) / clients,
            )
        )
        lines.append(Series(f"{hosts:,} endpoints", [10.0 * step for step in range(len(mean))], mean))
    return Report(
        "Ejection, by the size of the fleet",
        f"A client asks {PER_S} times a second, round robin; one endpoint in {BAD} answers 503. Outlier detection: "
        "five in a row, 30 s and longer each time, at most 10 % of the endpoints. Percent of requests that fail:",
        ("endpoints", "at first", "after a minute", "at the end", "halved after", "ejections of a client"),
        rows,
        "Each client finds out for itself. With 10,000 endpoints it asks each of them once in 100 seconds: five "
        "failures take more than eight minutes, and an ejection of 30 seconds is over before the endpoint's next turn. "
        "At that size failures in a row protect nobody. Active health checks do, or a control plane that takes bad "
        "endpoints out of EDS, or a subset of the endpoints for each client.",
        [Plot("ejection", "Requests that fail while one endpoint in 20 is bad", "seconds", "percent", lines)],
    )
