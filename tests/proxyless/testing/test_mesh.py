"""A mesh in a test's hand: configuration, clock, choices, forced faults and ejections, over real servers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import proxyless.asgi
import proxyless.httpx
from proxyless import ConfigurationError
from proxyless.testing import Clock, MeshUnderTest
from tests.support.backends import Backends

V1, V2 = ("127.0.0.1", 1), ("127.0.0.1", 2)
ITEMS = "http://catalog/items"
ALICE = {"x-user": "alice"}
RULES = """
    apiVersion: networking.istio.io/v1
    kind: DestinationRule
    metadata: {name: catalog, namespace: shop}
    spec:
      host: catalog.shop.svc.cluster.local
      trafficPolicy:
        outlierDetection: {consecutive5xxErrors: 3, interval: 5s, baseEjectionTime: 30s, maxEjectionPercent: 100}
      subsets:
      - {name: v1, labels: {version: v1}}
      - {name: v2, labels: {version: v2}}
    ---
    apiVersion: networking.istio.io/v1
    kind: VirtualService
    metadata: {name: catalog, namespace: shop}
    spec:
      hosts: [catalog.shop.svc.cluster.local]
      http:
      - name: alice
        match: [{headers: {x-user: {exact: alice}}}]
        route: [{destination: {host: catalog.shop.svc.cluster.local, subset: v2}}]
      - name: canary
        route:
        - {destination: {host: catalog.shop.svc.cluster.local, subset: v1}, weight: 50}
        - {destination: {host: catalog.shop.svc.cluster.local, subset: v2}, weight: 50}
"""
TWO_A_MINUTE = """
    apiVersion: networking.istio.io/v1alpha3
    kind: EnvoyFilter
    metadata: {name: limit, namespace: istio-system}
    spec:
      configPatches:
      - applyTo: HTTP_FILTER
        match:
          context: SIDECAR_OUTBOUND
          listener: {filterChain: {filter: {name: envoy.filters.network.http_connection_manager}}}
        patch:
          operation: INSERT_FIRST
          value:
            name: envoy.filters.http.local_ratelimit
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit
              stat_prefix: limit
              token_bucket: {max_tokens: 2, tokens_per_fill: 2, fill_interval: 60s}
              filter_enabled: {default_value: {numerator: 100}}
              filter_enforced: {default_value: {numerator: 100}}
"""


@pytest.fixture(scope="module")
def backends() -> Iterator[Backends]:
    with Backends([V1, V2]) as backends:
        yield backends


@pytest.fixture
def mesh(tmp_path: Path) -> Iterator[MeshUnderTest]:
    (tmp_path / "mesh").mkdir()
    with MeshUnderTest(tmp_path / "mesh", app="frontend", namespace="shop") as mesh:
        yield mesh


@pytest.fixture
def client(mesh: MeshUnderTest, backends: Backends) -> Iterator[httpx.Client]:
    mesh.config(RULES)
    mesh.serve("catalog", backends.ports[V1], version="v1", name="v1")
    mesh.serve("catalog", backends.ports[V2], version="v2", name="v2")
    with httpx.Client(transport=proxyless.httpx.Transport(mesh)) as client:
        yield client


def subsets(mesh: MeshUnderTest, client: httpx.Client, calls: int) -> list[str | None]:
    mesh.decisions.clear()
    for _ in range(calls):
        assert client.get(ITEMS).status_code == 200
    return [each.subset for each in mesh.decisions]


def test_calls_go_where_the_yaml_says_and_leave_no_thread(mesh: MeshUnderTest, client: httpx.Client) -> None:
    before = threading.active_count()
    client.get(ITEMS, headers=ALICE)
    last = mesh.decisions.assert_last(
        method="GET", host="catalog", path="/items", route="alice", subset="v2", status=200, flags="", tries=1
    )
    assert last.service == "catalog.shop.svc.cluster.local"
    assert threading.active_count() == before


def test_the_same_seed_makes_the_same_choices(mesh: MeshUnderTest, client: httpx.Client) -> None:
    mesh.seed(7)
    first = subsets(mesh, client, 20)
    mesh.seed(7)
    assert subsets(mesh, client, 20) == first
    assert set(first) == {"v1", "v2"}


def test_a_question_takes_no_draw_and_is_no_decision(mesh: MeshUnderTest, client: httpx.Client) -> None:
    mesh.seed(7)
    first = subsets(mesh, client, 10)
    mesh.seed(7)
    for _ in range(3):
        assert mesh.explain("GET", ITEMS, ALICE)["route"] == "alice"
        assert mesh.explain("GET", ITEMS)["cluster"].startswith("outbound|80|v")
    assert subsets(mesh, client, 10) == first
    assert len(mesh.decisions) == 10


def test_a_change_is_in_force_when_config_returns(mesh: MeshUnderTest, client: httpx.Client) -> None:
    for subset in ("v1", "v2", "v1"):
        other = {"v1": "v2", "v2": "v1"}[subset]
        mesh.config(RULES.replace(f"subset: {other}}}, weight: 50", f"subset: {other}}}, weight: 0"))
        assert set(subsets(mesh, client, 5)) == {subset}


def test_what_is_refused_is_named_and_what_was_in_force_stays(mesh: MeshUnderTest, client: httpx.Client) -> None:
    with pytest.raises(ConfigurationError) as refused:
        mesh.config(RULES.replace("weight: 50", "weight: -50"))
    assert str(refused.value).startswith("config.yaml:24:")
    assert "VirtualService shop/catalog: spec.http[1].route[0].weight" in str(refused.value)
    client.get(ITEMS, headers=ALICE)
    mesh.decisions.assert_last(route="alice", status=200)


def test_files_and_folders_are_configuration_too(mesh: MeshUnderTest, client: httpx.Client, tmp_path: Path) -> None:
    rules, service = RULES.split("    ---\n")
    folder = tmp_path / "istio"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "rules.yaml").write_text(rules)
    (tmp_path / "one.yaml").write_text(service)
    mesh.config("", folder, tmp_path / "one.yaml")
    client.get(ITEMS, headers=ALICE)
    mesh.decisions.assert_last(subset="v2", status=200)
    with pytest.raises(ConfigurationError, match=r"cannot read .*nothing\.yaml"):
        mesh.config(tmp_path / "nothing.yaml")


def test_an_ejected_endpoint_comes_back_by_the_clock(
    mesh: MeshUnderTest, client: httpx.Client, backends: Backends
) -> None:
    for endpoint in ("v2", f"127.0.0.1:{backends.ports[V2]}"):
        mesh.eject(endpoint)
        client.get(ITEMS, headers=ALICE)
        mesh.decisions.assert_last(status=503, flags="UH", endpoint=None)
        mesh.clock.advance(120)
        client.get(ITEMS, headers=ALICE)
        mesh.decisions.assert_last(status=200)
    mesh.eject("v2")
    mesh.uneject("v2")
    assert client.get(ITEMS, headers=ALICE).status_code == 200


def test_without_outlier_detection_it_stays_out(mesh: MeshUnderTest, client: httpx.Client, backends: Backends) -> None:
    mesh.config("")
    mesh.eject("v2")
    mesh.clock.advance(3600)
    mesh.decisions.clear()
    for _ in range(6):
        client.get(ITEMS)
    assert mesh.decisions.count_by("endpoint") == {f"127.0.0.1:{backends.ports[V1]}": 6}
    mesh.uneject("v2")
    mesh.decisions.clear()
    for _ in range(12):
        client.get(ITEMS)
    assert len(mesh.decisions.count_by("endpoint")) == 2


def test_an_endpoint_that_nobody_has_is_named(mesh: MeshUnderTest) -> None:
    mesh.serve("catalog", 8080, address="::1")
    with pytest.raises(ConfigurationError, match=r"no cluster has an endpoint 'v3'; there are \[::1\]:8080"):
        mesh.eject("v3")


def test_a_pod_is_ejected_by_its_name(mesh: MeshUnderTest) -> None:
    mesh.config(Path(__file__).parents[2] / "docs" / "istio")
    assert mesh.explain("GET", "http://catalog.shop/items", ALICE)["endpoint"] == "127.0.20.2:8080"
    mesh.eject("catalog-v2-0")
    endpoints = mesh.explain("GET", "http://catalog.shop/items")["endpoints"]
    endpoints += mesh.explain("GET", "http://catalog.shop/items", ALICE)["endpoints"]
    assert {each["address"] for each in endpoints if each["ejected"]} == {"127.0.20.2:8080"}


def test_failures_of_servers_eject_as_configured(mesh: MeshUnderTest, client: httpx.Client) -> None:
    for _ in range(3):
        client.get(ITEMS, headers={**ALICE, "x-backend": "status=500"})
    client.get(ITEMS, headers=ALICE)
    mesh.decisions.assert_last(status=503, flags="UH")
    mesh.clock.advance(36)
    assert client.get(ITEMS, headers=ALICE).status_code == 200


@pytest.mark.parametrize("host", ["catalog", "catalog.shop", "catalog.shop.svc.cluster.local"])
def test_a_fault_is_that_of_envoys_filter(mesh: MeshUnderTest, client: httpx.Client, host: str) -> None:
    mesh.fault(host, abort=418)
    response = client.get(ITEMS)
    assert (response.status_code, response.text) == (418, "fault filter abort")
    mesh.decisions.assert_last(status=418, flags="FI", tries=0)
    mesh.fault(host, delay_s=0.01)
    assert client.get("http://catalog.shop:80/items").status_code == 200
    mesh.decisions.assert_last(flags="DI", tries=1)
    mesh.fault(host, abort=503, percent=0)
    client.get(ITEMS)
    mesh.decisions.assert_last(flags="", status=200)
    mesh.fault("catalog-b", abort=503)
    mesh.fault(host)
    client.get(ITEMS)
    mesh.decisions.assert_last(flags="", status=200)


def test_tokens_come_back_by_the_clock(mesh: MeshUnderTest, client: httpx.Client) -> None:
    mesh.config(RULES, TWO_A_MINUTE)
    assert [client.get(ITEMS).status_code for _ in range(4)] == [200, 200, 429, 429]
    mesh.decisions.assert_last(flags="RL")
    mesh.clock.advance(30)
    assert [client.get(ITEMS).status_code for _ in range(2)] == [200, 429]


def test_a_service_of_the_configuration_is_served_at_its_own_ports(mesh: MeshUnderTest, backends: Backends) -> None:
    mesh.config(
        """
        apiVersion: v1
        kind: Service
        metadata: {name: cart, namespace: other}
        spec: {clusterIP: 10.96.0.9, selector: {app: cart}, ports: [{port: 8000, targetPort: web, appProtocol: http}]}
        """
    )
    address = mesh.serve("cart.other", backends.ports[V1])
    with httpx.Client(transport=proxyless.httpx.Transport(mesh)) as client:
        assert client.get("http://cart.other:8000/").status_code == 200
    mesh.decisions.assert_last(cluster="outbound|8000||cart.other.svc.cluster.local", endpoint=address)


@pytest.mark.parametrize(
    ("service", "said"),
    [
        ("api.example.com", "only services of the cluster"),
        ("", "only services of the cluster"),
        ("plain", "Service shop/plain has no selector"),
        ("nameless", "Service shop/nameless: port 80 has no name"),
    ],
)
def test_what_cannot_be_served_is_named(mesh: MeshUnderTest, service: str, said: str) -> None:
    mesh.config(
        """
        apiVersion: v1
        kind: Service
        metadata: {name: plain, namespace: shop}
        spec: {ports: [{name: http, port: 80}]}
        ---
        apiVersion: v1
        kind: Service
        metadata: {name: nameless, namespace: shop}
        spec: {selector: {app: nameless}, ports: [{port: 80}]}
        """
    )
    with pytest.raises(ConfigurationError, match=said):
        mesh.serve(service, 8080)
    mesh.fault("api.example.com", abort=503)  # what went before is forgotten: all else works


def test_names_that_dns_knows_are_looked_up_by_the_caller(mesh: MeshUnderTest, backends: Backends) -> None:
    mesh.config(
        f"""
        apiVersion: networking.istio.io/v1
        kind: ServiceEntry
        metadata: {{name: api, namespace: shop}}
        spec:
          hosts: [api.example.com]
          resolution: DNS
          ports: [{{number: 80, name: http, protocol: HTTP}}]
          endpoints: [{{address: localhost, ports: {{http: {backends.ports[V1]}}}}}]
        """
    )
    before = threading.active_count()
    with httpx.Client(transport=proxyless.httpx.Transport(mesh)) as client:
        assert client.get("http://api.example.com/").status_code == 200
    assert threading.active_count() == before


async def governed(mesh: MeshUnderTest) -> int:
    async with httpx.AsyncClient(transport=proxyless.httpx.AsyncTransport(mesh)) as client:
        return (await client.get(ITEMS, headers=ALICE)).status_code


def test_tasks_are_governed_too(mesh: MeshUnderTest, client: httpx.Client) -> None:
    import asyncio

    assert asyncio.run(governed(mesh)) == 200
    mesh.decisions.assert_last(route="alice", subset="v2")


def test_policies_and_bad_arguments(tmp_path: Path, mesh: MeshUnderTest) -> None:
    from proxyless.policies import off

    (tmp_path / "own").mkdir()
    with MeshUnderTest(tmp_path / "own", policies=[off("fault")]) as other:
        assert other.runtime.policies is not None
    with pytest.raises(ConfigurationError, match="is not empty"):
        MeshUnderTest(tmp_path)
    with pytest.raises(ConfigurationError, match="locality"):
        MeshUnderTest(tmp_path / "own", locality="a/b/c/d")
    with pytest.raises(ConfigurationError, match="200 to 599"):
        mesh.fault("catalog", abort=99)
    clock = Clock()
    with pytest.raises(ValueError, match="time does not go back"):
        clock.advance(-1)


def test_a_path_is_no_text_and_a_text_no_port(mesh: MeshUnderTest) -> None:
    with pytest.raises(
        ConfigurationError, match=r"config\('istio/'\): a text is YAML; a file or folder is a pathlib.P"
    ):
        mesh.config("istio/")
    mesh.config("", "# nothing: here")
    with pytest.raises(TypeError, match="port='8080' is not a number"):
        mesh.serve("catalog.shop", "8080")  # type: ignore[arg-type]


def test_incoming_requests_are_governed_too(tmp_path: Path) -> None:
    import asyncio

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def ask(mesh: MeshUnderTest, method: str) -> int:
        transport = httpx.ASGITransport(proxyless.asgi.Middleware(app, mesh, port=8080))
        async with httpx.AsyncClient(transport=transport) as client:
            return (await client.request(method, "http://cart:8080/")).status_code

    (tmp_path / "own").mkdir()
    with MeshUnderTest(tmp_path / "own", app="cart", namespace="shop", labels={"app": "cart"}) as mesh:
        mesh.config(
            """
            apiVersion: security.istio.io/v1
            kind: AuthorizationPolicy
            metadata: {name: reads, namespace: shop}
            spec: {rules: [{to: [{operation: {methods: [GET]}}]}]}
            """
        )
        assert [asyncio.run(ask(mesh, method)) for method in ("GET", "POST")] == [200, 403]
