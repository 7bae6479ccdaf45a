"""What installed packages bring: found by type, configured, and what is said of one that is broken."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from proxyless.xds.model.resource import ResourceType
from proxyless.xds.wire.coverage import notes
from proxyless.xds.wire.installed import BrokenError, find, installed, listing
from tests.effects.cases.authorization import HTTP, RBAC
from tests.effects.resources import URL, Json, Shop, extension, inbound, route, shop, typed
from tests.effects.scene import Scene
from tests.support.packages import install, installed_in

CODE = """
from proxyless.policies import Response

class Filter:
    def __init__(self, config):
        self.keys = config.fields["keys"] if config.fields else [config.raw.decode()]
    def on_request(self, request):
        if request.headers.get("x-key") not in self.keys:
            return Response(401, f"{self.keys}")

class Balancer:
    def __init__(self, config):
        self.last = config.fields.get("last", True)
    def choose_host(self, hosts, draw):
        return hosts[-1 if self.last else 0]

class Tenant:
    def __init__(self, config):
        self.prefix = config.fields["prefix"]
    def get(self, headers):
        found = headers.get("x-tenant")
        return found and self.prefix + found

class Even:
    def __init__(self, config):
        pass
    def match(self, value):
        return int(value) % 2 == 0

class Wanting(Filter):
    max_request_bytes = 0

def nothing(config):
    return object()
"""
POINTS = {
    "proxyless.filters": {
        "type.googleapis.com/acme.Filter": "acme_mesh:Filter",
        "acme.Nothing": "acme_mesh:nothing",
        "acme.Wanting": "acme_mesh:Wanting",
        "acme.Missing": "acme_mesh:NoSuch",
        "envoy.extensions.filters.http.lua.v3.Lua": "acme_mesh:Filter",
    },
    "proxyless.balancers": {"acme.Balancer": "acme_mesh:Balancer", "acme.Nothing2": "acme_mesh:nothing"},
    "proxyless.matchers": {"acme.Tenant": "acme_mesh:Tenant", "acme.Even": "acme_mesh:Even"},
}


@pytest.fixture(autouse=True)
def packages(tmp_path: Path) -> Iterator[Path]:
    install(tmp_path, "acme-mesh", POINTS, CODE, "1.2")
    with installed_in(tmp_path):
        yield tmp_path


def struct(kind: str, version: str = "xds.type.v3", **value: Any) -> Json:
    return typed(f"{version}.TypedStruct", type_url=URL + kind, value=value)


def own(kind: str, **value: Any) -> Json:
    return {"name": "own", "typed_config": struct(kind, **value)}


def scene(made: Shop) -> Scene:
    return Scene(made.messages(), made.addresses)


def answered(made: Shop | Scene, **headers: str) -> str:
    """What a call is answered by the mesh; empty where it goes out."""
    found = made if isinstance(made, Scene) else scene(made)
    said = found.explain(headers=[(name.replace("_", "-"), value) for name, value in headers.items()])
    return "" if said["status"] is None else f"{said['status']} {said['body']}"


@pytest.mark.parametrize("version", ["xds.type.v3", "udpa.type.v1"])
def test_a_filter_by_typed_struct(version: str) -> None:
    made = shop(filters=[{"name": "own", "typed_config": struct("acme.Filter", version, keys=["a", "b"])}])
    assert answered(made, x_key="a") == ""
    assert answered(made) == "401 ['a', 'b']"
    said = scene(made).explain()["why"]
    assert "filter own (acme.Filter of package acme-mesh 1.2) is asked" in said


def test_a_filter_of_a_type_that_only_envoy_has() -> None:
    made = shop(filters=[own("envoy.extensions.filters.http.lua.v3.Lua", keys=["a"])])
    assert answered(made, x_key="a") == ""


def test_a_filter_by_a_message_of_its_own() -> None:
    made = shop(filters=[own("acme.Filter", keys=["z"])]).messages()
    manager = made[ResourceType.LISTENER][0].filter_chains[0].filters[0]  # type: ignore[attr-defined]
    opened = parsed_manager(manager)
    opened.http_filters[0].typed_config.type_url = URL + "acme.Filter"
    opened.http_filters[0].typed_config.value = b"raw"
    manager.typed_config.value = opened.SerializeToString()
    assert answered(Scene(made, {})) == "401 ['raw']"


def parsed_manager(packed: Any) -> Any:
    from proxyless.xds.wire.schema import unpack

    return unpack(packed.typed_config)


def test_a_route_configures_a_filter_anew() -> None:
    place = route(typed_per_filter_config={"own": struct("acme.Filter", keys=["c"])})
    made = shop(filters=[own("acme.Filter", keys=["a"])], routes=[place])
    assert answered(made, x_key="c") == ""
    assert answered(made, x_key="a").startswith("401")


def test_a_filter_of_incoming_requests() -> None:
    made = shop(listeners=[inbound(own("acme.Filter", keys=["a"]))])
    reply = scene(made).receive().reply
    assert reply is not None
    assert reply.status == 401
    assert scene(made).receive(headers=[("x-key", "a")]).reply is None


def test_what_a_filter_refuses_is_refused_with_its_resource() -> None:
    why = scene(shop(filters=[own("acme.Filter", other=1)])).refused["Listener 0.0.0.0_80"]
    assert "http filter own: acme.Filter of package acme-mesh 1.2 refuses its configuration: KeyError: 'keys'" in why


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("acme.Missing", "= acme_mesh:NoSuch of package acme-mesh 1.2 cannot be loaded: AttributeError"),
        ("acme.Wanting", "own (acme.Wanting of package acme-mesh 1.2): max_request_bytes is 0"),
        ("acme.Nothing", "= acme_mesh:nothing of package acme-mesh 1.2 has made <object object"),
    ],
)
@pytest.mark.parametrize("optional", [False, True])
def test_one_that_is_broken_closes_its_chain_however_optional_it_is(kind: str, why: str, optional: bool) -> None:
    made = shop(filters=[{**own(kind), "is_optional": optional}])
    said = answered(made)
    assert said.startswith("503")
    assert why in said
    [listener] = made.messages()[ResourceType.LISTENER]
    told = [each.reason for each in notes(ResourceType.LISTENER, listener.SerializeToString())]
    assert bool(told) == (kind == "acme.Missing")


def test_one_that_nobody_brings_is_passed_over_where_it_is_optional() -> None:
    assert answered(shop(filters=[own("acme.Unknown")])).startswith("503")
    assert answered(shop(filters=[{**own("acme.Unknown"), "is_optional": True}])) == ""


def test_two_packages_for_one_type_are_a_named_error(packages: Path) -> None:
    install(packages, "other-mesh", {"proxyless.filters": {"acme.Filter": "other_mesh:Filter"}}, "", "2.0")
    installed.cache_clear()
    said = answered(shop(filters=[{**own("acme.Filter", keys=["a"]), "is_optional": True}]), x_key="a")
    assert said.startswith("503")
    assert "proxyless.filters acme.Filter is brought by 2 packages: acme-mesh 1.2, other-mesh 2.0" in said
    assert {str(each): problem for each, problem in listing() if each.name == "acme.Filter"} == {
        "acme-mesh 1.2": "brought by other-mesh 2.0 too",
        "other-mesh 2.0": "brought by acme-mesh 1.2 too",
    }


def test_what_a_package_brings_is_known_to_notes() -> None:
    made = shop(filters=[own("acme.Filter", keys=["a"])], cluster_fields=balanced("acme.Balancer"))
    for type_, messages in made.messages().items():
        for each in messages:
            assert not notes(type_, each.SerializeToString())


def test_a_filter_of_a_package_is_none_of_a_cluster() -> None:
    options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    codec = extension("envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec", "codec")
    filters = [own("acme.Filter", keys=["a"]), codec]
    own_options = typed(
        options,
        explicit_http_config={"http_protocol_options": {}},
        http_filters=filters,
    )
    made = shop(cluster_fields={"typed_extension_protocol_options": {options: own_options}})
    assert "upstream HTTP filter own (acme.Filter) cannot be enforced" in answered(made)
    held = next(each for each in made.messages()[ResourceType.CLUSTER] if getattr(each, "name", "") == "a")
    assert [each.reason for each in notes(ResourceType.CLUSTER, held.SerializeToString())]


def balanced(*kinds: str, **value: Any) -> Json:
    policies = [{"typed_extension_config": {"name": kind, "typed_config": struct(kind, **value)}} for kind in kinds]
    return {"load_balancing_policy": {"policies": policies}}


def test_a_balancer() -> None:
    for value, expected in (({}, "10.0.0.2:80"), ({"last": False}, "10.0.0.1:80")):
        found = scene(shop(cluster_fields=balanced("acme.Unknown", "acme.Balancer", **value))).explain()
        assert (found["endpoint"], found["lb_policy"]) == (expected, "LOAD_BALANCING_POLICY_CONFIG")
        assert "cluster a, acme.Balancer (acme.Balancer of package acme-mesh 1.2)" in found["why"]


def test_a_balancer_that_is_broken_refuses_its_cluster() -> None:
    found = scene(shop(cluster_fields=balanced("acme.Nothing2")))
    assert "has no choose_host" in found.refused["Cluster a"]


def looks(input_: Json, **predicate: Any) -> Json:
    single = {"input": input_, **predicate}
    leads = {"action": extension("envoy.config.route.v3.Route", "r", match={"prefix": "/"}, route={"cluster": "b"})}
    other = {"action": extension("envoy.config.route.v3.Route", "o", match={"prefix": "/"}, route={"cluster": "c"})}
    matchers = [{"predicate": {"single_predicate": single}, "on_match": leads}]
    return {"name": "h", "domains": ["*"], "matcher": {"matcher_list": {"matchers": matchers}, "on_no_match": other}}


HEADER = extension("envoy.type.matcher.v3.HttpRequestHeaderMatchInput", "h", header_name="x-n")


def test_an_input_of_a_route_table() -> None:
    tree = looks(own("acme.Tenant", prefix="t-"), value_match={"exact": "t-one"})
    found = scene(shop(hosts=[tree]))
    assert found.explain(headers=[("x-tenant", "one")])["cluster"] == "b"
    assert found.explain(headers=[("x-tenant", "two")])["cluster"] == "c"


def test_a_matcher_of_a_route_table() -> None:
    found = scene(shop(hosts=[looks(HEADER, custom_match=own("acme.Even"))]))
    assert [found.explain(headers=[("x-n", each)])["cluster"] for each in ("2", "3")] == ["b", "c"]


def test_an_input_of_authorization() -> None:
    deny = {"action": extension(RBAC + "Action", "a", action="DENY")}
    deny["action"]["typed_config"]["name"] = "n"
    tree = {"input": own("acme.Tenant", prefix=""), "exact_match_map": {"map": {"bad": deny}}}
    allow = {"action": extension(RBAC + "Action", "a")}
    allow["action"]["typed_config"]["name"] = "m"
    rbac = extension(HTTP, "rbac", matcher={"matcher_tree": tree, "on_no_match": allow})
    found = scene(shop(listeners=[inbound(rbac)]))
    assert [found.receive(headers=[("x-tenant", each)]).reply is None for each in ("bad", "good")] == [False, True]


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("acme.Even", "acme-mesh 1.2 has made <acme_mesh.Even"),
        ("acme.No", "Route table can only match on request head"),
    ],
)
def test_what_is_no_input_refuses_its_table(kind: str, why: str) -> None:
    found = scene(shop(hosts=[looks(own(kind), value_match={"exact": "x"})]))
    assert answered(found) == ""
    assert why in str(found.refused)


def test_nothing_is_looked_up_before_it_is_needed() -> None:
    code = """
import sys, proxyless, proxyless.mesh, proxyless.httpx
from proxyless.xds.wire.installed import installed
assert not installed.cache_info().misses
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_who_brings_something() -> None:
    assert find("proxyless.filters", "acme.None") is None
    brought = find("proxyless.filters", "acme.Filter")
    assert str(brought) == "acme-mesh 1.2"
    missing = find("proxyless.filters", "acme.Missing")
    assert missing is not None
    with pytest.raises(BrokenError, match="cannot be loaded"):
        missing.load()
