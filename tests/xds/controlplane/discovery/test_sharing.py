"""Clients that are told the same share what they are told: views, names, and the bytes of responses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from proxyless.xds.controlplane import FolderSource, Plane
from proxyless.xds.controlplane.discovery import answers, rules
from proxyless.xds.controlplane.discovery.answers import Answer, Answers, Resource, Told
from proxyless.xds.controlplane.discovery.delta import DeltaSession
from proxyless.xds.controlplane.discovery.sotw import SotwSession
from proxyless.xds.wire.schema import types as pb
from tests.xds.controlplane.support import endpoints, istio, service

A = "outbound|80||a.shop.svc.cluster.local"
MESH = service("a", "http:80") + endpoints("a", "http:80", "10.1.0.1")
TYPES = (rules.CLUSTER, rules.ENDPOINT, rules.LISTENER, rules.ROUTE, rules.NAMES)
NAMES = {rules.ENDPOINT: [A], rules.ROUTE: ["80"]}


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[Plane]:
    (tmp_path / "mesh.yaml").write_text(MESH)
    made = Plane(FolderSource(tmp_path))
    yield made
    made.close()


def asked(session: Any, index: int) -> list[Told]:
    """All that a client of the shop's is told at first."""
    node = pb.core_v3.Node(id=f"sidecar~10.9.0.{index}~web-{index}.shop~shop.svc.cluster.local")
    node.metadata.update({"NAMESPACE": "shop", "NAME": f"web-{index}", "INSTANCE_IPS": f"10.9.0.{index}"})
    out: list[Told] = []
    for type_ in TYPES:
        names = NAMES.get(type_, [])
        if isinstance(session, DeltaSession):
            request: Any = pb.discovery_v3.DeltaDiscoveryRequest(resource_names_subscribe=names)
        else:
            request = pb.discovery_v3.DiscoveryRequest(resource_names=names)
        request.type_url = type_.url
        request.node.CopyFrom(node)
        out += session.take(request)
    return out


@pytest.mark.parametrize("kind", [SotwSession, DeltaSession])
def test_what_weighs_is_one_for_all(plane: Plane, tmp_path: Path, kind: Any) -> None:
    sessions = [kind(plane) for _ in range(4)]
    told = [asked(session, index) for index, session in enumerate(sessions)]
    assert [each.of for each in told[0]] == list(TYPES)
    spec = "{hosts: [a.shop.svc.cluster.local], http: [{directResponse: {status: 418}}]}"
    (tmp_path / "v.yaml").write_text(istio("VirtualService", "v", spec))
    assert plane.poll()
    for before, session in zip(told, sessions, strict=True):
        before.extend(session.moved())
    for same in zip(*told, strict=True):
        assert len({id(each.body) for each in same}) == 1
        assert len({each.parsed().nonce for each in same}) == 1  # numbered by each stream alike
    assert len({id(watch) for s in sessions for watch in map(names_of, [s])}) == 1
    assert len({id(session.client.view) for session in sessions}) == 1


def names_of(session: Any) -> frozenset[str]:
    found: frozenset[str] = session.watches[rules.ENDPOINT.url].names
    return found


def test_a_client_that_is_told_something_else_shares_the_rest(plane: Plane, tmp_path: Path) -> None:
    """A service leads to one Pod of the two, so its listeners and clusters are others; calls are the same."""
    spec = "{selector: null, clusterIP: None}"
    own = service("web", "tcp:90", rest=spec) + endpoints("web", "tcp:90", "10.9.0.1")
    (tmp_path / "own.yaml").write_text(own)
    assert plane.poll()
    one, other = (dict(zip(TYPES, asked(SotwSession(plane), index), strict=True)) for index in (1, 2))
    assert one[rules.LISTENER].body.raw != other[rules.LISTENER].body.raw
    for type_ in (rules.ENDPOINT, rules.ROUTE):
        assert one[type_].body.raw == other[type_].body.raw


def answer(name: str, size: int) -> Answer:
    return Answer([Resource(name, pb.google_protobuf.Any(value=b"x" * size))])


def test_what_is_kept_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "_KEPT_BYTES", 3000)
    monkeypatch.setattr(answers, "_KEPT_RESOURCES", 3)
    kept, made = Answers(), [answer(str(number), 1000) for number in range(4)]
    bodies = [kept.body(answers.Sotw, each) for each in made]
    assert kept.body(answers.Sotw, made[3]) is bodies[3]
    assert kept.body(answers.Sotw, made[2]) is bodies[2]
    assert kept.body(answers.Sotw, made[0]) is not bodies[0]  # made again
    assert kept.body(answers.Sotw, made[3]) is not bodies[3]  # the one that was asked for least lately
    for number, each in enumerate(made):
        assert kept.answer(number, lambda: each) is each  # noqa: B023
    assert kept.answer(3, lambda: made[0]) is made[3]
    assert kept.answer(0, lambda: made[1]) is made[1]  # made again
    kept.clear()
    assert kept.answer(3, lambda: made[0]) is made[0]
    whole = answer("big", 9000)
    assert kept.body(answers.Sotw, whole) is kept.body(answers.Sotw, whole)


def test_one_set_for_all_who_watch_the_same(plane: Plane) -> None:
    kept = plane.resources.answers
    one = kept.names([f"name {number}" for number in range(3)])
    assert kept.names({f"name {number}" for number in range(3)}) is one
    assert kept.names(["name 1"]) is not one
