"""A world that was derived from the one before it gives what one that is made from scratch gives.

Files of a folder are written, broken, repaired, taken away and made to claim what others claim; after each step all
that is emitted for two clients is compared with what the same objects give to a plane that remembers nothing.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxyless.xds.controlplane import FolderSource, Plane
from proxyless.xds.controlplane.discovery import rules
from proxyless.xds.controlplane.discovery.resources import Resources
from proxyless.xds.controlplane.mesh import MeshConfig
from proxyless.xds.controlplane.registry.node import parse_node
from proxyless.xds.controlplane.registry.proxy import place
from proxyless.xds.controlplane.registry.world import World
from proxyless.xds.controlplane.source.documents import split

from .everything import EVERYTHING
from .support import MESH, endpoints, istio, mesh, service

A = "a.shop.svc.cluster.local"
ROUTE = "{{hosts: [{host}], http: [{{timeout: {timeout}s, route: [{{destination: {{host: {host}}}}}]}}]}}"
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
        for name, key, told in steps:
            write(folder, name, None if key is None else TEXTS[key])
            plane._took(source.poll({name} if told else None))
            compare(plane)
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
