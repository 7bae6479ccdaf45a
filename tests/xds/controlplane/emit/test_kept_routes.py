"""Routes that are kept are those that would be made anew, whatever changed beside their VirtualService."""

from __future__ import annotations

import pytest

from proxyless.xds.controlplane.emit.kept_routes import KeptRoutes
from proxyless.xds.controlplane.emit.route_tables import route_table
from tests.xds.controlplane.support import endpoints, istio, mesh, service, view, world

ROUTES = istio(
    "VirtualService", "a", "{hosts: [a], http: [{match: [{uri: {prefix: /b}}], route: [{destination: {host: b}}]}]}"
)
BASE = service("a", "http:80") + service("b", "http:80", ip="10.96.0.2") + ROUTES
HASH = "{host: b, trafficPolicy: {loadBalancer: {consistentHash: {httpHeaderName: x-user}}}}"
ENTRY = "{hosts: [c.example], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS}"
CHANGES = {
    "nothing": BASE,
    "a rule": BASE + istio("DestinationRule", "b", HASH),
    "another service": BASE + istio("ServiceEntry", "x", ENTRY),
    "the destination goes": service("a", "http:80") + ROUTES,
    "the routes": BASE.replace("/b", "/c"),
    "endpoints": BASE + endpoints("b", "http:81", "10.0.0.1"),
    "the mesh": BASE + mesh("defaultHttpRetryPolicy: {attempts: 7}"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_kept_routes_are_those_that_would_be_made(change: str) -> None:
    kept, first = KeptRoutes(), world(BASE)
    before = view(first)
    made = route_table("80", before.scope, before.proxy, kept)
    assert made == route_table("80", before.scope, before.proxy)
    kept.age()
    after = view(world(CHANGES[change], before=first))
    assert route_table("80", after.scope, after.proxy, kept) == route_table("80", after.scope, after.proxy)
    assert (made == route_table("80", after.scope, after.proxy, kept)) == (change in ("nothing", "endpoints"))


def test_sources_do_not_share_routes_that_ask_for_labels() -> None:
    text = service("a", "http:80") + istio(
        "VirtualService",
        "a",
        "{hosts: [a], http: [{match: [{sourceLabels: {app: x}}], directResponse: {status: 418}}]}",
    )
    made, kept = world(text), KeptRoutes()
    for labels in ({"app": "x"}, {"app": "y"}):
        seen = view(made, labels=labels)
        table = route_table("80", seen.scope, seen.proxy, kept)
        assert table == route_table("80", seen.scope, seen.proxy)
