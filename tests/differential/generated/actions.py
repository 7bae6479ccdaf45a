"""What a route does, drawn: clusters, rewrites, redirects, answers, and mutations of headers at every level."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.differential.generated import words
from tests.differential.generated.matches import Strategy, merged, one_of_words, sometimes
from tests.differential.recording import Resource

CLUSTERS = ("a", "b", "c")
ACTIONS = ("APPEND_IF_EXISTS_OR_ADD", "ADD_IF_ABSENT", "OVERWRITE_IF_EXISTS_OR_ADD", "OVERWRITE_IF_EXISTS")

REGEX_REWRITE: Strategy = st.sampled_from(
    [
        {"regex_rewrite": {"pattern": {"regex": pattern}, "substitution": text.replace("%", "%")}}
        for pattern, text in words.REWRITES
    ]
)


def _option(name: str, value: str, action: str, kept: bool) -> Resource:
    option: Resource = {"header": {"key": name, "value": value}, "append_action": action}
    return {**option, "keep_empty_value": True} if kept else option


def _additions(field: str, names: tuple[str, ...]) -> Strategy:
    one = st.builds(
        _option,
        st.sampled_from(names),
        st.sampled_from(words.FORMATS),
        st.sampled_from(ACTIONS),
        st.sampled_from((False, False, True)),
    )
    return st.lists(one, min_size=1, max_size=3).map(lambda found: {field: found})


def _removals(field: str) -> Strategy:
    return st.lists(st.sampled_from(words.REMOVED), min_size=1, max_size=2).map(lambda found: {field: found})


MUTATIONS: Strategy = merged(
    sometimes(_additions("request_headers_to_add", words.ADDED), 3),
    sometimes(_removals("request_headers_to_remove"), 6),
    sometimes(_additions("response_headers_to_add", words.ANSWERED), 3),
    sometimes(_removals("response_headers_to_remove"), 6),
)
"""Mutations of one level: route table, virtual host, route or weighted cluster."""

WEIGHTED_CLUSTER: Strategy = merged(
    one_of_words("name", (*CLUSTERS, *CLUSTERS, "none", "empty")),
    st.sampled_from([{"weight": each} for each in (1, 20, 80, 0)]),
    MUTATIONS,
    sometimes(one_of_words("host_rewrite_literal", words.NEW_HOSTS), 5),
)


def _name(entry: Resource) -> str:
    return str(entry["name"])


def _weighted(entries: list[Resource], header: str) -> Resource:
    if not any(each["weight"] for each in entries):
        entries = [{**entries[0], "weight": 1}, *entries[1:]]
    found: Resource = {"clusters": entries}
    return {"weighted_clusters": {**found, "header_name": header} if header else found}


TARGET: Strategy = st.one_of(
    one_of_words("cluster", CLUSTERS),
    one_of_words("cluster", (*CLUSTERS, "none", "empty")),
    merged(
        st.sampled_from([{"cluster": "none"}, {"cluster_header": "x-cluster"}]),
        sometimes(
            one_of_words("cluster_not_found_response_code", ("NOT_FOUND", "INTERNAL_SERVER_ERROR")),
            2,
        ),
    ),
    st.builds(
        _weighted,
        st.lists(WEIGHTED_CLUSTER, min_size=1, max_size=3, unique_by=_name),
        st.sampled_from(("", "", "x-draw")),
    ),
)
REWRITE: Strategy = st.one_of(one_of_words("prefix_rewrite", words.NEW_PATHS), REGEX_REWRITE)
FORMATTED: Strategy = one_of_words("path_rewrite", words.PATH_FORMATS)
HOST_REWRITE: Strategy = st.one_of(
    one_of_words("host_rewrite", words.HOST_FORMATS),
    one_of_words("host_rewrite_literal", words.NEW_HOSTS),
    one_of_words("host_rewrite_header", ("x-a", "x-none")),
    st.just({"host_rewrite_path_regex": {"pattern": {"regex": "^/([a-z]+).*$"}, "substitution": r"\1.test"}}),
)
TIMEOUTS: Strategy = st.sampled_from(
    [
        {"timeout": "0s"},
        {"timeout": "7s"},
        {"timeout": "9.5s", "max_grpc_timeout": "0s"},
        {"max_grpc_timeout": "4s", "grpc_timeout_offset": "0.1s"},
        {"timeout": "6s", "retry_policy": {"retry_on": "connect-failure", "per_try_timeout": "2.5s"}},
        {"timeout": "0s", "retry_policy": {"retry_on": "refused-stream", "per_try_timeout": "2.5s"}},
    ]
)
ROUTE_ACTION: Strategy = merged(
    TARGET,
    sometimes(st.one_of(REWRITE, REWRITE, FORMATTED), 3),
    sometimes(HOST_REWRITE, 4),
    sometimes(TIMEOUTS, 3),
    sometimes(st.just({"append_x_forwarded_host": True}), 8),
).map(lambda found: {"route": found})

REDIRECT: Strategy = merged(
    sometimes(one_of_words("host_redirect", words.NEW_HOSTS), 3),
    sometimes(st.sampled_from([{"port_redirect": each} for each in (80, 443, 8080)]), 3),
    sometimes(st.sampled_from([{"https_redirect": True}, {"scheme_redirect": "ftp"}, {"scheme_redirect": "https"}]), 3),
    sometimes(
        st.one_of(one_of_words("path_redirect", ("/new", "/new?y=2", "/")), REWRITE),
        2,
    ),
    sometimes(one_of_words("response_code", ("FOUND", "SEE_OTHER", "TEMPORARY_REDIRECT", "PERMANENT_REDIRECT")), 2),
    sometimes(st.just({"strip_query": True}), 3),
).map(lambda found: {"redirect": found})

DIRECT: Strategy = merged(
    st.sampled_from([{"status": each} for each in (200, 201, 204, 302, 404, 418, 503)]),
    sometimes(st.sampled_from([{"body": {"inline_string": text}} for text in ("", "teapot")]), 2),
).map(lambda found: {"direct_response": found})

ACTION: Strategy = st.one_of(
    ROUTE_ACTION,
    ROUTE_ACTION,
    ROUTE_ACTION,
    ROUTE_ACTION,
    REDIRECT,
    DIRECT,
    st.integers(1, 6).flatmap(lambda at: st.just({"non_forwarding_action": {}}) if at == 6 else ROUTE_ACTION),
)
"""The action of a route."""

DECORATOR: Strategy = st.sampled_from(
    [{"decorator": {"operation": "op"}}, {"decorator": {"operation": "op", "propagate": False}}]
)

FAULT = "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault"
CORS = "type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy"


def _fault(status: int, share: int, more: Resource) -> Resource:
    abort = {"http_status": status, "percentage": {"numerator": share}}
    return {"envoy.filters.http.fault": {"@type": FAULT, "abort": abort, **more}}


FILTERS: Strategy = st.one_of(
    st.builds(
        _fault,
        st.sampled_from((503, 404, 418)),
        st.sampled_from((100, 100, 0)),
        st.sampled_from([{}, {"headers": [{"name": "x-a", "string_match": {"exact": "va"}}]}]),
    ),
    st.sampled_from(
        [
            {
                "envoy.filters.http.cors": {
                    "@type": CORS,
                    "allow_origin_string_match": [{"exact": "https://shop.example"}],
                    "allow_methods": "GET,POST",
                    **more,
                }
            }
            for more in ({}, {"allow_credentials": True}, {"max_age": "60", "allow_headers": "x-a"})
        ]
    ),
).map(lambda found: {"typed_per_filter_config": found})
"""Settings of a route for filters of the connection manager."""

METADATA: Strategy = st.builds(lambda: {"metadata": {"filter_metadata": {"m": {"a": "word"}}}, "name": "its-name"})
"""New for each route: the rig puts more into it."""
