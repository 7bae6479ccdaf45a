"""A world that was derived from the one before it gives what one that is made from scratch gives.

Files of a folder are written, broken, repaired, taken away and made to claim what others claim; after each step all
that is emitted for two clients is compared with what the same objects give to a plane that remembers nothing, and what
clients hold that were told of each step with what one gets that comes new.
"""

from __future__ import annotations

import tempfile
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxyless.xds.controlplane import FolderSource, Plane
from proxyless.xds.controlplane.discovery import rules
from proxyless.xds.controlplane.discovery.answers import Delta, Response
from proxyless.xds.controlplane.discovery.delta import DeltaSession, Request
from proxyless.xds.controlplane.discovery.resources import Resources
from proxyless.xds.controlplane.mesh import MeshConfig
from proxyless.xds.controlplane.registry.node import parse_node
from proxyless.xds.controlplane.registry.proxy import place
from proxyless.xds.controlplane.registry.world import World
from proxyless.xds.controlplane.source.documents import split
from proxyless.xds.wire.schema import types as pb

from .everything import EVERYTHING
from .support import MESH, endpoints, istio, mesh, service

A = "a.shop.svc.cluster.local"
ROUTE = "{{hosts: [{host}], http: [{{timeout: {timeout}s, route: [{{destination: {{host: {host}}}}}]}}]}}"
ROUTED = "{{route: [{{destination: {{host: {host}}}}}]}}"
POD = (
    "---\napiVersion: v1\nkind: Pod\n"
    "metadata: {{name: {name}, namespace: shop, labels: {{app: a, version: {version}}}}}\n"
    "spec: {{nodeName: n, serviceAccountName: {account}, containers: [{{name: c, image: x}}]}}\n"
    "status: {{phase: Running, podIP: {ip}, podIPs: [{{ip: {ip}}}]}}\n"
)
TEXTS = {
    "a service": service("a", "http:80"),
    "its other port": service("a", "http:80", "tcp-x:90"),
    "another service": service("b", "http:80", ip="10.96.0.2"),
    "headless": service("b", "http:80", rest="clusterIP: None"),
    "endpoints": endpoints("a", "http:8080", "10.1.0.1"),
    "more endpoints": endpoints("a", "http:8080", "10.1.0.1", "10.1.0.2"),
    "a pod": POD.format(name="a-0", version="v1", account="a", ip="10.1.0.1"),
    "another account": POD.format(name="a-0", version="v2", account="z", ip="10.1.0.1"),
    "routes": istio("VirtualService", "a", ROUTE.format(host=A, timeout=1)),
    "other routes": istio("VirtualService", "a", ROUTE.format(host=A, timeout=2)),
    "routes of TCP": istio(
        "VirtualService", "a", f"{{hosts: [{A}], tcp: [{{route: [{{destination: {{host: {A}}}}}]}}]}}"
    ),
    "routes that lead elsewhere": istio(
        "VirtualService", "a", ROUTE.format(host=A, timeout=6).replace(f"host: {A}", "host: b")
    ),
    "no routes for us": istio(
        "VirtualService",
        "a",
        f"{{hosts: [{A}], http: [{{match: [{{sourceNamespace: far}}], route: [{{destination: {{host: {A}}}}}]}}]}}",
    ),
    "routes of the same host": istio("VirtualService", "c", ROUTE.format(host=A, timeout=3)),
    "routes for all": istio("VirtualService", "c", ROUTE.format(host="'*.svc.cluster.local'", timeout=4)),
    "a rule": istio("DestinationRule", "a", f"{{host: {A}, subsets: [{{name: v1, labels: {{version: v1}}}}]}}"),
    "a rule of TLS": istio("DestinationRule", "a", f"{{host: {A}, trafficPolicy: {{tls: {{mode: ISTIO_MUTUAL}}}}}}"),
    "a rule that adds": istio("DestinationRule", "d", f"{{host: {A}, subsets: [{{name: v2}}]}}"),
    "an entry": istio("ServiceEntry", "e", "{hosts: [e.example], ports: [{number: 80, name: http}], resolution: DNS}"),
    "an entry of the host": istio("ServiceEntry", "e", f"{{hosts: [{A}], ports: [{{number: 80, name: http}}]}}"),
    "a sidecar": istio("Sidecar", "s", "{egress: [{hosts: [./*]}]}"),
    "a narrow sidecar": istio("Sidecar", "s", f"{{egress: [{{hosts: [./{A}]}}]}}"),
    "a filter": istio(
        "EnvoyFilter",
        "f",
        "{configPatches: [{applyTo: VIRTUAL_HOST, patch: "
        "{operation: MERGE, value: {request_headers_to_remove: [x]}}}]}",
    ),
    "mtls": istio("PeerAuthentication", "p", "{mtls: {mode: DISABLE}}"),
    "strict": istio("PeerAuthentication", "p", "{mtls: {mode: STRICT}}"),
    "a mesh": mesh("outboundTrafficPolicy: {mode: REGISTRY_ONLY}"),
    "two at once": service("a", "http:80") + istio("VirtualService", "a", ROUTE.format(host=A, timeout=5)),
    "an unknown field": istio("VirtualService", "a", "{hosts: [a], htttp: []}"),
    "no name": "kind: Service\napiVersion: v1\nmetadata: {}\n",
    "no YAML": "a: [",
    "nothing": "",
}
FILES = [f"{name}.yaml" for name in "abcdef"]
STEPS = st.tuples(st.sampled_from(FILES), st.one_of(st.none(), st.sampled_from(sorted(TEXTS))), st.booleans())


def write(folder: Path, name: str, text: str | None) -> None:
    if text is None:
        (folder / name).unlink(missing_ok=True)
        return
    aside = folder / f".{name}"  # another inode: no clock is so slow that the change is not seen
    aside.write_text(text)
    aside.replace(folder / name)


def emitted(resources: Resources, world: World, namespace: str) -> dict[str, list[tuple[str, bytes]]]:
    said = {"NAMESPACE": namespace, "LABELS": {"app": "a"}, "INSTANCE_IPS": "10.1.0.1", "CLUSTER_ID": "Kubernetes"}
    node = parse_node(f"sidecar~10.1.0.1~x.{namespace}~{namespace}.svc.cluster.local", said, "x", ("", "", ""))
    view = resources.view(world, place(node, world))
    clusters = [name for name, _ in resources.make(rules.CLUSTER, view, ())]
    names = {rules.ENDPOINT: clusters, rules.ROUTE: ["80", "90", f"{A}:80", "http_proxy", "none"]}
    return {
        type_.label: [(name, made.value) for name, made in resources.make(type_, view, names.get(type_, ()))]
        for type_ in (rules.CLUSTER, rules.ENDPOINT, rules.LISTENER, rules.ROUTE, rules.NAMES)
    }


class Follower:
    """A client that subscribed once and takes what it is pushed."""

    def __init__(self, plane: Plane, namespace: str) -> None:
        self._session = DeltaSession(plane)
        self._node = pb.core_v3.Node(id=f"sidecar~10.1.0.1~x.{namespace}~{namespace}.svc.cluster.local")
        self._node.metadata.update({"NAMESPACE": namespace, "LABELS": {"app": "a"}, "CLUSTER_ID": "Kubernetes"})
        self.held: dict[str, dict[str, bytes]] = {}
        for type_, names in ((rules.CLUSTER, ()), (rules.LISTENER, ()), (rules.ROUTE, ("80", "90"))):
            self.held[type_.url] = {}
            request = Request(node=self._node, type_url=type_.url, resource_names_subscribe=names)
            self._take(self._session.receive(request))

    def _take(self, responses: list[Response]) -> None:
        for response in responses:
            assert isinstance(response, Delta)
            held = self.held[response.type_url]
            for name in response.removed_resources:
                held.pop(name, None)
            held.update({each.name: each.resource.value for each in response.resources})
            self._session.receive(Request(type_url=response.type_url, response_nonce=response.nonce))

    def follow(self) -> None:
        self._take(self._session.changed())


def compare(plane: Plane) -> None:
    """What is emitted from what is remembered, with what is emitted from the same objects alone."""
    world = plane.state.world
    fresh = World(world.given, MESH)
    for namespace in ("shop", "other"):
        assert emitted(plane.resources, world, namespace) == emitted(Resources(), fresh, namespace)


def follow(steps: list[tuple[str, str | None, bool]]) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        plane = Plane(FolderSource(folder), MESH)
        source = plane._source
        followers = {namespace: Follower(plane, namespace) for namespace in ("shop", "other")}
        for name, key, told in steps:
            write(folder, name, None if key is None else TEXTS[key])
            plane._took(source.poll({name} if told else None))
            compare(plane)
            for namespace, each in followers.items():
                each.follow()
                assert each.held == Follower(plane, namespace).held
            assert not plane.poll(), "what was told of is not all that changed"
            if not plane.state.faults:
                loaded = FolderSource(folder).poll()
                assert loaded is not None
                assert [each.ref for each in loaded.objects] == [each.ref for each in plane.state.world.given]


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(STEPS, min_size=1, max_size=10))
def test_any_sequence_of_changes_gives_what_its_end_gives(steps: list[tuple[str, str | None, bool]]) -> None:
    follow(steps)


@pytest.mark.parametrize("key", sorted(TEXTS))
def test_one_object_changes_beside_others_and_back(key: str) -> None:
    start = [("a.yaml", "a service", True), ("b.yaml", "routes", False), ("c.yaml", "endpoints", True)]
    follow([*start, ("d.yaml", key, True), ("b.yaml", "other routes", True), ("d.yaml", None, True)])


def test_a_virtual_service_says_something_else_of_the_same_host() -> None:
    texts = [key for key in TEXTS if "routes" in key and "same host" not in key]
    start = [("a.yaml", "its other port", True), ("c.yaml", "another service", True), ("d.yaml", "a rule", True)]
    follow([*start, *(("b.yaml", key, True) for pair in permutations(texts, 2) for key in pair)])


def test_each_object_of_everything_is_touched_alone(tmp_path: Path) -> None:
    for index, (_, document) in enumerate(split(EVERYTHING)):
        (tmp_path / f"{index:03}.yaml").write_text(document)
    plane = Plane(FolderSource(tmp_path), MeshConfig())
    for path in sorted(tmp_path.iterdir())[::9]:
        text = path.read_text()
        write(tmp_path, path.name, text.replace("80", "81"))
        plane._took(plane._source.poll({path.name}))
        world = plane.state.world
        fresh = World(world.given, world.settings.base)
        assert emitted(plane.resources, world, "shop") == emitted(Resources(), fresh, "shop")
