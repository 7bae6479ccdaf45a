"""Requests that the control plane has dropped (ClusterLoadAssignment.Policy.drop_overloads)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.model import cluster, route, table
from tests.support.world import World


def dropping(percent: float) -> World:
    held = cluster("a", "10.0.0.1:80")
    assert held.load_assignment is not None
    held = replace(held, load_assignment=replace(held.load_assignment, drop_overload=(("x", percent),)))
    return World(tables=[table(route("/", "a"))], clusters=[held])


@pytest.mark.parametrize(
    ("percent", "drawn", "status", "flags", "header"),
    [
        (100.0, 0.99, 503, "UDO", b"x-envoy-unconditional-drop-overload"),
        (30.0, 0.29, 503, "DO", b"x-envoy-drop-overload"),
        (30.0, 0.3, 200, "-", None),
        (0.0, 0.0, 200, "-", None),
    ],
)
def test_a_share_of_the_requests_is_dropped_before_an_endpoint_is_picked(
    percent: float, drawn: float, status: int, flags: str, header: bytes | None
) -> None:
    world = dropping(percent)
    world.cluster()
    world.draws.give(drawn)
    run = world.call(answers=[200] if status == 200 else [])
    assert (run.status, run.flags or "-") == (status, flags)
    assert len(run.sent()) == (status == 200)
    if header is not None and run.reply is not None:
        assert (header, b"true") in run.reply.headers
