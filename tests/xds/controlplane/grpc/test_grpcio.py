"""A real grpcio client calls real grpcio servers, both with grpcio's own xDS, through the control plane."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from proxyless.xds.controlplane import FolderSource, Plane
from proxyless.xds.controlplane.server import Server, serve
from tests.support.ports import free_port
from tests.xds.controlplane.support import istio, service

PEER = Path(__file__).with_name("peer.py")
ADDRESSES = {"v1": "127.0.7.1", "v2": "127.0.7.2"}
HOST = "echo.shop.svc.cluster.local"


def slice_of(ports: dict[str, int]) -> str:
    """A Pod, an address and a slice for each version."""
    documents = []
    for version, port in ports.items():
        address = ADDRESSES[version]
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": f"echo-{version}", "namespace": "shop", "labels": {"app": "echo", "version": version}},
            "spec": {"containers": [{"name": "c", "ports": [{"name": "grpc", "containerPort": port}]}]},
            "status": {"podIP": address, "phase": "Running"},
        }
        found = {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": f"echo-{version}",
                "namespace": "shop",
                "labels": {"kubernetes.io/service-name": "echo"},
            },
            "addressType": "IPv4",
            "ports": [{"name": "grpc", "port": port}],
            "endpoints": [
                {
                    "addresses": [address],
                    "conditions": {"ready": True},
                    "targetRef": {"kind": "Pod", "name": f"echo-{version}", "namespace": "shop"},
                }
            ],
        }
        documents += [json.dumps(pod), json.dumps(found)]
    return "\n---\n".join(["", *documents, ""])


@contextmanager
def peer(folder: Path, plane: Server, pod: str, ip: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    metadata = {"GENERATOR": "grpc", "NAMESPACE": "shop", "CLUSTER_ID": "Kubernetes", "INSTANCE_IPS": ip}
    bootstrap = folder / f".{pod}.json"
    written = {
        "xds_servers": [
            {"server_uri": plane.address, "channel_creds": [{"type": "insecure"}], "server_features": ["xds_v3"]}
        ],
        "node": {"id": f"sidecar~{ip}~{pod}.shop~shop.svc.cluster.local", "metadata": metadata},
        "server_listener_resource_name_template": "xds.istio.io/grpc/lds/inbound/%s",
    }
    bootstrap.write_text(json.dumps(written))
    environment = {**os.environ, "GRPC_XDS_BOOTSTRAP": str(bootstrap), "NO_PROXY": "*", "no_proxy": "*"}
    process = subprocess.Popen(
        [sys.executable, str(PEER), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def ask(client: subprocess.Popen[str], line: str) -> str:
    assert client.stdin is not None
    assert client.stdout is not None
    client.stdin.write(f"{line}\n")
    client.stdin.flush()
    return client.stdout.readline().strip()


def until(client: subprocess.Popen[str], line: str, wanted: str) -> str:
    """What is answered at last: a change takes its time."""
    deadline = time.monotonic() + 10
    while (answer := ask(client, line)) != wanted and time.monotonic() < deadline:
        time.sleep(0.02)
    return answer


@pytest.mark.parametrize("target", [HOST, "echo", "echo.shop"])
def test_a_grpcio_client_calls_a_grpcio_server_and_follows_changes(target: str, tmp_path: Path) -> None:
    ports = {"v1": free_port(), "v2": free_port()}
    (tmp_path / "echo.yaml").write_text(service("echo", "grpc:7070:grpc"))
    (tmp_path / "pods.yaml").write_text(slice_of(ports))
    rule = "{host: echo, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]}"
    (tmp_path / "rule.yaml").write_text(istio("DestinationRule", "echo", rule))
    routes = """
        hosts: [echo]
        http:
        - match: [{headers: {x-version: {exact: v2}}}]
          route: [{destination: {host: echo, subset: v2}}]
        - route: [{destination: {host: echo, subset: v1}}]
    """
    (tmp_path / "routes.yaml").write_text(istio("VirtualService", "echo", routes))
    with ExitStack() as stack:
        plane = Plane(FolderSource(tmp_path))
        stack.callback(plane.close)
        server = serve(plane, "127.0.0.1:0")
        stack.callback(server.stop)
        for version, port in ports.items():
            address = ADDRESSES[version]
            process = stack.enter_context(
                peer(tmp_path, server, f"echo-{version}", address, "server", version, f"{address}:{port}")
            )
            assert process.stdout is not None
            assert process.stdout.readline().strip() == "serving"
        client = stack.enter_context(peer(tmp_path, server, "web", "127.0.7.9", "client", f"xds:///{target}:7070"))
        assert ask(client, "Say") == "v1"
        assert ask(client, "Say x-version=v2") == "v2"
        (tmp_path / "routes.yaml").write_text(
            istio("VirtualService", "echo", routes.replace("subset: v1", "subset: v2"))
        )
        assert until(client, "Say", "v2") == "v2"
        refusal = '{action: DENY, rules: [{to: [{operation: {paths: ["/echo.Echo/Secret"]}}]}]}'
        (tmp_path / "policy.yaml").write_text(istio("AuthorizationPolicy", "closed", refusal))
        assert until(client, "Secret", "PERMISSION_DENIED") == "PERMISSION_DENIED"
        assert ask(client, "Say") == "v2"
