"""Dynamic forward proxies: the endpoint is what the request's Host resolves to, by Envoy and through httpx."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

import proxyless.httpx
from proxyless.mesh import Mesh
from tests.differential.bootstrap import TYPE
from tests.differential.custom import custom, host, route
from tests.differential.governed import call_of
from tests.differential.ours import mesh_on
from tests.differential.recording import Recording, Resource
from tests.differential.rig import Rig
from tests.support import envoy
from tests.support.behaviour import Address

pytestmark = pytest.mark.envoy

HERE: Address = ("127.0.0.1", 80)
CACHE: Resource = {"name": "names", "dns_lookup_family": "V4_ONLY", "dns_query_timeout": "1s"}
CLUSTER = "type.googleapis.com/envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig"
FILTER = TYPE + "filters.http.dynamic_forward_proxy.v3.FilterConfig"
PER_ROUTE = TYPE + "filters.http.dynamic_forward_proxy.v3.PerRouteConfig"
PLAIN = "localhost:{port}"


def made(base: Recording) -> Recording:
    forward: Resource = {
        "name": "forward",
        "connect_timeout": "1s",
        "lb_policy": "CLUSTER_PROVIDED",
        "cluster_type": {
            "name": "envoy.clusters.dynamic_forward_proxy",
            "typed_config": {"@type": CLUSTER, "dns_cache_config": CACHE},
        },
    }
    rewritten = {"dfp": {"@type": PER_ROUTE, "host_rewrite_literal": "nobody.invalid"}}
    routes = [
        route({"prefix": "/rewritten"}, "forward", typed_per_filter_config=rewritten),
        route({"prefix": "/"}, "forward"),
    ]
    result = custom(base, [host(*routes)], [forward])
    for chain in result.listeners["0.0.0.0_80"]["filter_chains"]:
        for each in chain["filters"]:
            if "http_filters" in each["typed_config"]:
                config = {"@type": FILTER, "dns_cache_config": CACHE}
                each["typed_config"]["http_filters"].insert(0, {"name": "dfp", "typed_config": config})
    return result


@pytest.fixture(scope="module")
def both(frontend: Recording) -> Iterator[tuple[Rig, Mesh]]:
    envoy.require()
    with Rig(made(frontend), extra=[HERE]) as rig, mesh_on(rig.recording) as mesh:
        yield rig, mesh


@pytest.mark.parametrize(
    ("authority", "path"),
    [
        (PLAIN, "/"),
        ("LocalHost:{port}", "/again"),
        ("127.0.0.1:{port}", "/"),
        ("nobody.invalid", "/"),
        ("nobody.invalid:{port}", "/"),
        (PLAIN, "/rewritten"),
    ],
)
def test_a_host_is_resolved_or_told_of(both: tuple[Rig, Mesh], authority: str, path: str) -> None:
    rig, mesh = both
    authority = authority.format(port=rig.backends.ports[HERE])
    seen = rig.send("GET", path, host=authority)
    theirs = (seen.response.status, seen.flags, [(each.backend, each.authority) for each in seen.arrivals])
    with httpx.Client(transport=proxyless.httpx.Transport(mesh), timeout=20.0) as client:
        rig.backends.take()
        response = client.get(f"http://x{path}", headers={"host": authority})
        arrivals = [(each.backend, each.authority) for each in rig.backends.take()]
    ours = (response.status_code, ",".join(call_of(response).flags) or "-", arrivals)
    assert ours == theirs
    if response.status_code == 503:
        assert response.content == seen.response.body
