"""Where a governed channel leads is where grpcio's own xDS leads, by the same objects of Istio's."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import pytest

import proxyless.grpc
from proxyless import Mesh, Node
from proxyless.xds.controlplane import FolderSource, Plane
from proxyless.xds.controlplane.server import serve
from tests.support.ports import free_port
from tests.xds.controlplane.grpc.peer import Echo
from tests.xds.controlplane.grpc.test_grpcio import ADDRESSES, HOST, ask, peer, slice_of
from tests.xds.controlplane.support import istio, service

RULE = "{host: echo, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]}"
ROUTES = """
    hosts: [echo]
    http:
    - match: [{uri: {exact: /echo.Echo/Exact}}, {uri: {prefix: /echo.Echo/Pre}}, {uri: {regex: "/echo[.]Echo/[RS]e.+"}}]
      route: [{destination: {host: echo, subset: v2}}]
    - match:
      - headers: {x-exact: {exact: "a"}, x-other: {prefix: "b"}}
      - headers: {x-regex: {regex: "v[0-9]+"}}
      - headers: {x-there: {}}
      - headers: {x-raw: {exact: "c"}}
        withoutHeaders: {x-not: {exact: "d"}}
      route: [{destination: {host: echo, subset: v2}}]
    - match: [{headers: {x-weights: {exact: one}}}]
      route:
      - {destination: {host: echo, subset: v1}, weight: 0}
      - {destination: {host: echo, subset: v2}, weight: 100}
    - match: [{headers: {x-weights: {exact: both}}}]
      route:
      - {destination: {host: echo, subset: v1}, weight: 50}
      - {destination: {host: echo, subset: v2}, weight: 50}
    - match: [{headers: {x-fault: {exact: abort}}}]
      fault: {abort: {percentage: {value: 100}, grpcStatus: "ABORTED"}}
      route: [{destination: {host: echo, subset: v1}}]
    - match: [{uri: {prefix: /echo.Echo/}}]
      route: [{destination: {host: echo, subset: v1}}]
"""
CALLS = """\
Other
Exact
Exactly
Prefix
Regex
Seven
Re
Other x-exact=a x-other=bee
Other x-exact=a x-other=cee
Other x-exact=a
Other x-regex=v12
Other x-regex=v12x
Other x-there=1
Other x-raw=c x-not=d
Other x-raw=c x-not=e
Other x-weights=one
Other x-fault=abort
Exact x-fault=abort
""".splitlines()
WITHOUT = "Other x-raw=c"
"""grpcio never takes a header that is not there for one that is not what it must not be; Envoy does."""
MANY = 40


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """The objects, and a server of each version."""
    ports = {version: free_port() for version in ADDRESSES}
    with ExitStack() as stack:
        for version, port in ports.items():
            server = grpc.server(ThreadPoolExecutor(2), [Echo(version)])
            assert server.add_insecure_port(f"{ADDRESSES[version]}:{port}")
            server.start()
            stack.callback(lambda each=server: each.stop(0).wait())  # type: ignore[misc]
        (tmp_path / "echo.yaml").write_text(service("echo", "grpc:7070:grpc"))
        (tmp_path / "pods.yaml").write_text(slice_of(ports))
        (tmp_path / "rule.yaml").write_text(istio("DestinationRule", "echo", RULE))
        (tmp_path / "routes.yaml").write_text(istio("VirtualService", "echo", ROUTES))
        yield tmp_path


def asked(channel: Any, line: str) -> str:
    """As `peer.py client` does it."""
    method, *metadata = line.split()
    pairs = [tuple(each.split("=", 1)) for each in metadata]
    try:
        answer: bytes = channel.unary_unary(f"/echo.Echo/{method}")(b"", timeout=20, metadata=pairs)
    except grpc.RpcError as error:
        failed: Any = error
        return str(failed.code().name)
    return answer.decode()


def test_calls_go_where_grpcio_sends_them(folder: Path) -> None:
    with ExitStack() as stack:
        plane = Plane(FolderSource(folder))
        stack.callback(plane.close)
        server = serve(plane, "127.0.0.1:0")
        stack.callback(server.stop)
        client = stack.enter_context(peer(folder, server, "web", "127.0.7.9", "client", f"xds:///{HOST}:7070"))
        node = Node(app="web", namespace="shop", ip="127.0.7.9")
        mesh = stack.enter_context(Mesh.from_config(folder, node=node, registry=False))
        channel = stack.enter_context(proxyless.grpc.channel(f"{HOST}:7070", mesh))
        theirs = {line: ask(client, line) for line in CALLS}
        assert {line: asked(channel, line) for line in CALLS} == theirs
        assert set(theirs.values()) == {"v1", "v2", "ABORTED"}
        assert (ask(client, WITHOUT), asked(channel, WITHOUT)) == ("v1", "v2")
        both = {"v1", "v2"}
        assert {ask(client, "Other x-weights=both") for _ in range(MANY)} == both
        assert {asked(channel, "Other x-weights=both") for _ in range(MANY)} == both
