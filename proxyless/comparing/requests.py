"""Requests that one side decides differently than the other, and the policies of the routes that they take."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ..governance.routing import CompiledRoute
from ..xds.model.route import RouteAction
from .changes import Change, policy
from .decisions import Decision, decide
from .differing import differences, plain
from .effects import effect_of
from .samples import Asked, Sample
from .touched import Touched

ROUTE_SKIP = frozenset(
    {
        # What requests tell: where to, and what becomes of them on the way.
        "cluster",
        "cluster_header",
        "weighted_clusters",
        "mirrors",
        "host_rewrite",
        "prefix_rewrite",
        "regex_rewrite",
        "metadata",
        "notes",
    }
)


def compare_requests(touched: Touched, given: Iterable[Asked]) -> Iterator[Change]:
    """Every request, given or made from the routes of either side, that is decided differently."""
    old, new = touched.old, touched.new
    made = {each.key: each for each in given}
    before, after = touched.samples(old), touched.samples(new)
    samples = (*before, *after)
    wanted = [each.asked for each in samples if each.asked is not None]
    for each in (*wanted, *(near for sample in samples for near in sample.near)):
        made.setdefault(each.key, each)
    taken: tuple[set[tuple[str, int]], set[tuple[str, int]]] = set(), set()
    policies: dict[str, Change] = {}
    for asked in made.values():
        one, other = decide(old, asked), decide(new, asked)
        for found, decision in zip(taken, (one, other), strict=True):
            if decision.host is not None and decision.index is not None:
                found.add((decision.host, decision.index))
        change = compare_decisions(asked, one, other)
        if change is not None:
            yield change
        for found_policy in route_policies(one, other) if change is None or _same_route(one, other) else ():
            policies.setdefault(found_policy.key, found_policy)
    yield from policies.values()
    yield from _unsampled(before, after, *taken)


def compare_decisions(asked: Asked, old: Decision, new: Decision) -> Change | None:
    """None where nothing differs."""
    names = [name for name in dict.fromkeys((*old.facts, *new.facts)) if old.facts.get(name) != new.facts.get(name)]
    if not names and dict(old.to) == dict(new.to):
        return None
    host = asked.url.partition("://")[2].partition("/")[0].partition("?")[0]
    document: dict[str, Any] = {
        "method": asked.method,
        "url": asked.url,
        "headers": [list(each) for each in asked.headers],
        "origin": asked.origin,
        "old": _said(old),
        "new": _said(new),
        "differences": [],
    }
    if dict(old.to) != dict(new.to):
        document["differences"].append(
            {"what": "to", "old": dict(old.to), "new": dict(new.to), "effect": "changes"},
        )
    for name in names:
        one, other = old.facts.get(name), new.facts.get(name)
        effect = effect_of(name.partition(" [")[0].replace(" ", "_"), one, other)
        document["differences"].append({"what": name, "old": one, "new": other, "effect": effect})
    return Change("requests", host, document)


def _said(decision: Decision) -> dict[str, Any]:
    route = decision.route.route.name if decision.route is not None else None
    return {"virtual_host": decision.host, "route": route, "route_index": decision.index, "to": dict(decision.to)}


def route_policies(old: Decision, new: Decision) -> Iterator[Change]:
    """Policies of two routes that the same request takes: retries, timeouts, CORS, limits, filters of their own."""
    one, other = old.route, new.route
    if one is None or other is None or old.host != new.host or one.kind != "route" or other.kind != "route":
        return
    for path, before, after in _differences(one, other):
        host = one.vhost.name.partition(":")[0]
        said = other.route.name or str(other.index)
        where = {"virtual_host": one.vhost.name, "route": said}
        yield policy("route", host, where, path, before, after, effect_of(path, before, after))


def _same_route(old: Decision, new: Decision) -> bool:
    """Whether people would call them one route: where another takes the request, the request's change says all."""
    one, other = old.route, new.route
    if one is None or other is None or old.host != new.host:
        return False
    return one.route.name == other.route.name and bool(one.route.name or one.index == other.index)


def _differences(one: CompiledRoute, other: CompiledRoute) -> Iterator[tuple[str, Any, Any]]:
    before, after = one.route.action, other.route.action
    if isinstance(before, RouteAction) and isinstance(after, RouteAction):
        yield from differences(before, after, ROUTE_SKIP)
        for key in ("prefix_rewrite", "regex_rewrite", "host_rewrite"):
            first, second = plain(getattr(before, key)), plain(getattr(after, key))
            if first != second:
                yield key, first, second
    yield from differences(one.route.headers, other.route.headers, path="headers")
    yield from differences(one.vhost.headers, other.vhost.headers, path="virtual_host.headers")
    yield from differences(dict(one.filters), dict(other.filters), ROUTE_SKIP, "filters")
    for key in ("retry", "rate_limits", "cors", "hedge_on_per_try_timeout", "include_request_attempt_count"):
        yield from differences(getattr(one.vhost, key), getattr(other.vhost, key), ROUTE_SKIP, f"virtual_host.{key}")


def _unsampled(
    before: list[Sample], after: list[Sample], old: set[tuple[str, int]], new: set[tuple[str, int]]
) -> Iterator[Change]:
    """Routes that only one side has, or has otherwise, and that none of the requests takes: nothing can be said."""
    sides = (("old", before, old, after), ("new", after, new, before))
    for side, own, taken, theirs in sides:
        same = {(each.vhost, _text(each)) for each in theirs}
        for each in own:
            if (each.vhost, each.index) in taken or (each.vhost, _text(each)) in same:
                continue
            reason = each.reason or "routes before it take every request that was tried"
            document = {
                "side": side,
                "host": each.host,
                "port": each.port,
                "virtual_host": each.vhost,
                "route": each.route.name or None,
                "route_index": each.index,
                "reason": reason,
            }
            yield Change("unsampled", each.host, document)


ROUTE_NAMES = frozenset({"metadata", "decorator", "decorator_propagate", "notes"})


def _text(sample: Sample) -> str:
    return repr(plain(sample.route, ROUTE_NAMES))
