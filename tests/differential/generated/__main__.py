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
from tests.differential.generated import keys
from tests.differential.generated.cases import EACH, case
from tests.differential.generated.counting import Census
from tests.differential.generated.drawing import drawn
from tests.differential.generated.entry import entry, keyed_entry
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
    made = drawn(case(), seed * 100_003 + number, cases)
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


def key_batch(seed: int, number: int, cases: int, base: Recording | None = None) -> Report:
    """Batch `number` of keys of a seed."""
    base = base or Recording.load(RECORDED)
    made = drawn(keys.keyed(), seed * 100_019 + number, cases)
    report = Report()
    wrong = []
    for pick in keys.picks(base, made):
        case = made[pick.case][0]
        if pick.ours is not None:
            report.census.add_key(case, pick.asked)
            if pick.ours != pick.theirs:
                wrong.append(pick)
    if wrong:
        small = keys.smallest(base, made[wrong[0].case][0], wrong[0].asked)
        report.differences += [keyed_entry(f"keys {seed}", *small), f"{len(wrong)} keys differ, first {wrong[0]}"]
    return report


def whole(requests: int, key_count: int, seed: int, processes: int) -> Report:
    """All batches of a run."""
    sizes = _sizes(-(-requests // EACH))
    key_sizes = _sizes(-(-key_count // keys.LEAST_KEYS))
    total = Report()
    with ProcessPoolExecutor(processes) as pool:
        begun = [pool.submit(batch, seed, number, size) for number, size in enumerate(sizes)]
        begun += [pool.submit(key_batch, seed, number, size) for number, size in enumerate(key_sizes)]
        for each in begun:
            report = each.result()
            total.census.merge(report.census)
            total.differences += report.differences
            for text in report.differences:
                print(text, flush=True)
    return total


def _sizes(cases: int) -> list[int]:
    return [min(CASES, cases - start) for start in range(0, cases, CASES)]


def main(arguments: list[str]) -> int:
    """Run, print, and say whether all is well."""
    parser = argparse.ArgumentParser(prog="python -m tests.differential.generated")
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--keys", type=int, default=None, help="half as many as requests by default")
    parser.add_argument("--seed", type=int, default=None, help="a fresh one by default")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args(arguments)
    seed = int.from_bytes(os.urandom(4)) if given.seed is None else given.seed
    print(f"make differential N={given.requests} SEED={seed}", flush=True)
    started = time.monotonic()
    key_count = given.requests // 2 if given.keys is None else given.keys
    total = whole(given.requests, key_count, seed, given.processes)
    census = total.census
    print(census.table())
    missing = census.missing()
    took_s = time.monotonic() - started
    print(f"{census.requests} requests and {census.keys} keys in {took_s:.0f} s, seed {seed}:")
    print(f"{len(total.differences)} differences; hit too seldom: {missing or 'nothing'}")
    return 1 if missing or total.differences else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
