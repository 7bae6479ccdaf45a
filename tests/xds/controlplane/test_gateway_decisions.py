"""What a process decides by routes of the Gateway API, for each thing that a route can say."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from proxyless import Mesh, Node
from proxyless.cli.explain import explain_one
from tests.support.waiting import wait_for
from tests.xds.controlplane.emit.gateway import TO_V2, grpc, http
from tests.xds.controlplane.support import endpoints, istio, service

ADD = "{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x-a, value: new}], remove: [x-b]}}"
ANSWER = "{type: ResponseHeaderModifier, responseHeaderModifier: {add: [{name: x-c, value: d}]}}"
PREFIX = "{type: ReplacePrefixMatch, replacePrefixMatch: %s}"


def at(path: str, rest: str, to: str = TO_V2) -> str:
    return f"matches: [{{path: {{value: {path}}}}}], {rest}{', ' if rest and to else ''}{to}"


RULES = "|".join(
    [
        "matches: [{path: {type: Exact, value: /exact}}], " + TO_V2,
        "matches: [{path: {type: RegularExpression, value: '/re[0-9]+'}}], " + TO_V2,
        at("/prefix", ""),
        "matches: [{path: {value: /method}, method: POST}], " + TO_V2,
        "matches: [{path: {value: /header}, headers: [{name: x-v, value: 'a.*', type: RegularExpression}]}], " + TO_V2,
        "matches: [{path: {value: /query}, queryParams: [{name: v, value: '2'}]}], " + TO_V2,
        at("/add", f"filters: [{ADD}, {ANSWER}]"),
        at("/removed", f"filters: [{{type: URLRewrite, urlRewrite: {{path: {PREFIX % '/'}}}}}]"),
        at("/replaced", f"filters: [{{type: URLRewrite, urlRewrite: {{hostname: a.b, path: {PREFIX % '/new'}}}}}]"),
        at("/full", "filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplaceFullPath, replaceFullPath: /x}}}]"),
        at(
            "/away",
            f"filters: [{{type: RequestRedirect, requestRedirect: {{hostname: a.b, path: {PREFIX % '/n'}}}}}]",
            "",
        ),
        at("/mirrored", "filters: [{type: RequestMirror, requestMirror: {backendRef: {name: web, port: 80}}}]"),
        at("/weights", "", "backendRefs: [{name: v2, port: 80, weight: 3}, {name: web, port: 80}]"),
        at("/each", "", f"backendRefs: [{{name: v2, port: 80, filters: [{ADD}]}}]"),
        at("/gone", "", "backendRefs: [{name: gone, port: 80}]"),
        at("/bucket", "", "backendRefs: [{kind: Bucket, name: b}]"),
    ]
)
MORE = "|".join(
    [
        at("/nothing", "", ""),
        at("/timed", "timeouts: {request: 10s, backendRequest: 2s}, retry: {attempts: 3, codes: [503]}"),
        at("/other", "", "backendRefs: [{name: far, namespace: other, port: 80}]"),
    ]
)
MESH = (
    service("web", "http:80", "grpc:81")
    + endpoints("web", "http:80", "127.0.0.5")
    + service("v2", "http:80", ip="10.96.0.2")
    + endpoints("v2", "http:80", "127.0.0.6")
    + service("far", "http:80", ip="10.96.0.3", namespace="other")
    + endpoints("far", "http:80", "127.0.0.7", namespace="other")
    + http(RULES)
    + http(MORE, name="s")
    + grpc(f"matches: [{{method: {{service: a.B, method: C}}}}], {TO_V2}")
    + istio(
        "HTTPRoute",
        "mine",
        "{parentRefs: [{group: '', kind: Service, name: far, namespace: other, port: 80}], "
        "rules: [{backendRefs: [{name: v2, port: 80}]}]}",
    )
)
WEB, V2, FAR = (
    "outbound|80||web.shop.svc.cluster.local",
    "outbound|80||v2.shop.svc.cluster.local",
    "outbound|80||far.other.svc.cluster.local",
)


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    folder: Path = tmp_path_factory.mktemp("mesh")
    (folder / "mesh.yaml").write_text(MESH)
    node = Node(app="client", namespace="shop", ip="127.0.0.9")
    with Mesh.from_config(folder, node=node, registry=False) as made:
        made.wait_ready(20)
        yield made


def decided(mesh: Mesh, path: str, host: str = "web.shop", **request: Any) -> dict[str, Any]:
    return explain_one(mesh, {"url": f"http://{host}{path}", **request}, None, "127.0.0.1", 5.0)[0]


@pytest.mark.parametrize(
    ("path", "request_", "route"),
    [
        ("/exact", {}, "shop.r.0"),
        ("/exact/", {}, None),
        ("/re12", {}, "shop.r.1"),
        ("/rex", {}, None),
        ("/prefix", {}, "shop.r.2"),
        ("/prefix/x", {}, "shop.r.2"),
        ("/prefixed", {}, None),
        ("/method", {"method": "POST"}, "shop.r.3"),
        ("/method", {"method": "GET"}, None),
        ("/header", {"headers": [["x-v", "abc"]]}, "shop.r.4"),
        ("/header", {"headers": [["x-v", "b"]]}, None),
        ("/query?v=2", {}, "shop.r.5"),
        ("/query?v=3", {}, None),
        ("/a.B/C", {"method": "POST"}, "shop.g.0"),
    ],
)
def test_conditions(mesh: Mesh, path: str, request_: dict[str, Any], route: str | None) -> None:
    found = decided(mesh, path, **request_)
    assert found["route"] == route
    assert found["status"] == (404 if route is None else None)
    assert found["cluster"] == (None if route is None else V2)


def test_headers_change(mesh: Mesh) -> None:
    for path in ("/add", "/each"):
        found = decided(mesh, path, headers=[["x-a", "old"], ["x-b", "gone"]])
        sent = dict(found["request_headers"])
        assert sent["x-a"] == "new"
        assert "x-b" not in sent
    assert [(each["name"], each["value"]) for each in decided(mesh, "/add")["response_headers"]] == [("x-c", "d")]


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("/removed", "/"),
        ("/removed/a/b", "/a/b"),
        ("/replaced/a", "/new/a"),
        ("/full/a?q=1", "/x?q=1"),
    ],
)
def test_paths_are_rewritten(mesh: Mesh, path: str, sent: str) -> None:
    assert decided(mesh, path)["path"] == sent


def test_hosts_are_rewritten(mesh: Mesh) -> None:
    assert decided(mesh, "/replaced/a")["authority"] == "a.b"


def test_redirects(mesh: Mesh) -> None:
    found = decided(mesh, "/away/x")
    assert (found["status"], found["location"]) == (302, "http://a.b/n/x")


def test_mirrors(mesh: Mesh) -> None:
    assert [each["cluster"] for each in decided(mesh, "/mirrored")["mirrors"]] == [WEB]


def test_weights(mesh: Mesh) -> None:
    weights = decided(mesh, "/weights")["weighted_clusters"]
    assert [(each["name"], each["weight"]) for each in weights] == [(V2, 3), (WEB, 1)]


@pytest.mark.parametrize(("path", "flags"), [("/gone", "NC"), ("/bucket", "NC"), ("/nothing", None)])
def test_what_leads_nowhere_is_answered_500(mesh: Mesh, path: str, flags: str | None) -> None:
    found = decided(mesh, path)
    assert found["status"] == 500
    assert found["response_flags"] == flags


def test_timeouts_and_retries(mesh: Mesh) -> None:
    found = decided(mesh, "/timed")
    assert found["timeout_s"] == 10
    retry = found["retry"]
    assert (retry["retries"], retry["per_try_timeout_s"], retry["status_codes"]) == (3, 2, [503])


def test_another_namespaces_service_needs_no_grant(mesh: Mesh) -> None:
    assert decided(mesh, "/other")["cluster"] == FAR


def test_the_clients_own_route_for_another_namespaces_service(mesh: Mesh) -> None:
    found = decided(mesh, "/", host="far.other")
    assert (found["route"], found["cluster"]) == ("shop.mine.0", V2)
    assert found["endpoint"] == "127.0.0.6:80"


def test_a_change_of_a_route_is_soon_in_force_and_so_is_its_end(tmp_path: Path) -> None:
    base = MESH.partition("---\napiVersion: gateway")[0]
    (tmp_path / "mesh.yaml").write_text(base)
    node = Node(app="client", namespace="shop", ip="127.0.0.9")
    with Mesh.from_config(tmp_path, node=node, registry=False) as made:
        made.wait_ready(20)
        assert decided(made, "/")["route"] == "default"
        (tmp_path / "route.yaml").write_text(http(TO_V2))
        wait_for(lambda: decided(made, "/")["cluster"] == V2)
        (tmp_path / "route.yaml").write_text(http("backendRefs: [{name: gone, port: 80}]"))
        wait_for(lambda: decided(made, "/")["status"] == 500)
        (tmp_path / "gone.yaml").write_text(service("gone", "http:80", ip="10.96.0.8"))
        wait_for(lambda: decided(made, "/")["status"] == 503)
        (tmp_path / "route.yaml").unlink()
        wait_for(lambda: decided(made, "/")["route"] == "default")
