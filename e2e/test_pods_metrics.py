"""A real Prometheus finds the Pods as docs/metrics.md says it; this needs a cluster of the tests' own."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from tests.docs.pages import blocks
from tests.support.ports import free_port

from .own import CONTROL, NAME, OwnCluster
from .test_pods import served
from .tools import prometheus as built
from .traffic import Traffic
from .world import World

pytestmark = pytest.mark.timeout(4000)  # the first test of a machine builds it
READING = """
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: prometheus}
rules: [{apiGroups: [""], resources: [pods], verbs: [get, list, watch]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: prometheus}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: prometheus}
subjects: [{kind: ServiceAccount, name: prometheus, namespace: istio-system}]
"""


@pytest.fixture
def prometheus(own: OwnCluster, tmp_path: Path) -> Iterator[httpx.Client]:
    """With an account that may look at Pods, from outside the cluster."""
    program = built()
    own.cluster.account("prometheus", CONTROL)
    own.cluster.apply(READING)
    (tmp_path / "token").write_text(own.cluster.token("prometheus", CONTROL, "https://kubernetes.default.svc"))
    (said,) = [each.text for each in blocks("metrics", "yaml") if "scrape_configs" in each.text]
    config = yaml.safe_load(said)
    (discovery,) = config["scrape_configs"][0]["kubernetes_sd_configs"]
    discovery["api_server"] = own.api.url
    discovery["authorization"] = {"credentials_file": str(tmp_path / "token")}
    discovery["tls_config"] = {"ca_file": str(own.api.certificate)}
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump({"global": {"scrape_interval": "1s"}, **config}))
    where = f"127.0.0.1:{free_port()}"
    options = [f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/data"]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([program, *options, f"--web.listen-address={where}"], stdout=log, stderr=log)
    try:
        with httpx.Client(base_url=f"http://{where}/api/v1", timeout=30, trust_env=False) as client:
            yield client
    finally:
        process.terminate()
        process.wait(60)


def test_a_prometheus_finds_the_pods_and_scrapes_their_calls(
    world: World, traffic: Traffic, prometheus: httpx.Client
) -> None:
    world.canary(v1=100)
    served(world, traffic, "catalog-v1", 1, 1)

    def pods() -> set[str]:
        """Those that say that they are to be scraped."""
        return {
            each["metadata"]["name"]
            for place in (world, World(world.reach, CONTROL))
            for each in place.api.get(place.path("pods"))["items"]
            if each["metadata"].get("annotations", {}).get("prometheus.io/scrape") == "true"
        }

    def up() -> list[tuple[str, str]]:
        targets = prometheus.get("/targets", params={"state": "active"}).json()["data"]["activeTargets"]
        return sorted((each["labels"]["pod"], each["health"]) for each in targets)

    def value(query: str) -> float:
        found = prometheus.get("/query", params={"query": query}).json()["data"]["result"]
        return float(found[0]["value"][1]) if found else 0.0

    assert {"storefront", "catalog"} <= {name.partition("-")[0] for name in pods()}
    assert any(name.startswith(NAME) for name in pods())
    world.until(lambda: up() == sorted((name, "up") for name in pods()), up)
    for reporter in ("source", "destination"):
        query = (
            f'sum(istio_requests_total{{reporter="{reporter}",destination_service_name="catalog",response_code="200"}})'
        )
        before = world.until(lambda asked=query: value(asked), f"{reporter}s count nothing")
        traffic.burst(count=100)
        world.until(lambda asked=query, least=before + 100: value(asked) >= least, lambda asked=query: value(asked))
    assert value("sum(proxyless_serve_ready)") == 1
