"""Under a Sidecar a client hears only of what it sees: a change elsewhere sends it nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from proxyless.xds.controlplane import FolderSource, Plane
from proxyless.xds.controlplane.discovery import rules
from proxyless.xds.controlplane.discovery.delta import DeltaSession
from proxyless.xds.controlplane.discovery.sotw import SotwSession
from proxyless.xds.wire.schema import types as pb
from tests.xds.controlplane.support import endpoints, istio, named, service

FILES = {
    "a.yaml": service("a", "http:80", namespace="one") + endpoints("a", "http:80", "10.0.1.1", namespace="one"),
    "b.yaml": service("b", "http:80", namespace="two") + endpoints("b", "http:80", "10.0.2.1", namespace="two"),
    "scope.yaml": istio("Sidecar", "scope", "{egress: [{hosts: [./*]}]}", namespace="one"),
}
CLUSTERS = ["outbound|80||a.one.svc.cluster.local", "outbound|80||b.two.svc.cluster.local"]
NAMES = {rules.ENDPOINT.label: CLUSTERS, rules.ROUTE.label: ["80"]}


class Meshed:
    """A folder, its plane, and clients of namespaces that watch every type."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.write(**FILES)
        self.plane = Plane(FolderSource(folder), clock=lambda: 0.0)

    def write(self, **files: str) -> None:
        for name, text in files.items():
            (self._folder / name).write_text(text)

    def changed(self, client: Any, name: str, text: str | None) -> dict[str, list[str]]:
        """What a client is sent after a file was written or deleted: names by type."""
        if text is None:
            (self._folder / name).unlink()
        else:
            self.write(**{name: text})
        assert self.plane.poll()
        return self.sent(client)

    @staticmethod
    def sent(client: Any) -> dict[str, list[str]]:
        return {rules.TYPES[each.type_url].label: sorted(named(each.resources)) for each in client.changed()}

    def client(self, namespace: str, labels: dict[str, str] | None = None, *, delta: bool = False) -> Any:
        session: Any = DeltaSession(self.plane) if delta else SotwSession(self.plane)
        node = pb.core_v3.Node(id=f"sidecar~10.9.9.9~x.{namespace}~{namespace}.svc.cluster.local")
        node.metadata.update({"NAMESPACE": namespace, "LABELS": labels or {}})
        for type_ in rules.PUSH_ORDER[:5]:
            wanted = NAMES.get(type_.label, [])
            if delta:
                request: Any = pb.discovery_v3.DeltaDiscoveryRequest(
                    type_url=type_.url, node=node, resource_names_subscribe=wanted
                )
            else:
                request = pb.discovery_v3.DiscoveryRequest(type_url=type_.url, node=node, resource_names=wanted)
            assert session.receive(request)
        return session


@pytest.fixture
def meshed(tmp_path: Path) -> Meshed:
    return Meshed(tmp_path)


def two(kind: str, spec: str) -> str:
    return FILES["b.yaml"] + istio(kind, "b", spec, namespace="two")


AT = endpoints("b", "http:80", "10.0.2.1", namespace="two")
CHANGES = {
    "endpoints": AT.replace("10.0.2.1", "10.0.2.2") + service("b", "http:80", namespace="two"),
    "a service": FILES["b.yaml"] + service("more", "http:80", namespace="two"),
    "a port": AT + service("b", "http:80", "http-x:81", namespace="two"),
    "a rule": two("DestinationRule", "{host: b, subsets: [{name: v1}]}"),
    "a route": two("VirtualService", "{hosts: [b], http: [{directResponse: {status: 204}}]}"),
    "mTLS": two("PeerAuthentication", "{mtls: {mode: STRICT}}"),
    "a Sidecar": two("Sidecar", "{egress: [{hosts: [./*]}]}"),
}


@pytest.mark.parametrize("delta", [False, True], ids=["sotw", "delta"])
@pytest.mark.parametrize("change", CHANGES)
def test_a_change_out_of_sight_sends_nothing(meshed: Meshed, change: str, delta: bool) -> None:
    outside, inside = meshed.client("one", delta=delta), meshed.client("two", delta=delta)
    assert meshed.changed(outside, "b.yaml", CHANGES[change]) == {}
    assert meshed.sent(inside)


@pytest.mark.parametrize("delta", [False, True], ids=["sotw", "delta"])
def test_what_a_route_leads_to_comes_into_sight(meshed: Meshed, delta: bool) -> None:
    client = meshed.client("one", delta=delta)
    route = "{hosts: [a], http: [{route: [{destination: {host: b.two.svc.cluster.local}}]}]}"
    sent = meshed.changed(client, "route.yaml", istio("VirtualService", "r", route, namespace="one"))
    assert CLUSTERS[1] in sent["CDS"]
    assert sent["RDS"] == ["80"]
    more = endpoints("b", "http:80", "10.0.2.9", namespace="two") + service("b", "http:80", namespace="two")
    assert meshed.changed(client, "b.yaml", more) == {"EDS": [CLUSTERS[1]]}
    sent = meshed.changed(client, "route.yaml", None)
    assert CLUSTERS[1] not in sent["CDS"]
    assert meshed.changed(client, "b.yaml", FILES["b.yaml"]) == {}


def test_a_sidecar_that_comes_changes_or_goes_is_sent_to_those_for_whom_it_holds(meshed: Meshed) -> None:
    plain, picked, other = meshed.client("one"), meshed.client("one", {"app": "x"}), meshed.client("two")
    selecting = istio(
        "Sidecar", "x", "{workloadSelector: {labels: {app: x}}, egress: [{hosts: [two/*]}]}", namespace="one"
    )
    sent = meshed.changed(picked, "x.yaml", selecting)
    assert sent.keys() == {"CDS", "LDS", "RDS", "NDS"}
    assert CLUSTERS[1] in sent["CDS"]
    assert CLUSTERS[0] not in sent["CDS"]
    assert meshed.sent(plain) == meshed.sent(other) == {}
    assert meshed.changed(picked, "x.yaml", selecting.replace("two/*", "one/*"))["CDS"]
    assert meshed.sent(plain) == {}
    sent = meshed.changed(plain, "scope.yaml", FILES["scope.yaml"].replace("./*", "two/*"))
    assert CLUSTERS[1] in sent["CDS"]
    assert meshed.sent(picked) == meshed.sent(other) == {}
    sent = meshed.changed(picked, "x.yaml", None)
    assert CLUSTERS[1] in sent["CDS"]
    assert CLUSTERS[0] not in sent["CDS"]


def test_the_root_namespace_s_sidecar_holds_where_none_else_does(meshed: Meshed) -> None:
    one, two = meshed.client("one"), meshed.client("two")
    root = istio("Sidecar", "root", "{egress: [{hosts: [./*]}]}", namespace="istio-system")
    sent = meshed.changed(two, "root.yaml", root)
    assert CLUSTERS[0] not in sent["CDS"]
    assert meshed.sent(one) == {}


def test_a_removed_sidecar_s_clusters_are_named_to_the_delta_variant(meshed: Meshed) -> None:
    client = meshed.client("two", delta=True)
    meshed.write(**{"two.yaml": istio("Sidecar", "s", "{egress: [{hosts: [./*]}]}", namespace="two")})
    assert meshed.plane.poll()
    removed = {rules.TYPES[each.type_url].label: list(each.removed_resources) for each in client.changed()}
    assert removed["CDS"] == [CLUSTERS[0]]


def test_scopes_that_a_change_does_not_touch_stay_the_same(meshed: Meshed) -> None:
    client = meshed.client("one")
    before = client.client.view.scope
    rule = istio("DestinationRule", "b", "{host: b}", namespace="two")
    meshed.changed(client, "b.yaml", FILES["b.yaml"] + rule)
    after = client.client.view.scope
    assert after is not before
    assert after.listeners is before.listeners
    assert after.services is before.services
    meshed.changed(client, "more.yaml", service("c", "http:80", namespace="two"))
    last = client.client.view.scope
    assert last.listeners is before.listeners
    assert last.services is before.services
    meshed.changed(client, "more.yaml", service("c", "http:80", namespace="one"))
    assert client.client.view.scope.services is not before.services


def test_a_service_with_some_of_its_ports_is_the_same_object_after_a_change(meshed: Meshed) -> None:
    meshed.write(
        **{
            "wide.yaml": service("wide", "http:80", "http-x:81", namespace="one"),
            "scope.yaml": istio(
                "Sidecar",
                "scope",
                "{egress: [{port: {number: 81, protocol: HTTP}, hosts: [./*]}]}",
                namespace="one",
            ),
        }
    )
    assert meshed.plane.poll()
    client = meshed.client("one")
    (before,) = client.client.view.scope.services
    assert [port.number for port in before.ports] == [81]
    meshed.changed(client, "more.yaml", service("c", "http:81", namespace="one"))
    after = client.client.view.scope.by_host
    assert after[before.hostname] is before
    assert len(after) == 2


@pytest.mark.parametrize("delta", [False, True], ids=["sotw", "delta"])
def test_what_is_no_longer_exported_goes(meshed: Meshed, delta: bool) -> None:
    spec = "{hosts: [x.com], ports: [{number: 80, name: http, protocol: HTTP}], EXPORTS}"
    entry = istio("ServiceEntry", "x", spec.replace("EXPORTS", "exportTo: ['*']"), namespace="two")
    hidden = istio("ServiceEntry", "x", spec.replace("EXPORTS", "exportTo: ['.']"), namespace="two")
    meshed.write(**{"x.yaml": entry})
    assert meshed.plane.poll()
    client = meshed.client("three", delta=delta)
    sent = meshed.changed(client, "x.yaml", hidden)
    assert "CDS" in sent
    assert "outbound|80||x.com" not in sent["CDS"]
    assert meshed.changed(client, "x.yaml", hidden.replace("number: 80", "number: 81")) == {}
