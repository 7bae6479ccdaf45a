"""Thresholds under load: what waits, what overflows at once, and which retries are no more allowed.

The first requests of a burst are at the backends, and stay there, before the others are sent.
"""

from __future__ import annotations

from itertools import count
from typing import Any

from tests.differential.case import Case
from tests.differential.recording import Resource
from tests.differential.requests import Request
from tests.differential.timeline.cases import asks, backends, case
from tests.differential.timeline.script import Act

FIRST = 60
HELD_S = 2.0
"""How long a backend keeps a request: longer than the rest of a burst takes to arrive."""

GAP_S = 0.15
GET = Request("GET", "http://case.test/")
POST = Request("POST", "http://case.test/", (("content-length", "4"),), b"body")
AGAIN: Resource = {
    "retry_on": "5xx",
    "num_retries": 1,
    "retry_back_off": {"base_interval": "0.002s", "max_interval": "0.002s"},
}


def _breakers(**fields: object) -> Any:
    return {"circuit_breakers": {"thresholds": [fields]}}


def bursts() -> dict[str, Case]:
    """Requests that come while others are under way: thresholds of the cluster and of an endpoint."""
    found: dict[str, Case] = {}
    numbers = count(FIRST)
    for name, endpoints, held, rest, http2, thresholds in (
        ("requests", 1, 3, 4, False, {"max_requests": 3}),
        ("requests over endpoints", 3, 4, 4, False, {"max_requests": 4}),
        ("requests over HTTP/2", 1, 3, 4, True, {"max_requests": 3}),
        ("pending behind one connection", 1, 1, 5, False, {"max_connections": 1, "max_pending_requests": 3}),
        ("pending behind two connections", 1, 2, 5, False, {"max_connections": 2, "max_pending_requests": 3}),
        ("a connection to each endpoint", 3, 3, 4, False, {"max_connections": 1, "max_pending_requests": 2}),
        ("connections alone only queue", 1, 1, 2, False, {"max_connections": 1}),
        ("nothing may wait", 1, 1, 2, False, {"max_connections": 1, "max_pending_requests": 0}),
    ):
        own = backends(next(numbers), endpoints)
        found[f"burst: {name}"] = case(
            f"burst-{len(found)}",
            own,
            asks((0.0, held), (held * GAP_S + 0.2, rest), gap_s=GAP_S),
            [Act(each, f"delay={HELD_S}", until_s=HELD_S) for each in own],
            http2=http2,
            **_breakers(**thresholds),
        )
    own = backends(next(numbers), 2)
    found["burst: connections of an endpoint"] = case(
        "per-host",
        own,
        asks((0.0, 2), (0.6, 4), gap_s=GAP_S),
        [Act(each, f"delay={HELD_S}", until_s=HELD_S) for each in own],
        circuit_breakers={
            "thresholds": [{"max_pending_requests": 2}],
            "per_host_thresholds": [{"max_connections": 1}],
        },
    )
    own = backends(next(numbers), 1)
    found["burst: more connections than an endpoint may have"] = case(
        "per-host-two",
        own,
        asks((0.0, 2), (0.6, 4), gap_s=GAP_S),
        [Act(own[0], f"delay={HELD_S}", until_s=HELD_S)],
        circuit_breakers={
            "thresholds": [{"max_pending_requests": 2}],
            "per_host_thresholds": [{"max_connections": 2}],
        },
    )
    found["burst: thresholds of the other priority"] = case(
        "other-priority",
        own := backends(next(numbers), 1),
        asks((0.0, 2), (0.6, 2), gap_s=GAP_S),
        [Act(own[0], f"delay={HELD_S}", until_s=HELD_S)],
        circuit_breakers={"thresholds": [{"priority": "HIGH", "max_requests": 1}, {"max_requests": 3}]},
    )
    found["burst: of high priority"] = case(
        "high-priority",
        own := backends(next(numbers), 1),
        asks((0.0, 1), (0.6, 2), gap_s=GAP_S),
        [Act(own[0], f"delay={HELD_S}", until_s=HELD_S)],
        action={"priority": "HIGH"},
        circuit_breakers={"thresholds": [{"priority": "HIGH", "max_requests": 1}, {"max_requests": 3}]},
    )
    return found


def pools() -> dict[str, Case]:
    """How many endpoints a cluster may have connections to; a key says which a request goes to."""
    found: dict[str, Case] = {}
    requests = tuple(
        Request("GET", "http://case.test/", (("x-key", f"key-{each}"),), at_s=each * 2 * GAP_S) for each in range(8)
    )
    for number, (name, most, what) in enumerate(
        (
            ("one of three endpoints", 1, ""),
            ("two of three endpoints", 2, ""),
            ("one at a time, which ends with each request", 1, "connection=close"),
        )
    ):
        own = backends(FIRST + 20 + number, 3)
        found[f"connections to {name}"] = case(
            f"pools-{number}",
            own,
            requests,
            [Act(each, what) for each in own],
            action={"hash_policy": [{"header": {"header_name": "x-key"}}]},
            primed=False,
            lb_policy="RING_HASH",
            **_breakers(max_connection_pools=most),
        )
    return found


def budgets() -> dict[str, Case]:
    """Which of many calls that fail at once are tried again."""
    found: dict[str, Case] = {}
    numbers = count(FIRST + 30)
    slow = f"status=503;delay={HELD_S}"

    def budget(**fields: object) -> Any:
        return _breakers(retry_budget=fields, max_retries=0)

    for name, calls, breakers in (
        ("as many retries as usual", 5, {}),
        ("one retry at a time", 4, _breakers(max_retries=1)),
        ("no retry", 2, _breakers(max_retries=0)),
        ("a fifth, at least one", 4, budget(budget_percent={"value": 20}, min_retry_concurrency=1)),
        ("half", 5, budget(budget_percent={"value": 50}, min_retry_concurrency=0)),
        ("nothing of few", 3, budget(budget_percent={"value": 20}, min_retry_concurrency=0)),
        ("all that there is as usual", 6, budget()),
        ("at least two", 4, budget(budget_percent={"value": 1}, min_retry_concurrency=2)),
    ):
        own = backends(next(numbers), 1)
        found[f"budget: {name}"] = case(
            f"budget-{len(found)}", own, asks((0.0, calls), gap_s=GAP_S), [Act(own[0], slow)], retry=AGAIN, **breakers
        )
    own = backends(next(numbers), 1)
    found["budget: of what was begun a while ago"] = case(
        "budget-window",
        own,
        asks((0.0, 8), (1.2, 4), gap_s=GAP_S),
        [Act(own[0], f"status=503;delay={HELD_S}", from_s=1.1)],
        retry=AGAIN,
        **budget(budget_percent={"value": 20}, min_retry_concurrency=0, budget_interval="20s"),
    )
    return found


def hedges() -> dict[str, Case]:
    """Tries that go on while others are started."""
    found: dict[str, Case] = {}
    numbers = count(FIRST + 45)
    hedging: Resource = {"hedge_policy": {"hedge_on_per_try_timeout": True}, "timeout": "6s"}

    def add(
        name: str,
        plan: list[str],
        *,
        retry: Resource | None = None,
        action: Resource | None = None,
        asked: Request = GET,
        **fields: Any,
    ) -> None:
        own = backends(next(numbers), 1)
        policy = {**AGAIN, "num_retries": 2, "per_try_timeout": "0.6s", **(retry or {})}
        acts = [Act(own[0], what, first=at, last=at) for at, what in enumerate(plan)]
        found[f"hedged: {name}"] = case(
            f"hedge-{len(found)}", own, (asked,), acts, retry=policy, action={**hedging, **(action or {})}, **fields
        )

    add("the second is faster", ["delay=3", "status=201"])
    add("the first is faster", ["delay=1.1", "delay=3;status=201"])
    add("a bad one is dropped", ["delay=3", "status=503", "status=202"])
    add("all are bad", ["delay=1.7;status=503"] + ["status=503"] * 2)
    add("bad at once", ["status=503", "status=201"])
    add("a reset", ["delay=1;fault=reset", "delay=1.5;status=201"])
    add("none is left", ["delay=1.7", "delay=3"], retry={"num_retries": 1})
    add("a bad one passes as the last", ["delay=1.5;status=503", "delay=1.5;status=502"], retry={"num_retries": 1})
    add("what no policy retries wins", ["delay=3", "status=503"], retry={"retry_on": "connect-failure"})
    add("the route's time is over", ["delay=4"] * 3, action={"timeout": "1.5s"})
    add("no retry is allowed", ["delay=1.2"], **_breakers(max_retries=0))
    add("idle tries", ["delay=3", "status=201"], retry={"per_try_timeout": "0s", "per_try_idle_timeout": "0.6s"})
    add("never", ["delay=1.2"], retry={"retry_on": ""})
    add("with a body", ["delay=3", "status=201"], asked=POST)
    return found
