"""Real calls and requests over the recorded configuration, read back from Prometheus text."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry

import proxyless.asgi
import proxyless.httpx
from proxyless import Mesh
from proxyless.governance.telemetry import prometheus

from .conftest import Shop, labels, samples, value

REQUESTS = "istio_requests_total"
DURATION = "istio_request_duration_milliseconds"
PAYMENT = "outbound|80||payment.shop.svc.cluster.local"
CART = "outbound|80||cart.shop.svc.cluster.local"


def one(registry: CollectorRegistry, **wanted: str) -> dict[str, str]:
    """The labels of the only request that was counted so."""
    found = labels(registry, REQUESTS, **wanted)
    assert len(found) == 1, found
    return found[0]


# -- outgoing --------------------------------------------------------------------------------------------------------


def test_a_call_has_every_standard_label_that_a_client_knows(client: httpx.Client, registry: CollectorRegistry) -> None:
    assert client.get("http://payment.shop/pay").status_code == 200
    found = one(registry)
    workload = found.pop("destination_workload")
    assert workload in {"payment-v1-0", "payment-v1-1", "payment-v1-2"}
    assert found == {
        "reporter": "source",
        "source_workload": "frontend-v1",
        "source_workload_namespace": "shop",
        "source_canonical_service": "frontend",
        "source_canonical_revision": "v1",
        "source_principal": "unknown",
        "source_app": "frontend",
        "source_version": "v1",
        "source_cluster": "Kubernetes",
        "destination_workload_namespace": "shop",
        "destination_canonical_service": "payment",
        "destination_canonical_revision": "v1",
        "destination_principal": "unknown",
        "destination_app": "unknown",
        "destination_version": "unknown",
        "destination_service": "payment.shop.svc.cluster.local",
        "destination_service_name": "payment",
        "destination_service_namespace": "shop",
        "destination_cluster": "Kubernetes",
        "request_protocol": "http",
        "response_code": "200",
        "grpc_response_status": "",
        "response_flags": "-",
        "connection_security_policy": "unknown",
    }


def test_duration_and_sizes_are_observed_once_for_each_call(client: httpx.Client, registry: CollectorRegistry) -> None:
    received = len(client.post("http://cart.shop/add", content=b"x" * 700).content)
    received += len(client.get("http://cart.shop/").content)
    assert value(registry, f"{DURATION}_count") == 2
    assert 0 < value(registry, f"{DURATION}_sum") < 10_000
    assert value(registry, "istio_request_bytes_sum") == 700
    assert value(registry, "istio_request_bytes_bucket", le="500.0") == 1
    assert value(registry, "istio_request_bytes_bucket", le="1000.0") == 2
    assert value(registry, "istio_response_bytes_sum") == received


def test_a_slow_response_falls_into_its_bucket(client: httpx.Client, registry: CollectorRegistry) -> None:
    client.get("http://cart.shop/", headers={"x-backend": "delay=0.12"})
    assert value(registry, f"{DURATION}_bucket", le="100.0") == 0
    assert value(registry, f"{DURATION}_bucket", le="1000.0") == 1


def test_statuses_of_the_upstream_have_no_flag_and_no_local_reply(
    client: httpx.Client, registry: CollectorRegistry
) -> None:
    client.get("http://cart.shop/", headers={"x-backend": "status=404"})
    assert one(registry)["response_code"] == "404"
    assert one(registry)["response_flags"] == "-"
    assert value(registry, "proxyless_local_replies_total") == 0


def test_retries_are_counted_by_cluster_and_end_with_their_flag(
    client: httpx.Client, registry: CollectorRegistry
) -> None:
    assert client.get("http://payment.shop/", headers={"x-backend": "status=503,status=200"}).status_code == 200
    assert value(registry, "proxyless_retries_total", cluster=PAYMENT) == 1
    assert client.get("http://payment.shop/", headers={"x-backend": "status=503"}).status_code == 503
    assert value(registry, "proxyless_retries_total", cluster=PAYMENT) == 3
    assert one(registry, response_code="503")["response_flags"] == "URX"


def test_an_overflow_is_a_local_reply_with_its_threshold(client: httpx.Client, registry: CollectorRegistry) -> None:
    with ThreadPoolExecutor(20) as pool:
        slow = {"x-backend": "delay=0.2"}
        answers = list(pool.map(lambda _: client.get("http://payment.shop/", headers=slow).status_code, range(20)))
    refused = answers.count(503)
    assert refused
    assert value(registry, "proxyless_local_replies_total", response_flags="UO", response_code="503") == refused
    assert value(registry, "proxyless_cluster_overflows_total", cluster=PAYMENT, threshold="pending") == refused
    assert value(registry, REQUESTS, response_flags="UO", destination_service_name="payment") == refused


def test_an_answer_of_the_mesh_itself_names_the_service_of_its_virtual_host(
    client: httpx.Client, registry: CollectorRegistry
) -> None:
    assert client.get("http://catalog.shop/teapot").status_code == 418
    found = one(registry)
    assert found["destination_service"] == "catalog.shop.svc.cluster.local"
    assert found["destination_workload"] == "unknown"
    assert value(registry, "proxyless_local_replies_total", response_code="418", response_flags="-") == 1


def test_hosts_outside_the_mesh_never_become_labels(client: httpx.Client, registry: CollectorRegistry) -> None:
    for number in range(5):
        with pytest.raises(httpx.ConnectError):
            client.get(f"http://stranger-{number}.invalid/")
    found = one(registry)
    assert found["destination_service_name"] == "PassthroughCluster"
    assert found["destination_service"] == "unknown"
    assert "stranger" not in str(samples(registry))


def test_a_wildcard_service_keeps_one_series_for_all_its_hosts(
    client: httpx.Client, registry: CollectorRegistry, mesh: Mesh
) -> None:
    for number in range(3):
        mesh.runtime.options.overrides[f"a{number}.wild.example.com"] = "127.0.0.1"
        client.get(f"http://a{number}.wild.example.com/")
    assert one(registry)["destination_service"] == "*.wild.example.com"


def test_requests_through_opaque_connections_are_counted_apart(
    shop: Shop, client: httpx.Client, registry: CollectorRegistry
) -> None:
    port = next(iter(shop.backends.ports.values()))
    address = next(iter(shop.backends.ports))[0]
    assert client.get(f"http://{address}:{port}/").status_code == 200
    assert not labels(registry, REQUESTS)
    assert labels(registry, "proxyless_ungoverned_requests_total") == [
        {
            "reporter": "source",
            "destination_service_name": "PassthroughCluster",
            "response_code": "200",
            "response_flags": "-",
        }
    ]


def test_a_caller_that_goes_away_leaves_the_flag_dc(client: httpx.Client, registry: CollectorRegistry) -> None:
    with client.stream("GET", "http://cart.shop/", headers={"x-backend": f"body={'x' * 50_000}"}) as response:
        next(response.iter_raw(10))
    assert one(registry)["response_flags"] == "DC"


def test_a_grpc_call_says_so_and_its_status_is_that_of_the_headers(
    client: httpx.Client, registry: CollectorRegistry
) -> None:
    headers = {"content-type": "application/grpc", "te": "trailers"}
    client.post("http://cart.shop/a.B/C", headers=headers)
    found = one(registry)
    assert (found["request_protocol"], found["grpc_response_status"]) == ("grpc", "")
    client.post("http://payment.shop/a.B/C", headers={**headers, "x-backend": "status=404"})
    assert one(registry, response_code="404")["grpc_response_status"] == "12"


def test_a_local_reply_to_grpc_has_its_grpc_status(client: httpx.Client, registry: CollectorRegistry) -> None:
    client.post("http://catalog.shop/teapot", headers={"content-type": "application/grpc"})
    found = one(registry)
    assert (found["response_code"], found["grpc_response_status"]) == ("200", "2")


def test_gauges_follow_what_is_under_way(client: httpx.Client, registry: CollectorRegistry) -> None:
    with client.stream("GET", "http://cart.shop/"):
        assert value(registry, "proxyless_cluster_active_requests", cluster=CART) == 1
        assert value(registry, "proxyless_cluster_connections", cluster=CART) == 1
    assert value(registry, "proxyless_cluster_active_requests", cluster=CART) == 0
    assert value(registry, "proxyless_cluster_endpoints", cluster=CART, health="healthy") == 4


def test_calls_from_many_threads_are_all_counted(client: httpx.Client, registry: CollectorRegistry) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: client.get("http://cart.shop/"), range(200)))
    assert value(registry, REQUESTS, destination_service_name="cart", response_code="200") == 200
    assert value(registry, f"{DURATION}_count") == 200


def test_async_calls_are_counted_too(mesh: Mesh, registry: CollectorRegistry) -> None:
    async def calls() -> None:
        async with httpx.AsyncClient(transport=proxyless.httpx.AsyncTransport(mesh)) as client:
            await asyncio.gather(*(client.get("http://cart.shop/") for _ in range(10)))

    asyncio.run(calls())
    assert value(registry, REQUESTS, destination_service_name="cart") == 10


def test_a_bounded_number_of_label_sets_is_kept_at_hand(
    mesh: Mesh, client: httpx.Client, registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prometheus, "MAX_SERIES", 3)
    for status in range(400, 410):
        client.get("http://cart.shop/", headers={"x-backend": f"status={status}"})
    metrics = mesh._observers.metrics
    assert metrics is not None
    assert len(metrics._series) <= 3
    assert value(registry, REQUESTS) == 10
    assert len(labels(registry, REQUESTS)) == 10


def test_a_failing_metric_fails_no_call_and_is_logged_once(
    client: httpx.Client, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(prometheus, "outgoing", broken)
    with caplog.at_level(logging.ERROR, "proxyless.telemetry"):
        assert client.get("http://cart.shop/").status_code == 200
        assert client.get("http://cart.shop/").status_code == 200
    assert [each.message for each in caplog.records] == ["metrics are incomplete"]


# -- incoming --------------------------------------------------------------------------------------------------------


async def app(scope: Any, receive: Any, send: Any) -> None:
    body = await receive()
    headers = [(b"grpc-status", b"5")] if b"grpc" in dict(scope["headers"]).get(b"content-type", b"") else []
    await send({"type": "http.response.start", "status": 201, "headers": headers})
    await send({"type": "http.response.body", "body": body["body"] * 2})


@pytest.fixture
def serve(mesh: Mesh) -> Callable[..., httpx.Response]:
    """Requests to an app behind the frontend's inbound chain."""
    governed = proxyless.asgi.Middleware(app, mesh, port=8080)

    def request(method: str, path: str, **options: Any) -> httpx.Response:
        async def go() -> httpx.Response:
            transport = httpx.ASGITransport(governed, client=("127.0.0.9", 5))
            async with httpx.AsyncClient(transport=transport, base_url="http://frontend.shop") as client:
                return await client.request(method, path, **options)

        return asyncio.run(go())

    return request


def test_a_served_request_has_the_labels_of_this_workload(
    serve: Callable[..., httpx.Response], registry: CollectorRegistry
) -> None:
    assert serve("POST", "/buy", content=b"abc").status_code == 201
    found = one(registry)
    assert {key: word for key, word in found.items() if word not in ("unknown", "latest", "")} == {
        "reporter": "destination",
        "destination_workload": "frontend-v1",
        "destination_workload_namespace": "shop",
        "destination_app": "frontend",
        "destination_version": "v1",
        "destination_service": "frontend.shop.svc.cluster.local",
        "destination_canonical_service": "frontend",
        "destination_canonical_revision": "v1",
        "destination_service_name": "frontend",
        "destination_service_namespace": "shop",
        "destination_cluster": "Kubernetes",
        "request_protocol": "http",
        "response_code": "201",
        "response_flags": "-",
        "connection_security_policy": "none",
    }
    assert found["source_workload"] == found["source_principal"] == "unknown"
    assert found["source_canonical_revision"] == "latest"
    assert value(registry, "istio_request_bytes_sum") == 3
    assert value(registry, "istio_response_bytes_sum") == 6


def test_a_served_grpc_request_has_the_status_of_its_headers(
    serve: Callable[..., httpx.Response], registry: CollectorRegistry
) -> None:
    serve("POST", "/a.B/C", headers={"content-type": "application/grpc+proto"})
    found = one(registry)
    assert (found["request_protocol"], found["grpc_response_status"]) == ("grpc", "5")


def test_a_request_that_is_rate_limited_is_counted_as_such(
    serve: Callable[..., httpx.Response], registry: CollectorRegistry
) -> None:
    answers = [serve("GET", "/", headers={"x-user": "alice"}).status_code for _ in range(3)]
    assert answers == [201, 201, 429]
    assert value(registry, "proxyless_rate_limited_total", reporter="destination") == 1
    assert one(registry, response_code="429")["response_flags"] == "RL"
    assert value(registry, "proxyless_local_replies_total", reporter="destination", response_flags="RL") == 1
