"""Hosts that the user wants left alone go by the library's own means."""

from __future__ import annotations

import pytest

from proxyless.governance.runtime import Options
from tests.support.model import cluster, route, table
from tests.support.world import World


@pytest.mark.parametrize(
    ("host", "alone"),
    [(b"db.shop", True), (b"DB.shop", True), (b"a.example.org", True), (b"example.org", False), (b"shop", False)],
)
def test_a_host_is_left_alone_by_its_name_or_by_what_it_is_below(host: bytes, alone: bool) -> None:
    assert Options(ungoverned=frozenset({"db.shop", "*.example.org"})).leaves_alone(host) is alone


@pytest.mark.parametrize(("ungoverned", "bypassed"), [(frozenset(), False), ({"shop"}, True), ({"other"}, False)])
def test_a_call_to_one_is_not_governed(ungoverned: frozenset[str], bypassed: bool) -> None:
    options = Options(ungoverned=frozenset(ungoverned))
    world = World(tables=[table(route("/", "a"))], clusters=[cluster("a", "10.0.0.1:80")])
    world.runtime.options = options
    run = world.call("http://shop/", answers=[200])
    assert (run.call.cluster is None) is bypassed
