"""The header mutation filter (envoy.extensions.filters.http.header_mutation.v3)."""

from __future__ import annotations

from typing import Any

from ..registry import Effect, effect
from ..resources import Json, Shop, extension, shop, typed
from ..seeing import answered, both, explained, sent

MUTATION = "envoy.extensions.filters.http.header_mutation.v3."
CORE = "envoy.config.core.v3."
NAME = "mutation"


def added(name: str, value: str) -> Json:
    """A header that is set."""
    return {"append": {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}}


def chained(place: Json | None = None, **mutations: Any) -> Shop:
    """A chain's mutations, and those of the route."""
    filter_ = extension(MUTATION + "HeaderMutation", NAME, mutations=mutations)
    return shop(filters=[filter_], route_fields={} if place is None else of_place(place))


def of_place(mutations: Json) -> Json:
    """Mutations of a route or virtual host."""
    return {"typed_per_filter_config": {NAME: typed(MUTATION + "HeaderMutationPerRoute", mutations=mutations)}}


def query(**mutation: Any) -> Shop:
    """One mutation of the query."""
    return chained(query_parameter_mutations=[mutation])


REQUEST: Json = {"request_mutations": [added("x-a", "1")]}
LEVELS = shop(
    filters=[extension(MUTATION + "HeaderMutation", NAME, most_specific_header_mutations_wins=True)],
    route_fields=of_place({"request_mutations": [added("x-a", "route")]}),
    host_fields=of_place({"request_mutations": [added("x-a", "host")]}),
)
APPEND: Json = {"record": {"key": "q", "value": "1"}, "action": "OVERWRITE_IF_EXISTS_OR_ADD"}
WITH = "http://shop/a?q=0"
path = explained("path", url=WITH)

CASES: list[Effect] = [
    effect(MUTATION + "HeaderMutation.mutations", chained(**REQUEST), sent("x-a"), ["1"]),
    effect(MUTATION + "HeaderMutation.most_specific_header_mutations_wins", LEVELS, sent("x-a"), ["route"]),
    effect(MUTATION + "HeaderMutationPerRoute.mutations", chained(REQUEST), sent("x-a"), ["1"]),
    effect(MUTATION + "Mutations.request_mutations", chained(**REQUEST), sent("x-a"), ["1"]),
    effect(
        MUTATION + "Mutations.response_mutations",
        chained(response_mutations=[added("x-a", "%RESPONSE_CODE%")]),
        both(answered("x-a"), answered("x-a", answers=[503])),
        [[b"200"], [b"503"]],
    ),
    effect(MUTATION + "Mutations.query_parameter_mutations", query(append=APPEND), path, "/a?q=1"),
    effect(CORE + "KeyValueMutation.append", query(append=APPEND), path, "/a?q=1", against=chained()),
    effect(CORE + "KeyValueMutation.remove", query(remove="q"), path, "/a", against=chained()),
    effect(CORE + "KeyValueAppend.record", query(append=APPEND), path, "/a?q=1", against=chained()),
    effect(CORE + "KeyValueAppend.action", query(append=APPEND), path, "/a?q=1"),
    effect(CORE + "KeyValuePair.key", query(append=APPEND), path, "/a?q=1"),
    effect(CORE + "KeyValuePair.value", query(append=APPEND), path, "/a?q=1", against=chained()),
]
