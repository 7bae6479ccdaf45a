"""Each kind of rule on single values: what passes, what is refused and in which words."""

import json
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import pytest

from proxyless.xds.wire.schema import pool
from proxyless.xds.wire.schema import types as pb
from proxyless.xds.wire.schema._constraints import (
    UnknownRuleError,
    camel,
    go_duration,
    go_number,
    go_quote,
    size_check,
    value_check,
)

SECOND = 1_000_000_000
NAME_REGEX = r'value does not match regex pattern "^:?[0-9a-zA-Z!#$%&\'*+-.^_|~`]+$"'.replace("\\'", "'")
VALUE_REGEX = r'value does not match regex pattern "^[^\x00-\b\n-\x1f\x7f]*$"'
LENIENT_REGEX = r'value does not match regex pattern "^[^\x00\n\r]*$"'

# kind, rule, good values, bad values, the text for the bad ones
CASES: list[tuple[str, dict[str, Any], list[Any], list[Any], str]] = [
    ("uint32", {"gt": 0}, [1, 4294967295], [0], "value must be greater than 0"),
    ("uint32", {"gte": 1}, [1, 2], [0], "value must be greater than or equal to 1"),
    ("uint32", {"lt": 600}, [0, 599], [600], "value must be less than 600"),
    ("uint32", {"lte": 65535}, [0, 65535], [65536], "value must be less than or equal to 65535"),
    ("uint32", {"gte": 200, "lt": 600}, [200, 599], [199, 600], "value must be inside range [200, 600)"),
    ("uint32", {"gte": 0, "lte": 7}, [0, 7], [8], "value must be inside range [0, 7]"),
    ("uint32", {"gt": 0, "lt": 5}, [1, 4], [0, 5], "value must be inside range (0, 5)"),
    ("uint32", {"gt": 0, "lte": 5}, [1, 5], [0, 6], "value must be inside range (0, 5]"),
    (
        "uint32",
        {"gte": 100, "lte": 599, "ignore_empty": True},
        [0, 100, 599],
        [99],
        "value must be inside range [100, 599]",
    ),
    ("uint32", {"const": 3}, [3], [2], "value must equal 3"),
    ("uint32", {"in": [1, 2]}, [1], [3], "value must be in list [1 2]"),
    ("uint32", {"not_in": [1, 2]}, [3], [2], "value must not be in list [1 2]"),
    ("int32", {"gt": 0}, [1], [0, -1], "value must be greater than 0"),
    ("uint64", {"gt": 0, "lt": 10}, [1], [10], "value must be inside range (0, 10)"),
    ("uint64", {"gte": 1}, [1], [0], "value must be greater than or equal to 1"),
    ("uint64", {"lte": 8}, [8], [9], "value must be less than or equal to 8"),
    ("float", {"gte": 0.0}, [0.0, 0.5], [-0.1], "value must be greater than or equal to 0"),
    ("double", {"gt": 0.0}, [0.1], [0.0], "value must be greater than 0"),
    ("double", {"gte": 0.0, "lte": 100.0}, [0.0, 100.0], [100.1], "value must be inside range [0, 100]"),
    ("double", {"gte": 0.5}, [0.5], [0.4], "value must be greater than or equal to 0.5"),
    ("bool", {"const": True}, [True], [False], "value must equal true"),
    ("string", {"const": 'a"b'}, ['a"b'], [""], r'value must equal "a\"b"'),
    ("string", {"min_len": 1}, ["x"], [""], "value length must be at least 1 characters"),
    ("string", {"max_len": 2}, ["", "éé"], ["abc"], "value length must be at most 2 characters"),
    (
        "string",
        {"min_len": 1, "max_len": 2},
        ["é"],
        ["", "abc"],
        "value must have between 1 and 2 characters inclusive",
    ),
    ("string", {"min_len": 2, "max_len": 2}, ["ab"], ["a", "abc"], "value must be 2 characters"),
    ("string", {"max_bytes": 3}, ["é", "abc"], ["éé"], "value length must be at most 3 bytes"),
    ("string", {"min_bytes": 2}, ["é"], ["a"], "value length must be at least 2 bytes"),
    (
        "string",
        {"min_bytes": 1, "max_bytes": 2},
        ["é"],
        ["", "éa"],
        "value length must be between 1 and 2 bytes, inclusive",
    ),
    ("string", {"prefix": "/"}, ["/a"], ["a", ""], 'value does not have prefix "/"'),
    ("string", {"suffix": "/"}, ["a/"], ["a", ""], 'value does not have suffix "/"'),
    ("string", {"pattern": "^[a-z]+$"}, ["abc"], ["", "a1"], 'value does not match regex pattern "^[a-z]+$"'),
    ("string", {"pattern": "^$|^a.*"}, ["", "ab"], ["b"], 'value does not match regex pattern "^$|^a.*"'),
    ("string", {"pattern": "b"}, ["b"], ["abc"], 'value does not match regex pattern "b"'),
    ("string", {"in": ["UH", "UF"]}, ["UF"], ["", "XX"], "value must be in list [UH UF]"),
    ("string", {"not_in": ["a"]}, ["b"], ["a"], "value must not be in list [a]"),
    ("string", {"min_len": 3, "ignore_empty": True}, ["", "abc"], ["ab"], "value length must be at least 3 characters"),
    ("string", {"well_known_regex": "HTTP_HEADER_NAME"}, [":path", "x-a"], ["", "a b", "a\n", "é"], NAME_REGEX),
    ("string", {"well_known_regex": "HTTP_HEADER_VALUE"}, ["", "a\tb", "é"], ["a\n", "\x00", "\x7f"], VALUE_REGEX),
    (
        "string",
        {"well_known_regex": "HTTP_HEADER_NAME", "strict": False},
        ["", "a b", "é", "\x7f", "\t"],
        ["a\nb", "\r", "\x00"],
        LENIENT_REGEX,
    ),
    ("bytes", {"min_len": 1}, [b"x"], [b""], "value length must be at least 1 bytes"),
    ("bytes", {"max_len": 2}, [b"ab"], [b"abc"], "value length must be at most 2 bytes"),
    ("enum", {"defined_only": True}, [0, 4], [99], "value must be one of the defined enum values"),
    ("enum", {"not_in": [0]}, [1], [0], "value must not be in list [STATIC]"),
    ("enum", {"in": [0, 3]}, [3], [1], "value must be in list [STATIC EDS]"),
    ("enum", {"const": 3}, [3], [0], "value must equal EDS"),
]

DURATIONS: list[tuple[dict[str, Any], list[int], list[int], str]] = [
    ({"gt": 0}, [1], [0, -1], "value must be greater than 0s"),
    ({"gte": SECOND // 1000}, [SECOND], [0], "value must be greater than or equal to 1ms"),
    ({"lt": 86_400 * SECOND}, [0], [86_400 * SECOND], "value must be less than 24h0m0s"),
    ({"lte": 90 * SECOND}, [90 * SECOND], [91 * SECOND], "value must be less than or equal to 1m30s"),
    ({"gte": 0, "lt": SECOND}, [0], [SECOND, -1], "value must be inside range [0s, 1s)"),
]


def _check(kind: str, rule: dict[str, Any]) -> Any:
    enum = pool().FindEnumTypeByName("envoy.config.cluster.v3.Cluster.DiscoveryType") if kind == "enum" else None
    return value_check(kind, rule, enum)


@pytest.mark.parametrize(("kind", "rule", "good", "bad", "text"), CASES, ids=[f"{c[0]} {c[1]}" for c in CASES])
def test_a_rule_passes_good_values_and_refuses_bad_ones_in_envoys_words(
    kind: str, rule: dict[str, Any], good: list[Any], bad: list[Any], text: str
) -> None:
    check = _check(kind, rule)
    assert [check(value) for value in good] == [None] * len(good)
    assert [check(value) for value in bad] == [text] * len(bad)


@pytest.mark.parametrize(("rule", "good", "bad", "text"), DURATIONS, ids=[str(case[0]) for case in DURATIONS])
def test_a_duration_is_compared_to_the_nanosecond(
    rule: dict[str, Any], good: list[int], bad: list[int], text: str
) -> None:
    check = _check("duration", rule)
    assert [check(_duration(value)) for value in good] == [None] * len(good)
    assert [check(_duration(value)) for value in bad] == [text] * len(bad)


@pytest.mark.parametrize(("seconds", "nanos"), [(315_576_000_001, 0), (0, 1_000_000_000), (0, -1_000_000_000)])
def test_a_duration_outside_of_its_own_range_is_no_duration(seconds: int, nanos: int) -> None:
    check = _check("duration", {"gte": 0})
    assert check(pb.google_protobuf.Duration(seconds=seconds, nanos=nanos)) == "value is not a valid duration"


@pytest.mark.parametrize(
    ("rule", "good", "bad", "text"),
    [
        ({"min_items": 1}, [1, 9], [0], "value must contain at least 1 item(s)"),
        ({"max_items": 2}, [0, 2], [3], "value must contain no more than 2 item(s)"),
        ({"min_items": 1, "max_items": 2}, [1, 2], [0, 3], "value must contain between 1 and 2 items, inclusive"),
        ({"min_items": 2, "max_items": 2}, [2], [1, 3], "value must contain exactly 2 item(s)"),
    ],
)
def test_a_size_is_counted(rule: dict[str, Any], good: list[int], bad: list[int], text: str) -> None:
    check = size_check(dict(rule), "min_items", "max_items", "item")
    assert [check([0] * size) for size in good] == [None] * len(good)
    assert [check([0] * size) for size in bad] == [text] * len(bad)


@pytest.mark.parametrize(
    ("kind", "rule"),
    [
        ("timestamp", {"gt_now": True}),
        ("string", {"email": True}),
        ("uint32", {"odd": True}),
        ("uint32", {"gt": 5, "lt": 3}),
    ],
)
def test_a_rule_that_the_engine_does_not_know_is_not_passed_over(kind: str, rule: dict[str, Any]) -> None:
    with pytest.raises(UnknownRuleError):
        _check(kind, rule)


def test_every_kind_of_rule_that_the_schema_uses_has_a_case_here() -> None:
    used = set(_used())
    tested = {(kind, name) for kind, rule, *_ in CASES for name in rule}
    tested |= {("duration", name) for rule, *_ in DURATIONS for name in rule}
    assert used - tested == set()


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("name", "Name"),
        ("load_assignment", "LoadAssignment"),
        ("http2_protocol_options", "Http2ProtocolOptions"),
        ("consecutive_5xx", "Consecutive_5Xx"),
        ("_x", "XX"),
        ("a_B", "A_B"),
    ],
)
def test_fields_are_spelled_as_in_go(name: str, wanted: str) -> None:
    assert camel(name) == wanted


@pytest.mark.parametrize(
    ("nanoseconds", "wanted"),
    [
        (0, "0s"),
        (1, "1ns"),
        (1_500, "1.5µs"),
        (1_000_000, "1ms"),
        (SECOND, "1s"),
        (1_500_000_000, "1.5s"),
        (60 * SECOND, "1m0s"),
        (3_600 * SECOND, "1h0m0s"),
        (3_661 * SECOND + 5, "1h1m1.000000005s"),
        (-2 * SECOND, "-2s"),
        (-1_000_000, "-1ms"),
    ],
)
def test_durations_are_printed_as_in_go(nanoseconds: int, wanted: str) -> None:
    assert go_duration(nanoseconds) == wanted


def test_numbers_and_strings_are_printed_as_in_go() -> None:
    assert [go_number(value) for value in (5, 5.0, 0.25)] == ["5", "5", "0.25"]
    assert go_quote('a\\"\n\x00\x7fé') == r'"a\\\"\n\x00\x7fé"'


def _duration(nanoseconds: int) -> pb.google_protobuf.Duration:
    duration = pb.google_protobuf.Duration()
    duration.FromNanoseconds(nanoseconds)
    return duration


def _used() -> Iterator[tuple[str, str]]:
    """(kind, name) of every rule on a single value in the committed file, inside lists and maps too."""
    rules = json.loads(files("proxyless.xds.wire.schema").joinpath("data", "rules.json").read_bytes())
    todo = [field for message in rules.values() for field in message.get("fields", {}).values()]
    while todo:
        for kind, rule in todo.pop().items():
            if kind in ("repeated", "map"):
                todo += [rule[part] for part in ("items", "keys", "values") if part in rule]
            elif kind != "message":
                yield from ((kind, name) for name in rule if name != "required")
