"""What a user sees of bad input: the error, the status and the log; and what was in force stays in force."""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from proxyless import Mesh, MeshError, NotReadyError
from proxyless.cli._url import parse_url
from proxyless.governance.explain import dry_call
from proxyless.xds.wire.schema import types as pb
from tests.support.ads import AdsServer
from tests.support.certificates import authority
from tests.support.waiting import wait_for

from .conftest import MakeMesh
from .test_control import CLUSTER, ENDPOINT, LISTENER, PAYMENT, ROUTE, decide

SECRET = "s3cret-t0ken"
FAILED = "failed to connect to all addresses; last error: "


@dataclass(frozen=True, slots=True)
class Attempt:
    """A control plane that cannot be used: its URL, the options of the mesh, and what the error says of it."""

    url: str
    options: dict[str, Any]
    says: str


def nobody(shop: Any, folder: Path) -> Iterator[Attempt]:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
        said = f"{FAILED}UNKNOWN: ipv4:{address}: Failed to connect to remote host: "
        yield Attempt(f"xds://{address}", {}, said)


def wrong_token(shop: Any, folder: Path) -> Iterator[Attempt]:
    (folder / "token").write_text(SECRET)
    with AdsServer(shop, token="right") as server:
        said = "the control plane refused the token: request authentication failure"
        yield Attempt(f"xds://{server.address}", {"token_file": str(folder / "token")}, said)


def no_token(shop: Any, folder: Path) -> Iterator[Attempt]:
    (folder / "token").write_text(f"{SECRET}\n\x00{SECRET}")
    with AdsServer(shop, token="right") as server:
        said = f"the token file {folder / 'token'} holds something that is no token"
        yield Attempt(f"xds://{server.address}", {"token_file": str(folder / "token")}, said)


def tls(shop: Any, folder: Path, root: bytes, says: str, server: tuple[bytes, bytes] | None) -> Iterator[Attempt]:
    (folder / "root.pem").write_bytes(root)
    (folder / "token").write_text(SECRET)
    with AdsServer(shop, tls=server) as running:
        options = {"root_cert": str(folder / "root.pem"), "token_file": str(folder / "token")}
        yield Attempt(f"xds+tls://{running.address}", options, says.format(root=folder / "root.pem"))


def wrong_certificate(shop: Any, folder: Path) -> Iterator[Attempt]:
    said = f"the control plane's certificate does not verify against the root certificate: {FAILED}"
    yield from tls(shop, folder, authority("somebody else").pem, said, authority().server())


def certificate_of_another_host(shop: Any, folder: Path) -> Iterator[Attempt]:
    ca = authority()
    said = f"the control plane's certificate is not for this host name: {FAILED}"
    yield from tls(shop, folder, ca.pem, said, ca.server("elsewhere.example.com"))


def no_tls(shop: Any, folder: Path) -> Iterator[Attempt]:
    said = f"there is no TLS at this address of the control plane (xds:// means plaintext): {FAILED}"
    yield from tls(shop, folder, authority().pem, said, None)


def no_root_certificate(shop: Any, folder: Path) -> Iterator[Attempt]:
    said = "the root certificate {root} holds no certificate in PEM"
    yield from tls(shop, folder, b"nothing of the kind", said, authority().server())


Scene = Callable[[Any, Path], Iterator[Attempt]]


def error(mesh: Mesh) -> str:
    """What `status` says of the control plane."""
    return str(mesh.status()["control_plane"]["error"])


@pytest.mark.parametrize(
    "scene",
    [
        nobody,
        wrong_token,
        no_token,
        wrong_certificate,
        certificate_of_another_host,
        no_tls,
        no_root_certificate,
    ],
)
def test_a_control_plane_that_cannot_be_used_is_said_in_the_error_the_status_and_the_log(
    scene: Scene,
    shop: dict[str, dict[str, Any]],
    mesh_of: MakeMesh,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    for attempt in scene(shop, tmp_path):
        address = attempt.url.partition("//")[2]
        mesh = mesh_of(attempt.url, **attempt.options)
        wait_for(partial(error, mesh))
        with pytest.raises(MeshError) as caught:
            mesh.wait_ready(0.05)
        status = mesh.status()
        assert isinstance(caught.value, NotReadyError)
        assert str(caught.value).startswith(f"no complete configuration within 0.05 s from {address}: {attempt.says}")
        assert status["control_plane"]["error"].startswith(attempt.says)
        assert not status["control_plane"]["connected"]
        assert not status["ready"]
        assert f"control plane {address}: {attempt.says}" in caplog.text
        for text in (str(caught.value), caplog.text, json.dumps(status), json.dumps(mesh.dump()), repr(mesh)):
            assert SECRET not in text


# -- on a stream that worked ---------------------------------------------------------------------------------------


def texts(mesh: Mesh) -> list[str]:
    """What `status` says is refused."""
    return [f"{each['type']} {each['name']}: {each['reason']}" for each in mesh.status()["rejected"]]


@pytest.mark.parametrize("delta", [False, True], ids=["sotw", "delta"])
def test_bytes_that_are_no_response_are_said_and_a_new_stream_brings_what_is_missing(
    server: AdsServer, mesh_of: MakeMesh, caplog: pytest.LogCaptureFixture, delta: bool
) -> None:
    mesh = mesh_of(server, delta=delta)
    decide(mesh)
    before = mesh.snapshot
    server.send(b"\x0a\xff")
    wait_for(lambda: len(server.streams) == 2)
    kind = "DeltaDiscoveryResponse" if delta else "DiscoveryResponse"
    assert f"control plane {server.address}: truncated or malformed {kind}: " in caplog.text
    assert mesh.snapshot.assignments[PAYMENT] is before.assignments[PAYMENT]
    assert decide(mesh).host is not None
    server.remove(CLUSTER, PAYMENT)
    server.stream(1)
    wait_for(lambda: mesh.status()["control_plane"]["connected"])
    server.push(CLUSTER, PAYMENT)
    wait_for(lambda: decide(mesh).flags == ("NC",))
    assert error(mesh) == ""


def test_an_unknown_type_is_said_until_something_known_comes(
    server: AdsServer, mesh_of: MakeMesh, caplog: pytest.LogCaptureFixture
) -> None:
    mesh = mesh_of(server)
    decide(mesh)
    before = mesh.snapshot
    said = "type.googleapis.com/a.B"
    server.send(pb.discovery_v3.DiscoveryResponse(type_url=said, nonce="1").SerializeToString())
    wait_for(partial(error, mesh))
    assert error(mesh) == f"unknown resource type {said}"
    assert f"control plane {server.address} sent a type that nobody asked for: {said}" in caplog.text
    assert mesh.snapshot is before
    server.push(ENDPOINT)
    wait_for(lambda: not error(mesh))


def test_a_truncated_resource_is_said_and_the_good_one_stays(
    server: AdsServer, mesh_of: MakeMesh, caplog: pytest.LogCaptureFixture
) -> None:
    mesh = mesh_of(server)
    decide(mesh)
    good = mesh.snapshot.clusters[PAYMENT]
    server.set(CLUSTER, PAYMENT, good.raw[:-3])
    server.push(CLUSTER)
    wait_for(lambda: texts(mesh))
    (said,) = texts(mesh)
    assert "Error parsing message" in said
    assert server.stream().errors(CLUSTER.value)[0] in said
    assert f"rejected {said.partition(':')[0]}" in caplog.text
    assert mesh.snapshot.clusters[PAYMENT] is good
    assert decide(mesh).host is not None


def table(server: AdsServer) -> Any:
    return pb.route_v3.RouteConfiguration.FromString(server.resources[ROUTE.value]["80"])


def test_a_route_to_a_cluster_that_does_not_exist_is_503_nc_and_the_other_routes_work(
    server: AdsServer, mesh_of: MakeMesh
) -> None:
    mesh = mesh_of(server)
    decide(mesh)
    changed = table(server)
    for host in changed.virtual_hosts:
        if "payment" in host.domains:
            for route in host.routes:
                route.route.cluster = "ghost"
    server.set(ROUTE, "80", changed)
    server.push(ROUTE)
    wait_for(lambda: decide(mesh).flags == ("NC",))
    assert decide(mesh, "http://cart/").host is not None
    assert texts(mesh) == []


def test_a_listener_whose_next_route_table_does_not_exist_keeps_the_one_before_and_says_so(
    server: AdsServer, mesh_of: MakeMesh
) -> None:
    mesh = mesh_of(server)
    decide(mesh)
    before = mesh.snapshot.listeners["0.0.0.0_80"]
    server.set(LISTENER, "0.0.0.0_80", renamed(before.raw, "ghost"))
    server.push(LISTENER)
    wait_for(lambda: mesh.status()["held_back"])
    assert mesh.status()["held_back"] == ["Listener 0.0.0.0_80"]
    assert mesh.snapshot.listeners["0.0.0.0_80"] is before
    assert decide(mesh).host is not None


def test_a_route_table_and_endpoints_that_never_come_are_named_to_the_call_that_waits(
    server: AdsServer, mesh_of: MakeMesh
) -> None:
    raw = server.resources[LISTENER.value]["0.0.0.0_80"]
    server.set(LISTENER, "0.0.0.0_80", renamed(raw, "ghost"))
    mesh = mesh_of(server)
    mesh.wait_ready(10)
    assert missing(mesh) == "the configuration does not hold route configuration 'ghost'"
    server.remove(ENDPOINT, PAYMENT)
    server.set(ROUTE, "ghost", renamed_table(server.resources[ROUTE.value]["80"], "ghost"))
    server.push(ROUTE)
    wait_for(lambda: missing(mesh) == f"the configuration does not hold endpoints of cluster {PAYMENT!r}")


def renamed_table(raw: bytes, name: str) -> bytes:
    """A route table by another name."""
    found = pb.route_v3.RouteConfiguration.FromString(raw)
    found.name = name
    return found.SerializeToString()


def missing(mesh: Mesh) -> str:
    """What a call that has no patience lacks."""
    return dry_call(mesh.runtime, "GET", parse_url("http://payment/"), [])[1]


def renamed(raw: bytes, table: str) -> bytes:
    """A listener with the name of its route table changed."""
    listener = pb.listener_v3.Listener.FromString(raw)
    for chain in listener.filter_chains:
        for each in chain.filters:
            if each.typed_config.type_url.endswith("HttpConnectionManager"):
                kind = pb.http_connection_manager_v3.HttpConnectionManager
                manager = kind.FromString(each.typed_config.value)
                manager.rds.route_config_name = table
                each.typed_config.value = manager.SerializeToString()
    return listener.SerializeToString()
