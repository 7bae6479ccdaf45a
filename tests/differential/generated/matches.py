"""Route matches, drawn."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.differential.generated import words
from tests.differential.recording import Resource

Strategy = st.SearchStrategy[Resource]


def one_of_words(name: str, values: tuple[str, ...]) -> Strategy:
    """`{name: value}` for one of the values."""
    return st.sampled_from([{name: value} for value in values])


def regex(name: str, patterns: dict[str, tuple[str, ...]]) -> Strategy:
    """`{name: RegexMatcher}`."""
    return st.sampled_from([{name: {"regex": each}} for each in patterns])


def merged(*parts: Strategy) -> Strategy:
    """All fields of several."""
    return st.tuples(*parts).map(lambda found: {name: value for each in found for name, value in each.items()})


def sometimes(fields: Strategy, share: int = 4) -> Strategy:
    """Nothing, or in one of `share` draws these fields."""
    return st.integers(1, share).flatmap(lambda at: fields if at == share else st.just({}))


PREFIXES = tuple(dict.fromkeys((*words.PATHS, "/s")))
SEPARATED = tuple(each for each in words.PATHS if not each.endswith("/"))
PATHS: Strategy = merged(
    st.one_of(
        one_of_words("prefix", PREFIXES),
        one_of_words("prefix", PREFIXES),
        one_of_words("path", words.PATHS),
        one_of_words("path_separated_prefix", SEPARATED),
    ),
    sometimes(st.just({"case_sensitive": False})),
) | regex("safe_regex", words.REGEXES)

STRING: Strategy = merged(
    st.one_of(*(one_of_words(kind, words.STRINGS) for kind in ("exact", "exact", "prefix", "suffix", "contains"))),
    sometimes(st.just({"ignore_case": True})),
) | regex("safe_regex", words.VALUE_REGEXES)

RANGE: Strategy = st.sampled_from([{"range_match": {"start": str(a), "end": str(b)}} for a, b in words.RANGES])
PRESENT: Strategy = st.sampled_from([{"present_match": True}, {"present_match": False}, {}])
HEADER: Strategy = merged(
    one_of_words("name", words.NAMES),
    st.one_of(STRING.map(lambda found: {"string_match": found}), RANGE, PRESENT),
    sometimes(st.just({"invert_match": True})),
    sometimes(st.just({"treat_missing_header_as_empty": True})),
)
PSEUDO: Strategy = merged(
    st.sampled_from(
        [
            {"name": ":method", "string_match": {"exact": "POST"}},
            {"name": ":method", "string_match": {"safe_regex": {"regex": "GET|PUT"}}},
            {"name": ":path", "string_match": {"contains": "x"}},
            {"name": ":authority", "string_match": {"suffix": "test"}},
            {"name": ":scheme", "string_match": {"exact": "https"}},
            {"name": "host", "string_match": {"contains": ":80"}},
        ]
    ),
    sometimes(st.just({"invert_match": True})),
)
QUERY: Strategy = merged(
    one_of_words("name", words.QUERY_NAMES),
    st.one_of(STRING.map(lambda found: {"string_match": found}), PRESENT),
)
COOKIE: Strategy = merged(
    one_of_words("name", ("c", "d")),
    STRING.map(lambda found: {"string_match": found}),
    sometimes(st.just({"invert_match": True})),
)
TEMPLATE: Strategy = st.sampled_from(
    [
        {
            "path_match_policy": {
                "name": "m",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig",
                    "path_template": each,
                },
            }
        }
        for each in words.TEMPLATES
    ]
)
FRACTION: Strategy = st.sampled_from(
    [
        {"runtime_fraction": {"default_value": {"numerator": number, "denominator": parts}}}
        for number, parts in ((0, "HUNDRED"), (100, "HUNDRED"), (40, "HUNDRED"), (5000, "TEN_THOUSAND"))
    ]
)


def _listed(name: str, one: Strategy, most: int = 2) -> Strategy:
    return st.lists(one, min_size=1, max_size=most).map(lambda found: {name: found})


MATCH: Strategy = merged(
    st.integers(1, 14).flatmap(lambda at: TEMPLATE if at == 14 else PATHS),
    sometimes(_listed("cookies", COOKIE), 12),
    sometimes(_listed("headers", HEADER | HEADER | PSEUDO), 2),
    sometimes(_listed("query_parameters", QUERY), 4),
    sometimes(st.just({"grpc": {}}), 12),
    sometimes(FRACTION, 12),
)
"""A RouteMatch."""
