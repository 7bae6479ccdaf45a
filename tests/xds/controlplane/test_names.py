"""Host names of gateways are resolved beside the plane's thread, and what comes of it is pushed."""

from __future__ import annotations

import queue
from pathlib import Path

import pytest

from proxyless.xds.controlplane import FolderSource, Plane
from proxyless.xds.controlplane.names import Names, resolved
from tests.xds.controlplane.emit.test_across import members
from tests.xds.controlplane.emit.test_network_gateways import BY_NAME

LONG_S = 60.0


def test_loopback_has_an_address() -> None:
    assert "127.0.0.1" in resolved("127.0.0.1")
    with pytest.raises(OSError):
        resolved("no such name")


def test_what_is_wanted_is_resolved_and_kept_while_it_cannot_be() -> None:
    answers: queue.SimpleQueue[tuple[str, ...] | None] = queue.SimpleQueue()
    asked: queue.SimpleQueue[str] = queue.SimpleQueue()
    changed: queue.SimpleQueue[None] = queue.SimpleQueue()

    def resolve(name: str) -> tuple[str, ...]:
        asked.put(name)
        answer = answers.get(timeout=LONG_S)
        if answer is None:
            raise OSError
        return answer

    names = Names(lambda: changed.put(None), resolve, refresh_s=0.001)
    names.want(["a"])
    names.want(["a"])
    answers.put(("192.0.2.1",))
    changed.get(timeout=LONG_S)
    assert names.addresses == {"a": ("192.0.2.1",)}
    answers.put(None)
    answers.put(("192.0.2.1",))
    answers.put(("192.0.2.2",))
    changed.get(timeout=LONG_S)
    assert names.addresses == {"a": ("192.0.2.2",)}
    assert changed.empty()
    again = names.renewed(lambda: None)
    assert again.addresses == names.addresses
    names.close()
    answers.put(("192.0.2.2",))
    assert asked.get(timeout=LONG_S) == "a"


def test_a_plane_asks_for_the_names_of_gateways_and_takes_what_comes(tmp_path: Path) -> None:
    (tmp_path / "mesh.yaml").write_text(members("far") + BY_NAME)
    asked: queue.SimpleQueue[str] = queue.SimpleQueue()

    def resolve(name: str) -> tuple[str, ...]:
        asked.put(name)
        return ("192.0.2.1",)

    plane = Plane(FolderSource(tmp_path), resolve=resolve)
    assert not plane.state.world.gateways.by_network
    plane.follow()
    try:
        assert asked.get(timeout=LONG_S) == "gate.example.com"
        seen: queue.SimpleQueue[bool] = queue.SimpleQueue()

        def look() -> None:
            if plane.state.world.gateways.by_network:
                seen.put(True)
            else:
                plane.submit(look)

        plane.submit(look)
        assert seen.get(timeout=LONG_S)
        assert plane.state.world.gateways.by_network.keys() == {"far"}
    finally:
        plane.close()
