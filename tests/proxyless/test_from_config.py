"""`Mesh.from_config` is followed: calls go where the file says, and a file that makes no sense changes nothing."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from proxyless import ConfigurationError, Mesh, Node
from proxyless.httpx import AsyncTransport, Transport
from tests.proxyless.following import ONE, OTHER, URL, answered_by, entry, goes_to, written
from tests.support.backends import Backends
from tests.support.modes import forbidden
from tests.support.waiting import wait_for
from tests.xds.controlplane.support import istio

NODE = Node(app="me", namespace="shop", ip="127.0.0.9")


@pytest.fixture
def backends() -> Iterator[Backends]:
    with Backends([ONE, OTHER]) as made:
        yield made


@pytest.fixture
def mesh(tmp_path: Path, backends: Backends) -> Iterator[Mesh]:
    written(tmp_path, entry(backends, ONE))
    with Mesh.from_config(tmp_path, node=NODE, registry=False) as made:
        yield made


def test_calls_follow_the_file(
    mesh: Mesh, tmp_path: Path, backends: Backends, record_property: Callable[[str, object], None]
) -> None:
    with httpx.Client(transport=Transport(mesh)) as client:
        assert answered_by(client) == ONE[0]
        for address in (OTHER, ONE):
            written(tmp_path, entry(backends, address))
            record_property("seconds", goes_to(client, address))


def test_a_file_that_comes_and_one_that_goes_are_followed(mesh: Mesh, tmp_path: Path, backends: Backends) -> None:
    aborted = (
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: web, namespace: shop}\n"
        "spec: {hosts: [web.example.com], http: [{directResponse: {status: 418}}]}\n"
    )
    with httpx.Client(transport=Transport(mesh)) as client:
        assert answered_by(client) == ONE[0]
        rule = tmp_path / "rule.yaml"
        rule.write_text(aborted)
        wait_for(lambda: answered_by(client) == "418")
        rule.unlink()
        wait_for(lambda: answered_by(client) == ONE[0])


def test_calls_of_an_event_loop_follow_too(mesh: Mesh, tmp_path: Path, backends: Backends) -> None:
    async def calls() -> None:
        async with httpx.AsyncClient(transport=AsyncTransport(mesh)) as client:
            assert (await client.get(URL)).json()["backend"].startswith(ONE[0])
            written(tmp_path, entry(backends, OTHER))
            async with asyncio.timeout(30):
                while not (await client.get(URL)).json()["backend"].startswith(OTHER[0]):
                    pass

    asyncio.run(calls())


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("spec:", "spec: [", "web.yaml:6:3: is not YAML"),
        (
            "resolution: STATIC",
            "resolution: STATICS",
            "web.yaml:7:3: ServiceEntry shop/web: spec.resolution must be one",
        ),
        ("endpoints:", "endpoint:", "web.yaml:8:3: ServiceEntry shop/web: spec.endpoint unknown field (did you mean"),
        ("kind: ServiceEntry", "kind: Servic", 'web.yaml:2:1: kind networking.istio.io has no kind "Servic"'),
    ],
)
def test_a_broken_file_keeps_the_last_good_and_a_repaired_one_counts(
    right: str, wrong: str, said: str, mesh: Mesh, tmp_path: Path, backends: Backends, caplog: pytest.LogCaptureFixture
) -> None:
    with httpx.Client(transport=Transport(mesh)) as client, caplog.at_level(logging.ERROR, "proxyless"):
        assert answered_by(client) == ONE[0]
        written(tmp_path, entry(backends, OTHER).replace(right, wrong))
        wait_for(lambda: mesh.status()["findings"])
        assert any(each.startswith(f"refused {said}") for each in mesh.status()["findings"]), mesh.status()["findings"]
        assert f"refused {said}" in caplog.text
        assert "(what it said before, if anything, stays in force)" in caplog.text
        assert answered_by(client) == ONE[0]
        written(tmp_path, entry(backends, OTHER))
        goes_to(client, OTHER)
        wait_for(lambda: not mesh.status()["findings"])


def test_a_folder_that_goes_away_changes_nothing(mesh: Mesh, tmp_path: Path, backends: Backends) -> None:
    aside = tmp_path.with_name(f"{tmp_path.name}-aside")
    with httpx.Client(transport=Transport(mesh)) as client:
        assert answered_by(client) == ONE[0]
        tmp_path.rename(aside)
        wait_for(lambda: mesh.status()["findings"])
        (finding,) = mesh.status()["findings"]
        assert finding == f"refused {tmp_path}: cannot be read: No such file or directory"
        assert answered_by(client) == ONE[0]
        aside.rename(tmp_path)
        written(tmp_path, entry(backends, OTHER))
        goes_to(client, OTHER)


def test_kinds_without_effect_are_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "scope.yaml").write_text(istio("Gateway", "edge", "{servers: []}"))
    with (
        caplog.at_level(logging.WARNING, "proxyless"),
        Mesh.from_config(tmp_path, node=NODE, registry=False) as mesh,
    ):
        assert "scope.yaml:3:1: kind Gateway has no effect" in caplog.text
        mesh.wait_ready(30)
        assert mesh.status()["findings"] == []


def test_close_ends_its_threads_and_nothing_is_followed(tmp_path: Path, backends: Backends) -> None:
    written(tmp_path, entry(backends, ONE))
    before = set(threading.enumerate())
    mesh = Mesh.from_config(tmp_path, node=NODE, registry=False)
    with httpx.Client(transport=Transport(mesh)) as client:
        assert answered_by(client) == ONE[0]
        assert set(threading.enumerate()) - before
        mesh.close()
        wait_for(lambda: not set(threading.enumerate()) - before)
        written(tmp_path, entry(backends, OTHER))
        assert answered_by(client) == ONE[0]
    mesh.close()


def test_a_folder_that_cannot_be_read_is_a_configuration_error_and_leaves_no_thread(tmp_path: Path) -> None:
    before = threading.active_count()
    missing, file = tmp_path / "istio", tmp_path / "file"
    file.write_text("")
    for folder, why in ((missing, "No such file or directory"), (file, "Not a directory")):
        with pytest.raises(ConfigurationError, match=f"^cannot read folder {folder}: {why}$"):
            Mesh.from_config(folder, node=NODE, registry=False)
    with (
        forbidden(tmp_path),
        pytest.raises(ConfigurationError, match=rf"^cannot read folder {tmp_path}: Permission denied$"),
    ):
        Mesh.from_config(tmp_path, node=NODE, registry=False)
    assert threading.active_count() == before


def test_the_mesh_may_be_configured_by_a_file_of_its_own(tmp_path: Path, backends: Backends) -> None:
    folder = tmp_path / "istio"
    folder.mkdir()
    written(folder, entry(backends, ONE))
    file = tmp_path / "mesh.yaml"
    file.write_text("connectTimeout: 3s\n")
    with Mesh.from_config(folder, node=NODE, mesh_config=file, registry=False) as made:
        made.wait_ready(20)

        def patience() -> float:
            timeout: float = made.snapshot.clusters["PassthroughCluster"].get().connect_timeout_s
            return timeout

        assert patience() == 3
        file.write_text("connectTimeout: 4s\n")
        wait_for(lambda: patience() == 4, 10)
    with pytest.raises(ConfigurationError, match="cannot read mesh configuration"):
        Mesh.from_config(folder, node=NODE, mesh_config=tmp_path / "missing", registry=False)
