"""Descriptors of a request: one for each rate limit whose actions all have something to say."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from proxyless.governance.descriptors import NOBODY, LimitPolicy, Subject
from proxyless.governance.request import RequestView
from proxyless.xds.model.matchers import HeaderMatcher, QueryParameterMatcher, StringMatcher
from proxyless.xds.model.route import RateLimit, RateLimitAction
from proxyless.xds.model.values import Cidr, FilterMetadata

Entries = list[tuple[tuple[str, str], ...]]


def request(path: str = "/", source: str = "", **headers: str) -> RequestView:
    raw = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
    return RequestView(b"GET", b"http", b"shop", path.encode(), raw, source)


def action(kind: str, **fields: Any) -> RateLimitAction:
    return RateLimitAction(kind, **fields)


def described(sent: RequestView, *actions: RateLimitAction) -> Entries:
    return LimitPolicy([RateLimit(actions)]).descriptors(sent, 0, Subject(sent.source, "me", "a", METADATA))


METADATA: FilterMetadata = {"ns": {"a": {"b": "v"}, "n": 1.0}}
FIXED = action("generic_key", value="all")
USER = action("request_headers", key="user", header="X-User")
VERSION = action("query_parameters", key="version", header="v")
BETA = (HeaderMatcher("x-beta"), HeaderMatcher("x-user", StringMatcher("exact", "alice")))
QUERY = (QueryParameterMatcher("v", StringMatcher("exact", "2")),)

OF_ROUTE = action("metadata", key="m", of_route=True, path=("ns", "a", "b"))
TABLE: list[tuple[str, RateLimitAction, RequestView, Entries]] = [
    ("source cluster", action("source_cluster"), request(), [(("source_cluster", "me"),)]),
    ("destination cluster", action("destination_cluster"), request(), [(("destination_cluster", "a"),)]),
    ("metadata", OF_ROUTE, request(), [(("m", "v"),)]),
    ("metadata, made by nobody", replace(OF_ROUTE, of_route=False), request(), []),
    ("metadata, not there", replace(OF_ROUTE, path=("ns", "x", "b")), request(), []),
    ("metadata, no text", replace(OF_ROUTE, path=("ns", "n")), request(), []),
    ("metadata, by default", replace(OF_ROUTE, path=("no",), default_value="d"), request(), [(("m", "d"),)]),
    ("metadata, skipped alone", replace(OF_ROUTE, path=("no",), skip_if_absent=True), request(), []),
    ("generic key", FIXED, request(), [(("generic_key", "all"),)]),
    ("generic key, named", action("generic_key", key="k", value="v"), request(), [(("k", "v"),)]),
    ("header", USER, request(x_user="alice"), [(("user", "alice"),)]),
    ("header, empty", USER, request(x_user=""), [(("user", ""),)]),
    ("header, absent", USER, request(), []),
    ("header, not UTF-8", USER, request(x_user="\xff"), [(("user", "\ufffd"),)]),
    ("pseudo header", action("request_headers", key="p", header=":path"), request("/a?b"), [(("p", "/a?b"),)]),
    ("query", VERSION, request("/?v=2"), [(("version", "2"),)]),
    ("query, absent", VERSION, request("/"), []),
    ("remote address", action("remote_address"), request(source="10.1.2.3"), [(("remote_address", "10.1.2.3"),)]),
    ("remote address, unknown", action("remote_address"), request(), []),
    (
        "header match",
        action("header_value_match", value="beta", headers=BETA),
        request(x_beta="", x_user="alice"),
        [(("header_match", "beta"),)],
    ),
    ("header match, missed", action("header_value_match", value="beta", headers=BETA), request(x_beta=""), []),
    ("header match, named", action("header_value_match", key="k", value="beta"), request(), [(("k", "beta"),)]),
    (
        "header match, not expected",
        action("header_value_match", value="no", headers=BETA, expect_match=False),
        request(),
        [(("header_match", "no"),)],
    ),
    (
        "header match, not expected but there",
        action("header_value_match", value="no", headers=BETA, expect_match=False),
        request(x_beta="", x_user="alice"),
        [],
    ),
    (
        "query match",
        action("query_parameter_value_match", value="two", query_parameters=QUERY),
        request("/?v=2"),
        [(("query_match", "two"),)],
    ),
    (
        "query match, missed",
        action("query_parameter_value_match", value="two", query_parameters=QUERY),
        request("/?v=3"),
        [],
    ),
    ("not understood", action("dynamic_metadata"), request(), []),
]


@pytest.mark.parametrize(("one", "sent", "expected"), [pytest.param(*row[1:], id=row[0]) for row in TABLE])
def test_an_action(one: RateLimitAction, sent: RequestView, expected: Entries) -> None:
    assert described(sent, one) == expected


@pytest.mark.parametrize(
    ("bits", "v6_bits", "source", "masked"),
    [
        (24, None, "10.1.2.3", "10.1.2.0/24"),
        (0, None, "10.1.2.3", "0.0.0.0/0"),
        (None, None, "10.1.2.3", "10.1.2.3/32"),
        (None, 64, "fd00::1:2", "fd00::/64"),
        (24, None, "fd00::1", "fd00::1/128"),
    ],
)
def test_a_masked_address_is_the_network_it_is_in(
    bits: int | None, v6_bits: int | None, source: str, masked: str
) -> None:
    one = action("masked_remote_address", prefix_len=bits, v6_prefix_len=v6_bits)
    assert described(request(source=source), one) == [(("masked_remote_address", masked),)]


@pytest.mark.parametrize("source", ["", "testclient", "unix:"])
def test_what_is_no_address_has_no_network(source: str) -> None:
    assert described(request(source=source), action("masked_remote_address", prefix_len=24)) == []


@pytest.mark.parametrize(
    ("source", "expected", "made"),
    [("10.1.2.3", True, True), ("11.1.2.3", True, False), ("11.1.2.3", False, True), ("", True, False)],
)
def test_an_address_is_within_ranges_or_not(source: str, expected: bool, made: bool) -> None:
    one = action("remote_address_match", value="v", ranges=(Cidr("10.0.0.0", 8),), expect_match=expected)
    assert described(request(source=source), one) == ([(("remote_address_match", "v"),)] if made else [])


def test_the_entries_of_one_limit_stand_in_the_order_of_its_actions() -> None:
    assert described(request("/?v=2", x_user="alice"), USER, FIXED, VERSION) == [
        (("user", "alice"), ("generic_key", "all"), ("version", "2"))
    ]


def test_one_action_with_nothing_to_say_gives_the_descriptor_up() -> None:
    assert described(request(), FIXED, USER) == []


@pytest.mark.parametrize("kind", ["request_headers", "query_parameters"])
def test_an_action_may_be_skipped_where_its_value_is_absent(kind: str) -> None:
    optional = action(kind, key="k", header="x", skip_if_absent=True)
    assert described(request(), FIXED, optional) == [(("generic_key", "all"),)]
    assert described(request(), optional) == []


def test_each_limit_makes_its_own_descriptor() -> None:
    policy = LimitPolicy([RateLimit((USER,)), RateLimit((FIXED,))])
    assert policy.descriptors(request(x_user="alice"), 0) == [(("user", "alice"),), (("generic_key", "all"),)]
    assert policy.descriptors(request(), 0) == [(("generic_key", "all"),)]


def test_limits_of_other_stages_and_those_behind_a_runtime_key_are_left_out() -> None:
    policy = LimitPolicy([RateLimit((FIXED,), stage=1), RateLimit((FIXED,), disable_key="off")])
    assert policy.descriptors(request(), 0) == []
    assert policy.descriptors(request(), 1) == [(("generic_key", "all"),)]


def test_a_service_is_asked_about_the_descriptors_that_there_are() -> None:
    policy = LimitPolicy([RateLimit((USER,)), RateLimit((FIXED,))])
    asked = policy.limited(request(), 0, NOBODY, done=False)
    assert [descriptor.entries for _, descriptor in asked] == [(("generic_key", "all"),)]


def test_a_policy_without_limits_is_empty() -> None:
    assert LimitPolicy([]).empty
    assert not LimitPolicy([RateLimit((FIXED,))]).empty


@pytest.mark.parametrize("sent", [request(), request("/?v=2", "10.0.0.1", x_user="alice", x_beta="1")])
def test_within_keys_no_descriptor_of_such_keys_is_lost(sent: RequestView) -> None:
    """By all actions of the table, one by one and in twos."""
    subject = Subject(sent.source, "me", "a", METADATA)
    actions = {repr(one): one for _, one, _, _ in TABLE}.values()
    policy = LimitPolicy([RateLimit((one, *more)) for one in actions for more in ((), (FIXED,))])
    made = policy.descriptors(sent, 0, subject)
    assert made
    for keys in {tuple(key for key, _ in each) for each in made}:
        narrowed = policy.within(0, {keys})
        wanted = [each for each in made if tuple(key for key, _ in each) == keys]
        found = narrowed.descriptors(sent, 0, subject)
        assert [each for each in found if tuple(key for key, _ in each) == keys] == wanted


def test_within_keys_other_limits_and_those_of_other_stages_are_left_out() -> None:
    policy = LimitPolicy([RateLimit((USER,)), RateLimit((FIXED,), stage=1)])
    assert policy.within(0, {("generic_key",)}).empty
    assert policy.within(1, {("generic_key",)}).descriptors(request(), 1) == [(("generic_key", "all"),)]
    both = policy.within(0, {("generic_key",), ("user",)}, LimitPolicy([RateLimit((FIXED,))]))
    assert both.descriptors(request(x_user="bob"), 0) == [(("user", "bob"),), (("generic_key", "all"),)]
