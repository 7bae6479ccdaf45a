"""Turns, and what a stream does when states come faster than its client reads."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from proxyless.xds.controlplane import FolderSource, Plane
from proxyless.xds.controlplane.discovery import rules
from proxyless.xds.controlplane.discovery.answers import Told
from proxyless.xds.controlplane.plane import Debounce
from proxyless.xds.controlplane.pushing import PATIENCE_S, Turns, at_once
from proxyless.xds.controlplane.registry.world import World
from proxyless.xds.controlplane.stream import Stream
from proxyless.xds.wire.schema import types as pb
from tests.support.waiting import wait_for
from tests.xds.controlplane.support import endpoints, istio, service

A = "outbound|80||a.shop.svc.cluster.local"
NODE = pb.core_v3.Node(id="sidecar~10.9.9.9~x.shop~shop.svc.cluster.local")


class Slow:
    def __init__(self, *, pushing: bool = True) -> None:
        self.pushes = 0
        self.pushing = False
        self._then = pushing

    def push(self) -> None:
        self.pushes += 1
        self.pushing = self._then


def do(work: Callable[[], None]) -> None:
    work()


def test_a_few_at_a_time_in_order_and_each_once() -> None:
    now = [0.0]
    turns: Turns[Slow] = Turns(lambda: now[0], do, 2)
    one, two, three, idle = Slow(), Slow(), Slow(), Slow(pushing=False)
    turns.want([one, two, idle, three])
    turns.want([three])
    assert [each.pushes for each in (one, two, idle, three)] == [1, 1, 0, 0]
    turns.done(one)
    assert [each.pushes for each in (one, two, idle, three)] == [1, 1, 1, 1]
    assert len(turns) == 2
    turns.forget(two)
    turns.forget(three)
    assert len(turns) == 0


def test_who_does_not_read_keeps_its_turn_for_a_moment_only() -> None:
    now = [0.0]
    turns: Turns[Slow] = Turns(lambda: now[0], do, 1)
    stuck, other, gone = Slow(), Slow(), Slow()
    turns.want([stuck, gone, other])
    turns.forget(gone)
    turns.go_on()
    assert other.pushes == 0
    now[0] = PATIENCE_S
    turns.go_on()
    assert (stuck.pushes, gone.pushes, other.pushes) == (1, 0, 1)


def test_as_many_as_istiod_pushes_to_at_once() -> None:
    assert 20 <= at_once() <= 100


class Reader:
    """A stream of which the test says when something has left."""

    def __init__(self, plane: Plane) -> None:
        self.told: list[Told] = []
        self.stream = Stream(plane, self.told.append, paced=True)
        for type_, names in ((rules.CLUSTER, []), (rules.ENDPOINT, [A]), (rules.ROUTE, ["80"])):
            request = pb.discovery_v3.DiscoveryRequest(type_url=type_.url, node=NODE, resource_names=names)
            self.stream.send(request.SerializeToString())
        self.settle()
        for _ in range(3):
            self.stream.written()
        self.settle()
        assert self.types() == ["CDS", "EDS", "RDS"]

    def settle(self) -> None:
        self.stream.answered().result(10)

    def types(self) -> list[str]:
        found = [each.of.label for each in self.told]
        self.told.clear()
        return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mesh.yaml").write_text(service("a", "http:80") + endpoints("a", "http:80", "10.1.0.1"))
    return tmp_path


@pytest.fixture
def plane(folder: Path) -> Iterator[Plane]:
    made = Plane(FolderSource(folder), debounce=Debounce(0.0, 0.0))
    yield made
    made.close()


def change(plane: Plane, folder: Path, number: int) -> weakref.ref[World]:
    """A route, and the states that the plane had before."""
    before = weakref.ref(plane.state.world)
    spec = f"{{hosts: [a.shop.svc.cluster.local], http: [{{directResponse: {{status: {200 + number}}}}}]}}"
    draft = folder / "v.draft"
    draft.write_text(istio("VirtualService", "v", spec))
    seen = plane.state.number
    draft.replace(folder / "v.yaml")
    wait_for(lambda: plane.state.number > seen)
    return before


def test_a_push_is_told_as_it_was_begun_and_what_came_meanwhile_is_one_more(plane: Plane, folder: Path) -> None:
    reader = Reader(plane)
    for number in range(1, 4):
        change(plane, folder, number)
    reader.settle()
    assert reader.types() == ["CDS"]
    versions = []
    for _ in range(3):
        reader.stream.written()
        reader.settle()
        versions += [(each.of.label, each.parsed().nonce.rpartition("/")[2].partition("-")[0]) for each in reader.told]
        reader.told.clear()
    assert versions == [("RDS", "2"), ("CDS", "4"), ("RDS", "4")]
    reader.stream.written()
    reader.settle()
    assert reader.types() == []


def test_one_that_does_not_read_holds_no_old_state(plane: Plane, folder: Path) -> None:
    reader = Reader(plane)
    worlds = [change(plane, folder, number) for number in range(1, 16)]
    reader.settle()
    assert reader.types() == ["CDS"]
    gc.collect()
    assert all(world() is None for world in worlds[1:-2])  # the first is what the clusters that wait are of
    for _ in range(3):
        reader.stream.written()
        reader.settle()
    assert [each.of for each in reader.told] == [rules.CLUSTER, rules.ENDPOINT, rules.ROUTE]
    response: Any = reader.told[-1].parsed()
    table = pb.route_v3.RouteConfiguration.FromString(response.resources[0].value)
    statuses = [
        r.direct_response.status for host in table.virtual_hosts for r in host.routes if r.direct_response.status
    ]
    assert 215 in statuses
    assert len(plane._turns) == 1  # it has not read this either
    reader.stream.close()
    reader.settle()
    assert len(plane._turns) == 0


def test_a_failure_is_told_again_with_the_next_state(
    plane: Plane, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = Reader(plane)
    client = reader.stream.session.client
    assert client is not None
    with monkeypatch.context() as patch:
        patch.setattr(type(client), "answer", None)
        change(plane, folder, 1)
        reader.settle()
    assert reader.types() == []
    assert plane.meter.errors == 1
    change(plane, folder, 2)
    reader.settle()
    for _ in range(2):
        reader.stream.written()
        reader.settle()
    assert reader.types() == ["CDS", "EDS", "RDS"]
