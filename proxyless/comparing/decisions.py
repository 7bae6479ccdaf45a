"""What becomes of a request, with every cluster that it may be sent to: what `explain` says, without the draw."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..cli._url import parse_url
from ..governance.explain import document, dry_call
from ..governance.routing import CompiledRoute
from .chains import shares
from .changes import label
from .differing import plain
from .samples import Asked
from .sight import Sight

UNSAID = frozenset({"x-envoy-expected-rq-timeout-ms", "x-envoy-decorator-operation", "x-forwarded-proto"})
"""Headers that say what is told by other keys, or nothing."""


@dataclass(frozen=True, slots=True)
class Decision:
    """`to`: what share of the requests goes where, in percent, by name. `facts`: everything else that is decided, by
    name. `route`: the route that was taken, where one was, by `host` and `index`."""

    to: Mapping[str, float]
    facts: Mapping[str, Any]
    host: str | None = None
    index: int | None = None
    route: CompiledRoute | None = None


def decide(sight: Sight, asked: Asked) -> Decision:
    """What one side decides.

    Raises:
        ConfigurationError: the URL is none.
    """
    target = parse_url(asked.url)
    said = {"method": asked.method, "url": asked.url, "headers": [list(each) for each in asked.headers]}
    sight.draws.next = [0.0, 0.0]
    call, missing = dry_call(sight.runtime, asked.method, target, asked.headers)
    port = target.port
    route = call.route
    first = document(call, said, missing)
    taken = first["virtual_host"], first["route_index"]
    if route is None or len(route.targets) < 2:
        own = _facts(first, asked, route, port)
        return Decision(_to(call, first, port), own, *taken, route)
    taken_by: dict[str, float] = {}
    branches: dict[str, dict[str, Any]] = {}
    total = route.cumulative[-1]
    reached = 0
    for upper in route.cumulative:
        weight, reached_before, reached = upper - reached, reached, upper
        sight.draws.next = [*_fractions(route), (reached_before + weight / 2) / total]
        call, missing = dry_call(sight.runtime, asked.method, target, asked.headers)
        branch = document(call, said, missing)
        name = _name(branch, port)
        taken_by[name] = taken_by.get(name, 0.0) + 100.0 * weight / total
        branches[name] = _facts(branch, asked, call.route, port)
    sight.draws.next = []
    return Decision(
        {name: round(share, 4) for name, share in sorted(taken_by.items())},
        dict(_joined(branches)),
        *taken,
        route,
    )


def _fractions(route: CompiledRoute) -> Iterator[float]:
    """What the choice of the route draws before its cluster is drawn."""
    if route.fraction is not None:
        yield 0.0


def _joined(branches: dict[str, dict[str, Any]]) -> Iterator[tuple[str, Any]]:
    """What all say alike is said once."""
    names = dict.fromkeys(name for each in branches.values() for name in each)
    for name in names:
        values = [each.get(name) for each in branches.values()]
        if all(each == values[0] for each in values):
            yield name, values[0]
            continue
        for branch, facts in sorted(branches.items()):
            if name in facts:
                yield f"{name} [{branch}]", facts[name]


def _to(call: Any, said: dict[str, Any], port: int) -> dict[str, float]:
    destination = call.destination
    tcp = destination.chain.tcp if destination is not None and destination.chain is not None else None
    if said["action"] == "tcp" and tcp is not None and not tcp.cluster:
        return shares(tcp, port)
    name = _name(said, port)
    return {name: 100.0} if name else {}


def _name(said: dict[str, Any], port: int) -> str:
    if said["action"] in ("redirect", "direct_response"):
        return ""
    cluster = said["cluster"]
    return label(cluster, port) if cluster else ""


def _facts(said: dict[str, Any], asked: Asked, route: CompiledRoute | None, port: int) -> dict[str, Any]:
    found: dict[str, Any] = {"action": said["action"]}
    if said["status"] is not None:
        found["answer"] = " ".join(filter(None, (str(said["status"]), said["response_flags"])))
        found["location"] = said["location"]
        if said["action"] == "direct_response":
            found["body"] = said["body"]
    else:
        found["authority"], found["path"] = said["authority"], said["path"]
        found["protocol"] = said["protocol"]
        found |= _sent(said, asked)
    for each in said["response_headers"]:
        name = f"response header {each['name']}"
        text = "removed" if each["action"] == "remove" else f"{each['value']} ({each['action']})"
        found[name] = f"{found[name]}, {text}" if name in found else text
    found["timeout"], found["idle timeout"] = _seconds(said["timeout_s"]), _seconds(said["idle_timeout_s"])
    retry = said["retry"]
    found["retries"] = 0 if retry is None else retry["retries"]
    if retry is not None:
        found["retry on"] = list(retry["on"])
        found["per try timeout"] = _seconds(retry["per_try_timeout_s"])
        found["retried statuses"] = list(retry["status_codes"])
        found["retry host predicates"] = list(retry["host_predicates"])
    fault = said["fault"]
    if fault is not None:
        if fault["delay_percent"]:
            found["delay"] = f"{fault['delay_s']:g} s for {fault['delay_percent']:g} %"
        if fault["abort_percent"]:
            found["abort"] = f"{fault['abort_status']} for {fault['abort_percent']:g} %"
    for each in said["mirrors"]:
        found[f"mirror {label(each['cluster'], port)}"] = f"{each['percent']:g} %"
    if route is not None and route.action is not None and route.action.hash_policies:
        found["hash policy"] = plain(route.action.hash_policies)
    return {name: value for name, value in found.items() if value not in (None, [], "none")}


def _sent(said: dict[str, Any], asked: Asked) -> dict[str, str]:
    """How the headers that go out differ from those that were asked with."""
    given = [(name.lower(), value) for name, value in asked.headers if name.lower() != "host"]
    sent = [(name, value) for name, value in said["request_headers"] if name not in UNSAID]
    made = {f"request header {name}": "removed" for name, _ in given if name not in {each for each, _ in sent}}
    for name, value in sent:
        if (name, value) not in given:
            key = f"request header {name}"
            made[key] = f"{made[key]}, {value}" if key in made else value
    return made


def _seconds(value: float | None) -> str:
    return "none" if value is None else f"{value:g} s"
