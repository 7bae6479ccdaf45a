"""The rig itself: does Envoy run what istiod sent, and does an observation say what really happened?"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.differential.conftest import SHOP
from tests.differential.custom import cluster, custom, host, route
from tests.differential.recording import Recording
from tests.differential.rig import Rig, Sent
from tests.support import envoy, rawhttp

pytestmark = pytest.mark.envoy

CATALOG = "80/catalog.shop.svc.cluster.local:80"
REQUESTS = [
    ("catalog", "/items", (("x-user-group", "internal"),), f"{CATALOG}/0"),
    ("catalog", "/any?preview=1", (), f"{CATALOG}/1"),
    ("catalog", "/v1/x", (), f"{CATALOG}/2"),
    ("catalog", "/teapot", (), f"{CATALOG}/3"),
    ("catalog", "/old/x", (), f"{CATALOG}/4"),
    ("catalog", "/", (), f"{CATALOG}/5"),
    ("cart", "/", (), "80/cart.shop.svc.cluster.local:80/0"),
    ("checkout", "/beta", (), "80/checkout.shop.svc.cluster.local:80/0"),
    ("checkout", "/", (), "80/checkout.shop.svc.cluster.local:80/1"),
    ("frontend", "/", (), "80/frontend.shop.svc.cluster.local:80/0"),
    ("geo.example.com", "/", (), "80/geo.example.com:80/0"),
    ("payment", "/", (), "80/payment.shop.svc.cluster.local:80/1"),
    ("a.wild.example.com", "/", (), "80/*.wild.example.com:80/0"),
    ("elsewhere.example", "/", (), "80/allow_any/0"),
]


@pytest.mark.parametrize(("name", "target", "headers", "expected"), REQUESTS)
def test_every_recorded_route_is_reached_under_the_real_envoy(
    rig: Rig, name: str, target: str, headers: tuple[tuple[str, str], ...], expected: str
) -> None:
    seen = rig.send("GET", target, *headers, host=name)
    assert seen.log is not None
    assert seen.log["route_id"] == expected
    assert len({a.header("x-request-id") for a in seen.arrivals}) == (0 if expected[-1] in "34" else 1)


def test_the_original_destination_selects_the_listener(rig: Rig) -> None:
    http = rig.send(host="inventory.example.com", to=("127.0.18.1", 8080))
    assert http.log is not None
    assert http.log["route_id"] == "8080/inventory.example.com:8080/0"
    tcp = rig.send(host="inventory.example.com", to=("192.0.2.1", 9))
    assert tcp.log is not None
    assert (tcp.log["filter_chain"], tcp.log["cluster"]) == ("virtualOutbound-catchall-tcp", "PassthroughCluster")


def test_a_listener_can_be_spoken_to_without_saying_where_one_was_going(rig: Rig) -> None:
    response = rawhttp.exchange(
        rig.envoy.port("direct_80"), rawhttp.request("GET", "/teapot", (("host", "catalog.shop"),))
    )
    assert (response.status, response.body) == (418, b"teapot")


def test_all_tries_of_a_request_are_seen_in_order(rig: Rig) -> None:
    seen = rig.send("GET", "/", ("x-backend", "status=503,fault=reset,status=200"), host="payment")
    assert seen.response.status == 200
    assert [a.header("x-envoy-attempt-count") for a in seen.arrivals] == ["1", "2", "3"]


def test_requests_side_by_side_keep_their_own_arrivals(rig: Rig) -> None:
    sent = [Sent(rawhttp.request("GET", f"/beta/{n}", (("host", "checkout"),))) for n in range(40)]
    for number, seen in enumerate(rig.run(sent, parallel=8)):
        assert [a.target for a in seen.arrivals] == [f"/beta/{number}"]


def test_a_refused_endpoint_is_a_connection_failure_and_comes_back(frontend: Recording) -> None:
    envoy.require()
    one = ("127.0.20.1", 80)
    with Rig(custom(frontend, [host(route({"prefix": "/"}, "a"))], [cluster("a", one)])) as running:
        running.backends.refuse(one)
        refused = running.send()
        assert (refused.response.status, refused.flags) == (503, "UF")
        running.backends.accept(one)
        assert running.send().response.status == 200


def test_a_rewritten_recording_is_read_back_as_it_was_written(rig: Rig, tmp_path: Path) -> None:
    rig.recording.write(tmp_path)
    again = Recording.load(tmp_path)
    for name in ("listeners", "routes", "clusters", "assignments", "names"):
        assert getattr(rig.recording, name) == getattr(again, name), name


def test_inbound_runs_too_and_nothing_leaves_loopback() -> None:
    envoy.require()
    with Rig(Recording.load(SHOP / "payment"), listener="virtualInbound") as running:
        seen = running.send("GET", "/healthz", host="payment", to=("127.0.14.1", 8080))
        assert seen.response.status == 200
        assert seen.arrivals[0].backend[0].startswith("127.0.9.")


def test_envoy_and_its_folder_are_gone_afterwards(frontend: Recording) -> None:
    envoy.require()
    with Rig(custom(frontend, [host(route({"prefix": "/"}, "a"))], [cluster("a")])) as running:
        folder, port = running.envoy.folder, running.port
        assert folder.exists()
    assert not folder.exists()
    with pytest.raises(ConnectionRefusedError):
        rawhttp.exchange(port, b"")


def test_a_configuration_that_envoy_refuses_says_why(frontend: Recording) -> None:
    envoy.require()
    nothing = {"weighted_clusters": {"clusters": [{"name": "a", "weight": 0}]}}
    with (
        pytest.raises(envoy.EnvoyError, match="Sum of weights in the weighted_cluster must be greater than 0"),
        Rig(custom(frontend, [host(route({"prefix": "/"}, nothing))], [cluster("a")])),
    ):
        pass
