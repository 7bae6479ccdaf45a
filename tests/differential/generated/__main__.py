"""`python -m tests.differential.generated`: many generated requests, in as many processes as there are processors.

Prints the seed first, then what was hit how often; exit status 1 where Envoy and proxyless differ (with the smallest
case that still does) or where something was hit too seldom.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

from tests.differential.comparison import told
from tests.differential.facts import RECORDED
from tests.differential.generated.cases import EACH, drawn
from tests.differential.generated.counting import Census
from tests.differential.generated.entry import entry
from tests.differential.generated.running import run, smallest
from tests.differential.recording import Recording

CASES = 50
"""Cases in one Envoy."""

SHOWN = 3


@dataclass
class Report:
    """What came of one batch."""

    census: Census = field(default_factory=Census)
    differences: list[str] = field(default_factory=list)


def batch(seed: int, number: int, cases: int, base: Recording | None = None) -> Report:
    """Batch `number` of a seed."""
    base = base or Recording.load(RECORDED)
    made = drawn(seed * 100_003 + number, cases)
    outcome = run(base, made)
    report = Report()
    report.census.add(made, outcome.answers)
    kinds = {(found.client, *sorted(found.difference.fields)): found for found in reversed(outcome.found)}
    for found in list(kinds.values())[:SHOWN]:
        small, seen = smallest(base, made[found.case], found)
        report.differences.append(f"{entry(f'{found.client} {seed}', small)}\n{seen}")
    if outcome.found:
        report.differences.append(told([each.difference for each in outcome.found]))
    return report


def whole(requests: int, seed: int, processes: int) -> Report:
    """All batches of a run."""
    cases = -(-requests // EACH)
    sizes = [min(CASES, cases - start) for start in range(0, cases, CASES)]
    total = Report()
    with ProcessPoolExecutor(processes) as pool:
        for report in pool.map(batch, [seed] * len(sizes), range(len(sizes)), sizes):
            total.census.merge(report.census)
            total.differences += report.differences
            for text in report.differences:
                print(text, flush=True)
    return total


def main(arguments: list[str]) -> int:
    """Run, print, and say whether all is well."""
    parser = argparse.ArgumentParser(prog="python -m tests.differential.generated")
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=None, help="a fresh one by default")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args(arguments)
    seed = int.from_bytes(os.urandom(4)) if given.seed is None else given.seed
    print(f"make differential N={given.requests} SEED={seed}", flush=True)
    started = time.monotonic()
    total = whole(given.requests, seed, given.processes)
    census = total.census
    print(census.table())
    missing = census.missing()
    print(f"{census.requests} requests, {time.monotonic() - started:.0f} s, least {census.least()} of each: ", end="")
    print(f"{len(total.differences)} differences; too seldom: {missing or 'nothing'}; seed {seed}")
    return 1 if missing or total.differences else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
