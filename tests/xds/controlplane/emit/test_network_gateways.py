"""Where gateways of networks are found: nodes of a NodePort Service, Gateways of the Gateway API, host names."""

from __future__ import annotations

import json

import pytest

from proxyless.xds.controlplane.registry.world import World
from tests.xds.controlplane.emit.registries import addresses, thing
from tests.xds.controlplane.emit.test_across import BALANCED, FAR, WEB, members, networks
from tests.xds.controlplane.support import MESH, objects

DIRECT = ["10.1.0.1:8080"]


def node(name: str, *found: tuple[str, str], **labels: str) -> str:
    written = ", ".join(f"{{type: {kind}, address: {address}}}" for kind, address in found)
    return thing("Node", name, f"status: {{addresses: [{written}]}}", namespace="", labels=labels)


NODES = (
    node("a", ("InternalIP", "10.5.0.1"), ("ExternalIP", "192.0.2.1"), ("ExternalIP", "192.0.2.9"), edge="yes")
    + node("b", ("ExternalIP", "192.0.2.2"))
    + node("c", ("InternalIP", "10.5.0.3"), edge="yes")
)


def on_nodes(selector: str | None = '{"edge": "yes"}', rest: str = "", port: str = "15443, nodePort: 31443") -> str:
    notes = {} if selector is None else {"traffic.istio.io/nodeSelector": selector}
    body = f"spec: {{type: NodePort, clusterIP: 10.96.0.99, ports: [{{name: tls, port: {port}}}]{rest}}}"
    return thing("Service", "east", body, labels=FAR, annotations=notes)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (on_nodes(), ["192.0.2.1:31443"]),
        (on_nodes("{}"), ["192.0.2.1:31443", "192.0.2.2:31443"]),
        (on_nodes(""), ["192.0.2.1:31443", "192.0.2.2:31443"]),
        (on_nodes("no JSON"), ["192.0.2.1:31443", "192.0.2.2:31443"]),
        (on_nodes("[]"), ["192.0.2.1:31443", "192.0.2.2:31443"]),
        (on_nodes(None), DIRECT),
        (on_nodes('{"edge": "no"}'), DIRECT),
        (on_nodes(port="15443"), DIRECT),  # no port on the nodes yet
        (on_nodes(rest=", externalIPs: [192.0.2.7]"), ["192.0.2.7:31443"]),
        (on_nodes(port="15008, nodePort: 31008"), DIRECT),  # takes HBONE alone
    ],
)
def test_nodes_are_gateways_at_the_nodes_port_of_a_service_that_selects_them(text: str, found: list[str]) -> None:
    assert addresses(members("far") + NODES + text, WEB, NETWORK="near") == found


def entry(spec: str, labels: dict[str, str] | None = None) -> str:
    version = "gateway.networking.k8s.io/v1"
    return thing("Gateway", "east", f"spec: {spec}", version=version, labels=FAR | (labels or {}))


PASSES = "tls: {mode: Passthrough, options: {gateway.istio.io/listener-protocol: auto-passthrough}}"
AT = "gatewayClassName: istio, addresses: [{type: IPAddress, value: 192.0.2.5}]"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (entry(f"{{{AT}, listeners: [{{port: 15443, protocol: TLS, {PASSES}}}]}}"), ["192.0.2.5:15443"]),
        (entry(f"{{{AT}, listeners: [{{port: 9, protocol: TLS, {PASSES}}}]}}"), ["192.0.2.5:9"]),
        (entry(f"{{{AT}, listeners: [{{port: 15443, protocol: TLS, tls: {{}}}}]}}"), ["192.0.2.5:15443"]),
        (entry(f"{{{AT}, listeners: [{{port: 15443, protocol: TCP}}]}}"), DIRECT),
        (entry(f"{{{AT}, listeners: [{{port: 443, protocol: TLS, tls: {{}}}}]}}"), DIRECT),
        (
            entry(
                f"{{{AT}, listeners: [{{port: 443, protocol: TLS, tls: {{}}}}]}}",
                labels={"networking.istio.io/gatewayPort": "443"},
            ),
            ["192.0.2.5:443"],
        ),
        (entry(f"{{{AT}, listeners: [{{port: 15008, protocol: HBONE}}]}}"), ["192.0.2.5:15008"]),
        (
            entry(f"{{addresses: [{{type: x/y, value: 192.0.2.5}}], listeners: [{{port: 15443, {PASSES}}}]}}"),
            DIRECT,
        ),
    ],
)
def test_a_gateway_that_is_labelled_with_a_network_is_its_gateway(text: str, found: list[str]) -> None:
    assert addresses(members("far") + text, WEB, NETWORK="near") == found


def named(text: str, known: dict[str, tuple[str, ...]], before: World | None = None) -> World:
    made = World(objects(text), MESH, before, addresses=known)
    made.settle()
    return made


BY_NAME = networks("{address: gate.example.com, port: 15443}")


def test_names_of_gateways_are_those_that_they_are_resolved_to() -> None:
    text = members("far") + BY_NAME
    unknown = named(text, {})
    assert unknown.gateways.names == {"gate.example.com"}
    assert addresses(unknown, WEB, NETWORK="near") == DIRECT
    known = named(text, {"gate.example.com": ("192.0.2.1", "192.0.2.2", "2001:db8::1")}, unknown)
    assert addresses(known, WEB, NETWORK="near") == ["192.0.2.1:15443", "192.0.2.2:15443"]
    assert known.gateways is not unknown.gateways


def test_a_balancer_may_have_a_name() -> None:
    body = "spec: {type: LoadBalancer, clusterIP: 10.96.0.99, ports: [{name: tls, port: 15443}]}"
    service = thing("Service", "east", f"{body}\nstatus: {BALANCED}", labels=FAR)
    world = named(members("far") + service, {"lb.example.com": ("192.0.2.10",)})
    assert json.dumps(sorted(addresses(world, WEB, NETWORK="near"))) == '["192.0.2.10:15443", "192.0.2.9:15443"]'
