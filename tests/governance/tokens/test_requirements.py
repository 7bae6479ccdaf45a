"""Trees of requirements, and what valid tokens bring."""

from __future__ import annotations

from base64 import b64decode
from typing import Any

import pytest

from proxyless.governance.actions import Nobody
from proxyless.governance.request import RequestView
from proxyless.governance.tokens import reasons
from proxyless.governance.tokens.encoding import json_object
from proxyless.governance.tokens.provider import Provider
from proxyless.governance.tokens.requirements import Providers, Verification, claim_text, compiled
from proxyless.xds.model.jwt import JwtProvider, JwtRequirement
from tests.support.tokens import key_set, signer

from .test_provider import ran

KEYS = key_set(signer("HS256")).encode()
NEED = JwtRequirement


def token(issuer: str = "one", **claims: Any) -> bytes:
    return signer("HS256").token({"iss": issuer, "sub": "user", "aud": "shop", "exp": 2000, **claims}).encode()


def provider(issuer: str, header: str, **fields: Any) -> JwtProvider:
    return JwtProvider(issuer, local=KEYS, headers=((header, ""),), **fields)


class Site:
    """Providers `one` and `two`, in headers of their own, and what a request is found to be."""

    def __init__(self, *headers: tuple[bytes, bytes], **fields: Any) -> None:
        configs = {"one": provider("one", "x-one", **fields), "two": provider("two", "x-two", **fields)}
        self.providers = Providers({name: Provider(each, None, Nobody()) for name, each in configs.items()})
        self.request = RequestView(b"GET", b"http", b"app", b"/", headers)
        self.subject = Verification(self.request, 1000)

    def verdict(self, requirement: JwtRequirement) -> str | None:
        reason, asked = ran(compiled(requirement, self.providers).verify(self.subject))
        assert asked == []
        return None if reason is None else reason.text


ONE, TWO = NEED("provider", "one"), NEED("provider", "two")
GOOD1, GOOD2 = (b"x-one", token("one")), (b"x-two", token("two"))
BAD1, BAD2 = (b"x-one", b"bad"), (b"x-two", b"bad")
FOREIGN = (b"x-one", token("two"))
LATE = (b"x-one", token("one", exp=1))
MISSED, FORMAT, UNKNOWN, EXPIRED = (
    each.text for each in (reasons.MISSING, reasons.BAD_FORMAT, reasons.UNKNOWN_ISSUER, reasons.EXPIRED)
)


def any_of(*parts: JwtRequirement) -> JwtRequirement:
    return NEED("any", parts=parts)


def all_of(*parts: JwtRequirement) -> JwtRequirement:
    return NEED("all", parts=parts)


@pytest.mark.parametrize(
    ("requirement", "headers", "expected"),
    [
        (NEED(), (BAD1,), None),
        (ONE, (), MISSED),
        (ONE, (GOOD1,), None),
        (ONE, (BAD1,), FORMAT),
        (ONE, (LATE,), EXPIRED),
        (ONE, (FOREIGN,), UNKNOWN),
        (ONE, (GOOD1, BAD1), FORMAT),
        (NEED("provider", "one", ("shop",)), (GOOD1,), None),
        (NEED("provider", "one", ("else",)), (GOOD1,), reasons.AUDIENCE_NOT_ALLOWED.text),
        (any_of(ONE, TWO), (GOOD2,), None),
        (any_of(ONE, TWO), (), MISSED),
        (any_of(ONE, TWO), (FOREIGN,), UNKNOWN),
        (any_of(TWO, ONE), (LATE,), EXPIRED),
        (any_of(ONE, TWO), (LATE, BAD2), FORMAT),
        (any_of(ONE, TWO), (LATE,), EXPIRED),
        (any_of(ONE, NEED("missing")), (), None),
        (any_of(ONE, NEED("missing")), (BAD1,), FORMAT),
        (any_of(ONE, NEED("missing_or_failed")), (BAD1,), None),
        (any_of(NEED("missing"), NEED("missing")), (BAD1,), FORMAT),
        (any_of(NEED("missing"), NEED("missing_or_failed")), (BAD1,), None),
        (any_of(NEED("missing"), NEED("missing")), (), None),
        (all_of(ONE, TWO), (GOOD1, GOOD2), None),
        (all_of(ONE, TWO), (GOOD1,), MISSED),
        (all_of(ONE, TWO), (BAD1,), FORMAT),
        (NEED("missing"), (), None),
        (NEED("missing"), (GOOD1, GOOD2), None),
        (NEED("missing"), (BAD1,), FORMAT),
        (NEED("missing"), (GOOD1, BAD2), None),
        (NEED("missing"), (BAD1, GOOD2), FORMAT),
        (NEED("missing"), ((b"x-one", token("nobody")),), UNKNOWN),
        (NEED("missing_or_failed"), (BAD1, BAD2), None),
        (NEED("unverified"), (BAD1,), None),
    ],
)
def test_what_a_request_needs(
    requirement: JwtRequirement, headers: tuple[tuple[bytes, bytes], ...], expected: str | None
) -> None:
    assert Site(*headers).verdict(requirement) == expected


def test_an_unknown_issuer_where_any_may_have_issued() -> None:
    providers = Providers({"one": Provider(provider("one", "x-one"), None, Nobody())})
    assert providers.of_issuer("else") is None
    anybody = Providers(
        {
            "one": Provider(provider("one", "x-one"), None, Nobody()),
            "any": Provider(provider("", "x-one"), None, Nobody()),
        }
    )
    for issuer, expected in (("one", "one"), ("else", ""), ("", "")):
        found = anybody.of_issuer(issuer)
        assert found is not None
        assert found.config.issuer == expected


def test_a_token_of_nobody_is_refused_where_any_place_takes_it() -> None:
    site = Site()
    site.providers = Providers({"one": Provider(provider("one", "x-one"), None, Nobody())})
    config = provider("", "x-one")
    whole = Providers({"any": Provider(config, None, Nobody())})
    site.providers = whole
    assert site.verdict(NEED("missing")) is None
    # The place is anybody's, and yet nobody knows the issuer: only by a set of providers that lacks him.
    whole._by_issuer.clear()
    site.request.replace_headers([(b"x-one", token("else"))])
    assert site.verdict(NEED("missing")) == UNKNOWN


def test_a_status_header_says_that_nothing_was_verified() -> None:
    need = NEED("unverified", status_header="X-Sure")
    for headers, expected in (((BAD1,), [b"false"]), ((GOOD1,), []), ((), [])):
        site = Site(*headers)
        assert site.verdict(need) is None
        assert [value for name, value in site.request.raw_headers if name == b"x-sure"] == expected
    forged = Site(BAD1, (b"x-sure", b"true"))
    assert forged.verdict(need) is None
    assert forged.request.values(b"x-sure") == (b"false",)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, []),
        ({"forward": True}, [b"x-one"]),
        ({"payload_header": "x-p"}, [b"x-p"]),
        ({"claims": (("x-s", "sub"), ("x-n", "nothing"))}, [b"x-s"]),
        ({"claims": (("x-s", "line"),)}, []),
    ],
)
def test_what_a_valid_token_brings(fields: dict[str, Any], expected: list[bytes]) -> None:
    site = Site((b"x-one", token("one", line="a\r\nb")), **fields)
    assert site.verdict(ONE) is None
    assert [name for name, _ in site.request.raw_headers] == expected


def test_the_payload_goes_as_it_came_or_padded() -> None:
    for extra in ("", "a", "ab"):
        held = token("one", extra=extra)
        payload = held.split(b".")[1]
        for pads, expected in ((False, payload), (True, payload + b"=" * (-len(payload) % 4))):
            site = Site((b"x-one", held), payload_header="x-p", pads_payload=pads)
            assert site.verdict(ONE) is None
            assert site.request.header(b"x-p") == expected


def test_metadata() -> None:
    held = token("one", scope="read  write", roles=["a"], permission=7)
    site = Site(
        (b"x-one", held),
        payload_in_metadata="p",
        header_in_metadata="h",
        failure_in_metadata="f",
        split=("scope", "roles", "permission", "none"),
    )
    assert site.verdict(ONE) is None
    payload = site.subject.metadata["p"]
    assert (payload["scope"], payload["roles"], payload["permission"]) == (("read", "write"), ("a",), 7.0)
    assert site.subject.metadata["h"]["alg"] == "HS256"
    assert "f" not in site.subject.metadata
    whole = Site((b"x-one", held), payload_in_metadata="p")
    assert whole.verdict(ONE) is None
    assert whole.subject.metadata["p"]["scope"] == "read  write"


@pytest.mark.parametrize(
    ("headers", "requirement", "alone", "expected"),
    [
        ((BAD1,), ONE, False, 4.0),
        ((LATE,), ONE, False, 3.0),
        ((), ONE, False, None),
        ((), ONE, True, 1.0),
        ((BAD1,), NEED("missing_or_failed"), False, None),
        ((LATE, GOOD2), NEED("missing_or_failed"), False, 3.0),
    ],
)
def test_failures_are_told(
    headers: tuple[tuple[bytes, bytes], ...], requirement: JwtRequirement, alone: bool, expected: float | None
) -> None:
    site = Site(*headers, failure_in_metadata="f")
    if alone:
        site.providers = Providers({"one": site.providers.by_name["one"]})
    site.verdict(requirement)
    assert site.subject.metadata.get("f", {}).get("code") == expected


PAYLOAD = json_object(
    b'{"text":"a","yes":true,"no":false,"whole":7,"part":1.5,"minus":-3,"big":1e19,"huge":1e30,"none":null,'
    b'"in":{"text":"b","n":1,"f":0.5,"big":1e20},"list":["<a>",true,null]}'
)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("text", "a"),
        ("yes", "true"),
        ("no", "false"),
        ("whole", "7"),
        ("part", "1.500000"),
        ("minus", "-3.000000"),
        ("big", "10000000000000000000"),
        ("huge", f"{1e30:f}"),
        ("none", ""),
        ("missing", ""),
        ("in.text", "b"),
        ("in.missing", ""),
        ("text.deeper", ""),
    ],
)
def test_a_claim_as_a_header_has_it(path: str, expected: str) -> None:
    assert claim_text(PAYLOAD, path) == expected


def test_objects_and_lists_go_as_json_in_base64() -> None:
    assert b64decode(claim_text(PAYLOAD, "list")) == b'["\\u003ca\\u003e",true,null]'
    assert b64decode(claim_text(PAYLOAD, "in")) == b'{"big":1e+20,"f":0.5,"n":1,"text":"b"}'
