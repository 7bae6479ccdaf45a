"""Tokens taken apart."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxyless.governance.tokens import reasons
from proxyless.governance.tokens.token import RefusedTokenError, Token, parse
from tests.support.tokens import Json, encoded, signer

HEADER: Json = {"alg": "HS256", "kid": "k"}
CLAIMS: Json = {"iss": "i", "sub": "s", "aud": ["a", "b"], "exp": 100.9, "nbf": 5, "iat": 1, "jti": "x"}


NO_AUDIENCES: tuple[Any, ...] = (1, None, {}, ["a", 1])


def made(header: Any = HEADER, payload: Any = CLAIMS, signature: str = "c2ln") -> bytes:
    parts = (each if isinstance(each, str) else encoded(each) for each in (header, payload))
    return ".".join([*parts, signature]).encode()


def test_a_token_has_what_it_says() -> None:
    token = parse(made())
    assert (token.algorithm, token.key_id, token.issuer, token.subject) == ("HS256", "k", "i", "s")
    assert (token.audiences, token.not_before, token.expires, token.signature) == (("a", "b"), 5, 100, b"sig")
    assert token.signed == made().rpartition(b".")[0]
    assert token.header == HEADER
    assert repr(token) == "Token(algorithm='HS256')"


def test_a_token_need_not_say_much() -> None:
    token = parse(made({"alg": "ES256"}, {"aud": "one"}))
    assert (token.key_id, token.issuer, token.audiences, token.not_before, token.expires) == ("", "", ("one",), 0, 0)


def test_empty_parts_do_not_count() -> None:
    assert parse(made().replace(b".", b"..") + b".").signed == made().rpartition(b".")[0]


@pytest.mark.parametrize(
    ("data", "number"),
    [
        *((each, 4) for each in (b"", b"a.b", b"a.b.c.d", b"...", made(signature=""))),
        (made("a$"), 5),
        (made(b"["), 6),
        *((made(each), 7) for each in ({}, {"alg": 1}, {"alg": None})),
        *((made({"alg": each}), 8) for each in ("none", "hs256", "", "ES256K")),
        *((made({**HEADER, "kid": each}), 9) for each in (1, None)),
        (made(payload="a$"), 10),
        (made(payload=b"{"), 11),
        *((made(payload={"iss": each}), 12) for each in (1, None)),
        (made(payload={"sub": []}), 13),
        *((made(payload={"iat": each}), 14) for each in ("1", None, True)),
        (made(payload={"iat": -1}), 15),
        (made(payload={"nbf": "1"}), 16),
        (made(payload={"nbf": 2**64}), 17),
        (made(payload={"exp": "1"}), 18),
        (made(payload={"exp": -0.5}), 19),
        (made(payload={"jti": 1}), 20),
        *((made(payload={"aud": each}), 21) for each in NO_AUDIENCES),
        (made(signature="a$"), 22),
    ],
)
def test_what_cannot_be_read_is_refused_in_envoys_words(data: bytes, number: int) -> None:
    with pytest.raises(RefusedTokenError) as refused:
        parse(data)
    assert refused.value.reason.number == number
    assert str(refused.value) == refused.value.reason.text


@pytest.mark.parametrize(
    ("now", "skew", "expected"),
    [
        (5, 0, None),
        (4, 0, reasons.NOT_YET_VALID),
        (4, 1, None),
        (100, 0, None),
        (101, 0, reasons.EXPIRED),
        (160, 60, None),
    ],
)
def test_times(now: int, skew: int, expected: reasons.Reason | None) -> None:
    assert parse(made()).out_of_time(now, skew) is expected


def test_a_token_without_times_has_no_end() -> None:
    assert parse(made(payload={})).out_of_time(2**63, 0) is None


@given(st.binary() | st.tuples(st.binary(), st.binary(), st.binary()).map(lambda parts: b".".join(parts)))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with suppress(RefusedTokenError):
        assert isinstance(parse(data), Token)


@given(st.binary(), st.binary())
def test_any_content_is_read_or_refused(header: bytes, payload: bytes) -> None:
    for each in (header, HEADER):
        with suppress(RefusedTokenError):
            parse(made(each, payload))


@given(st.integers(0, 2000), st.integers(0, 255))
def test_no_change_of_a_byte_passes(at: int, to: int) -> None:
    from proxyless.governance.tokens.keys import key_set, refuses
    from tests.support.tokens import key_set as keys_of

    data = signer("HS256").token({"iss": "one", "exp": 99}).encode()
    at %= len(data)
    changed = data[:at] + bytes([to]) + data[at + 1 :]
    try:
        token = parse(changed)
    except RefusedTokenError:
        return
    good = parse(data)
    held = refuses(key_set(keys_of(signer("HS256")).encode()), token) is None
    assert held == ((token.signed, token.signature) == (good.signed, good.signature))
