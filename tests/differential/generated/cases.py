"""Whole cases, drawn: a table of virtual hosts, the options around it, and requests to it."""

from __future__ import annotations

from random import Random
from typing import Any

from hypothesis import strategies as st

from tests.differential.case import Case
from tests.differential.generated import words
from tests.differential.generated.actions import ACTION, DECORATOR, FILTERS, METADATA, MUTATIONS
from tests.differential.generated.asks import request
from tests.differential.generated.matches import MATCH, Strategy, merged, sometimes
from tests.differential.recording import Resource

EACH = 20
"""Requests to a case."""


def sound(route: Resource) -> Resource:
    """Without what Envoy refuses: a prefix where nothing says how long it is."""
    if "path_match_policy" in route["match"]:
        for kind in ("route", "redirect"):
            if kind in route:
                route = {**route, kind: {n: v for n, v in route[kind].items() if n != "prefix_rewrite"}}
    return route


ROUTE: Strategy = merged(
    MATCH.map(lambda found: {"match": found}),
    ACTION,
    MUTATIONS,
    sometimes(DECORATOR, 4),
    sometimes(FILTERS, 10),
    sometimes(METADATA, 4),
).map(sound)
LAST: Strategy = merged(st.just({"match": {"prefix": "/"}}), ACTION, MUTATIONS)
HOST: Strategy = merged(
    sometimes(st.just({"include_request_attempt_count": True}), 2),
)
MANAGER: Strategy = merged(
    sometimes(st.just({"merge_slashes": True}), 3),
    sometimes(
        st.sampled_from(
            [
                {"path_with_escaped_slashes_action": each}
                for each in ("UNESCAPE_AND_FORWARD", "UNESCAPE_AND_REDIRECT", "REJECT_REQUEST")
            ]
        ),
        4,
    ),
    sometimes(
        st.sampled_from(
            [
                {"use_remote_address": True},
                {"use_remote_address": True, "skip_xff_append": True},
                {"xff_num_trusted_hops": 1},
                {"add_user_agent": True},
            ]
        ),
        6,
    ),
)
TABLE: Strategy = merged(
    MUTATIONS,
    sometimes(st.just({"most_specific_header_mutations_wins": True}), 3),
    st.sampled_from([{"ignore_port_in_host_matching": True}] * 3 + [{}]),
    sometimes(st.just({"ignore_path_parameters_in_path_matching": True}), 8),
)


@st.composite
def _host(draw: Any, domains: list[str]) -> Resource:
    routes = draw(st.lists(ROUTE, min_size=1, max_size=4))
    if draw(st.integers(1, 4)) > 1:
        routes.append(draw(LAST))
    mutations = draw(MUTATIONS)
    return {"name": domains[0], "domains": domains, "routes": routes, **mutations, **draw(HOST)}


@st.composite
def case(draw: Any) -> Case:
    """A table and `EACH` requests to it."""
    domains = draw(st.lists(st.sampled_from(words.DOMAINS), min_size=1, max_size=5, unique=True))
    hosts = []
    while domains:
        own, domains = domains[: 1 + len(domains) % 2], domains[1 + len(domains) % 2 :]
        hosts.append(draw(_host(own)))
    source = Random(draw(st.integers(0, 2**64 - 1)))
    asked = tuple(request(source, hosts) for _ in range(EACH))
    return Case(tuple(hosts), asked, draw(TABLE), draw(MANAGER))
