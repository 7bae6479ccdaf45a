"""What admission says of ServiceEntries, WorkloadEntries and WorkloadGroups."""

from __future__ import annotations

import pytest

from tests.xds.controlplane.api.test_validity import entry, faults

WILD = "hosts: ['*.example.com'], resolution: DYNAMIC_DNS"
HTTP = "ports: [{number: 80, name: http, protocol: HTTP}]"


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (f"{{{WILD}, {HTTP}}}", []),
        (f"{{{WILD}, {HTTP}, location: MESH_INTERNAL}}", []),
        (
            f"{{hosts: [a.example.com], resolution: DYNAMIC_DNS, {HTTP}}}",
            ["spec.hosts[0] must be a wildcard for resolution DYNAMIC_DNS"],
        ),
        (
            f"{{{WILD}, {HTTP}, addresses: [10.0.0.1]}}",
            ["spec.addresses cannot be set for resolution DYNAMIC_DNS: what is called says where it goes"],
        ),
        (
            f"{{{WILD}, {HTTP}, endpoints: [{{address: 10.0.0.1}}]}}",
            ["spec.endpoints cannot be set for resolution DYNAMIC_DNS: what is called says where it goes"],
        ),
        (
            f"{{{WILD}, ports: [{{number: 80, name: tcp, protocol: TCP}}]}}",
            ["spec.ports[0].protocol must be one of HTTP, TLS, GRPC, HTTP2 for resolution DYNAMIC_DNS"],
        ),
    ],
)
def test_hosts_that_are_looked_up_when_called(spec: str, said: list[str]) -> None:
    assert faults("ServiceEntry", spec) == said


@pytest.mark.parametrize(
    ("rest", "said"),
    [
        ("resolution: STATIC, endpoints: [{address: 'unix:///run/x'}]", []),
        ("resolution: STATIC, endpoints: [{address: 'unix://@x'}]", []),
        (
            "resolution: STATIC, endpoints: [{address: 'unix://x'}]",
            ['spec.endpoints[0].address must be an absolute path or an abstract name after unix://, not "x"'],
        ),
        (
            "resolution: DNS, endpoints: [{address: 'unix:///run/x'}]",
            ["spec.endpoints[0].address cannot be a socket for resolution DNS"],
        ),
        (
            "resolution: STATIC, endpoints: [{address: 'unix:///run/x', ports: {http: 80}}]",
            ["spec.endpoints[0].ports cannot be set: the address is a socket"],
        ),
    ],
)
def test_sockets_are_endpoints_of_one_port(rest: str, said: list[str]) -> None:
    assert faults("ServiceEntry", entry(rest)) == said


def test_a_socket_cannot_serve_two_ports() -> None:
    ports = "ports: [{number: 80, name: a, protocol: HTTP}, {number: 81, name: b, protocol: HTTP}]"
    (said,) = faults("ServiceEntry", entry("resolution: STATIC, endpoints: [{address: 'unix:///run/x'}]", ports))
    assert said.startswith("spec.endpoints[0].address is a socket, which serves one port alone")


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("{address: 10.0.0.1}", []),
        ("{address: vm.example.com, ports: {http: 80}}", []),
        ("{network: far}", []),
        ("{labels: {app: vm}}", ["spec.address is required"]),
        ("{address: 'a b'}", ['spec.address "a b" is neither an IP address nor a host name']),
        ("{address: 10.0.0.1, ports: {'a b': 80}}", ['spec.ports["a b"] "a b" is no DNS label']),
    ],
)
def test_a_workload_entry_has_an_address(spec: str, said: list[str]) -> None:
    assert faults("WorkloadEntry", spec) == said


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("{template: {ports: {http: 80}}, probe: {httpGet: {port: 80}}}", []),
        ("{template: {}, probe: {tcpSocket: {port: 80}}}", []),
        ("{template: {}, probe: {exec: {command: [x]}}}", []),
        ("{}", ["spec.template is required"]),
        ("{template: {}, probe: {}}", ["spec.probe needs one of httpGet, tcpSocket, exec"]),
        ("{template: {}, probe: {exec: {}}}", ["spec.probe.exec.command is required"]),
        ("{template: {}, probe: {tcpSocket: {}}}", ["spec.probe.tcpSocket.port is required"]),
        (
            "{template: {}, probe: {periodSeconds: -1, exec: {command: [x]}}}",
            ["spec.probe.periodSeconds must be at least 0, not -1"],
        ),
        (
            "{template: {}, probe: {httpGet: {port: 80, scheme: ftp}}}",
            ['spec.probe.httpGet.scheme must be one of , HTTP, HTTPS, not "ftp"'],
        ),
        ("{template: {adress: x}}", ['spec.template.adress unknown field (did you mean "address"?)']),
    ],
)
def test_a_workload_group_has_a_template(spec: str, said: list[str]) -> None:
    assert faults("WorkloadGroup", spec) == said
