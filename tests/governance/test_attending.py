"""What looks after a runtime: when its thread begins, when it looks, and when it ends."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable
from math import inf
from queue import SimpleQueue

from proxyless.governance.attending import Attendant
from proxyless.governance.runtime import Runtime

SOON_S = 20.0


class Watcher(Attendant):
    name = "proxyless-watcher"

    def __init__(self, runtime: Runtime, during: Callable[[], None] = lambda: None, due_s: float = inf) -> None:
        super().__init__(weakref.ref(runtime))
        self.looks: SimpleQueue[None] = SimpleQueue()
        self.ended: SimpleQueue[None] = SimpleQueue()
        self.during = during
        self.due_s = due_s

    def look(self, runtime: Runtime) -> float:
        del runtime
        self.during()
        self.looks.put(None)
        return self.due_s

    def end(self) -> None:
        super().end()
        self.ended.put(None)


def mine() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == Watcher.name]


def test_the_thread_begins_when_it_is_woken_first_and_ends_when_it_is_closed() -> None:
    runtime = Runtime()
    watcher = Watcher(runtime)
    assert not mine()
    watcher.wake()
    watcher.looks.get(timeout=SOON_S)
    (thread,) = mine()
    watcher.wake()
    watcher.looks.get(timeout=SOON_S)
    assert mine() == [thread]
    watcher.close()
    watcher.ended.get(timeout=SOON_S)
    thread.join(SOON_S)
    watcher.wake()
    assert not mine()


def test_it_looks_again_when_something_is_due() -> None:
    runtime = Runtime()
    watcher = Watcher(runtime, due_s=0.0)
    watcher.wake()
    for _ in range(3):
        watcher.looks.get(timeout=SOON_S)
    watcher.close()
    watcher.ended.get(timeout=SOON_S)


def test_who_is_closed_while_it_looks_does_not_wait() -> None:
    runtime = Runtime()
    watcher = Watcher(runtime)
    watcher.during = watcher.close
    watcher.wake()
    watcher.ended.get(timeout=SOON_S)
    assert watcher.looks.qsize() == 1


def test_it_ends_with_a_runtime_that_nobody_has_any_more() -> None:
    runtime = Runtime()
    watcher = Watcher(runtime)
    watcher.wake()
    watcher.looks.get(timeout=SOON_S)
    assert not watcher.over()
    del runtime
    gc.collect()
    assert watcher.over()
    watcher.ended.get(timeout=SOON_S)


def test_in_a_child_a_thread_of_its_own_begins() -> None:
    runtime = Runtime()
    watcher = Watcher(runtime)
    begun, go_on = threading.Event(), threading.Event()

    def parents() -> None:
        watcher.during = lambda: None
        begun.set()
        go_on.wait(SOON_S)

    watcher.during = parents
    watcher.wake()
    assert begun.wait(SOON_S)
    watcher.forked()
    watcher.wake()
    watcher.looks.get(timeout=SOON_S)
    assert len(mine()) == 2
    go_on.set()
    watcher.close()
    for _ in range(2):
        watcher.ended.get(timeout=SOON_S)
