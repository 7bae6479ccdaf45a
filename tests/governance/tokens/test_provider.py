"""One provider: what it asks of a token, its keys, what it remembers."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from math import inf
from typing import Any

import pytest

from proxyless.governance.actions import Ask, Failure, Nobody
from proxyless.governance.tokens import provider as module
from proxyless.governance.tokens import reasons
from proxyless.governance.tokens.fetching import Target, again_after_s, pauses
from proxyless.governance.tokens.keys import refuses
from proxyless.governance.tokens.provider import Provider, RemoteKeys, sanitized
from proxyless.governance.tokens.reasons import Reason
from proxyless.governance.tokens.token import Token, parse
from proxyless.xds.model.jwt import JwtProvider, RemoteJwks
from proxyless.xds.model.matchers import StringMatcher
from tests.support.tokens import Json, key_set, signer
from tests.support.world import Clock

KEY = signer("HS256")
KEYS = key_set(KEY).encode()
CLAIMS: Json = {"iss": "one", "sub": "user-1", "aud": "shop", "exp": 2000}
REMOTE = RemoteJwks("http://keys.example/set", "keys", 2.0, cache_s=60.0)


def token(**claims: Any) -> Token:
    return parse(KEY.token({**CLAIMS, **claims}).encode())


def of(**fields: Any) -> Provider:
    return Provider(JwtProvider("one", **{"local": KEYS, **fields}), None, Nobody())


def ran(steps: Generator[Ask, Any, Reason | None], *answers: object) -> tuple[Reason | None, list[Ask]]:
    asked: list[Ask] = []
    told = iter(answers)
    try:
        action = next(steps)
        while True:
            asked.append(action)
            action = steps.send(next(told))
    except StopIteration as stop:
        return stop.value, asked


@pytest.mark.parametrize(
    ("fields", "claims", "expected"),
    [
        ({}, {}, None),
        ({}, {"exp": 900}, reasons.EXPIRED),
        ({}, {"exp": 950}, None),
        ({"clock_skew_s": 10}, {"exp": 950}, reasons.EXPIRED),
        ({"audiences": ("shop", "b")}, {}, None),
        ({"audiences": ("https://shop/",)}, {"aud": "http://shop"}, None),
        ({"audiences": ("b",)}, {}, reasons.AUDIENCE_NOT_ALLOWED),
        ({"subjects": StringMatcher("prefix", "user")}, {}, None),
        ({"subjects": StringMatcher("prefix", "admin")}, {}, reasons.NOT_VERIFIED),
        ({"max_lifetime_s": inf}, {}, None),
        ({"max_lifetime_s": inf}, {"exp": 0}, reasons.NOT_VERIFIED),
        ({"max_lifetime_s": 1001.0}, {}, None),
        ({"max_lifetime_s": 1000.0}, {}, reasons.NOT_VERIFIED),
    ],
)
def test_what_is_asked_of_a_token(fields: dict[str, Any], claims: Json, expected: Reason | None) -> None:
    assert of(**fields).refuses(token(**claims), None, 1000) is expected


def test_a_requirement_may_ask_for_audiences_of_its_own() -> None:
    own = of(audiences=("else",))
    assert own.refuses(token(), frozenset({"shop"}), 1000) is None
    assert own.refuses(token(), frozenset({"b"}), 1000) is reasons.AUDIENCE_NOT_ALLOWED


@pytest.mark.parametrize(
    ("audience", "expected"),
    [("https://a/", "a"), ("http://a", "a"), ("a/", "a"), ("a//", "a/"), ("", ""), ("ftp://a", "ftp://a"), ("/", "")],
)
def test_audiences_are_compared_without_scheme_and_slash(audience: str, expected: str) -> None:
    assert sanitized([audience]) == {expected}


def test_keys_of_the_configuration_verify() -> None:
    assert ran(of().verify(token())) == (None, [])
    assert ran(of(local=key_set(signer("HS384")).encode()).verify(token()))[0] is reasons.NO_KEY_MATCHES
    for useless in (b"", b"{}"):
        assert ran(of(local=useless).verify(token()))[0] is reasons.NO_VALID_KEYS


def test_what_was_verified_is_remembered_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    own, good = of(), token()
    bad = replace(good, signature=b"x")
    seen: list[Token] = []

    def spied(keys: module.Keys, each: Token) -> Reason | None:
        seen.append(each)
        return refuses(keys, each)

    monkeypatch.setattr(module, "refuses", spied)
    monkeypatch.setattr(module, "MOST_REMEMBERED", 2)
    for each in (good, good, bad, bad):
        ran(own.verify(each))
    assert seen == [good, bad, bad]
    for number in range(3):
        ran(own.verify(token(jti=str(number))))
    ran(own.verify(good))
    assert seen.count(good) == 2
    long = token(jti="x" * 5000)
    assert [ran(own.verify(long))[0] for _ in range(2)] == [None, None]
    assert seen.count(long) == 2


def test_keys_are_fetched_when_they_are_needed() -> None:
    clock = Clock()
    remote = RemoteKeys(REMOTE, clock)
    own = Provider(JwtProvider("one", remote=REMOTE), remote, Nobody())
    reason, asked = ran(own.verify(token()), KEYS)
    assert reason is None
    assert [(each.request, each.timeout_s) for each in asked] == [(REMOTE, 2.0)]
    clock.advance(59.0)
    assert ran(own.verify(token())) == (None, [])
    clock.advance(1.0)
    other = key_set(signer("HS256", "two").key(kid="HS256-one")).encode()
    assert ran(own.verify(token()), other)[0] is reasons.NOT_VERIFIED, "what was verified by the old keys is forgotten"


@pytest.mark.parametrize("answer", [None, Failure("timeout", "x"), b"", b"{}", b"\xff"])
def test_without_keys_nothing_passes(answer: object) -> None:
    remote = RemoteKeys(REMOTE, Clock())
    own = Provider(JwtProvider("one", remote=REMOTE), remote, Nobody())
    assert ran(own.verify(token()), answer)[0] is reasons.NOT_FETCHED
    assert remote.fresh() is None
    assert remote.got is None


def test_keys_that_are_fetched_ahead_stay_until_there_are_new_ones() -> None:
    clock = Clock()
    remote = RemoteKeys(REMOTE, clock)
    remote.ahead(KEYS)
    assert remote.due == clock() + 55.0
    clock.advance(10**6)
    assert (remote.got, remote.failure) == (clock() - 10**6, "")
    remote.ahead(Failure("timeout", "no answer in time"))
    assert remote.due == clock() + 1.0
    assert remote.fresh()
    assert (remote.got, remote.failure) == (clock() - 10**6, "no answer in time")
    remote.ahead(b"{}")
    assert remote.failure == "Jwks doesn't have any valid public key"
    remote.ahead(KEYS)
    assert (remote.got, remote.failure) == (clock(), "")


def test_when_keys_are_fetched_again() -> None:
    assert again_after_s(replace(REMOTE, cache_s=3.0), fetched=True) == 3.0
    assert again_after_s(replace(REMOTE, refetch_after_failure_s=7.0), fetched=False) == 7.0
    remote = replace(REMOTE, retries=4, back_off_s=1.0, max_back_off_s=3.0)
    assert list(pauses(remote, lambda: 0.5)) == [0.0, 0.5, 1.0, 1.5, 1.5]
    assert list(pauses(REMOTE, lambda: 0.5)) == [0.0]


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("http://a", ("http", "a", "/")),
        ("https://u:p@a:8443/b/c?d=e", ("https", "a:8443", "/b/c?d=e")),
    ],
)
def test_what_is_asked_for(uri: str, expected: tuple[str, str, str]) -> None:
    target = Target(replace(REMOTE, uri=uri))
    assert (target.scheme, target.authority, target.path) == expected


def test_keys_are_in_no_text() -> None:
    assert str(KEY.jwk["k"]) not in repr(JwtProvider(local=KEYS))
