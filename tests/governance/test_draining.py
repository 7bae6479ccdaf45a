"""Connections to hosts that fail are given up."""

from __future__ import annotations

from typing import cast

import pytest

from proxyless.governance.events import Ejected, Event, HealthChanged, Unejected
from proxyless.governance.pool import Connect, Slot
from proxyless.xds.model.cluster import HttpProtocol
from tests.support.model import cluster
from tests.support.world import FakeConnection, World

ADDRESS = "10.0.0.1:80"


def ejected(address: str = ADDRESS, name: str = "a", *, enforced: bool = True) -> Ejected:
    return Ejected(name, address, "CONSECUTIVE_5XX", enforced, 1)


def connected(world: World) -> tuple[Slot, Slot]:
    """An idle connection, and a busy one."""
    found = world.cluster()
    pool = found.pool(found.hosts[0], "test", False)
    slots = []
    for _ in range(2):
        assert isinstance(pool.lease(0.0), Connect)
        slot = pool.connected(FakeConnection(), 0.0)
        assert isinstance(slot, Slot)
        slots.append(slot)
    pool.release(slots[0], 0.0)
    return slots[0], slots[1]


def closed(slot: Slot) -> int:
    return cast(FakeConnection, slot.connection).closed


@pytest.mark.parametrize(
    ("event", "given_up"),
    [
        (ejected(), True),
        (HealthChanged("a", ADDRESS, "unhealthy"), True),
        (ejected(enforced=False), False),
        (HealthChanged("a", ADDRESS, "healthy"), False),
        (Unejected("a", ADDRESS, 1, 1.0), False),
        (ejected("10.0.0.2:80"), False),
        (ejected(name="b"), False),
    ],
)
def test_connections_to_a_host_that_fails_are_closed_when_they_are_idle(event: Event, given_up: bool) -> None:
    world = World(clusters=[cluster("a", ADDRESS, http=HttpProtocol())])
    idle, busy = connected(world)
    world.runtime.emit(event)
    assert (closed(idle), closed(busy)) == (int(given_up), 0)
    busy.pool.release(busy, 1.0)
    assert closed(busy) == int(given_up)
    found = world.cluster()
    lease = found.pool(found.hosts[0], "test", False).lease(1.0)
    assert isinstance(lease, Connect) == given_up
