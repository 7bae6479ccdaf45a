"""What an index leaves out could not have matched, and the first that matches is found."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from proxyless.governance.authorization.clues import Clue, chosen, clues_in, shape_of
from proxyless.governance.authorization.conditions import compiled, policy_test
from proxyless.governance.authorization.index import Index
from proxyless.governance.authorization.question import Question
from proxyless.governance.authorization.readers import Addresses, Claim, Header, Names, Namespaces, Path, Port
from proxyless.governance.peer import Peer
from proxyless.xds.model.matchers import HeaderMatcher, StringKind, StringMatcher
from proxyless.xds.model.rbac import (
    AllOf,
    AnyOf,
    Anything,
    AnyValue,
    Authenticated,
    Condition,
    InList,
    IsNull,
    Negated,
    Policy,
    Which,
    WithAddress,
    WithHeader,
    WithMetadata,
    WithPath,
    WithPort,
    WithServerName,
    WithTemplate,
)
from proxyless.xds.model.values import Cidr
from tests.governance.authorization.asking import asked, exact, request

WORDS = ("a", "b", "admin", "shop", "bank")
KINDS: tuple[StringKind, ...] = ("exact", "prefix", "suffix", "contains", "safe_regex")
WHICH: tuple[Which, ...] = ("source", "remote", "destination", "direct_remote")


def text(draw: Random, value: str) -> StringMatcher:
    kind = draw.choice(KINDS)
    return StringMatcher(
        kind, value + (".*" if kind == "safe_regex" else ""), kind != "safe_regex" and not draw.randrange(3)
    )


def principal(draw: Random) -> StringMatcher:
    space, account = draw.choice(WORDS), draw.choice(WORDS)
    return draw.choice(
        [
            exact(f"spiffe://td/ns/{space}/sa/{account}"),
            StringMatcher("prefix", f"spiffe://td/ns/{space}/"),
            StringMatcher("suffix", f"/{account}"),
            StringMatcher("safe_regex", f".*/ns/{space}/.*"),
            StringMatcher("safe_regex", f"spiffe://.+/ns/{space}/(.+/|)sa/{account}(/.+)?"),
            StringMatcher("safe_regex", f"spiffe://.*/ns/{space}/.*|.*{account}"),
            StringMatcher("safe_regex", ".*"),
        ]
    )


def condition(draw: Random, depth: int = 3) -> Condition:
    word = draw.choice(WORDS)
    several = tuple(condition(draw, depth - 1) for _ in range(draw.randrange(1, 7))) if depth else ()
    made: list[Condition] = [
        WithPath(text(draw, f"/{word}")),
        WithTemplate(f"/{word}/[^/]+"),
        WithHeader(
            HeaderMatcher(draw.choice(("x", "X", ":method", ":authority")), text(draw, word), not draw.randrange(4))
        ),
        WithHeader(HeaderMatcher("x", draw.choice((True, exact(""))), treat_missing_as_empty=True)),
        WithServerName(text(draw, word)),
        WithPort(port := draw.randrange(80, 84), port + draw.randrange(1, 3)),
        WithAddress(
            draw.choice(WHICH), Cidr(draw.choice(("10.0.0.0", "10.0.1.0", "2001:db8::")), draw.choice((0, 8, 24)))
        ),
        Authenticated(principal(draw)),
        Authenticated(),
        WithMetadata("jwt", ("payload", word), AnyValue((InList(exact(word)), exact(word))), not draw.randrange(4)),
        WithMetadata("jwt", ("payload", word), InList(AnyValue((exact(word), StringMatcher("prefix", "ad"))))),
        WithMetadata("jwt", ("payload", word), IsNull()),
        WithMetadata("jwt", ("payload", word), InList(AnyValue((exact(word), IsNull())))),
        WithMetadata("jwt", ("payload", word), AnyValue((exact(word), IsNull()))),
        WithMetadata("jwt", ("payload", word), exact(word), of_route=True),
    ]
    if several:
        made += [AllOf(several), AnyOf(several), Negated(several[0]), AllOf(several), AnyOf(several)]
    else:
        made.append(Anything())
    return draw.choice(made)


def question(draw: Random) -> Question:
    def word() -> str:
        return draw.choice(WORDS)

    path = f"/{word()}" + draw.choice(("", f"/{word()}", "?x=1"))
    headers = [("x", word()) for _ in range(draw.randrange(3))]
    names = [f"spiffe://td/ns/{word()}/sa/{word()}" for _ in range(draw.randrange(3))]
    peer = Peer(b"x", validated=bool(draw.randrange(4)), uri_sans=tuple(names), subject=draw.choice(("", "CN=a")))
    claims = {each: draw.choice((word(), [word(), word()], 1, None)) for each in WORDS if draw.randrange(2)}
    return asked(
        request(path, draw.choice(("GET", "shop")), *headers),
        peer=draw.choice((peer, None)),
        port=draw.randrange(80, 84),
        source=draw.choice(("10.0.0.1", "10.0.1.1", "2001:db8::1", "")),
        dynamic={"jwt": {"payload": claims}},
    )


@pytest.mark.parametrize("seed", range(40))
def test_the_index_finds_what_asking_each_finds(seed: int) -> None:
    draw = Random(seed)
    policies = [
        Policy(
            tuple(condition(draw) for _ in range(draw.randrange(1, 3))),
            tuple(condition(draw) for _ in range(draw.randrange(1, 3))),
        )
        for _ in range(draw.randrange(5, 30))
    ]
    made = [policy_test(each) for each in policies]
    index = Index([test for test, _ in made], [shape for _, shape in made])
    for _ in range(40):
        asks = question(draw)
        slow = next((number for number, (test, _) in enumerate(made) if test(asks)), -1)
        assert index.first(asks) == slow
        for each in policies:
            for one in (*each.permissions, *each.principals):
                if isinstance(one, AnyOf):
                    assert compiled(one)(asks) == any(compiled(part)(asks) for part in one.parts)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (WithPath(exact("/a")), Clue(Path(), "exact", b"/a")),
        (WithPath(StringMatcher("prefix", "/a")), Clue(Path(), "prefix", b"/a")),
        (WithPath(StringMatcher("prefix", "/")), None),
        (WithPath(StringMatcher("suffix", "/a")), Clue(Path(), "suffix", b"/a")),
        (WithPath(StringMatcher("contains", "/a")), None),
        (WithPath(StringMatcher("exact", "/a", ignore_case=True)), None),
        (WithPath(StringMatcher("safe_regex", "/a.*")), Clue(Path(), "prefix", b"/a")),
        (WithTemplate("/a/[^/]+"), Clue(Path(), "prefix", b"/a/")),
        (WithHeader(HeaderMatcher("X", exact("1"))), Clue(Header(b"x"), "exact", b"1")),
        (WithHeader(HeaderMatcher("x", StringMatcher("exact", "A", True))), Clue(Header(b"x", True), "exact", b"a")),
        (WithHeader(HeaderMatcher("x", StringMatcher("contains", "A", True))), None),
        (WithHeader(HeaderMatcher("x", exact("1"), invert=True)), None),
        (WithHeader(HeaderMatcher("x")), None),
        (WithPort(80, 81), Clue(Port(), "exact", 80)),
        (WithPort(80, 82), None),
        (WithAddress("remote", Cidr("10.0.0.0", 8)), Clue(Addresses("remote"), "network", (4, 8, 10))),
        (WithAddress("remote", Cidr("0.0.0.0", 0)), None),
        (
            WithAddress("remote", Cidr("::ffff:10.0.0.0", 104)),
            Clue(Addresses("remote"), "network", (6, 104, 0xFFFF0A)),
        ),
        (Authenticated(exact("a")), Clue(Names(), "exact", b"a")),
        (Authenticated(StringMatcher("safe_regex", ".*/ns/a-b/.*")), Clue(Namespaces(), "exact", b"a-b")),
        (Authenticated(StringMatcher("safe_regex", r".*/ns/a\.b/.*")), Clue(Namespaces(), "exact", b"a.b")),
        (Authenticated(StringMatcher("safe_regex", ".*/ns/a/.*|b")), None),
        (Authenticated(StringMatcher("safe_regex", ".*/ns/a/[b]")), None),
        (Authenticated(StringMatcher("safe_regex", r".*/ns/a/\Q(\E|.*/b")), None),
        (Authenticated(StringMatcher("safe_regex", ".*/ns/a/?")), None),
        (Authenticated(), None),
        (WithMetadata("f", ("a",), exact("x")), Clue(Claim("f", ("a",)), "exact", b"x")),
        (WithMetadata("f", ("a",), exact("x"), invert=True), None),
        (Negated(WithPort(80, 81)), None),
        (AnyOf((WithPort(80, 81), Anything())), None),
        (AllOf((Anything(),)), None),
    ],
)
def test_clues(condition: Condition, expected: Clue | None) -> None:
    assert shape_of(condition) == expected


def test_the_rarest_clues_are_looked_up() -> None:
    get = WithHeader(HeaderMatcher(":method", exact("GET")))
    shape = shape_of(AllOf((get, AnyOf((WithPath(exact("/a")), WithPath(exact("/b")))))))
    assert shape is not None
    a, b = Clue(Path(), "exact", b"/a"), Clue(Path(), "exact", b"/b")
    method = Clue(Header(b":method"), "exact", b"GET")
    assert set(clues_in(shape)) == {method, a, b}
    assert chosen(shape, Counter({method: 9, a: 1, b: 2})) == (3, (a, b))
    assert chosen(shape, Counter({method: 1, a: 1, b: 2})) == (1.75, (method,))


def test_lookups_end_where_values_do() -> None:
    ends = [WithPath(StringMatcher("suffix", each)) for each in ("/a", "/b/c", "/long/end")]
    begins = [WithPath(StringMatcher("prefix", each)) for each in ("/a", "/b/c", "/long/begin")]
    parts = (*ends, *begins)
    index = Index([compiled(each) for each in parts], [shape_of(each) for each in parts])
    assert [index.first(asked(request(path))) for path in ("/a", "/b/c", "/long/end", "/c", "/long/begin")] == [
        0,
        1,
        2,
        -1,
        5,
    ]
