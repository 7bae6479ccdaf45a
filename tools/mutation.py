"""`python -m tools.mutation`: does the differential test notice when proxyless decides otherwise?

Envoy answers once, on every configuration of tests/differential that is compared through `explain`; its answers are
kept. Then each mutation (tools/mutants.py) runs in a process of its own, and `explain` is compared with those answers.
A mutation without a difference survives: the test cannot see that decision. Prints a table; exit status 1 when one
survives or when proxyless differs without any. With names as arguments only those run.

Not part of `make test`: it takes minutes. Its result is kept in docs/differential.md.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from proxyless.mesh import Mesh
from tests.differential import actions, kinds, unbuilt
from tests.differential.comparison import Case, Difference, ask_envoy, explain_all, share_differences
from tests.differential.generator import generate
from tests.differential.ours import mesh_on
from tests.differential.recording import Recording
from tests.differential.requests import Request
from tests.differential.rig import Rig
from tests.differential.steering import steer
from tools.mutants import all_mutants

SHOP = Path(__file__).parent.parent / "tests" / "recorded" / "shop" / "xds"
SEED = 20_260_802
RANDOM = 1000
STEERED = 12
NONE = "(nothing)"

Answers = list[tuple[Recording, list[Case]]]


def configurations() -> Iterator[tuple[Recording, list[Request]]]:
    """What is asked: two recordings, the table of kinds, the tables of actions."""
    for folder in ("frontend", "ledger"):
        recording = unbuilt.without_unbuilt(Recording.load(SHOP / folder))
        yield recording, [*generate(SEED, RANDOM), *steer(recording, SEED, STEERED)]
    base = Recording.load(SHOP / "frontend")
    yield kinds.table(base), kinds.requests()
    for _, recording, requests in actions.tables(base):
        yield recording, requests


def record(path: Path) -> int:
    """Ask Envoy everything, and write down what it said; how many answers there are."""
    answers: Answers = []
    for recording, requests in configurations():
        with Rig(recording) as rig:
            answers.append((rig.recording, ask_envoy(rig, requests)))
    path.write_bytes(pickle.dumps(answers))
    return sum(len(cases) for _, cases in answers)


def compare(path: Path, name: str) -> int:
    """How many decisions differ with one mutation in this process; an exception is a difference of its table."""
    if name != NONE:
        all_mutants()[name]()
    answers: Answers = pickle.loads(path.read_bytes())
    count = 0
    for recording, cases in answers:
        with mesh_on(recording) as mesh:
            for look in (share_differences, *(partial(_one, case=case) for case in dict.fromkeys(cases))):
                try:
                    count += len(look(mesh, cases))
                except Exception:  # whatever it is, it is not Envoy's answer
                    count += 1
    return count


def _one(mesh: Mesh, cases: list[Case], case: Case) -> list[Difference]:
    del cases
    return explain_all(mesh, [case])[0]


def child(path: Path, name: str) -> int:
    """`compare` in a process of its own."""
    command = [sys.executable, "-m", "tools.mutation", "--compare", str(path), name]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{name}: {done.stderr}")
    return int(done.stdout)


def main(arguments: list[str]) -> int:
    """Record, run all, print the table; 1 when a mutation survives."""
    if arguments[:1] == ["--compare"]:
        print(compare(Path(arguments[1]), arguments[2]))
        return 0
    names = [NONE, *(arguments or all_mutants())]
    with tempfile.TemporaryDirectory(prefix="proxyless-mutation-") as folder:
        path = Path(folder) / "answers"
        total = record(path)
        print(f"{total} answers of Envoy, {len(names) - 1} mutations\n")
        print("| switched off or turned round | decisions that differ |\n|---|---:|", flush=True)
        bad = []
        with ThreadPoolExecutor(os.cpu_count()) as threads:
            for name, count in zip(names, threads.map(lambda each: child(path, each), names), strict=True):
                print(f"| {name} | {count} |", flush=True)
                if (count == 0) != (name == NONE):
                    bad.append(name)
    print(f"\nsurvivors: {', '.join(bad) if bad else 'none'}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
