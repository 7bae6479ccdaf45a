"""Deployments whose annotation says where their processes are."""

from __future__ import annotations

import pytest
import yaml

from proxyless.xds.controlplane.registry.processes import Process, parse
from proxyless.xds.controlplane.source.documents import Document
from proxyless.xds.controlplane.source.reading import read_document
from tests.xds.controlplane.emit.registries import addresses, sent, thing
from tests.xds.controlplane.support import istio, service

WEB = "outbound|80||web.shop.svc.cluster.local"
INTERNAL = "outbound|80||web.internal"


def deployment(endpoints: str | None, *, labels: str = "{app: web}", inside: bool = False, spec: str = "{}") -> str:
    notes = {"proxyless.dev/endpoints": endpoints} if endpoints is not None else {}
    template = f"{{metadata: {{labels: {labels}, annotations: {notes if inside else {}}}}, spec: {spec}}}"
    given = {} if inside else notes
    return thing("Deployment", "web", f"spec: {{template: {template}}}", version="apps/v1", annotations=given)


@pytest.mark.parametrize(
    ("text", "process"),
    [
        ("127.0.0.1", Process("127.0.0.1")),
        (" 127.0.0.1:80 ", Process("127.0.0.1", 80)),
        ("::1", Process("::1")),
        ("[::1]:80", Process("::1", 80)),
        ("grpc=127.0.0.1:80", Process("127.0.0.1", 80, "grpc")),
        ("grpc=127.0.0.1", Process("127.0.0.1", 0, "grpc")),
        ("=127.0.0.1", None),
        ("localhost:80", None),
        ("127.0.0.1:", None),
        ("127.0.0.1:x", None),
        ("127.0.0.1:0", None),
        ("127.0.0.1:70000", None),
        ("::1:80:", None),
        ("", None),
    ],
)
def test_a_process_is_an_address_with_perhaps_a_port_and_the_name_of_a_service_s(text: str, process: Process) -> None:
    assert parse(text) == process


def test_a_deployment_without_the_annotation_is_none_of_ours() -> None:
    (reading,) = read_document("x.yaml", Document(yaml.safe_load(deployment(None)), "", 1))
    assert reading.object is None
    assert not reading.faults
    assert not reading.notes


@pytest.mark.parametrize("inside", [False, True])
def test_processes_are_endpoints_of_services_that_select_the_template(inside: bool) -> None:
    spec = "{serviceAccountName: web, containers: [{name: c, ports: [{name: main, containerPort: 8080}]}]}"
    text = deployment("127.0.20.1, 127.0.0.1:8081, nonsense", inside=inside, spec=spec)
    found = sent(service("web", "http:80:main") + text, WEB)
    assert [each["address"] for each in found] == ["127.0.20.1:8080", "127.0.0.1:8081"]
    assert {(each["health"], each["workload"], each["tls"]) for each in found} == {
        ("HEALTHY", "web;shop;web;;Kubernetes", "")
    }
    assert addresses(service("web", "http:80", rest="{selector: {app: db}}") + text, WEB) == []


def test_a_name_before_the_address_is_the_service_s_port() -> None:
    text = service("web", "http:80:8080", "grpc:81") + deployment("127.0.0.1:1, grpc=127.0.0.1:2, http=127.0.0.2")
    assert addresses(text, WEB) == ["127.0.0.1:1", "127.0.0.2:8080"]
    assert addresses(text, WEB.replace("80", "81")) == ["127.0.0.1:1", "127.0.0.1:2"]


def test_a_target_that_no_container_names_is_nowhere() -> None:
    assert addresses(service("web", "http:80:main") + deployment("127.0.0.1"), WEB) == []


def test_entries_select_processes_too() -> None:
    ports = "ports: [{number: 80, name: http, protocol: HTTP, targetPort: 8080}], resolution: STATIC"
    selector = "workloadSelector: {labels: {app: web}}"
    entry = istio("ServiceEntry", "web", f"{{hosts: [web.internal], {ports}, {selector}}}")
    assert addresses(entry + deployment("127.0.0.1, [::1]:9"), INTERNAL) == ["127.0.0.1:8080", "::1:9"]
    assert addresses(entry + deployment("127.0.0.1", labels="{app: db}"), INTERNAL) == []
