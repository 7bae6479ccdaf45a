"""Meshes from inline YAML, and the recorded shop, for the tests of the control plane."""

from __future__ import annotations

import json
import shutil
import textwrap
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from google.protobuf import json_format
from google.protobuf.message import Message

from proxyless.xds.controlplane.discovery.resources import Resources
from proxyless.xds.controlplane.discovery.rules import ResourceType
from proxyless.xds.controlplane.emit.view import View
from proxyless.xds.controlplane.mesh import MeshConfig
from proxyless.xds.controlplane.objects import Object
from proxyless.xds.controlplane.registry.node import parse_node
from proxyless.xds.controlplane.registry.proxy import place
from proxyless.xds.controlplane.registry.scope import Scope
from proxyless.xds.controlplane.registry.world import World
from proxyless.xds.controlplane.source.block import BlockReader
from proxyless.xds.controlplane.source.documents import Document, parse_yaml, split
from proxyless.xds.controlplane.source.reading import read_document
from proxyless.xds.wire.schema import pool, unpack
from proxyless.xds.wire.schema import types as pb

RECORDED = Path(__file__).parents[2] / "recorded"
SHOP = RECORDED / "shop"
MESH = MeshConfig()


def objects(text: str) -> list[Object[object]]:
    """The objects of inline YAML; any fault fails the test."""
    reader, out = BlockReader(), []
    for line, part in split(textwrap.dedent(text)):
        for reading in read_document("mesh.yaml", Document(parse_yaml(part, line, reader), part, line)):
            assert not reading.faults, [str(fault) for fault in reading.faults]
            assert reading.object is not None
            out.append(reading.object)
    return out


def world(text: str, mesh: MeshConfig = MESH, before: World | None = None) -> World:
    made = World(objects(text), mesh, before)
    made.settle()
    return made


def view(
    of: World | str,
    *,
    namespace: str = "shop",
    ip: str = "10.0.0.1",
    pod: str = "client",
    labels: Mapping[str, str] | None = None,
    locality: tuple[str, str, str] = ("", "", ""),
    **metadata: object,
) -> View:
    """What a proxy in that namespace sees; it needs no Pod."""
    made = world(of) if isinstance(of, str) else of
    said = {"NAMESPACE": namespace, "LABELS": dict(labels or {}), "INSTANCE_IPS": ip, "CLUSTER_ID": "Kubernetes"}
    domain = f"{namespace}.svc.cluster.local"
    node = parse_node(f"sidecar~{ip}~{pod}.{namespace}~{domain}", said | metadata, "client", locality)
    proxy = place(node, made)
    return View(Scope.of(made, proxy), proxy)


def service(name: str, *ports: str, namespace: str = "shop", ip: str = "10.96.0.1", rest: str = "") -> str:
    """A Service with ports such as `http:80:8080` (name, number, target), as a document of YAML."""
    written = []
    for port in ports:
        label, number, *target = port.split(":")
        aim: dict[str, object] = {"targetPort": yaml.safe_load(target[0])} if target else {}
        written.append({"name": label, "port": int(number), **aim})
    spec = {"clusterIP": ip, "selector": {"app": name}, "ports": written, **(yaml.safe_load(rest) or {})}
    document = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": namespace}, "spec": spec}
    return f"---\n{yaml.safe_dump(document)}"


def endpoints(name: str, port: str, *addresses: str, namespace: str = "shop") -> str:
    """An EndpointSlice of a service: `http:8080` and ready addresses."""
    label, number = port.split(":")
    document = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": name, "namespace": namespace, "labels": {"kubernetes.io/service-name": name}},
        "addressType": "IPv4",
        "ports": [{"name": label, "port": int(number)}],
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}} for address in addresses],
    }
    return f"---\n{yaml.safe_dump(document)}"


def istio(kind: str, name: str, spec: str, *, namespace: str = "shop", **metadata: object) -> str:
    """An Istio object from the YAML of its spec."""
    group = {
        "AuthorizationPolicy": "security.istio.io/v1",
        "PeerAuthentication": "security.istio.io/v1",
        "RequestAuthentication": "security.istio.io/v1",
        "Telemetry": "telemetry.istio.io/v1",
        "EnvoyFilter": "networking.istio.io/v1alpha3",
        **dict.fromkeys(
            ("HTTPRoute", "GRPCRoute", "TCPRoute", "TLSRoute", "BackendTLSPolicy"), "gateway.networking.k8s.io/v1"
        ),
        "WasmPlugin": "extensions.istio.io/v1alpha1",
        "TrafficExtension": "extensions.istio.io/v1alpha1",
    }.get(kind, "networking.istio.io/v1")
    meta = {"name": name, "namespace": namespace, **metadata}
    document = {"apiVersion": group, "kind": kind, "metadata": meta, "spec": yaml.safe_load(textwrap.dedent(spec))}
    return f"---\n{yaml.safe_dump(document)}"


def plain(message: Message) -> dict[str, Any]:
    """A message as JSON, Anys opened, names as in the .proto."""
    made: dict[str, Any] = json_format.MessageToDict(message, preserving_proto_field_name=True, descriptor_pool=pool())
    return made


def named(resources: Iterable[Any]) -> dict[str, Message]:
    """The resources of a response by name; of the delta variant too."""
    out: dict[str, Message] = {}
    for each in resources:
        content = unpack(each.resource if hasattr(each, "removed") or hasattr(each, "aliases") else each)
        assert content is not None
        out[getattr(content, "name", "") or getattr(content, "cluster_name", "")] = content
    return out


def shop_folder(where: Path) -> Path:
    """A copy of the shop's objects, each in a file of its own, so that a step can replace one."""
    folder = where / "shop"
    folder.mkdir()
    for source in ("kubernetes.yaml", "istio.yaml"):
        for index, document in enumerate((SHOP / source).read_text().split("\n---\n")):
            (folder / f"{source.removesuffix('.yaml')}-{index:03}.yaml").write_text(document)
    return folder


def apply_step(folder: Path, step: Path) -> None:
    """Replaces the object that a recorded step names; the last step deletes it."""
    wanted = yaml.safe_load(step.read_text())
    key = (wanted["kind"], wanted["metadata"]["namespace"], wanted["metadata"]["name"])
    for file in sorted(folder.iterdir()):
        held = yaml.safe_load(file.read_text())
        if held and (held["kind"], held["metadata"].get("namespace"), held["metadata"]["name"]) == key:
            if step.stem.endswith("-gone"):
                file.unlink()
            else:
                shutil.copy(step, file)
            return
    raise AssertionError(f"no file holds {key}")


def recorded_node(folder: Path) -> pb.core_v3.Node:
    made = pb.core_v3.Node()
    json_format.ParseDict(json.loads((folder / "node.json").read_text()), made)
    return made


def mesh(settings: str, *, name: str = "istio", namespace: str = "istio-system", networks: str = "") -> str:
    """The ConfigMap of a mesh's settings, as a document of YAML."""
    data = {"mesh": textwrap.dedent(settings)} | ({"meshNetworks": textwrap.dedent(networks)} if networks else {})
    meta = {"name": name, "namespace": namespace}
    document = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data}
    return f"---\n{yaml.safe_dump(document)}"


def made(of: View, type_: ResourceType, *names: str) -> dict[str, Any]:
    """What a proxy is sent of a type, by name, as JSON."""
    resources = Resources().make(type_, of, names)
    return {name: plain(content) for name, each in resources if (content := unpack(each)) is not None}
