"""Each policy that changes is named, with old and new, and the way it goes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.proxyless.comparing.support import WEB, changes, compared, policies, shop
from tests.xds.controlplane.support import endpoints, istio, mesh, service

ME = ("app=client,namespace=shop",)
ROUTE = "route: [{destination: {host: web}}]"
PLAIN = f"[{{{ROUTE}}}]"


def rule(policy: str) -> str:
    return shop(PLAIN, f"{{host: web, trafficPolicy: {policy}}}")


CLUSTERS: list[tuple[str, str, str, Any, Any, str]] = [
    (
        "{connectionPool: {tcp: {maxConnections: 5}}}",
        "{connectionPool: {tcp: {maxConnections: 9}}}",
        "default_thresholds.max_connections",
        5,
        9,
        "loosens",
    ),
    (
        "{connectionPool: {http: {maxRetries: 5}}}",
        "{connectionPool: {http: {maxRetries: 1}}}",
        "default_thresholds.max_retries",
        5,
        1,
        "tightens",
    ),
    (
        "{connectionPool: {tcp: {connectTimeout: 5s}}}",
        "{connectionPool: {tcp: {connectTimeout: 1s}}}",
        "connect_timeout_s",
        5.0,
        1.0,
        "tightens",
    ),
    (
        "{outlierDetection: {consecutive5xxErrors: 3}}",
        "{outlierDetection: {consecutive5xxErrors: 7}}",
        "outlier_detection.consecutive_5xx",
        3,
        7,
        "loosens",
    ),
    (
        "{outlierDetection: {baseEjectionTime: 10s}}",
        "{outlierDetection: {baseEjectionTime: 20s}}",
        "outlier_detection.base_ejection_time_s",
        10.0,
        20.0,
        "tightens",
    ),
    (
        "{loadBalancer: {simple: RANDOM}}",
        "{loadBalancer: {simple: ROUND_ROBIN}}",
        "lb_policy",
        "RANDOM",
        "ROUND_ROBIN",
        "changes",
    ),
    ("{tls: {mode: DISABLE}}", "{tls: {mode: SIMPLE}}", "tls", "DISABLE", "SIMPLE", "tightens"),
    (
        "{tls: {mode: SIMPLE, sni: a.b}}",
        "{tls: {mode: SIMPLE, sni: c.d}}",
        "transport_socket.upstream.sni",
        "a.b",
        "c.d",
        "changes",
    ),
]


@pytest.mark.parametrize(("old", "new", "field", "before", "after", "effect"), CLUSTERS, ids=str)
def test_of_clusters(tmp_path: Path, old: str, new: str, field: str, before: Any, after: Any, effect: str) -> None:
    document = compared(tmp_path, rule(old), rule(new), nodes=ME)
    assert policies(document)[field] == (before, after, effect)
    back = policies(compared(tmp_path, rule(new), rule(old), nodes=ME))[field]
    assert back[2] == {"tightens": "loosens", "loosens": "tightens", "changes": "changes"}[effect]
    (found,) = [each for each in changes(document, "policies") if each["field"] == field]
    assert (found["of"], found["host"], found["port"], found["subset"]) == ("cluster", WEB, 80, None)


ROUTES: list[tuple[str, str, str, Any, Any, str]] = [
    ("timeout: 2s", "timeout: 1s", "timeout", "2 s", "1 s", "tightens"),
    ("timeout: 2s", "", "timeout", "2 s", None, "loosens"),
    ("retries: {attempts: 1}", "retries: {attempts: 3}", "retries", 1, 3, "loosens"),
    (
        "retries: {attempts: 1, perTryTimeout: 2s}",
        "retries: {attempts: 1, perTryTimeout: 1s}",
        "per try timeout",
        "2 s",
        "1 s",
        "tightens",
    ),
    (
        "",
        "fault: {abort: {httpStatus: 500, percentage: {value: 10}}}",
        "abort",
        None,
        "500 for 10 %",
        "tightens",
    ),
    (
        "fault: {delay: {fixedDelay: 1s, percentage: {value: 10}}}",
        "fault: {delay: {fixedDelay: 1s, percentage: {value: 20}}}",
        "delay",
        "1 s for 10 %",
        "1 s for 20 %",
        "changes",
    ),
    ("", "rewrite: {uri: /x}", "path", "/", "/x", "changes"),
    ("", "rewrite: {authority: other}", "authority", WEB, "other", "changes"),
    ("", "mirror: {host: web}", "mirror web.shop", None, "100 %", "changes"),
    ("", "headers: {request: {set: {x-a: b}}}", "request header x-a", None, "b", "changes"),
    ("", "headers: {response: {remove: [x-a]}}", "response header x-a", None, "removed", "changes"),
]


@pytest.mark.parametrize(("old", "new", "what", "before", "after", "effect"), ROUTES, ids=lambda each: str(each)[:24])
def test_of_routes(tmp_path: Path, old: str, new: str, what: str, before: Any, after: Any, effect: str) -> None:
    old, new = (shop(f"[{{{', '.join(filter(None, (ROUTE, each)))}}}]") for each in (old, new))
    (request,) = changes(compared(tmp_path, old, new, nodes=ME), "requests")
    assert request["url"] == f"http://{WEB}/"
    (found,) = [each for each in request["differences"] if each["what"] == what]
    assert (found["old"], found["new"], found["effect"]) == (before, after, effect)


def test_what_no_request_tells_is_said_of_its_route(tmp_path: Path) -> None:
    old, new = (shop(f"[{{{ROUTE}, headers: {{request: {{remove: [{name}]}}}}}}]") for name in ("x-a", "x-b"))
    document = compared(tmp_path, old, new, nodes=ME)
    assert not changes(document, "requests")
    (found,) = changes(document, "policies")
    assert (found["of"], found["virtual_host"], found["route"]) == ("route", f"{WEB}:80", "0")
    assert (found["field"], found["old"], found["new"]) == ("headers.request_remove", ["x-a"], ["x-b"])


def test_a_service_that_only_one_side_has(tmp_path: Path) -> None:
    more = service("more", "http:80:8080", ip="10.96.0.2") + endpoints("more", "http:8080", "10.1.0.2", "10.1.0.3")
    document = compared(tmp_path, shop(PLAIN), shop(PLAIN, rest=more), nodes=ME)
    (found,) = changes(document, "services")
    assert (found["change"], found["host"], found["endpoints"]["new"]) == ("added", "more.shop.svc.cluster.local", 2)


def test_connections_go_elsewhere(tmp_path: Path) -> None:
    def side(port: int) -> str:
        return service("db", f"tcp:{port}:5432") + endpoints("db", "tcp:5432", "10.1.0.2")

    document = compared(tmp_path, side(5432), side(5433), nodes=ME)
    found = {each["port"]: (each["old"], each["new"]) for each in changes(document, "connections")}
    assert found == {5432: ({"db.shop": 100.0}, None), 5433: (None, {"db.shop": 100.0})}


def test_hosts_that_nobody_knows(tmp_path: Path) -> None:
    strict = mesh("outboundTrafficPolicy: {mode: REGISTRY_ONLY}")
    document = compared(tmp_path, shop(PLAIN), shop(PLAIN, rest=strict), nodes=ME)
    assert policies(document)["outbound"] == ("ALLOW_ANY", "REGISTRY_ONLY", "tightens")
    unknown = {each["url"]: each for each in changes(document, "requests")}["http://unknown.example/"]
    assert unknown["new"]["to"] == {}
    assert {each["what"]: each["new"] for each in unknown["differences"]}["answer"] == "502"


def test_endpoints_that_are_weighed_otherwise(tmp_path: Path) -> None:
    def side(weight: int) -> str:
        return istio(
            "ServiceEntry",
            "far",
            "{hosts: [far.example], ports: [{number: 80, name: http, protocol: HTTP}], resolution: STATIC, endpoints: "
            f"[{{address: 10.2.0.1, weight: {weight}}}, {{address: 10.2.0.2, weight: 2}}]}}",
        )

    document = compared(tmp_path, side(1), side(3), nodes=ME)
    (found,) = changes(document, "policies")
    assert (found["of"], found["address"], found["field"]) == ("endpoint", "10.2.0.1:80", "[weight]")
    assert (found["old"], found["new"]) == (1, 3)
