"""Those who watch a mesh do not disturb it, nor each other."""

from __future__ import annotations

import logging

import pytest

from proxyless import Mesh, Node
from proxyless.governance.telemetry.facts import Facts
from proxyless.observing import Observers
from proxyless.xds.transport import control
from tests.support.ads import AdsServer
from tests.support.waiting import wait_for
from tests.support.world import World

NODE = Node(app="frontend", namespace="shop")


class Broken:
    """An exporter that fails, always."""

    def tick(self, facts: Facts) -> None:
        raise RuntimeError("broken")


class Counting:
    """One that works."""

    def __init__(self) -> None:
        self.ticks = 0

    def tick(self, facts: Facts) -> None:
        self.ticks += 1


def test_an_exporter_that_fails_is_logged_once_and_the_others_hear_on(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    observers = Observers(lambda: Facts(world.runtime, None, None, 0.0), world.clock, NODE, registry=False)
    working = Counting()
    observers._exporters += [Broken(), working]
    with caplog.at_level(logging.ERROR, "proxyless.telemetry"):
        for _ in range(3):
            observers.tick()
    assert working.ticks == 3
    assert [each.message for each in caplog.records] == ["Broken failed"]


def test_nobody_is_told_of_a_mesh_that_is_gone() -> None:
    observers = Observers(lambda: None, World().clock, NODE, registry=False)
    working = Counting()
    observers._exporters.append(working)
    observers.tick()
    assert working.ticks == 0


def test_the_control_thread_ticks_while_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "TICK_S", 0.01)
    with AdsServer() as server, Mesh(f"xds://{server.address}", node=NODE, registry=False, cache_dir=False) as mesh:
        working = Counting()
        mesh._observers._exporters.append(working)
        wait_for(lambda: working.ticks > 3)


def test_a_command_logs_nothing_of_what_is_not_honoured() -> None:
    observers = Observers(lambda: None, World().clock, NODE, registry=False, quiet=True)
    assert observers._exporters == []
    observers.close()
