"""Which routes of the Gateway API hold for which calls: parents, namespaces, precedence, changes."""

from __future__ import annotations

import pytest

from proxyless.xds.controlplane.discovery.changes import between
from proxyless.xds.controlplane.discovery.rules import CLUSTER, LISTENER, ROUTE, Key
from proxyless.xds.controlplane.registry.world import World
from tests.xds.controlplane.emit.gateway import SERVICES, TO_V2, V2, WEB, grpc, http, names, route, routes
from tests.xds.controlplane.support import endpoints, istio, made, service, view, world


def parent(rest: str, name: str = "web") -> str:
    return f"parentRefs: [{{group: '', kind: Service, name: {name}{rest}}}]"


def at(path: str, rest: str = "") -> str:
    return f"matches: [{{path: {{{path}}}{rest}}}], {TO_V2}"


def test_rules_are_in_the_order_of_the_gateway_api() -> None:
    rules = [
        at("type: RegularExpression, value: '/a.*'"),
        at("value: /"),
        at("value: /abc"),
        at("value: /abc", ", queryParams: [{name: q, value: '1'}]"),
        at("value: /abc", ", headers: [{name: a, value: '1'}]"),
        at("value: /abc", ", headers: [{name: a, value: '1'}, {name: b, value: '1'}]"),
        at("value: /abc", ", method: GET"),
        at("value: /abcd"),
        at("type: Exact, value: /a"),
    ]
    order = [int(name.rpartition(".")[2]) for name in names(routes(http("|".join(rules))))]
    assert order == [8, 7, 6, 5, 4, 3, 2, 1]  # nothing gets past the prefix /


def test_a_regular_expression_comes_after_the_prefixes() -> None:
    found = names(routes(http("|".join([at("type: RegularExpression, value: '/a.*'"), at("value: /b")]))))
    assert found == ["shop.r.1", "shop.r.0"]


def test_each_match_is_a_route_of_its_own() -> None:
    rule = f"matches: [{{path: {{value: /a}}}}, {{path: {{value: /long}}}}], {TO_V2}"
    found = routes(http(f"{rule}|{at('value: /bbb')}"))
    assert [each["match"]["path_separated_prefix"] for each in found] == ["/long", "/bbb", "/a"]
    assert names(found) == ["shop.r.0", "shop.r.1", "shop.r.0"]


def test_routes_of_one_service_are_merged_and_of_equals_the_oldest_counts() -> None:
    old = http(at("value: /a"), name="z-old", creationTimestamp="2020-01-01T00:00:00Z")
    new = http(f"{at('value: /a')}|{at('value: /abc')}", name="a-new", creationTimestamp="2024-01-01T00:00:00Z")
    assert names(routes(new + old)) == ["shop.a-new.1", "shop.z-old.0", "shop.a-new.0"]


def test_of_the_same_age_the_name_counts() -> None:
    assert names(routes(http(at("value: /a"), name="b") + http(at("value: /a"), name="a"))) == ["shop.a.0", "shop.b.0"]


def test_routes_of_http_and_of_grpc_are_merged() -> None:
    method = f"matches: [{{method: {{service: a.B, method: C}}}}], {TO_V2}"
    assert names(routes(http(TO_V2) + grpc(method))) == ["shop.g.0", "shop.r.0"]


def test_host_names_are_for_gateways() -> None:
    assert names(routes(http(TO_V2, rest=", hostnames: [a.example.com]"))) == ["shop.r.0"]


def test_a_parent_without_a_port_means_every_port_and_with_one_that_one() -> None:
    assert names(routes(http(TO_V2), 80)) == names(routes(http(TO_V2), 81)) == ["shop.r.0"]
    one = http(TO_V2, parent=parent(", port: 81"))
    assert names(routes(one, 80)) == ["default"]
    assert names(routes(one, 81)) == ["shop.r.0"]
    assert route(one, 81)["metadata"]["filter_metadata"]["istio"]["config"].endswith(f"/shop~81~{WEB}")


def test_several_parents() -> None:
    refs = "parentRefs: [{group: '', kind: Service, name: web, port: 80}, {group: '', kind: Service, name: v2}]"
    text = http(TO_V2, parent=refs)
    assert names(routes(text, 80)) == names(routes(text, 80, host=V2)) == ["shop.r.0"]


@pytest.mark.parametrize(
    "ref",
    [
        "{name: gate}",
        "{group: '', kind: Service, name: gone}",
        "{group: '', kind: Service, name: web, namespace: other}",
        "{group: a.b, kind: Service, name: web}",
        "{group: networking.istio.io, kind: ServiceEntry, name: web}",
    ],
)
def test_parents_that_are_none_here(ref: str) -> None:
    assert names(routes(http(TO_V2, parent=f"parentRefs: [{ref}]"))) == ["default"]


def test_a_route_without_a_parent_governs_nothing() -> None:
    assert names(routes(http(TO_V2, parent="hostnames: [a.example.com]"))) == ["default"]


ENTRY = istio(
    "ServiceEntry",
    "far",
    "{hosts: [a.example.com, b.example.com], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS}",
)
OF_ENTRY = "parentRefs: [{group: networking.istio.io, kind: ServiceEntry, name: far}]"


def test_a_service_entry_as_a_parent_means_its_hosts() -> None:
    for host in ("a.example.com", "b.example.com"):
        assert names(routes(ENTRY + http(TO_V2, parent=OF_ENTRY), host=host)) == ["shop.r.0"]


def test_hosts_with_a_wildcard_are_not_routed() -> None:
    entry = istio(
        "ServiceEntry",
        "far",
        "{hosts: ['*.example.com'], ports: [{number: 80, name: http, protocol: HTTP}], resolution: NONE}",
    )
    found = routes(entry + http(TO_V2, parent=OF_ENTRY), host="*.example.com")
    assert names(found) == ["default"]


def test_a_route_beside_its_service_is_for_everyone() -> None:
    assert names(routes(http(TO_V2), namespace="other")) == ["shop.r.0"]


def test_a_route_elsewhere_is_for_the_clients_there() -> None:
    text = http(TO_V2, parent=parent(", namespace: shop"), namespace="other")
    assert names(routes(text, namespace="shop")) == ["default"]
    assert names(routes(text, namespace="third")) == ["default"]
    (found,) = routes(text, namespace="other")
    assert found["name"] == "other.r.0"
    assert found["route"]["cluster"] == "outbound|80||v2.other.svc.cluster.local"


def test_the_clients_own_route_goes_before_an_older_one_beside_the_service() -> None:
    old = http(TO_V2, name="old", creationTimestamp="2020-01-01T00:00:00Z")
    own = http(TO_V2, parent=parent(", namespace: shop"), namespace="other", creationTimestamp="2024-01-01T00:00:00Z")
    assert names(routes(old + own, namespace="other")) == ["other.r.0"]
    assert names(routes(old + own, namespace="third")) == ["shop.old.0"]


VIRTUAL = "{hosts: [web], http: [{name: vs, route: [{destination: {host: v2}}]}]}"


def test_of_a_route_and_a_virtual_service_the_older_counts_but_for_own_clients() -> None:
    virtual = istio("VirtualService", "a", VIRTUAL, creationTimestamp="2020-01-01T00:00:00Z")
    text = virtual + http(TO_V2, creationTimestamp="2024-01-01T00:00:00Z")
    assert names(routes(text, namespace="other")) == ["vs"]
    assert names(routes(text, namespace="shop")) == ["shop.r.0"]


def test_the_mirror_and_the_backends_are_known_to_a_client_that_imports_only_the_service() -> None:
    sidecar = istio("Sidecar", "a", f"{{egress: [{{hosts: [shop/{WEB}]}}]}}")
    clusters = made(view(SERVICES + sidecar + http(TO_V2)), CLUSTER)
    assert f"outbound|80||{V2}" in clusters


# -- connections --------------------------------------------------------------------------------------------------

TCP = (
    service("db", "tcp:5432", ip="10.96.0.7")
    + service("db2", "tcp:5432", ip="10.96.0.8")
    + service("tls", "https:443", ip="10.96.0.9")
)


def proxy(text: str, listener: str) -> dict[str, object]:
    chain = made(view(TCP + text), LISTENER)[listener]["filter_chains"][0]
    config: dict[str, object] = chain["filters"][-1]["typed_config"]
    return config | {"match": chain.get("filter_chain_match"), "metadata": chain.get("metadata")}


def test_a_route_of_tcp() -> None:
    to = "rules: [{backendRefs: [{name: db2, port: 5432}]}]"
    found = proxy(istio("TCPRoute", "t", f"{{{parent('', 'db')}, {to}}}"), "10.96.0.7_5432")
    assert found["cluster"] == "outbound|5432||db2.shop.svc.cluster.local"
    assert "t~tcp~0~istio-autogenerated-k8s-gateway" in str(found["metadata"])
    there = istio("TCPRoute", "t", f"{{{parent(', port: 9', 'db')}, {to}}}")
    assert proxy(there, "10.96.0.7_5432")["cluster"] == "outbound|5432||db.shop.svc.cluster.local"


def test_weights_of_tcp() -> None:
    refs = "{name: db, port: 5432}, {name: db2, port: 5432, weight: 2}, {kind: Bucket, name: b, weight: 3}"
    found = proxy(
        istio("TCPRoute", "t", f"{{{parent('', 'db')}, rules: [{{backendRefs: [{refs}]}}]}}"), "10.96.0.7_5432"
    )
    assert found["weighted_clusters"] == {
        "clusters": [
            {"name": "outbound|5432||db.shop.svc.cluster.local", "weight": 1},
            {"name": "outbound|5432||db2.shop.svc.cluster.local", "weight": 2},
            {"name": "UnknownService", "weight": 3},
        ]
    }


def test_connections_that_nobody_gets_lead_nowhere() -> None:
    refs = "rules: [{backendRefs: [{name: db2, port: 5432, weight: 0}]}]"
    found = proxy(istio("TCPRoute", "t", f"{{{parent('', 'db')}, {refs}}}"), "10.96.0.7_5432")
    assert found["cluster"] == "outbound|65535|zero-weight|internal.cluster.local"
    lost = istio("TLSRoute", "t", f"{{{parent('', 'tls')}, {refs}}}")
    assert proxy(lost, "10.96.0.9_443")["cluster"] == "outbound|443||tls.shop.svc.cluster.local"


def test_what_istiod_cannot_read_of_tcp() -> None:
    refs = "rules: [{backendRefs: [{name: db2.shop, port: 5432}]}]"
    found = proxy(istio("TCPRoute", "t", f"{{{parent('', 'db')}, {refs}}}"), "10.96.0.7_5432")
    assert found["cluster"] == "outbound|5432||db.shop.svc.cluster.local"


@pytest.mark.parametrize(
    ("hosts", "expected"),
    [
        ("", ["tls.shop.svc.cluster.local"]),
        (", hostnames: [a.example.com]", ["a.example.com"]),
        (", hostnames: [a.example.com, '*.cluster.local']", ["*.cluster.local"]),
    ],
)
def test_a_route_of_tls(hosts: str, expected: list[str]) -> None:
    text = istio("TLSRoute", "t", f"{{{parent('', 'tls')}{hosts}, rules: [{{backendRefs: [{{name: db, port: 1}}]}}]}}")
    found = proxy(text, "10.96.0.9_443")
    assert found["cluster"] == "outbound|1||db.shop.svc.cluster.local"
    assert isinstance(found["match"], dict)
    assert found["match"]["server_names"] == expected


# -- changes ------------------------------------------------------------------------------------------------------

KEY = Key("VirtualService", f"shop~{WEB}", "shop")


def test_a_change_of_a_route_is_one_of_its_virtual_service_and_of_nothing_else() -> None:
    before = world(SERVICES + http(TO_V2) + http(TO_V2, name="s", parent=parent("", "v2")))
    after = world(SERVICES + http("") + http(TO_V2, name="s", parent=parent("", "v2")), before=before)
    kinds = {key for key in between(before, after).keys if key.kind == "VirtualService"}
    assert kinds == {KEY}


def test_a_service_that_appears_or_goes_changes_the_routes_of_which_it_is_the_parent() -> None:
    text = http(TO_V2) + http(TO_V2, name="s", parent=parent("", "v2"))
    before = world(service("v2", "http:80") + text)
    after = world(SERVICES + text, before=before)
    assert KEY in between(before, after).keys
    assert KEY in between(after, world(service("v2", "http:80") + text, before=after)).keys


def test_what_does_not_concern_routes_takes_them_over() -> None:
    before = world(SERVICES + http(TO_V2))
    objects = list(before.by_ref.values())
    after = World([*objects, *world(endpoints("web", "http:8080", "10.0.0.1")).by_ref.values()], before.mesh, before)
    assert after.gateway_routes is before.gateway_routes
    more = World([*objects, *world(service("new", "http:80")).by_ref.values()], before.mesh, before)
    assert more.gateway_routes is before.gateway_routes
    assert more.virtual_services is before.virtual_services


def test_the_table_of_a_client_does_not_depend_on_the_order_of_files() -> None:
    one, other = http(TO_V2, name="a"), http(at("value: /x"), name="b")
    first, second = (made(view(SERVICES + text), ROUTE, "80") for text in (one + other, other + one))
    assert first == second


def test_of_many_routes_only_what_a_change_touches_is_made_again() -> None:
    text = http(TO_V2) + http(at("value: /x"), name="t") + http(TO_V2, name="s", parent=parent("", "v2"))
    before = world(SERVICES + text)
    objects = [item for item in before.by_ref.values() if item.meta.name != "t"]
    after = World(objects, before.mesh, before)
    old, new = ({item.meta.name: item for item in each.gateway_routes.objects} for each in (before, after))
    assert new[f"shop~{V2}"] is old[f"shop~{V2}"]
    assert new[f"shop~{WEB}"] is not old[f"shop~{WEB}"]
    more = World([*objects, *world(service("gone", "http:80")).by_ref.values()], before.mesh, after)
    assert more.gateway_routes is after.gateway_routes
