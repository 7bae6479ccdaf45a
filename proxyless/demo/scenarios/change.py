"""A file changes while calls are under way: a good one, then a broken one."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

from ..checks import Check, equal, shown
from ..control import Tally
from ..edits import broken as break_weight
from ..edits import weighted
from ..run import CONTROL_PLANE, Demo
from ..seen import counted
from .routing import ITEMS, versions

FILE = "catalog.yaml"
OLD, NEW = "v1", "v2"
TOGETHER = 3
PAUSE_S = 0.03
IN_FORCE_S = 1.0
QUIET_S = 0.6
"""A version that got nothing for so long, of a hundred calls a second, gets nothing."""

PATIENCE_S = 10.0


def all_to(demo: Demo, version: str) -> str:
    """catalog.yaml with every call to one version."""
    return weighted(demo.intended.texts[FILE], {each: 100 * (each == version) for each in demo.intended.weights})


def unharmed(tally: Tally) -> Check:
    """No call failed, and there were calls."""
    good = {"200": tally.calls} if tally.calls else {"200": "some"}
    return equal("calls meanwhile", good, dict(tally.statuses))


def expects_change(demo: Demo) -> str:
    del demo
    return f"{FILE} says 100 % to {NEW}: in force within {IN_FORCE_S:g} s, and no call fails"


def change(demo: Demo) -> Iterator[Check]:
    """In force: the last call to the old version came so soon after the file was written."""
    demo.load.steady("/items", TOGETHER, PAUSE_S)
    try:
        time.sleep(QUIET_S)
        with _stopped(demo):
            changed = demo.write(FILE, all_to(demo, NEW))

            def last() -> float:
                return counted(demo.instance(f"catalog-{OLD}")).last.get(ITEMS, changed)

            demo.until(lambda: time.monotonic() - max(last(), changed) > QUIET_S, PATIENCE_S)
            after_s = max(0.0, last() - changed)
            before = demo.look()
            time.sleep(QUIET_S)
            arrived = versions(demo.look().since(before))
    finally:
        tally = demo.load.stop()
    yield Check(f"last call to {OLD} after", f"at most {IN_FORCE_S:.2f} s", f"{after_s:.2f} s", after_s <= IN_FORCE_S)
    yield only(NEW, arrived)
    yield unharmed(tally)


def only(version: str, arrived: dict[str, int]) -> Check:
    """All calls went to one version."""
    ok = arrived[version] > 0 and sum(arrived.values()) == arrived[version]
    return Check("then", f"{version} gets all of them", shown(arrived), ok)


@contextmanager
def _stopped(demo: Demo) -> Iterator[None]:
    """The sabotage: a control plane that does not follow."""
    process = demo.processes[CONTROL_PLANE]
    if demo.sabotage.scenario == "change":
        process.send(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send(signal.SIGCONT)


def expects_broken(demo: Demo) -> str:
    wrong = break_weight(all_to(demo, NEW), OLD)
    return f"a word for a weight is refused at {FILE}:{wrong.line}, {wrong.field}; what was good stays"


def broken(demo: Demo) -> Iterator[Check]:
    """The control plane says where, and serves on what it had."""
    good = all_to(demo, NEW)
    wrong = break_weight(good, OLD)
    demo.write(FILE, good)
    demo.load.steady("/items", TOGETHER, PAUSE_S)
    try:
        demo.until(lambda: _only_new(demo), PATIENCE_S)
        said = demo.control_plane.said()
        demo.write(FILE, good if demo.sabotage.scenario == "broken" else wrong.text)

        def refused() -> list[dict[str, object]]:
            return [each for each in demo.control_plane.events(said) if each["event"] == "refused"]

        demo.until(lambda: bool(refused()), PATIENCE_S)
        found = refused()
        before = demo.look()
        time.sleep(QUIET_S)
        arrived = versions(demo.look().since(before))
        demo.write(FILE, good)
        repaired = demo.until(
            lambda: any(each["event"] == "repaired" for each in demo.control_plane.events(said)),
            PATIENCE_S if found else 0.0,
        )
    finally:
        tally = demo.load.stop()
    places = ", ".join(f"{each['file']}:{each['line']}" for each in found)
    yield equal("refused at", f"{FILE}:{wrong.line}", places or "nowhere")
    yield equal("refused field", wrong.field, ", ".join(str(each["field"]) for each in found) or "none")
    yield only(NEW, arrived)
    yield equal("put right again", "yes", "yes" if repaired else "no")
    yield unharmed(tally)


def _only_new(demo: Demo) -> bool:
    before = demo.look()
    time.sleep(0.1)
    arrived = versions(demo.look().since(before))
    return 0 < arrived[NEW] == sum(arrived.values())
