"""Streams that end, servers that are away, credentials that do not fit: what a user sees, and what stays in force."""

from __future__ import annotations

import logging
import socket
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest

from proxyless import ConfigurationError, Mesh, NotReadyError
from proxyless.xds.model.resource import ResourceType
from proxyless.xds.transport import backoff, control
from proxyless.xds.transport.control import Connection
from tests.support.ads import AdsServer
from tests.support.certificates import authority
from tests.support.waiting import wait_for

from .conftest import NODE, MakeMesh
from .test_control import PAYMENT, decide


def connection(mesh: Mesh) -> Connection:
    assert mesh._control is not None
    return mesh._control.connection


def test_the_planned_end_of_a_stream_is_no_outage(
    server: AdsServer, mesh_of: MakeMesh, caplog: pytest.LogCaptureFixture
) -> None:
    mesh = mesh_of(server)
    decide(mesh)
    with caplog.at_level(logging.WARNING, "proxyless.xds"):
        server.end()
        stream = server.stream(1)
        wait_for(lambda: all(stream.acked(each.value) for each in (ResourceType.ENDPOINT, ResourceType.ROUTE)))
        wait_for(lambda: connection(mesh).connected)
    assert stream.names[ResourceType.ROUTE.value] == {"80"}
    assert stream.names[ResourceType.ENDPOINT.value] == {PAYMENT}
    assert not caplog.records


def test_a_stream_that_breaks_loses_nothing_and_comes_back(server: AdsServer, mesh_of: MakeMesh) -> None:
    mesh = mesh_of(server)
    decide(mesh)
    before = mesh.snapshot
    server.end(Exception(grpc.StatusCode.INTERNAL, "oh no"))
    wait_for(lambda: connection(mesh).attempts > 1)
    assert mesh.snapshot.assignments.keys() == before.assignments.keys()
    assert decide(mesh).host is not None
    server.stream(1)
    wait_for(lambda: connection(mesh).connected)


def test_a_server_that_starts_anew_is_found_again_and_its_changes_with_it(
    shop: dict[str, dict[str, Any]], mesh_of: MakeMesh
) -> None:
    with AdsServer(shop) as server:
        mesh = mesh_of(server)
        decide(mesh)
        port = server.port
    wait_for(lambda: not connection(mesh).connected)
    assert decide(mesh).host is not None
    with AdsServer(shop, port=port) as server:
        server.remove(ResourceType.CLUSTER, PAYMENT)
        wait_for(lambda: decide(mesh).flags == ("NC",), 20)


@pytest.mark.parametrize("delta", [False, True], ids=["sotw", "delta"])
def test_a_new_stream_says_what_is_held(server: AdsServer, mesh_of: MakeMesh, delta: bool) -> None:
    mesh = mesh_of(server, delta=delta)
    decide(mesh)
    server.end()
    stream = server.stream(1)
    wait_for(lambda: len(stream.requests) >= 5)
    first = {each.type_url: each for each in reversed(stream.requests)}
    endpoint = first[ResourceType.ENDPOINT.value]
    if delta:
        assert dict(endpoint.initial_resource_versions) == {PAYMENT: "1"}
    else:
        assert endpoint.version_info == "1"
        assert endpoint.response_nonce == ""


def test_without_a_control_plane_the_user_is_told_where_and_why(mesh_of: MakeMesh) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
        mesh = mesh_of(f"xds://{address}")
        wait_for(lambda: connection(mesh).error)
        with pytest.raises(NotReadyError) as caught:
            mesh.wait_ready(0.2)
    assert str(caught.value).startswith(f"no complete configuration within 0.2 s from {address}: ")
    assert "Connection refused" in str(caught.value)


def test_every_attempt_is_a_connection_and_there_are_no_others(
    mesh_of: MakeMesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backoff, "INITIAL_S", 0.01)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        deaf.settimeout(20)
        mesh = mesh_of(f"xds://127.0.0.1:{deaf.getsockname()[1]}")
        with pytest.raises(NotReadyError):
            mesh.wait_ready(0.01)
        for number in range(1, 6):
            caller, _ = deaf.accept()
            assert connection(mesh).attempts == number
            caller.close()


def test_a_refused_token_is_said_in_words_and_never_shown(
    shop: dict[str, dict[str, Any]], mesh_of: MakeMesh, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    token = tmp_path / "token"
    token.write_text("s3cret-wrong")
    with AdsServer(shop, token="right") as server, caplog.at_level(logging.DEBUG):
        mesh = mesh_of(server, token_file=str(token))
        wait_for(lambda: connection(mesh).error)
        assert connection(mesh).error == ("the control plane refused the token: request authentication failure")
    assert "s3cret" not in caplog.text


def test_a_rotated_token_is_read_for_the_next_stream(
    shop: dict[str, dict[str, Any]], mesh_of: MakeMesh, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("old\n")
    with AdsServer(shop, token="old") as server:
        mesh = mesh_of(server, token_file=str(token))
        decide(mesh)
        assert server.stream().metadata["clusterid"] == "Kubernetes"
        server.token = "new"
        token.write_text("new\n")
        server.end()
        assert server.stream(1).metadata["authorization"] == "Bearer new"
        wait_for(lambda: connection(mesh).connected)


@pytest.mark.parametrize(
    ("write", "text"),
    [
        (None, "cannot read the token {path}: No such file or directory"),
        ("", "the token file {path} is empty"),
    ],
    ids=["missing", "empty"],
)
def test_a_token_that_cannot_be_read_is_named(
    server: AdsServer, mesh_of: MakeMesh, tmp_path: Path, write: str | None, text: str
) -> None:
    path = tmp_path / "token"
    if write is not None:
        path.write_text(write)
    mesh = mesh_of(server, token_file=str(path))
    wait_for(lambda: connection(mesh).error)
    assert connection(mesh).error == text.format(path=path)
    path.write_text("now it is there")
    mesh.wait_ready(20)


def test_tls_with_the_right_root_certificate(
    shop: dict[str, dict[str, Any]], mesh_of: MakeMesh, tmp_path: Path
) -> None:
    ca = authority()
    root = tmp_path / "root.pem"
    root.write_bytes(ca.pem)
    with AdsServer(shop, tls=ca.server()) as server:
        decide(mesh_of(f"xds+tls://{server.address}", root_cert=str(root)))


def test_tls_with_another_root_certificate_is_refused_and_says_so(
    shop: dict[str, dict[str, Any]], mesh_of: MakeMesh, tmp_path: Path
) -> None:
    root = tmp_path / "root.pem"
    root.write_bytes(authority("somebody else").pem)
    with AdsServer(shop, tls=authority().server()) as server:
        mesh = mesh_of(f"xds+tls://{server.address}", root_cert=str(root))
        wait_for(lambda: connection(mesh).error)
        said = connection(mesh).error
    assert said.startswith("the control plane's certificate does not verify against the root certificate: ")


def test_a_server_that_is_no_control_plane_is_named(mesh_of: MakeMesh) -> None:
    server = grpc.server(ThreadPoolExecutor(1))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        mesh = mesh_of(f"xds://127.0.0.1:{port}")
        wait_for(lambda: connection(mesh).error)
        assert connection(mesh).error.startswith("this server does not speak ADS: ")
    finally:
        server.stop(0)


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("http://a:1", "'http://a:1': the control plane's address starts with xds:// or xds+tls://"),
        ("xds://", "'xds://': no host in the control plane's address"),
        ("xds://a:99999", "'xds://a:99999': Port out of range 0-65535"),
    ],
)
def test_an_address_that_makes_no_sense_is_refused_at_once(url: str, text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Mesh(url, node=NODE)
    assert str(caught.value) == text


@pytest.fixture
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "CACHE_AFTER_S", 0.2)
    monkeypatch.setattr(control, "SAVE_AFTER_S", 0.05)


@pytest.mark.usefixtures("quick_disk")
class TestTheCopyOnDisk:
    def save(self, shop: dict[str, dict[str, Any]], mesh_of: MakeMesh, folder: Path) -> tuple[str, Path]:
        with AdsServer(shop) as server:
            mesh = mesh_of(server, cache_dir=folder)
            decide(mesh)
            wait_for(lambda: list(folder.glob("*.xds")))
            mesh.close()
            return server.address, next(folder.glob("*.xds"))

    def test_a_process_starts_with_it_when_the_control_plane_is_away(
        self, shop: dict[str, dict[str, Any]], mesh_of: MakeMesh, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        address, file = self.save(shop, mesh_of, tmp_path)
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        with caplog.at_level(logging.WARNING, "proxyless.xds"):
            mesh = mesh_of(f"xds://{address}", cache_dir=tmp_path)
            mesh.wait_ready(10)
        assert decide(mesh).host.address.startswith("127.0.14.")
        assert connection(mesh).from_disk is not None
        assert f"the control plane {address} is away: starting with the configuration saved at " in caplog.text

    def test_the_control_plane_wins_when_it_is_back(
        self, shop: dict[str, dict[str, Any]], mesh_of: MakeMesh, tmp_path: Path
    ) -> None:
        address, _ = self.save(shop, mesh_of, tmp_path)
        mesh = mesh_of(f"xds://{address}", cache_dir=tmp_path)
        mesh.wait_ready(10)
        with AdsServer(shop, port=int(address.rpartition(":")[2])) as server:
            server.remove(ResourceType.CLUSTER, PAYMENT)
            wait_for(lambda: decide(mesh).flags == ("NC",), 20)
            assert connection(mesh).from_disk is None

    @pytest.mark.parametrize(
        "spoil",
        [
            lambda file: file.write_bytes(file.read_bytes()[:-1]),
            lambda file: file.write_bytes(b"something else"),
            lambda file: file.chmod(0o644),
        ],
        ids=["cut off", "no such file format", "others may read it"],
    )
    def test_a_file_that_cannot_be_trusted_is_as_good_as_none(
        self, shop: dict[str, dict[str, Any]], mesh_of: MakeMesh, tmp_path: Path, spoil: Any
    ) -> None:
        address, file = self.save(shop, mesh_of, tmp_path)
        spoil(file)
        mesh = mesh_of(f"xds://{address}", cache_dir=tmp_path)
        with pytest.raises(NotReadyError):
            mesh.wait_ready(1)

    def test_a_folder_that_cannot_be_written_is_said_once_and_costs_nothing_else(
        self, server: AdsServer, mesh_of: MakeMesh, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        (tmp_path / "file").write_text("")
        with caplog.at_level(logging.WARNING, "proxyless.xds"):
            mesh = mesh_of(server, cache_dir=tmp_path / "file")
            decide(mesh)
            wait_for(lambda: "cannot save the configuration" in caplog.text)
        decide(mesh, "http://cart/")


def test_close_ends_the_stream_and_the_threads(server: AdsServer, mesh_of: MakeMesh) -> None:
    mesh = mesh_of(server)
    mesh.wait_ready(10)
    stream = server.stream()
    mesh.close()
    mesh.close()
    wait_for(lambda: not stream.open)
    assert not [each.name for each in threading.enumerate() if each.name == "proxyless-control"]


def test_close_ends_every_wait_for_configuration(mesh_of: MakeMesh) -> None:
    mesh = mesh_of("xds://127.0.0.1:1")
    said: list[str] = []

    def wait() -> None:
        try:
            mesh.wait_ready()
        except NotReadyError as error:
            said.append(str(error))

    waiting = threading.Thread(target=wait)
    waiting.start()
    mesh.close()
    waiting.join(10)
    assert said == ["no complete configuration had come from 127.0.0.1:1 at close"]
