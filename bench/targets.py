"""What was promised, beside what a run has measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from .report import Table

Tables = Sequence[Table]


@dataclass(frozen=True, slots=True)
class Target:
    """At most `limit`; `mandatory` ones may not be missed, others are explained in docs/performance.md."""

    name: str
    limit: float
    figure: Callable[[Tables], float]
    mandatory: bool = False


def judge(tables: Tables) -> Table:
    """One row for each target whose part has run."""
    result = Table("targets", ("target", "at most", "measured", ""))
    for each in TARGETS:
        try:
            figure = each.figure(tables)
        except LookupError:
            continue
        verdict = "met" if figure <= each.limit else "MISSED (mandatory)" if each.mandatory else "missed"
        result.rows.append((each.name, each.limit, figure, verdict))
    return result


def _cell(title: str, row: str, column: str) -> Callable[[Tables], float]:
    def find(tables: Tables) -> float:
        table = next((each for each in tables if each.title.startswith(title)), None)
        if table is None:
            raise LookupError(title)
        return float(_row(table, row)[table.columns.index(column)])

    return find


def _row(table: Table, name: str) -> tuple[Any, ...]:
    found = next((each for each in table.rows if str(each[0]).startswith(name)), None)
    if found is None:
        raise LookupError(name)
    return found


def _of_envoys(title: str) -> Callable[[Tables], float]:
    """What governance adds at the median, over what two Envoys add."""

    def find(tables: Tables) -> float:
        plain, governed, envoys = (
            _cell(title, row, "median ms")(tables) for row in ("plain", "governed", "two Envoys")
        )
        return (governed - plain) / (envoys - plain)

    return find


def _growth(tables: Tables) -> float:
    """From 1 service to 1,000."""
    one, many = (_cell("time per decision", row, "and endpoint")(tables) for row in ("1", "1000"))
    return many / one


def _pick_grows(policy: str) -> Callable[[Tables], float]:
    """From 10 endpoints to 10,000."""
    return _cell("pick, us", policy, "last over first")


def _slowest_pick(tables: Tables) -> float:
    """With 10,000 endpoints, whatever the policy."""
    table = next((each for each in tables if each.title == "pick, us"), None)
    if table is None:
        raise LookupError("pick, us")
    return max(float(row[-2]) for row in table.rows)


SYNC, ASYNC = "httpx, sync, 1 at once", "httpx, async, 1 at once"
PUSHED = "calls while"
FOLDER = "control plane, 1,000 services: folder"
CHANGE = "control plane, 1,000 services: one changed"

FLAT = 2.0
"""Where the number of endpoints plays no part, 10,000 of them still do not fit the caches that 10 fit."""
LOGARITHMIC = 4.0
"""log 10,000 over log 10."""

TARGETS = (
    Target("governed over plain httpx, sync, median", 1.05, _cell(SYNC, "governed", "over plain"), mandatory=True),
    Target("governed over plain httpx, async, median", 1.05, _cell(ASYNC, "governed", "over plain"), mandatory=True),
    Target("governed over plain urllib3, median", 1.10, _cell("urllib3, sync", "governed", "over plain")),
    Target("governed over plain aiohttp, median", 1.10, _cell("aiohttp, async", "governed", "over plain")),
    Target("governed over plain requests, median", 1.05, _cell("requests, sync", "governed", "over plain")),
    Target("governed over plain gRPC unary, sync, median", 1.15, _cell("gRPC unary, sync", "governed", "over plain")),
    Target("governed over plain gRPC unary, aio, median", 1.15, _cell("gRPC unary, aio", "governed", "over plain")),
    Target("latency added, of what two Envoys add, sync", 0.1, _of_envoys(SYNC), mandatory=True),
    Target("latency added, of what two Envoys add, async", 0.1, _of_envoys(ASYNC), mandatory=True),
    Target("decision with 1,000 services over one with 1", 1.15, _growth, mandatory=True),
    Target("CPU added to a call, sync, us", 20.0, _cell("CPU per call", "sync", "added")),
    Target("CPU added to a call, async, us", 20.0, _cell("CPU per call", "async", "added")),
    Target("decision, us", 8.0, _cell("time per decision", "1000", "and endpoint")),
    Target(
        "authorization with 1,000 policies, us", 20.0, _cell("time per authorization", "1000", "last policy matches")
    ),
    Target("pick of 10,000 endpoints, slowest policy, us", 5.0, _slowest_pick),
    Target("pick of 10,000 over 10: round robin (flat)", FLAT, _pick_grows("ROUND_ROBIN")),
    Target("pick of 10,000 over 10: least request (flat)", FLAT, _pick_grows("LEAST_REQUEST")),
    Target("pick of 10,000 over 10: random (flat)", FLAT, _pick_grows("RANDOM")),
    Target("pick of 10,000 over 10: maglev (flat)", FLAT, _pick_grows("MAGLEV")),
    Target("pick of 10,000 over 10: ring hash (logarithmic)", LOGARITHMIC, _pick_grows("RING_HASH")),
    Target("ASGI middleware, us", 12.0, _cell("ASGI", "ASGI, frontend: rate", "added")),
    Target("WSGI middleware, us", 12.0, _cell("ASGI", "WSGI, frontend: rate", "added")),
    Target("aiohttp's server middleware, us", 12.0, _cell("ASGI", "aiohttp, frontend: rate", "added")),
    Target("import proxyless, ms", 20.0, _cell("import, ms", "import proxyless", "over nothing")),
    Target("1,000 services to the first call, s", 0.1, _cell("1,000 services,", "the first governed call", "median")),
    Target("memory over httpx, with grpc, MB", 60.0, _cell("memory", "governed, the same", "over httpx alone")),
    Target("memory over httpx, without grpc, MB", 20.0, _cell("memory", "governed, ten", "over httpx alone")),
    Target("control plane: 1,000 services to the first push, s", 1.5, _cell(FOLDER, "median", "both")),
    Target("control plane: a change to the new decision, ms", 50.0, _cell(CHANGE, "changed", "median")),
    Target("calls while pushed, 1 at once, median over quiet", 2.0, _cell(PUSHED, "1", "median x")),
    Target("calls while pushed, 1 at once, p99 over quiet", 3.0, _cell(PUSHED, "1", "p99 x")),
    Target("calls while pushed, 8 at once, median over quiet", 2.0, _cell(PUSHED, "8", "median x")),
    Target("calls while pushed, 8 at once, p99 over quiet", 3.0, _cell(PUSHED, "8", "p99 x")),
)
