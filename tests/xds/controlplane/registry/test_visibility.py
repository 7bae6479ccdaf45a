"""What MeshConfig says about who hears and sees what: exportTo's defaults, discovery selectors, entries' visibility."""

from __future__ import annotations

import pytest

from proxyless.xds.controlplane.registry.scope import Scope
from proxyless.xds.controlplane.registry.world import World
from tests.xds.controlplane.support import istio, mesh, service, world

WEB = "web.shop.svc.cluster.local"
ENTRY = istio(
    "ServiceEntry", "geo", "{hosts: [geo.example.com], ports: [{number: 80, name: http, protocol: HTTP}], EXPORT}"
)


def seen(made: World, namespace: str) -> set[str]:
    return set(Scope(made, namespace).by_host)


@pytest.mark.parametrize(
    ("default", "shop", "other"),
    [("['*']", True, True), ("['.']", True, False), ("['~']", False, False), ("[other]", False, True)],
)
def test_services_that_say_nothing_are_exported_as_the_mesh_says(default: str, shop: bool, other: bool) -> None:
    made = world(service("web", "http:80") + mesh(f"defaultServiceExportTo: {default}"))
    assert (seen(made, "shop") == {WEB}, seen(made, "other") == {WEB}) == (shop, other)


def test_what_a_service_says_counts_before_the_mesh() -> None:
    entry = ENTRY.replace("EXPORT: null", "exportTo: ['*']")
    assert seen(world(entry + mesh("defaultServiceExportTo: ['.']")), "other") == {"geo.example.com"}


@pytest.mark.parametrize(("default", "seen_by_other"), [("['*']", True), ("['.']", False)])
def test_rules_and_routes_that_say_nothing_are_exported_as_the_mesh_says(default: str, seen_by_other: bool) -> None:
    text = (
        service("web", "http:80")
        + istio("DestinationRule", "web", "{host: web, subsets: [{name: v1}]}")
        + istio("VirtualService", "web", "{hosts: [web], http: [{route: [{destination: {host: web}}]}]}")
        + mesh(f"{{defaultDestinationRuleExportTo: {default}, defaultVirtualServiceExportTo: {default}}}")
    )
    made = world(text)
    assert bool(made.destination_rules.find("other", WEB, "shop")) == seen_by_other
    assert bool(made.destination_rules.find("shop", WEB, "shop"))
    assert bool(made.virtual_services.visible_to("other")) == seen_by_other
    assert bool(made.virtual_services.visible_to("shop"))


def test_a_private_rule_of_the_root_namespace_is_its_own() -> None:
    rule = istio("DestinationRule", "web", f"{{host: {WEB}}}", namespace="istio-system")
    made = world(service("web", "http:80") + rule + mesh("defaultDestinationRuleExportTo: ['.']"))
    assert not made.destination_rules.find("shop", WEB, "shop")
    assert made.destination_rules.find("istio-system", WEB, "shop")


NAMESPACES = """
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {mesh: in, tier: front}}
---
apiVersion: v1
kind: Namespace
metadata: {name: other, labels: {mesh: out}}
"""


@pytest.mark.parametrize(
    ("selectors", "heard"),
    [
        ("[]", {"shop", "other"}),
        ("[{matchLabels: {mesh: in}}]", {"shop"}),
        ("[{matchLabels: {mesh: in, tier: back}}]", set()),
        ("[{matchLabels: {mesh: in}}, {matchLabels: {mesh: out}}]", {"shop", "other"}),
        ("[{matchExpressions: [{key: mesh, operator: In, values: [out, up]}]}]", {"other"}),
        ("[{matchExpressions: [{key: mesh, operator: NotIn, values: [out]}]}]", {"shop"}),
        ("[{matchExpressions: [{key: tier, operator: Exists}]}]", {"shop"}),
        ("[{matchExpressions: [{key: tier, operator: DoesNotExist}]}]", {"other"}),
        ("[{matchLabels: {kubernetes.io/metadata.name: other}}]", {"other"}),
    ],
)
def test_objects_of_namespaces_that_no_selector_picks_are_not_heard_of(selectors: str, heard: set[str]) -> None:
    services = service("web", "http:80") + service("web", "http:80", namespace="other")
    made = world(NAMESPACES + services + mesh(f"discoverySelectors: {selectors}"))
    assert {found.namespace for found in made.services} == heard
    assert made.mesh is not made.settings.base


INSIDE = "matchingRules: [{namespaceSelector: {matchLabels: {mesh: in}}}]"


@pytest.mark.parametrize(
    ("visibility", "exports", "expected"),
    [
        ("{defaultVisibility: NAMESPACE}", "exportTo: ['*']", {"*"}),  # not for sidecars
        ("{applyToSidecars: true}", "exportTo: ['*']", {"*"}),
        ("{applyToSidecars: true, defaultVisibility: PUBLIC}", "exportTo: ['*']", {"*"}),
        ("{applyToSidecars: true, defaultVisibility: NONE}", "exportTo: ['*']", {"~"}),
        ("{applyToSidecars: true, defaultVisibility: NAMESPACE}", "exportTo: ['*']", {"."}),
        ("{applyToSidecars: true, defaultVisibility: NAMESPACE}", "exportTo: [shop]", {"."}),
        ("{applyToSidecars: true, defaultVisibility: NAMESPACE}", "exportTo: [other]", {"~"}),
        ("{applyToSidecars: true, defaultVisibility: PUBLIC}", "exportTo: ['~']", {"~"}),
        (
            f"{{applyToSidecars: true, defaultVisibility: NONE, policies: [{{visibility: NAMESPACE, {INSIDE}}}]}}",
            "exportTo: ['*']",
            {"."},
        ),
        (
            "{applyToSidecars: true, defaultVisibility: NONE, policies: [{visibility: PUBLIC, matchingRules: [{}]}]}",
            "exportTo: ['*']",
            {"~"},
        ),
        ("{applyToSidecars: true, policies: [{visibility: NONE}]}", "exportTo: ['*']", {"~"}),
    ],
)
def test_entries_reach_no_further_than_the_mesh_allows(visibility: str, exports: str, expected: set[str]) -> None:
    entry = ENTRY.replace("EXPORT: null", exports)
    made = world(NAMESPACES + entry + service("web", "http:80") + mesh(f"serviceEntryVisibility: {visibility}"))
    web, geo = (made.by_host[host]["shop"] for host in (WEB, "geo.example.com"))
    assert made.exports(geo) == expected
    assert made.exports(web) == {"*"}


def test_identities_are_accepted_in_every_domain_of_the_mesh() -> None:
    entry = istio(
        "ServiceEntry",
        "db",
        """
        hosts: [db.internal]
        ports: [{number: 80, name: http, protocol: HTTP}]
        resolution: STATIC
        subjectAltNames: [spiffe://cluster.local/ns/db/sa/db, db.example.com]
        endpoints: [{address: 10.0.0.1, serviceAccount: one}]
        """,
    )
    made = world(entry + mesh("trustDomainAliases: [old]"))
    assert made.accounts(made.services[0]) == (
        "db.example.com",
        "spiffe://cluster.local/ns/db/sa/db",
        "spiffe://cluster.local/ns/shop/sa/one",
        "spiffe://old/ns/db/sa/db",
        "spiffe://old/ns/shop/sa/one",
    )
