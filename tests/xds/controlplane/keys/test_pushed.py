"""Keys that a RequestAuthentication only says the place of: fetched beside the plane, and sent within the listener."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from proxyless.xds.controlplane import FolderSource, Plane
from proxyless.xds.controlplane.discovery import rules
from proxyless.xds.controlplane.discovery.sotw import SotwSession
from proxyless.xds.controlplane.emit.jwt import NO_KEY
from proxyless.xds.controlplane.plane import Driven, State
from proxyless.xds.controlplane.registry.world import World
from tests.xds.controlplane.emit.inbound import MANAGER, WEB
from tests.xds.controlplane.support import istio, made, view

from .server import KEYS, OTHER, Pages, served


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")


def inlined(world: World) -> dict[str, str]:
    """The keys that a workload is sent, by issuer."""
    listener = made(view(world, labels={"app": "web"}), rules.LISTENER)["virtualInbound"]
    managers = (f for chain in listener["filter_chains"] for f in chain["filters"] if f["name"] == MANAGER)
    filters: list[dict[str, Any]] = next(managers)["typed_config"]["http_filters"]
    (tokens,) = (each["typed_config"] for each in filters if each["name"] == "envoy.filters.http.jwt_authn")
    return {each["issuer"]: each["local_jwks"]["inline_string"] for each in tokens["providers"].values()}


class Stream(Driven):
    """Sees every state."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane
        self.session = SotwSession(plane)
        self._told = threading.Condition()
        self.states: list[State] = []

    def push(self) -> None:
        with self._told:
            self.states.append(self._plane.state)
            self._told.notify_all()

    def wait(self, keys: dict[str, str], faults: int) -> State:
        """The first state of which that holds."""

        def found() -> State | None:
            return next((s for s in self.states if inlined(s.world) == keys and len(s.unfetched) == faults), None)

        with self._told:
            assert self._told.wait_for(found, timeout=60)
            state = found()
            assert state is not None
            return state


def folder(where: Path, rules: str) -> Path:
    where.mkdir(exist_ok=True)
    (where / "web.yaml").write_text(WEB)
    written = where / ".tokens.yaml"
    written.write_text(istio("RequestAuthentication", "t", f"jwtRules: {rules}"))
    written.rename(where / "tokens.yaml")
    return where


def test_keys_are_fetched_pushed_refreshed_by_changes_and_named_where_they_fail(tmp_path: Path) -> None:
    pages = Pages({"/a": (200, KEYS), "/b": (500, ""), "/c": (200, OTHER)})
    with served(pages) as url:
        rules = f"[{{issuer: a, jwksUri: '{url}/a'}}, {{issuer: b, jwksUri: '{url}/b', timeout: 60s}}]"
        plane = Plane(FolderSource(folder(tmp_path / "mesh", rules)))
        assert inlined(plane.state.world) == {"a": NO_KEY, "b": NO_KEY}
        stream = Stream(plane)
        plane.submit(lambda: plane.attach(stream))
        plane.submit(stream.push)
        plane.follow()
        try:
            state = stream.wait({"a": KEYS, "b": NO_KEY}, 1)
            (fault,) = state.unfetched
            assert str(fault) == (
                f"tokens.yaml:2: RequestAuthentication shop/t: spec.jwtRules[1].jwksUri keys cannot be fetched: "
                f"{url}/b answers 500; no token of this issuer is valid"
            )
            assert fault in plane.status().faults
            assert fault in state.notes
            pages["/b"] = (200, OTHER)
            stream.wait({"a": KEYS, "b": OTHER}, 0)
            folder(tmp_path / "mesh", f"[{{issuer: a, jwksUri: '{url}/c'}}]")
            stream.wait({"a": OTHER}, 0)
        finally:
            plane.close()


def test_a_plane_that_does_not_run_fetches_nothing(tmp_path: Path) -> None:
    where = folder(tmp_path / "mesh", "[{issuer: a, jwksUri: 'http://127.0.0.1:1/'}]")
    plane = Plane(FolderSource(where), fetch=lambda source, timeout_s: pytest.fail("nobody asked for it"))
    folder(where, "[{issuer: b, jwksUri: 'http://127.0.0.1:1/'}]")
    while not plane.poll():
        pass
    assert inlined(plane.state.world) == {"b": NO_KEY}
