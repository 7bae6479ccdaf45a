"""Istio's standard labels, case by case."""

from __future__ import annotations

from typing import Any

import pytest

from proxyless.governance.call import OutgoingCall
from proxyless.governance.inbound import InboundRequest
from proxyless.governance.peer import Peer, Principals
from proxyless.governance.replies import LocalReply, as_grpc, no_healthy_upstream
from proxyless.governance.request import RequestView
from proxyless.governance.runtime import Runtime
from proxyless.governance.telemetry.catalogue import REQUEST_LABELS
from proxyless.governance.telemetry.labels import Service, Workload, flags_text, grpc_status, incoming, outgoing
from tests.support.world import FakeConnection

CANONICAL = "service.istio.io/canonical-name"
REVISION = "service.istio.io/canonical-revision"


@pytest.mark.parametrize(
    ("labels", "service", "revision"),
    [
        ({CANONICAL: "shopfront", "app.kubernetes.io/name": "k", "app": "a"}, "shopfront", "latest"),
        ({"app.kubernetes.io/name": "k", "app": "a"}, "k", "latest"),
        ({"app": "a", REVISION: "r", "app.kubernetes.io/version": "k", "version": "v"}, "a", "r"),
        ({"app": "a", "app.kubernetes.io/version": "k", "version": "v"}, "a", "k"),
        ({"app": "a", "version": "v"}, "a", "v"),
        ({}, "frontend-v1", "latest"),
    ],
)
def test_the_canonical_service_of_a_node_follows_the_rule_of_the_injector(
    labels: dict[str, str], service: str, revision: str
) -> None:
    workload = Workload.of_node({"WORKLOAD_NAME": "frontend-v1", "NAMESPACE": "shop", "LABELS": labels})
    assert (workload.canonical_service, workload.canonical_revision) == (service, revision)


def test_a_node_that_says_nothing_is_unknown() -> None:
    assert Workload.of_node({}) == Workload()
    assert Workload().canonical_revision == "latest"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cart-v1;shop;cart;v1;east", Workload("cart-v1", "shop", "cart", "v1", cluster="east")),
        (";;;;", Workload()),
        ("cart-v1;shop;cart;v1", Workload()),
        ("", Workload()),
        (None, Workload()),
        (17.0, Workload()),
    ],
)
def test_an_endpoint_says_who_it_is_in_five_parts_or_not_at_all(text: object, expected: Workload) -> None:
    assert Workload.of_endpoint(text) == expected


@pytest.mark.parametrize(
    ("name", "services", "expected"),
    [
        (
            "outbound|80||cart",
            ({"host": "cart.shop.svc", "name": "cart", "namespace": "shop"},),
            Service("cart.shop.svc", "cart", "shop"),
        ),
        ("outbound|80||cart", ({"host": "cart.shop.svc"},), Service("cart.shop.svc", "cart")),
        ("outbound|80||cart", (), None),
        ("outbound|80||cart", None, None),
        ("outbound|80||cart", ("cart",), None),
        ("PassthroughCluster", None, Service(name="PassthroughCluster")),
        ("BlackHoleCluster", None, Service(name="BlackHoleCluster")),
        ("InboundPassthroughCluster", None, Service(name="InboundPassthroughCluster")),
    ],
)
def test_a_cluster_names_its_service(name: str, services: Any, expected: Service | None) -> None:
    metadata = {} if services is None else {"istio": {"services": services}}
    assert Service.of_cluster(name, metadata) == expected


@pytest.mark.parametrize(
    ("status", "said", "reply", "expected"),
    [
        (200, b"0", None, "0"),
        (200, b"16", None, "16"),
        (200, b"17", None, ""),
        (200, b"nonsense", None, ""),
        (200, b"99999999999999999999", None, ""),
        (200, b"007", None, "7"),
        (200, None, None, ""),
        (0, None, None, ""),
        (503, None, None, "14"),
        (418, None, None, "2"),
        (200, None, as_grpc(no_healthy_upstream()), "14"),
        (200, None, LocalReply(200), ""),
    ],
)
def test_a_grpc_status_is_one_that_grpc_has_or_none(
    status: int, said: bytes | None, reply: LocalReply | None, expected: str
) -> None:
    assert grpc_status(status, said, reply) == expected


def test_flags_are_written_as_in_the_access_log() -> None:
    assert flags_text(()) == "-"
    assert flags_text(("URX", "UF")) == "URX,UF"


def test_a_request_by_mtls_says_so() -> None:
    view = RequestView(b"GET", b"https", b"app", b"/")
    runtime = Runtime()
    shop, bank = "spiffe://a/ns/shop/sa/app", "spiffe://b/ns/bank/sa/ledger"
    for peer, policy, source, destination, namespace in (
        (Peer(b"x", True, (shop, "spiffe://c"), local_uri_sans=(bank,)), "mutual_tls", shop, bank, "shop"),
        (Peer(b"x", True, ("spiffe://c",), local_uri_sans=(bank,)), "mutual_tls", "spiffe://c", bank, "unknown"),
        (Peer(b"x", False, (shop,), local_uri_sans=(bank,)), "none", "unknown", bank, "unknown"),
        (Peer(b"x", True, (shop,)), "none", shop, "unknown", "shop"),
        (Peer(local_uri_sans=(bank,)), "none", "unknown", bank, "unknown"),
        (None, "none", "unknown", "unknown", "unknown"),
    ):
        request = InboundRequest(runtime, view, 8080, peer=peer)
        labels = dict(zip(REQUEST_LABELS, incoming(Workload(), request, None, None), strict=True))
        assert labels["connection_security_policy"] == policy
        assert labels["source_principal"] == source
        assert labels["destination_principal"] == destination
        assert labels["source_workload_namespace"] == namespace


def test_a_call_by_mtls_tells_who_was_at_both_ends() -> None:
    call = OutgoingCall(Runtime(), None, RequestView(b"GET", b"http", b"app", b"/"), b"app", 80)
    own = Workload(name="web", namespace="front")
    for principals, expected in (
        (None, ("unknown", "unknown", "unknown", "unknown")),
        (Principals("spiffe://a/ns/x/sa/web"), ("spiffe://a/ns/x/sa/web", "unknown", "unknown", "unknown")),
        (
            Principals("spiffe://a/ns/x/sa/web", "spiffe://a/ns/shop/sa/app"),
            ("spiffe://a/ns/x/sa/web", "spiffe://a/ns/shop/sa/app", "shop", "shop"),
        ),
    ):
        call.secured_by = connection = FakeConnection()
        connection.principals = principals
        labels = dict(zip(REQUEST_LABELS, outgoing(own, call, None), strict=True))
        found = (
            labels["source_principal"],
            labels["destination_principal"],
            labels["destination_workload_namespace"],
            labels["destination_service_namespace"],
        )
        assert found == expected
        assert (labels["source_workload_namespace"], labels["connection_security_policy"]) == ("front", "unknown")
