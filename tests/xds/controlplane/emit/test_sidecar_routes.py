"""Which routes a table has when a Sidecar imports some hosts and VirtualServices name others, as istiod resolves it."""

from __future__ import annotations

import pytest

from proxyless.xds.controlplane.discovery import rules
from tests.xds.controlplane.emit.sidecars import hosts, made
from tests.xds.controlplane.support import istio, service, view

SERVICES = (
    service("known", "http:80", "http-x:8080", namespace="one", ip="10.96.0.1")
    + service("alt", "http:80", "http-x:8080", namespace="one", ip="10.96.0.2")
    + service("third", "http:80", "http-x:8080", namespace="two", ip="10.96.0.3")
)
KNOWN, ALT, THIRD = "known.one.svc.cluster.local", "alt.one.svc.cluster.local", "third.two.svc.cluster.local"
OLD, NEW = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"


def route(host: str, to: str, namespace: str = "one", created: str = "", port: int = 0) -> str:
    said = f", port: {{number: {port}}}" if port else ""
    spec = f"{{hosts: ['{host}'], http: [{{route: [{{destination: {{host: {to}{said}}}}}]}}]}}"
    name = f"{to}-{namespace}".replace(".", "-")
    return istio("VirtualService", name, spec, namespace=namespace, creationTimestamp=created or None)


def sidecar(*written: str, namespace: str = "one") -> str:
    listed = ", ".join(f"'{each}'" for each in written)
    return istio("Sidecar", "scope", f"{{egress: [{{hosts: [{listed}]}}]}}", namespace=namespace)


def routed(text: str, namespace: str = "one", port: str = "80") -> dict[str, str]:
    """The cluster of each host of a table that has any."""
    table = hosts(SERVICES + text, port, namespace=namespace)
    return {
        each["name"].rpartition(":")[0]: each["routes"][0]["route"]["cluster"]
        for each in table
        if each["name"] != "allow_any"
    }


def own(*names: str) -> dict[str, str]:
    return {name: f"outbound|80||{name}" for name in names}


def to(host: str, port: int = 80) -> str:
    return f"outbound|{port}||{host}"


CASES: list[tuple[str, str, dict[str, str]]] = [
    (
        "a wildcard takes the services that it covers, and is no host of its own then",
        route("*.cluster.local", "a.example.com") + sidecar("*/*.cluster.local"),
        {KNOWN: to("a.example.com"), ALT: to("a.example.com"), THIRD: to("a.example.com")},
    ),
    (
        "of two the more specific one counts, though only exact hosts are imported",
        route("*.cluster.local", "wild.example.com", created=OLD)
        + route(KNOWN, "exact.example.com", created=NEW)
        + sidecar(f"one/{KNOWN}", f"one/{ALT}"),
        {KNOWN: to("exact.example.com"), ALT: to("wild.example.com")},
    ),
    (
        "a wildcard of a namespace that is not imported is not there",
        route("*.cluster.local", "wild.example.com", "two", OLD)
        + route(KNOWN, "exact.example.com", created=NEW)
        + sidecar(f"one/{KNOWN}", f"one/{ALT}"),
        {KNOWN: to("exact.example.com")} | own(ALT),
    ),
    (
        "a host that no service has is imported by a wildcard",
        route("x.svc.cluster.local", "x.svc.cluster.local") + sidecar("*/*.cluster.local"),
        {"x.svc.cluster.local": to("x.svc.cluster.local")} | own(KNOWN, ALT, THIRD),
    ),
    (
        "a wildcard is imported by an exact host",
        route("*.cluster.local", "a.example.com") + sidecar(f"*/{KNOWN}"),
        {KNOWN: to("a.example.com")},
    ),
    (
        "a wildcard without services is a host of its own",
        route("*.example.org", "a.example.com") + sidecar("*/x.example.org", f"*/{ALT}"),
        {"*.example.org": to("a.example.com")} | own(ALT),
    ),
    (
        "a wildcard of which no service is imported is a host of its own",
        route("*.one.svc.cluster.local", "a.example.com", "two")
        + route("x.one.svc.cluster.local", "x.one.svc.cluster.local", "one")
        + sidecar("two/*.one.svc.cluster.local", f"two/{THIRD}", namespace="two"),
        {"*.one.svc.cluster.local": to("a.example.com")} | own(THIRD),
    ),
    (
        "a route comes with all its hosts, imported or not",
        istio(
            "VirtualService",
            "both",
            f"{{hosts: [{KNOWN}, {ALT}], http: [{{route: [{{destination: {{host: a.example.com}}}}]}}]}}",
            namespace="one",
        )
        + sidecar(f"*/{KNOWN}"),
        {KNOWN: to("a.example.com"), ALT: to("a.example.com")},
    ),
    (
        "a route of another namespace is not imported with its service",
        route(KNOWN, "a.example.com", "two") + sidecar("one/*"),
        own(KNOWN, ALT),
    ),
    (
        "a route is imported where its namespace is, whatever service it names",
        route(KNOWN, "a.example.com", "two") + sidecar("one/*", "two/*"),
        {KNOWN: to("a.example.com")} | own(ALT, THIRD),
    ),
]


@pytest.mark.parametrize(("text", "found"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_table_under_a_sidecar(text: str, found: dict[str, str]) -> None:
    assert routed(text, "two" if "namespace: two\nspec:\n  egress" in text else "one") == found


def test_a_host_without_a_service_is_routed_on_port_80_alone() -> None:
    text = route("x.one.svc.cluster.local", "a.example.com") + sidecar("*/x.one.svc.cluster.local")
    assert routed(text) == {"x.one.svc.cluster.local": to("a.example.com")}
    assert routed(text, port="8080") == {}
    # Nothing listens there, since no service has the port: what the table holds is never asked for.
    assert made(view(SERVICES + text, namespace="one"), rules.LISTENER).keys() == {"virtualOutbound", "virtualInbound"}


def test_tables_have_names_in_lower_case() -> None:
    upper = istio(
        "ServiceEntry",
        "e",
        "{hosts: [Big.Example.com], ports: [{number: 80, name: http, protocol: HTTP}], resolution: STATIC, "
        "endpoints: [{address: 10.0.0.1}]}",
        namespace="one",
    )
    (first, *_) = hosts(upper, "80", namespace="one")
    assert first["name"] == "big.example.com:80"
    assert first["domains"] == ["big.example.com", "big.example.com."]
