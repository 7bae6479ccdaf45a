"""Time per authorization decision, with 1, 100 and 1,000 policies as istiod makes them."""

from __future__ import annotations

import time

from proxyless.governance.authorization.engine import engine_of
from proxyless.governance.authorization.question import Question
from proxyless.governance.peer import Peer
from proxyless.governance.request import RequestView
from proxyless.xds.model.matchers import HeaderMatcher, StringMatcher
from proxyless.xds.model.rbac import AllOf, AnyOf, Authenticated, Condition, Policy, Rules, WithHeader, WithPath

from .report import Table

HEADERS = [(b"host", b"shop"), (b"accept", b"*/*"), (b"user-agent", b"python-httpx/0.28.1"), (b"x-request-id", b"1")]
SIZES = (1, 100, 1000)


def run(*, smoke: bool) -> list[Table]:
    """One row for each size; the figure is the least of many batches, since noise only ever adds."""
    batches, calls = (3, 50) if smoke else (60, 500)
    table = Table(
        "time per authorization decision, us",
        ("policies", "last policy matches", "none matches", "by namespace and prefix, last matches"),
    )
    for size in SIZES:
        exact, loose = rules(size, exact=True), rules(size, exact=False)
        last = size - 1
        table.rows.append(
            (
                size,
                _least(exact, last, batches, calls),
                _least(exact, size + 7, batches, calls),
                _least(loose, last, batches, calls, "/items"),
            )
        )
    return [table]


def rules(size: int, *, exact: bool) -> Rules:
    """Each lets one account (or a namespace) GET one path (or what is below it)."""
    policies = []
    for number in range(size):
        path = StringMatcher("exact" if exact else "prefix", f"/api/{number:04}" + ("" if exact else "/"))
        name = StringMatcher("exact", account(number)) if exact else StringMatcher("safe_regex", f".*/ns/ns{number}/.*")
        method: Condition = AnyOf((WithHeader(HeaderMatcher(":method", StringMatcher("exact", "GET"))),))
        permission = AllOf((AnyOf((WithPath(path),)), method))
        policies.append((f"{number:04}", Policy((permission,), (AllOf((AnyOf((Authenticated(name),)),)),))))
    return Rules("ALLOW", tuple(policies))


def account(number: int) -> str:
    """A SPIFFE identity."""
    return f"spiffe://cluster.local/ns/ns{number}/sa/app{number}"


def _least(wanted: Rules, number: int, batches: int, calls: int, below: str = "") -> float:
    decide = engine_of(wanted)
    path = f"/api/{number:04}{below}?page=2".encode()
    peer = Peer(b"x", validated=True, uri_sans=(account(number),))
    best = float("inf")
    for _ in range(batches):
        views = [RequestView(b"GET", b"http", b"shop", path, HEADERS) for _ in range(calls)]
        started = time.perf_counter()
        for view in views:
            decide(Question(view, "10.0.0.1", "", "10.0.0.9", 8080, peer))
        best = min(best, (time.perf_counter() - started) / calls)
    return best * 1e6
