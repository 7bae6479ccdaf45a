"""What a change of objects is to clients: which keys it has, and so which types are pushed."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxyless.xds.controlplane import FolderSource, Plane
from proxyless.xds.controlplane.discovery import changes, rules
from proxyless.xds.controlplane.discovery.sotw import SotwSession
from tests.xds.controlplane.discovery.test_protocol import sotw
from tests.xds.controlplane.support import endpoints, istio, service

WEB = "web.shop.svc.cluster.local"
OF_TYPES = (rules.CLUSTER, rules.ENDPOINT, rules.LISTENER, rules.ROUTE, rules.NAMES)
CLUSTER = f"outbound|80||{WEB}"
POD = """\
---
apiVersion: v1
kind: Pod
metadata: {name: web-1, namespace: shop, labels: {app: web}}
spec: {serviceAccountName: web, containers: [{name: c}]}
status: {podIP: 10.1.0.1, phase: Running}
"""


class Folder:
    """A folder of one file, its plane, and a client that watches every type."""

    def __init__(self, where: Path, text: str) -> None:
        self._file = where / "mesh.yaml"
        self._file.write_text(text)
        self.plane = Plane(FolderSource(where), clock=lambda: 0.0)
        self._session = SotwSession(self.plane)
        names = {rules.ENDPOINT: (CLUSTER,), rules.ROUTE: ("80",)}
        for type_ in OF_TYPES:
            (answer,) = self._session.receive(sotw(type_, *names.get(type_, ())))
            self._session.receive(sotw(type_, *names.get(type_, ()), nonce=answer.nonce))

    def becomes(self, text: str) -> tuple[set[str], list[str]]:
        """The kinds of keys of the change, and the types that the client is sent."""
        before = self.plane.state.world
        self._file.write_text(text)
        assert self.plane.poll()
        kinds = {key.kind for key in changes.between(before, self.plane.state.world).keys}
        sent = self._session.changed()
        for each in sent:
            self._session.receive(sotw(each.type_url, *self._names(each.type_url), nonce=each.nonce))
        return kinds, [rules.TYPES[each.type_url].label for each in sent]

    def _names(self, url: str) -> tuple[str, ...]:
        return {rules.ENDPOINT.url: (CLUSTER,), rules.ROUTE.url: ("80",)}.get(url, ())


def slices(*addresses: str) -> str:
    return endpoints("web", "http:80", *addresses)


def test_a_service_that_loses_all_endpoints_and_gets_them_back_is_no_new_one(tmp_path: Path) -> None:
    web = service("web", "http:80") + POD
    folder = Folder(tmp_path, web)
    assert folder.becomes(web + slices("10.1.0.1")) == ({"ServiceEntry"}, ["CDS", "EDS", "LDS", "RDS", "NDS"])
    assert folder.becomes(web + slices()) == ({"Endpoints"}, ["EDS"])
    assert folder.becomes(web + slices("10.1.0.1")) == ({"Endpoints"}, ["EDS"])
    assert folder.becomes(web) == ({"Endpoints"}, ["EDS"])
    assert folder.becomes(web + slices("10.1.0.1")) == ({"Endpoints"}, ["EDS"])
    other = web.replace("serviceAccountName: web", "serviceAccountName: other")
    kinds, sent = folder.becomes(other + slices("10.1.0.1"))
    assert kinds == {"ServiceEntry"}
    assert "CDS" in sent


def test_another_service_of_the_name_is_a_new_one(tmp_path: Path) -> None:
    web = service("web", "http:80")
    folder = Folder(tmp_path, web + slices("10.1.0.1"))
    folder.becomes(service("other", "http:80"))
    folder.becomes(web)
    assert folder.becomes(web + slices("10.1.0.1"))[0] == {"ServiceEntry"}


@pytest.mark.parametrize(
    ("port", "kinds", "types"),
    [
        ("http:80", {"Endpoints", "DNSName"}, ["EDS", "NDS"]),
        ("tcp:80", {"Endpoints", "ServiceEntry"}, ["CDS", "EDS", "LDS", "RDS", "NDS"]),
    ],
)
def test_pods_of_a_headless_service(tmp_path: Path, port: str, kinds: set[str], types: list[str]) -> None:
    web = service("web", port, rest="clusterIP: None")
    name = port.partition(":")[0]
    folder = Folder(tmp_path, web + endpoints("web", f"{name}:80", "10.1.0.1"))
    assert folder.becomes(web + endpoints("web", f"{name}:80", "10.1.0.1", "10.1.0.2")) == (kinds, types)


RULES = {
    "VirtualService": "{hosts: [web], http: [{route: [{destination: {host: web}}]}]}",
    "DestinationRule": "{host: web}",
    "AuthorizationPolicy": "{}",
    "Telemetry": "{}",
    "PeerAuthentication": "{}",
    "EnvoyFilter": "{configPatches: []}",
    "Sidecar": "{egress: [{hosts: ['*/*']}]}",
}


@pytest.mark.parametrize("kind", sorted(RULES))
def test_what_a_deploying_tool_writes_into_metadata_is_no_change(tmp_path: Path, kind: str) -> None:
    web = service("web", "http:80")
    folder = Folder(tmp_path, web + istio(kind, "a", RULES[kind]))
    marked = istio(kind, "a", RULES[kind], labels={"helm.sh/chart": "a-1"}, annotations={"example.com/by": "me"})
    assert folder.becomes(web + marked) == (set(), [])
    ours = istio(kind, "a", RULES[kind], labels={"istio.io/rev": "x"})
    assert folder.becomes(web + ours)[0] == {kind}


def test_an_age_alone_is_a_change(tmp_path: Path) -> None:
    folder = Folder(tmp_path, istio("Telemetry", "a", "{}", creationTimestamp="2026-01-01T00:00:00Z"))
    assert folder.becomes(istio("Telemetry", "a", "{}", creationTimestamp="2025-01-01T00:00:00Z"))[0] == {"Telemetry"}


def test_a_status_alone_is_a_change(tmp_path: Path) -> None:
    entry = istio(
        "ServiceEntry", "db", "{hosts: [db.test], resolution: DNS, ports: [{number: 5432, name: tcp, protocol: TCP}]}"
    )
    folder = Folder(tmp_path, entry)
    assigned = f"{entry}status: {{addresses: [{{host: db.test, value: 240.240.0.1}}]}}\n"
    assert folder.becomes(assigned)[0] == {"ServiceEntry"}
    assert folder.becomes(entry)[0] == {"ServiceEntry"}
