"""How much of a body is kept to be sent again."""

from __future__ import annotations

from typing import Any

import pytest

from proxyless.governance.bodies import DEFAULT_BODY_LIMIT, most_kept
from tests.support.model import chain, cluster, listener, manager, route, table, vhost
from tests.support.world import World


def kept(world: World) -> int | None:
    return most_kept(world.call().call)


@pytest.mark.parametrize(
    ("of_host", "of_route", "expected"),
    [
        ({}, {}, 50),
        ({"body_limit": 1}, {}, 1),
        ({"body_limit": 1}, {"body_limit": 0}, 0),
        ({"body_limit": 1}, {"old_body_limit": 2}, 1),
        ({"old_body_limit": 1}, {"old_body_limit": 2}, 2),
        ({"old_body_limit": 1}, {}, 1),
    ],
)
def test_the_new_field_goes_before_the_old_and_the_route_before_its_host(
    of_host: dict[str, Any], of_route: dict[str, Any], expected: int
) -> None:
    held = listener("0.0.0.0_80", chain(manager("80")), buffer_limit=50)
    tables = [table(vhost(route("/", "a", **of_route), **of_host))]
    assert kept(World(listeners=[held], tables=tables, clusters=[cluster("a", "10.0.0.1:80")])) == expected


def test_a_listener_without_a_limit_has_none() -> None:
    held = listener("0.0.0.0_80", chain(manager("80")), buffer_limit=0)
    world = World(listeners=[held], tables=[table(route())], clusters=[cluster("a", "10.0.0.1:80")])
    assert kept(world) is None


def test_without_a_destination_the_default_counts() -> None:
    assert most_kept(World().start()) == DEFAULT_BODY_LIMIT
