"""The control plane is killed under load, a file changes while it is away, and it comes back."""

from __future__ import annotations

import time
from collections.abc import Iterator

from ..checks import Check, equal, shown
from ..run import CONTROL_PLANE, Demo
from .change import FILE, NEW, OLD, PATIENCE_S, PAUSE_S, QUIET_S, TOGETHER, all_to, only, unharmed
from .routing import versions

BACK_S = 50.0
"""Backing off as Envoy does, a service may not look for it again for half a minute."""


def expects(demo: Demo) -> str:
    del demo
    return f"without a control plane everything goes on; what changed meanwhile ({FILE}: all to {OLD}) holds afterwards"


def walk(demo: Demo) -> Iterator[Check]:
    """Killed, not ended: nobody says goodbye to the services."""
    demo.write(FILE, all_to(demo, NEW))
    process = demo.processes[CONTROL_PLANE]
    services = len(demo.instances)
    demo.load.steady("/items", TOGETHER, PAUSE_S)
    try:
        time.sleep(QUIET_S)
        up = demo.connected()
        process.kill()
        demo.until(lambda: demo.connected() == 0, PATIENCE_S)
        down = demo.connected()
        demo.write(FILE, all_to(demo, OLD))
        before = demo.look()
        time.sleep(QUIET_S)
        away = versions(demo.look().since(before))
        if demo.sabotage.scenario != "restart":
            process.start()
            demo.until(lambda: demo.connected() == services, BACK_S)
        again = demo.connected()
        demo.until(lambda: versions(demo.look().since(before))[OLD] > 0, PATIENCE_S)
        before = demo.look()
        time.sleep(QUIET_S)
        after = versions(demo.look().since(before))
    finally:
        if process.ended is not None:
            process.start()
        tally = demo.load.stop()
    yield equal("connected before, away, after", (services, 0, services), (up, down, again))
    yield Check("while it was away", f"{NEW} gets all of them", shown(away), only(NEW, away).ok)
    yield only(OLD, after)
    yield unharmed(tally)
