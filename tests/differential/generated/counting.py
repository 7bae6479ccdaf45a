"""What a run has hit: every matcher, action, policy, mutation, status and flag, counted by Envoy's own choices.

A route that Envoy took counts for all that it consists of; a route before it, which the request did not match, counts
as passed over. So a matcher that always matches, or never, shows as a zero.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tests.differential.batch import FIRST_PORT
from tests.differential.case import Case
from tests.differential.comparison import Case as Answered
from tests.differential.generated import keys
from tests.differential.keyed import Asked
from tests.differential.keyed import Case as Keyed
from tests.differential.recording import Resource

LEAST = 10
"""How often each thing is hit at least in 20,000 requests, or by 10,000 keys; fewer requests, fewer hits."""

FULL = 20_000
FULL_KEYS = 10_000

MATCHERS = (
    *("prefix", "path", "path_separated_prefix", "safe_regex", "case_sensitive=False", "grpc", "runtime_fraction"),
    *(f"headers.string_match.{kind}" for kind in ("exact", "prefix", "suffix", "contains", "safe_regex")),
    *("headers.string_match.ignore_case", "headers.range_match", "headers.present_match=True", "headers.name=:method"),
    *("headers.present_match=False", "headers.invert_match", "headers.treat_missing_header_as_empty"),
    *("headers.name=:path", "headers.name=:authority", "headers.name=:scheme", "headers.name=host"),
    *(f"query_parameters.string_match.{kind}" for kind in ("exact", "prefix", "suffix", "contains", "safe_regex")),
    *("query_parameters.string_match.ignore_case", "query_parameters.present_match=True"),
    *("query_parameters.present_match=False", "cookies.string_match.exact", "cookies.invert_match"),
    "path_match_policy",
)
ACTIONS = (
    *("cluster", "cluster_header", "cluster_not_found_response_code=NOT_FOUND", "weighted_clusters.header_name"),
    *("weighted_clusters.clusters.weight", "weighted_clusters.clusters.host_rewrite_literal", "prefix_rewrite"),
    *("regex_rewrite", "host_rewrite_literal", "host_rewrite_header", "host_rewrite_path_regex", "timeout"),
    *("max_grpc_timeout", "grpc_timeout_offset", "retry_policy.per_try_timeout", "path_rewrite", "host_rewrite"),
    "append_x_forwarded_host",
)
REDIRECTS = (
    *("host_redirect", "port_redirect", "https_redirect", "scheme_redirect", "path_redirect", "prefix_rewrite"),
    *("regex_rewrite", "strip_query", "response_code=FOUND", "response_code=PERMANENT_REDIRECT"),
)
LEVELS = ("table", "host", "route", "cluster")
TABLE_FIELDS = (
    *("most_specific_header_mutations_wins", "ignore_port_in_host_matching"),
    "ignore_path_parameters_in_path_matching",
)
ORDER = ("APPEND_IF_EXISTS_OR_ADD", "ADD_IF_ABSENT", "OVERWRITE_IF_EXISTS_OR_ADD", "OVERWRITE_IF_EXISTS")

WANTED: tuple[str, ...] = (
    *(f"match {each}" for each in MATCHERS),
    *(f"passed over {each}" for each in MATCHERS),
    *(f"route {each}" for each in ACTIONS),
    *(f"redirect {each}" for each in REDIRECTS),
    *("direct_response status", "direct_response body", "non_forwarding_action", "decorator"),
    *(f"{level} {side}_headers_to_add {way}" for level in LEVELS for side in ("request", "response") for way in ORDER),
    *(f"{level} {side}_headers_to_remove" for level in LEVELS for side in ("request", "response")),
    *("table most_specific_header_mutations_wins", "table ignore_port_in_host_matching"),
    *("manager merge_slashes", "manager path_with_escaped_slashes_action=REJECT_REQUEST"),
    *("host include_request_attempt_count", "flags NR", "flags NC", "flags UH", "flags FI"),
    *("flags -", "manager use_remote_address=True", "table ignore_path_parameters_in_path_matching"),
    *(f"domain {kind}" for kind in ("exact", "suffix", "prefix", "*")),
    *(f"key {each}" for each in keys.WANTED),
)
"""What has to be hit, whatever else is."""


@dataclass
class Census:
    """Counts of many batches."""

    requests: int = 0
    keys: int = 0
    hits: Counter[str] = field(default_factory=Counter)

    def add(self, cases: Sequence[Case], answers: Sequence[Sequence[Answered]]) -> None:
        """The answers of a batch."""
        for number, (case, answered) in enumerate(zip(cases, answers, strict=True)):
            for each in answered:
                self.requests += 1
                self.hits.update(set(_of(number, case, each)))

    def add_key(self, case: Keyed, asked: Asked) -> None:
        """A key that was compared."""
        self.keys += 1
        self.hits.update(f"key {each}" for each in keys.features(case, asked))

    def merge(self, other: Census) -> None:
        """The counts of another process."""
        self.requests += other.requests
        self.keys += other.keys
        self.hits.update(other.hits)

    def least(self, name: str) -> int:
        """How often a thing has to be hit by so many requests."""
        return LEAST * self.keys // FULL_KEYS if name.startswith("key ") else LEAST * self.requests // FULL

    def missing(self) -> dict[str, int]:
        """What was hit less often than it has to be."""
        return {each: self.hits[each] for each in WANTED if self.hits[each] < self.least(each)}

    def table(self) -> str:
        """Every count, for people."""
        names = sorted({*self.hits, *WANTED})
        return "\n".join(f"{self.hits[each]:>8}  {each}" for each in names)


def _of(number: int, case: Case, answered: Answered) -> Iterator[str]:
    decision = answered.envoy
    if decision.status is not None:
        yield f"flags {decision.flags or '-'}"
        yield f"status {decision.status}"
    yield from (f"manager {each}" for each in _paths(case.manager))
    yield from _level("table", case.table)
    for name in TABLE_FIELDS:
        if name in case.table:
            yield f"table {name}"
    prefix = f"{FIRST_PORT + number}/"
    if not decision.place.startswith(prefix):
        return
    name, _, index = decision.place[len(prefix) :].rpartition("/")
    host = next(each for each in case.hosts if each["name"] == name)
    yield from (f"domain {_domain(each)}" for each in host["domains"])
    if "include_request_attempt_count" in host:
        yield "host include_request_attempt_count"
    yield from _level("host", host)
    for route in host["routes"][: int(index)]:
        yield from (f"passed over {each}" for each in _paths(route["match"]))
    yield from _route(host["routes"][int(index)], decision.cluster)


def _route(route: Resource, cluster: str | None) -> Iterator[str]:
    yield from (f"match {each}" for each in _paths(route["match"]))
    for kind in ("route", "redirect", "direct_response"):
        if kind in route:
            yield from (f"{kind} {each}" for each in _paths(route[kind]))
    yield from (kind for kind in ("non_forwarding_action", "decorator") if kind in route)
    yield from _level("route", route)
    for entry in route.get("route", {}).get("weighted_clusters", {}).get("clusters", ()):
        if entry["name"] == cluster:
            yield from _level("cluster", entry)


def _level(level: str, fields: Resource) -> Iterator[str]:
    for side in ("request", "response"):
        for option in fields.get(f"{side}_headers_to_add", ()):
            yield f"{level} {side}_headers_to_add {option['append_action']}"
        if f"{side}_headers_to_remove" in fields:
            yield f"{level} {side}_headers_to_remove"


def _domain(domain: str) -> str:
    if domain == "*":
        return "*"
    return "suffix" if domain.startswith("*") else "prefix" if domain.endswith("*") else "exact"


def _paths(value: Resource, prefix: str = "") -> Iterator[str]:
    """The fields that are set, with dots; a field of few values with its value too."""
    for name, each in value.items():
        if name.endswith(("_to_add", "_to_remove")):
            continue
        yield prefix + name
        for one in each if isinstance(each, list) else [each]:
            if isinstance(one, dict):
                yield from _paths(one, f"{prefix}{name}.")
            elif isinstance(one, bool) or name in ("response_code", "cluster_not_found_response_code", "name"):
                yield f"{prefix}{name}={one}"
            elif name.endswith("_action"):
                yield f"{prefix}{name}={json.dumps(one).strip(chr(34))}"
