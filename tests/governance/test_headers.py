"""Header mutations in Envoy's order (docs/envoy-facts.md, "Header mutations")."""

from __future__ import annotations

import pytest

from proxyless.governance.headers import HeaderList, apply_levels, compile_additions, compile_levels, joined
from proxyless.governance.request import RequestView
from proxyless.xds.model.values import AppendAction, HeaderMutation, HeaderMutations

APPEND, ABSENT = AppendAction.APPEND_IF_EXISTS_OR_ADD, AppendAction.ADD_IF_ABSENT
OVERWRITE, EXISTS = AppendAction.OVERWRITE_IF_EXISTS_OR_ADD, AppendAction.OVERWRITE_IF_EXISTS
REQUEST = RequestView(b"GET", b"http", b"shop", b"/path", [(b"x-user", b"alice")])


def pairs(text: str) -> HeaderList:
    """`a=1 b=2` as headers."""
    return [(name.encode(), value.encode()) for name, _, value in (each.partition("=") for each in text.split())]


def shown(headers: HeaderList) -> str:
    return " ".join(f"{name.decode()}={value.decode()}" for name, value in headers)


def level(*add: HeaderMutation, remove: tuple[str, ...] = ()) -> HeaderMutations:
    return HeaderMutations(request_add=add, request_remove=remove)


def applied(headers: str, *levels: HeaderMutations, wins: bool = False) -> str:
    """The headers after mutations given from the most to the least specific."""
    compiled, _ = compile_levels(levels, most_specific_wins=wins)
    return shown(apply_levels(compiled, pairs(headers), REQUEST))


@pytest.mark.parametrize(
    ("action", "before", "after"),
    [
        (APPEND, "a=1 x=old", "a=1 x=old x=new"),
        (APPEND, "a=1", "a=1 x=new"),
        (APPEND, "X=old", "X=old x=new"),
        (ABSENT, "a=1 x=old", "a=1 x=old"),
        (ABSENT, "a=1 X=old", "a=1 X=old"),
        (ABSENT, "a=1", "a=1 x=new"),
        (OVERWRITE, "x=1 a=1 X=2", "a=1 x=new"),
        (OVERWRITE, "a=1", "a=1 x=new"),
        (EXISTS, "x=1 a=1 x=2", "a=1 x=new"),
        (EXISTS, "a=1", "a=1"),
    ],
)
def test_an_append_action(action: AppendAction, before: str, after: str) -> None:
    assert applied(before, level(HeaderMutation("X", "new", action))) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("user-agent=1 a=1", "user-agent=1,2 a=1"),
        ("User-Agent=1 a=1", "User-Agent=1,2 a=1"),
        ("a=1", "a=1 user-agent=2"),
        ("user-agent=", "user-agent=2"),
    ],
)
def test_a_header_that_envoy_keeps_as_one_line_is_appended_to_in_its_place(before: str, after: str) -> None:
    assert applied(before, level(HeaderMutation("user-agent", "2"))) == after


def test_two_additions_to_one_line_are_both_there() -> None:
    two = level(HeaderMutation("accept", "b"), HeaderMutation("accept", "c"))
    assert applied("accept=a", two) == "accept=a,b,c"


def test_the_second_of_two_lines_of_a_joined_header_is_left_alone() -> None:
    assert shown(joined(pairs("accept=a accept=b"), b"accept", b"c")) == "accept=a,c accept=b"
    assert shown(joined(pairs("x=1"), b"accept", b"c")) == "x=1 accept=c"


def test_within_a_level_removals_come_first_then_overwrites_then_additions() -> None:
    mixed = level(
        HeaderMutation("added", "1"),
        HeaderMutation("over", "new", OVERWRITE),
        HeaderMutation("gone", "back", ABSENT),
        remove=("Gone", "b"),
    )
    assert applied("gone=1 over=old a=1 b=2", mixed) == "a=1 over=new added=1 gone=back"


def test_all_values_of_a_level_are_formatted_before_any_is_written() -> None:
    both = level(HeaderMutation("x-user", "bob", OVERWRITE), HeaderMutation("was", "%REQ(x-user)%"))
    assert applied("x-user=alice", both) == "x-user=bob was=alice"


def test_what_is_absent_is_decided_when_the_level_begins() -> None:
    both = level(HeaderMutation("x", "1"), HeaderMutation("x", "2", ABSENT))
    assert applied("a=1", both) == "a=1 x=1 x=2"


@pytest.mark.parametrize(
    ("action", "keep", "after"),
    [
        (APPEND, False, "x=old a=1"),
        (APPEND, True, "x=old a=1 x="),
        (ABSENT, False, "x=old a=1"),
        (OVERWRITE, False, "x=old a=1"),
        (OVERWRITE, True, "a=1 x="),
        (EXISTS, False, "x=old a=1"),
        (EXISTS, True, "a=1 x="),
    ],
)
@pytest.mark.parametrize("value", ["", "%REQ(x-none)%"])
def test_a_value_that_comes_to_nothing(action: AppendAction, keep: bool, after: str, value: str) -> None:
    assert applied("x=old a=1", level(HeaderMutation("x", value, action, keep))) == after


CLUSTER, ROUTE, HOST, TABLE = (
    level(HeaderMutation("x", name, OVERWRITE), HeaderMutation("all", name))
    for name in ("cluster", "route", "host", "table")
)


def test_levels_go_from_the_cluster_to_the_table_so_the_tables_overwrite_wins() -> None:
    after = applied("", CLUSTER, ROUTE, HOST, TABLE)
    assert after == "all=cluster all=route all=host x=table all=table"


def test_the_most_specific_wins_where_the_table_says_so_but_for_the_clusters_which_comes_first_in_both() -> None:
    after = applied("", CLUSTER, ROUTE, HOST, TABLE, wins=True)
    assert after == "all=cluster all=table all=host x=route all=route"


def test_a_level_may_remove_what_one_before_it_has_added() -> None:
    assert applied("a=1", level(HeaderMutation("x", "1")), level(remove=("x",))) == "a=1"


def test_requests_and_responses_have_mutations_of_their_own() -> None:
    mutations = HeaderMutations(
        request_add=(HeaderMutation("q", "1"),),
        request_remove=("a",),
        response_add=(HeaderMutation("r", "%REQ(x-user)%"),),
        response_remove=("b",),
    )
    request, response = compile_levels([HeaderMutations(), mutations], most_specific_wins=False)
    assert (len(request), len(response)) == (1, 1)
    assert shown(apply_levels(request, pairs("a=1 b=2"), REQUEST)) == "b=2 q=1"
    assert shown(apply_levels(response, pairs("a=1 b=2"), REQUEST)) == "a=1 r=alice"


def test_without_mutations_the_headers_are_the_very_same() -> None:
    request, response = compile_levels([HeaderMutations()] * 4, most_specific_wins=True)
    headers = pairs("a=1")
    assert (request, response) == ((), ())
    assert apply_levels(request, headers, REQUEST) is headers


def test_the_headers_given_are_not_changed() -> None:
    headers = pairs("a=1 x=2 accept=a")
    for one in (level(HeaderMutation("x", "3", OVERWRITE)), level(HeaderMutation("accept", "b")), level(remove=("a",))):
        compiled, _ = compile_levels([one], most_specific_wins=False)
        assert shown(apply_levels(compiled, headers, REQUEST)) != "a=1 x=2 accept=a"
        assert shown(headers) == "a=1 x=2 accept=a"


def test_a_value_that_cannot_be_formatted_is_left_out_and_named() -> None:
    problems: list[str] = []
    one = level(HeaderMutation("x", "%CEL(x)%"), HeaderMutation("y", "1"))
    compiled, _ = compile_levels([one], most_specific_wins=False, problems=problems)
    assert shown(apply_levels(compiled, [], REQUEST)) == "y=1"
    assert problems == ["header 'x': %CEL% is not supported"]
    assert shown(compile_additions([HeaderMutation("z", "2")]).apply([], REQUEST)) == "z=2"
    assert shown(compile_additions([HeaderMutation("z", "%CEL(x)%")], problems).apply([], REQUEST)) == ""
    assert len(problems) == 2


def test_two_additions_of_a_level_to_a_joined_header_are_one_line() -> None:
    two = level(HeaderMutation("accept", "1", APPEND), HeaderMutation("accept", "2", APPEND))
    assert applied("a=1", two) == "a=1 accept=1,2"


def test_the_last_of_two_overwrites_counts_where_it_stands() -> None:
    names = (("x", "1"), ("y", "2"), ("x", "3"))
    assert applied("a=1", level(*(HeaderMutation(name, value, OVERWRITE) for name, value in names))) == "a=1 y=2 x=3"
