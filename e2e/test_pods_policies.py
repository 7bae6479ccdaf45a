"""The shop, a webhook, helm's upgrades; and its end."""

from __future__ import annotations

import json

import httpx
import pytest
import yaml

from .own import OwnCluster
from .test_pods import served
from .traffic import Traffic
from .world import CHARTS, NETWORKING, World

pytestmark = pytest.mark.timeout(4000)


def test_the_webhook_refuses_what_would_not_be_in_force(world: World, traffic: Traffic) -> None:
    world.canary(v1=100)
    path = world.path("virtualservices", "catalog", NETWORKING)
    http = world.api.get(path)["spec"]["http"]
    http[0]["match"] = [{"uri": {"regex": "/items/("}}]
    with pytest.raises(httpx.HTTPStatusError) as error:
        world.api.patch(path, {"spec": {"http": http}})
    said = error.value.response.json()["message"]
    assert 'admission webhook "validate.proxyless.dev" denied the request' in said
    assert f"VirtualService {world.namespace}/catalog: spec.http[0].match[0].uri.regex" in said
    served(world, traffic, "catalog-v1", 1, 1)


def test_helm_upgrades_and_rolls_back_under_load(world: World, traffic: Traffic) -> None:
    with traffic.steady() as tally:
        revision = json.loads(world.helm("history", "shop", "--output", "json"))[-1]["revision"]
        changed = ("--set", "workloads.catalog-v3.replicas=2,rules.canaryWeights.v1=0,rules.canaryWeights.v2=100")
        # Who edits what helm has written takes it away from helm; this gives it back.
        world.helm("upgrade", "shop", CHARTS / "proxyless-shop", "--reuse-values", "--force-conflicts", *changed)
        world.rolled_out("catalog-v3")
        assert len(world.names("catalog", "v3")) == 2
        served(world, traffic, "catalog-v2", 1, 1)
        world.helm("rollback", "shop", str(revision), "--force-conflicts")
        world.rolled_out("catalog-v1", "catalog-v3")
        assert len(world.names("catalog", "v3")) == 1
        served(world, traffic, "catalog-v1", 0.7, 0.9)
    assert tally.calls
    assert not tally.failed


def test_a_namespace_that_is_deleted_leaves_nothing(own: OwnCluster, world: World) -> None:
    pods = own.agent.of(world.namespace)
    processes = [each.process for pod in pods for each in pod.containers]
    world.api.delete(f"/api/v1/namespaces/{world.namespace}")
    world.until(lambda: own.api.find(f"/api/v1/namespaces/{world.namespace}") is None, "the namespace does not end")
    assert all(each.gone.is_set() for each in pods)
    assert all(process.poll() is not None for process in processes if process)

    def told() -> list[str]:
        return [line for line in own.controller.pod.log().splitlines() if f"Service {world.namespace}/" in line]

    names = {"storefront", "catalog", "cart", "checkout", "payment"}
    wanted = {f"removed Service {world.namespace}/{name}" for name in names}
    world.until(lambda: wanted <= {line.partition(" ")[2] for line in told()}, told)
    assert own.controller.ask("/ready").status_code == 200
    assert set(own.controller.conditions().values()) == {"Synced"}
    assert yaml.safe_load(world.helm("list", "--output", "yaml")) == []
