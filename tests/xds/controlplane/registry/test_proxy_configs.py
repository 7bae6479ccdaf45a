"""Which ProxyConfig holds for a proxy: the mesh's, a Pod's annotation, a node's own word."""

from __future__ import annotations

import json
from typing import Any

from proxyless.xds.controlplane.api.proxy_config import ProxyConfig, ProxyHeaders, Server, Switch
from proxyless.xds.controlplane.registry.node import parse_node
from proxyless.xds.controlplane.registry.proxy import place
from proxyless.xds.controlplane.registry.proxy_configs import of_proxy, over
from tests.xds.controlplane.support import istio, mesh, world

POD = """
apiVersion: v1
kind: Pod
metadata:
  name: web-0
  namespace: shop
  annotations: {proxy.istio.io/config: "tracing: {sampling: 5}"}
status: {podIP: 10.0.0.1}
"""
SETTINGS = mesh("defaultConfig: {tracing: {sampling: 20, maxPathTagLength: 9}, proxyHeaders: {server: {value: shop}}}")


def config(agent: str = "", **metadata: Any) -> ProxyConfig:
    node = parse_node("sidecar~10.0.0.1~web-0.shop~shop.svc.cluster.local", metadata, agent=agent)
    return place(node, world(POD + SETTINGS)).config


def sampling(of: ProxyConfig) -> float:
    return of.tracing.sampling if of.tracing is not None else 0.0


def test_a_proxy_that_says_nothing_has_the_meshs_default() -> None:
    assert sampling(config("envoy")) == 20


def test_of_a_process_the_annotation_counts_since_nobody_injects_it() -> None:
    found = config("proxyless")
    assert found.tracing is not None
    assert (found.tracing.sampling, found.tracing.max_path_tag_length) == (5, 0)
    assert found.proxy_headers == ProxyHeaders(server=Server(value="shop"))


def test_what_a_node_says_is_all_that_counts() -> None:
    for said in ({"tracing": {"sampling": 7}}, json.dumps({"tracing": {"sampling": 7}})):
        found = config("proxyless", PROXY_CONFIG=said)
        assert sampling(found) == 7
        assert found.proxy_headers is None
    assert config(PROXY_CONFIG=["nonsense"]) == ProxyConfig()


def test_an_annotation_that_cannot_be_read_says_nothing() -> None:
    default = ProxyConfig(mesh_id="m")
    assert of_proxy({}, {"proxy.istio.io/config": "a: ["}, default) == default
    assert of_proxy({}, {"proxy.istio.io/config": "{meshID: x, unknown: 1}"}, default) == default


def test_messages_replace_each_other_and_maps_are_joined() -> None:
    below = ProxyConfig(proxy_metadata={"A": "1", "B": "2"}, mesh_id="m")
    above = ProxyConfig(proxy_metadata={"B": "3"})
    assert over(below, above) == ProxyConfig(proxy_metadata={"A": "1", "B": "3"}, mesh_id="m")


def test_headers_are_joined_one_by_one_but_for_the_newer_ones() -> None:
    below = ProxyConfig(proxy_headers=ProxyHeaders(server=Server(value="a"), preserve_http1_header_case=True))
    above = ProxyConfig(proxy_headers=ProxyHeaders(attempt_count=Switch(disabled=True)))
    assert over(below, above).proxy_headers == ProxyHeaders(
        server=Server(value="a"), attempt_count=Switch(disabled=True)
    )
    assert over(below, ProxyConfig()).proxy_headers == below.proxy_headers


def test_the_kind_is_read_and_changes_nothing_that_is_sent() -> None:
    written = istio("ProxyConfig", "web", "{concurrency: 2, environmentVariables: {A: b}, image: {imageType: debug}}")
    made = world(written.replace("networking.istio.io/v1\n", "networking.istio.io/v1beta1\n"))
    assert [ref.kind for ref in made.by_ref] == ["ProxyConfig"]
