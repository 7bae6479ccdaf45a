"""What the status document says of a cluster: budgets, ejections, health checks, services, copies."""

from __future__ import annotations

import json
import re
from io import StringIO
from pathlib import Path
from typing import Any

from rich.console import Console

from proxyless.cli._status_view import view
from proxyless.governance.actions import Asked, Failure
from proxyless.governance.balancing.host import Reported
from proxyless.governance.checking.answers import Failed, Passed
from proxyless.governance.telemetry.facts import Facts
from proxyless.governance.telemetry.status import status
from proxyless.xds.model.cluster import OutlierDetection, RetryBudget, Thresholds
from proxyless.xds.model.health_check import HealthCheck, TcpCheck
from tests.support.model import cluster, route, table
from tests.support.world import World

PAGE = (Path(__file__).parents[3] / "docs" / "status.md").read_text()
ADDRESSES = ("10.0.0.1:80", "10.0.0.2:80")


def world(**fields: Any) -> World:
    return World(tables=[table(route("/", "a"))], clusters=[cluster("a", *ADDRESSES, **fields)])


def document(fixture: World) -> dict[str, Any]:
    found = status(Facts(fixture.runtime, None, None, fixture.clock() + 5000.0))
    assert json.loads(json.dumps(found)) == found
    return found


def of_cluster(fixture: World) -> dict[str, Any]:
    fixture.cluster()
    (found,) = document(fixture)["clusters"]
    return dict(found)


def test_the_page_explains_every_key_of_a_cluster_and_of_an_endpoint() -> None:
    found = of_cluster(world())
    explained = set(re.findall(r"`(\w+)`", PAGE.partition("Each entry of `clusters`:")[2].partition("\n## ")[0]))
    for part in (found, *found["endpoints"], found["breakers"]["default"]):
        assert not part.keys() - explained


def test_without_policies_of_its_own_a_cluster_has_none() -> None:
    found = of_cluster(world())
    assert (found["outlier_detection"], found["health_checks"]) == (None, None)
    assert found["breakers"]["default"]["retries"] == {"now": 0, "limit": 10_000, "budget": None}
    assert found["breakers"]["default"]["pools"] == {"now": 0, "limit": None}
    endpoint = found["endpoints"][0]
    assert (endpoint["in_all"], endpoint["ejections"], endpoint["reported_weight"]) == ("healthy", 0, None)


def test_a_retry_budget_shows_what_it_allows_now() -> None:
    limits = Thresholds(max_retries=3, retry_budget=RetryBudget(50.0, 1))
    fixture = world(limits=limits)
    retries = of_cluster(fixture)["breakers"]["default"]["retries"]
    budget = {"percent": 50.0, "min_concurrency": 1, "interval_s": None}
    assert retries == {"now": 0, "limit": 1, "budget": budget}
    running = [fixture.steps() for _ in range(8)]
    assert of_cluster(fixture)["breakers"]["default"]["retries"]["limit"] == 4
    assert len(running) == 8


def test_a_budget_of_an_interval_shows_what_it_allows_now() -> None:
    fixture = world(limits=Thresholds(retry_budget=RetryBudget(50.0, 0, 10.0)))
    for _ in range(6):
        fixture.call()
    assert of_cluster(fixture)["breakers"]["default"]["retries"]["limit"] == 3
    fixture.clock.advance(60)
    assert of_cluster(fixture)["breakers"]["default"]["retries"]["limit"] == 0


def test_ejections_are_shown_with_their_kind_and_end() -> None:
    detection = OutlierDetection(consecutive_5xx=1, base_ejection_time_s=30.0, max_ejection_percent=50)
    fixture = world(outlier_detection=detection)
    fixture.call(answers=[503])
    fixture.call(answers=[503])
    found = of_cluster(fixture)
    assert found["outlier_detection"] == {
        "ejected": 1,
        "detected": {"CONSECUTIVE_5XX": 2},
        "enforced": {"CONSECUTIVE_5XX": 1},
        "overflows": 1,
    }
    (out,) = [each for each in found["endpoints"] if each["ejected"]]
    assert (out["in_all"], out["ejections"], out["ejected_until"]) == ("unhealthy", 1, 6030.0)


def test_health_checks_are_shown_with_their_outcomes() -> None:
    fixture = World()
    fixture.runtime.on_checks = lambda: None
    fixture.update(**vars_of(world(health_check=HealthCheck(TcpCheck(), unhealthy_threshold=1))))
    fixture.runtime.plan.cluster("a")
    checker = fixture.runtime.states["a"].checker
    assert checker is not None
    first, second = checker.take_due(fixture.clock())
    checker.report(first, Passed())
    checker.report(second, Failed("active", "500"))
    found = of_cluster(fixture)
    assert found["health_checks"] == {
        "asked": 2,
        "warm": True,
        "attempts": 2,
        "successes": 1,
        "failures": {"active": 1},
    }
    assert [each["failing"] for each in found["endpoints"]] == [False, True]
    assert [each["in_all"] for each in found["endpoints"]] == ["healthy", "unhealthy"]


def vars_of(other: World) -> dict[str, Any]:
    return {"clusters": other.runtime.plan.snapshot.clusters}


def test_services_and_copies_are_shown_with_what_became_of_them() -> None:
    fixture = world()
    assert document(fixture)["services"] == []
    asked = fixture.runtime.asked["rls", "limits/Ask"] = Asked()
    asked.count("an answer")
    asked.count(Failure("unreachable", "nobody there"))
    fixture.runtime.background.drop()
    found = document(fixture)
    (service,) = found["services"]
    assert service == {
        "cluster": "rls",
        "method": "limits/Ask",
        "answers": 1,
        "failures": 1,
        "last_failure": "nobody there",
    }
    assert found["mirrored"] == {"answered": 0, "failed": 0, "dropped": 1}
    fixture.runtime.reset()
    assert document(fixture)["services"] == []


def test_what_an_endpoint_reports_is_shown() -> None:
    fixture = world()
    load = fixture.cluster().hosts[0].state.load = Reported()
    load.weight = 7
    assert of_cluster(fixture)["endpoints"][0]["reported_weight"] == 7


def test_people_see_the_worst_word_about_an_endpoint() -> None:
    fixture = world(outlier_detection=OutlierDetection())
    first, second = fixture.cluster().hosts
    first.state.ejected, second.state.failing = True, True
    fixture.runtime.asked["rls", "limits/Ask"] = Asked()
    head = {
        "process": {"pid": 1, "proxyless": "1", "python": "3", "grpcio": None},
        "node": {"id": "me"},
        "source": "a folder",
        "options": {},
        "findings": [],
        "limits": {"note": ""},
    }

    def text() -> str:
        console = Console(width=200, record=True, file=StringIO())
        console.print(view({**document(fixture), **head}))
        return console.export_text()

    said = text()
    assert "EJECTED" in said
    assert "FAILS CHECKS" in said
    assert "limits/Ask" in said
    first.state.ejected, first.state.degraded, second.state.failing = False, True, False
    assert "DEGRADED" in text()
