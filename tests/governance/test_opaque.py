"""Where connections go whose bytes the mesh does not look into."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from proxyless import Mesh, Node
from proxyless.governance.opaque import dialled
from proxyless.governance.passing import DIRECT, TcpRoute
from proxyless.governance.plan import Missing
from proxyless.governance.replies import LocalReply
from proxyless.governance.runtime import Options, Runtime
from tests.support import world as worlds
from tests.support.model import cluster, route, table

NODE = Node(app="me", namespace="shop", ip="127.0.0.9")
CONFIG = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: db, namespace: shop}
spec:
  hosts: [db.example.com]
  ports: [{number: 9000, name: tcp, protocol: TCP}, {number: 9001, name: http, protocol: HTTP}]
  resolution: STATIC
  endpoints: [{address: 127.0.43.1}]
"""
ONLY = """
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data: {mesh: "outboundTrafficPolicy: {mode: REGISTRY_ONLY}"}
"""


def found_of(mesh: Mesh, host: str, port: int) -> TcpRoute | LocalReply | Missing:
    """What is found once everything has come that it takes."""
    while True:
        seen = mesh.runtime.changes.generation
        found = dialled(mesh.runtime, host, port)
        if not isinstance(found, Missing):
            return found
        mesh.runtime.require(found)
        assert mesh.runtime.changes.wait(seen, 60)


def what(found: TcpRoute | LocalReply | Missing) -> str:
    if found is DIRECT:
        return "direct"
    if isinstance(found, TcpRoute):
        return found.cluster
    return f"{found.flag} {found.body.decode()}" if isinstance(found, LocalReply) else f"missing {found.what}"


@pytest.mark.parametrize(
    ("more", "unknown"), [("", "direct"), (ONLY, "UF BlackHoleCluster: the mesh lets nothing out to unknown hosts")]
)
def test_a_dialled_address_is_a_cluster_or_itself_or_nothing(tmp_path: Path, more: str, unknown: str) -> None:
    (tmp_path / "all.yaml").write_text(CONFIG + "---" + more)
    with Mesh.from_config(tmp_path, node=NODE, registry=False) as mesh:
        mesh.wait_ready(30)
        runtime = mesh.runtime
        runtime.dialled.ask = None
        assert what(dialled(runtime, "db.example.com", 9000)).startswith("missing endpoints")
        assert what(found_of(mesh, "db.example.com", 9000)) == "outbound|9000||db.example.com"
        assert runtime.states["outbound|9000||db.example.com"].used_at > 0
        assert what(dialled(runtime, "other.example.com", 9999)) == unknown
        assert what(dialled(runtime, "db.example.com", 9001)) == unknown  # what is no HTTP goes to the address itself
        snapshot = runtime.plan.snapshot
        without = {key: each for key, each in snapshot.clusters.items() if "9000" not in key}
        runtime.publish(replace(snapshot, clusters=without))
        found = dialled(runtime, "db.example.com", 9000)
        assert isinstance(found, LocalReply)
        assert (found.flag, found.details) == ("NC", "cluster_not_found")


def test_before_there_is_a_configuration_it_is_waited_for_or_let_out() -> None:
    assert what(dialled(Runtime(), "a", 1)) == "missing the first complete configuration"
    assert dialled(Runtime(Options(passthrough_until_ready=True)), "a", 1) is DIRECT


def test_where_nothing_listens_or_http_only_is_taken_it_is_refused() -> None:
    world = worlds.World(tables=[table(route("/", "a"))], clusters=[cluster("a", "127.0.0.1:1")])
    assert what(dialled(world.runtime, "shop", 80)).startswith("UF listener ")
    assert "takes HTTP here" in what(dialled(world.runtime, "shop", 80))
    empty = Runtime()
    empty.publish(replace(empty.plan.snapshot, complete=True))
    assert what(dialled(empty, "shop", 80)) == "UF no listener takes shop:80"
