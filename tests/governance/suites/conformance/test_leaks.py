"""Many calls, failed, cancelled and left ones too, leave nothing behind: no thread, task, socket or memory.

`PROXYLESS_LEAK_CALLS` says how many; the figure of issue 8 is 10,000.
"""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError
from contextlib import suppress
from pathlib import Path

import pytest

import proxyless.xds.wire.coverage.notes  # noqa: F401  # the mesh imports it when idle: no call leaves it behind
from proxyless import Mesh
from tests.governance.suites.conformance.adapter import WAIT_S, Adapter, AsyncAdapter
from tests.governance.suites.conftest import counts
from tests.support.backends import Backends
from tests.support.untraced import untraced
from tests.support.waiting import wait_for

CALLS = int(os.environ.get("PROXYLESS_LEAK_CALLS", "200"))
AT_ONCE = 8
HOSTS = ("one", "dead", "web", "h2")


def ordinary(client: Adapter) -> None:
    client.call("POST", "http://web.example.com/", body=b"x" * 100)


def failed(client: Adapter) -> None:
    client.call("GET", "http://one.example.com/", "fault=reset")


def unreachable(client: Adapter) -> None:
    client.call("GET", "http://dead.example.com/")


def over_http2(client: Adapter) -> None:
    client.call("GET", "http://h2.example.com/")


def left(client: Adapter) -> None:
    opened = client.opened("http://one.example.com/", "size=300000")
    opened.part()
    opened.close()


def broken(client: Adapter) -> None:
    opened = client.opened("http://one.example.com/", "fault=cut")
    with suppress(*client.raises.broken):
        opened.read()
    opened.close()  # else aiohttp logs it, mesh or not, and pytest keeps the line


def cancelled(client: Adapter) -> None:
    call = client.start("GET", "http://one.example.com/", "delay=0.05")
    call.cancel()
    with suppress(CancelledError):
        call.result(WAIT_S)


KINDS: tuple[Callable[[Adapter], None], ...] = (
    ordinary,
    ordinary,
    ordinary,
    failed,
    unreachable,
    over_http2,
    left,
    broken,
    cancelled,
)


def held(client: Adapter) -> tuple[int, int, int]:
    """(threads, tasks, descriptors) of this process."""
    tasks = client.loop.tasks if isinstance(client, AsyncAdapter) else 0
    return threading.active_count(), tasks, len(list(Path("/proc/self/fd").iterdir()))


def objects() -> int:
    for _ in range(3):
        gc.collect()
    return len(gc.get_objects())


@untraced()
@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="descriptors are counted in /proc")
def test_many_calls_leave_nothing_behind(client: Adapter, mesh: Mesh, backends: Backends) -> None:
    def some(count: int) -> None:
        for number in range(count):
            KINDS[number % len(KINDS)](client)

    def calm() -> None:
        wait_for(lambda: all(counts(mesh, host)[1:] == (0, 0) for host in HOSTS))
        mesh.runtime.close_idle()
        backends.take()

    some(10 * len(KINDS))
    calm()
    before, objects_before = held(client), objects()
    some(CALLS)
    calm()
    wait_for(lambda: all(now <= was for now, was in zip(held(client), before, strict=True)))
    growth = objects() - objects_before
    print(f"{growth} objects more after {CALLS} calls; before {before}, now {held(client)}")
    assert growth < 500, f"{growth} objects more after {CALLS} calls"
