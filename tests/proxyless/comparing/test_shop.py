"""The recorded shop, and each of the changes that its recording followed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from proxyless.cli._diff_view import as_text
from proxyless.comparing import compare
from proxyless.xds.identity.bootstrap import Node
from tests.proxyless.comparing.support import changes, explained, policies
from tests.xds.controlplane.support import SHOP, apply_step, shop_folder

FRONTEND = "app=frontend,namespace=shop,ip=127.0.10.1,pod=frontend-v1-0,label.version=v1"
NODE = Node(app="frontend", namespace="shop", ip="127.0.10.1", pod="frontend-v1-0", labels={"version": "v1"})


@pytest.fixture
def sides(tmp_path: Path) -> tuple[Path, Path]:
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
    return shop_folder(tmp_path / "old"), shop_folder(tmp_path / "new")


def after(sides: tuple[Path, Path], step: str) -> dict[str, Any]:
    old, new = sides
    apply_step(new, next((SHOP / "steps").glob(f"{step}-*.yaml")))
    return compare(str(old), str(new), [FRONTEND]).document()


def test_the_canary_takes_all(sides: tuple[Path, Path]) -> None:
    document = after(sides, "1")
    found = {(each["url"], str(each["headers"])): each for each in changes(document, "requests")}
    base = "http://catalog.shop.svc.cluster.local"
    canary = {each["what"]: each for each in found[f"{base}/", "[]"]["differences"]}
    assert canary["to"]["old"] == {"catalog.shop v1": 80.0, "catalog.shop v2": 20.0}
    assert canary["to"]["new"] == {"catalog.shop v2": 100.0}
    assert (canary["retries"]["old"], canary["retries"]["new"], canary["retries"]["effect"]) == (3, 2, "tightens")
    assert canary["mirror catalog.shop v3"]["new"] is None
    assert canary["request header x-canary [catalog.shop v2]"]["old"] == "true"
    rewritten = {each["what"]: each for each in found[f"{base}/v1/a", "[]"]["differences"]}
    assert (rewritten["path"]["old"], rewritten["path"]["new"]) == ("/items/a", "/v1/a")
    assert rewritten["authority"]["old"] == "catalog.legacy"
    answers = {url: each["differences"] for (url, _), each in found.items()}
    assert {"what": "answer", "old": "418", "new": None, "effect": "changes"} in answers[f"{base}/teapot"]
    moved = {each["what"]: each["old"] for each in answers[f"{base}/old"]}
    assert (moved["answer"], moved["location"]) == ("301", "http://catalog.shop/new")
    assert not changes(document, "services")
    assert not changes(document, "unsampled")


def test_every_request_that_is_reported_is_explained_differently(sides: tuple[Path, Path]) -> None:
    document = after(sides, "1")
    reported = changes(document, "requests")
    assert len(reported) > 10
    for request in reported[::4]:
        assert explained(str(sides[0]), NODE, request) != explained(str(sides[1]), NODE, request), request


def test_a_breaker_tightens_and_outlier_detection_is_gone(sides: tuple[Path, Path]) -> None:
    document = after(sides, "2")
    assert {each["host"] for each in changes(document, "policies")} == {"payment.shop.svc.cluster.local"}
    found = policies(document)
    assert found["default_thresholds.max_requests"] == (16, 2, "tightens")
    assert found["default_thresholds.max_pending_requests"] == (4, 1, "tightens")
    assert found["default_thresholds.max_connections"] == (8, "unlimited", "loosens")
    assert found["outlier_detection"][1:] == (None, "loosens")
    assert found["lb_policy"] == ("ROUND_ROBIN", "LEAST_REQUEST", "changes")
    assert not changes(document, "requests")


def test_endpoints_that_go_are_counted_and_named(sides: tuple[Path, Path]) -> None:
    (found,) = changes(after(sides, "3"), "services")
    assert (found["host"], found["port"], found["change"]) == ("cart.shop.svc.cluster.local", 80, "endpoints")
    gone = ["127.0.12.2:8080", "127.0.12.3:8080"]
    assert found["endpoints"] == {"old": 4, "new": 2, "gone": gone, "come": []}


def test_a_service_that_goes_is_passed_through(sides: tuple[Path, Path]) -> None:
    document = after(sides, "4")
    (found,) = changes(document, "services")
    assert (found["host"], found["change"]) == ("inventory.example.com", "removed")
    (request,) = changes(document, "requests")
    assert request["new"]["to"] == {"PassthroughCluster": 100.0}


def test_every_kind_of_client_is_asked_and_what_all_see_is_said_once(sides: tuple[Path, Path]) -> None:
    old, new = sides
    for step in sorted((SHOP / "steps").iterdir()):
        apply_step(new, step)
    found = compare(str(old), str(new))
    assert found.differs
    everybody = {client.name for client in found.everybody}
    assert {"frontend.shop", "payment.shop", "ledger.bank"} <= everybody
    assert len(found.groups[0].clients) == len(found.everybody)
    keys = [change.key for group in found.groups for change in group.changes]
    assert len(keys) == len(set(keys))
    text = as_text(found)
    assert "to: catalog.shop v1 80 %, catalog.shop v2 20 % -> catalog.shop v2 100 %" in text
    assert "default_thresholds.max_requests: 16 -> 2 (tightens)" in text
