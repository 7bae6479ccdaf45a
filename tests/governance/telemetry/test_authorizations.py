"""What authorization decides is counted, by policy where the filter says so."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from proxyless.governance.telemetry.labels import Workload
from proxyless.governance.telemetry.prometheus import PrometheusListener
from tests.effects.cases.authorization import ANY, filtered, policy
from tests.effects.cases.jwt import authn
from tests.effects.resources import Shop
from tests.effects.scene import Scene

NAME = "proxyless_authorizations_total"


def counted(shop: Shop, **labels: str) -> float:
    """How often, after one request."""
    return sampled(shop, NAME, {"prefix": "", "policy": "", **labels})


def sampled(shop: Shop, name: str, labels: dict[str, str]) -> float:
    """The value of a metric after one request."""
    registry = CollectorRegistry()
    scene = Scene(shop.messages(), shop.addresses)
    listener = PrometheusListener(registry, Workload(), lambda: None, lambda: 0.0)
    scene.world.runtime.add_listener(listener)
    request = scene.receive("/a")
    request.ended(request.status or 200)
    listener.close()
    return registry.get_sample_value(name, labels) or 0.0


def test_decisions_are_counted() -> None:
    assert counted(filtered(rules={}), mode="enforced", result="denied") == 1
    tried = filtered(shadow_rules={}, shadow_rules_stat_prefix="dry_")
    assert counted(tried, mode="shadow", result="denied", prefix="dry_") == 1
    rules = {"policies": {"one": policy(ANY)}}
    assert counted(filtered(rules=rules), mode="enforced", result="allowed") == 1
    assert (
        counted(filtered(rules=rules, track_per_rule_stats=True), mode="enforced", result="allowed", policy="one") == 1
    )


def test_requests_whose_tokens_were_looked_at_are_counted() -> None:
    name = "proxyless_jwt_authentications_total"
    assert sampled(authn(), name, {"result": "denied"}) == 1
    assert sampled(authn({"allow_missing": {}}), name, {"result": "allowed"}) == 1
