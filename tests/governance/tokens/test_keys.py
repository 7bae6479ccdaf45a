"""Key sets, and which key verifies a token."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from proxyless.governance.tokens import _jose, reasons
from proxyless.governance.tokens.keys import Key, NoKeysError, key_set, refuses
from proxyless.governance.tokens.reasons import NO_KEY_MATCHES, NOT_VERIFIED, Reason
from proxyless.governance.tokens.token import parse
from tests.support import tokens
from tests.support.tokens import ALGORITHMS, Json, Signer, signer

CLAIMS: Json = {"iss": "one"}


def keys(*held: Any) -> tuple[Key, ...]:
    return key_set(tokens.key_set(*held).encode())


def verdict(token: str, *held: Any) -> Reason | None:
    return refuses(keys(*held), parse(token.encode()))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_is_verified_by_its_key(algorithm: str) -> None:
    own = signer(algorithm)
    good = own.token(CLAIMS)
    for key in (own, own.key("kid"), own.key("alg"), own.key("kid", "alg"), own.key(alg="")):
        assert verdict(good, key) is None
    assert verdict(own.token(CLAIMS, {"alg": algorithm}), own) is None
    assert verdict(good, own.key(kid="else")) is NO_KEY_MATCHES
    assert verdict(good, own.key(kid="else"), own) is None
    changed = good[:-8] + ("AAAAAAAA" if good[-8:] != "AAAAAAAA" else "BBBBBBBB")
    assert verdict(changed, own) is NOT_VERIFIED
    others = [signer(each).key("kid", "alg") for each in ALGORITHMS if each[:2] != algorithm[:2]]
    if algorithm[:2] not in ("RS", "PS"):
        assert verdict(good, *others) in (NOT_VERIFIED, reasons.ED25519_LENGTH)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_no_public_key_serves_as_a_shared_secret(algorithm: str) -> None:
    own = signer(algorithm)
    if algorithm.startswith("HS"):
        return
    for said in ("HS256", "HS384", "HS512"):
        for secret in (str(own.jwk.get("n") or own.jwk.get("x")).encode(), json.dumps(dict(own.jwk)).encode()):
            forged = Signer(said, secret, {"kid": own.jwk["kid"]}).token(CLAIMS)
            assert verdict(forged, own) is NO_KEY_MATCHES
            assert verdict(forged, own.key("alg")) in (NOT_VERIFIED, reasons.ED25519_LENGTH)


def test_a_curve_has_one_algorithm() -> None:
    small = signer("ES256")
    forged = Signer("ES256", small.private, small.jwk)
    data = f"{tokens.encoded({'alg': 'ES384'})}.{tokens.encoded(CLAIMS)}"
    token = f"{data}.{forged.sign(data, 'ES256')}"
    assert verdict(token, small.key("alg")) is NOT_VERIFIED


def test_edwards_signatures_have_one_length() -> None:
    own = signer("EdDSA")
    assert verdict(own.token(CLAIMS) + "AAAA", own) is reasons.ED25519_LENGTH


def test_several_keys_are_tried() -> None:
    one, two = signer("ES256"), signer("ES256", "two")
    token = two.token(CLAIMS, {"alg": "ES256"})
    assert verdict(token, one) is NOT_VERIFIED
    assert verdict(token, one, two) is None


RSA_KEY, EC_KEY, OCT, OKP = (signer(each) for each in ("RS256", "ES256", "HS256", "EdDSA"))


@pytest.mark.parametrize(
    "key",
    [
        *(1, {}, {"kty": 1}, {"kty": "new"}),
        *(RSA_KEY.key("n"), RSA_KEY.key("e"), RSA_KEY.key(n=1), RSA_KEY.key(n="$"), RSA_KEY.key(e="$")),
        *(RSA_KEY.key(e="AQAC"), RSA_KEY.key(alg="ES256"), RSA_KEY.key(n="")),
        *(EC_KEY.key("x"), EC_KEY.key("y"), EC_KEY.key(x="$"), EC_KEY.key(x=EC_KEY.jwk["y"])),
        *(EC_KEY.key(crv="P-999"), EC_KEY.key(crv="P-384"), EC_KEY.key("crv", alg="RS256"), EC_KEY.key(alg="ES384")),
        *(OCT.key("k"), OCT.key(k=""), OCT.key(k="$"), OCT.key(alg="RS256")),
        *(OKP.key("x"), OKP.key("crv"), OKP.key(crv="X25519"), OKP.key(x="AA"), OKP.key(alg="ES256")),
    ],
)
def test_a_key_of_no_use_is_left_out(key: Any) -> None:
    assert [each.key_id for each in keys(key, signer("HS384"))] == ["HS384-one"]
    with pytest.raises(NoKeysError, match="valid public key"):
        keys(key)


@pytest.mark.parametrize("without", [("crv",), ("crv", "alg"), ("alg",)])
def test_a_curve_may_go_without_saying(without: tuple[str, ...]) -> None:
    assert verdict(EC_KEY.token(CLAIMS), EC_KEY.key(*without)) is None
    if without == ("crv",):
        other = signer("ES384")
        assert verdict(other.token(CLAIMS), other.key("crv")) is None


@pytest.mark.parametrize("text", ["", "x", "[]", "{}", '{"keys":1}', '{"keys":[]}', '{"":"x"}', '{"a":1}', '{"a":"b"}'])
def test_what_is_no_key_set(text: str) -> None:
    with pytest.raises(NoKeysError):
        key_set(text.encode())


def pem(private: Any) -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "keys")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, private.public_key(), x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(private, SHA256())
    )
    return made.public_bytes(Encoding.PEM).decode()


def test_keys_may_come_as_certificates() -> None:
    held = key_set(json.dumps({"a": pem(RSA_KEY.private)}).encode())
    token = RSA_KEY.token(CLAIMS, {"alg": "RS256", "kid": "a"})
    assert refuses(held, parse(token.encode())) is None
    other = RSA_KEY.token(CLAIMS, {"alg": "RS256", "kid": "b"})
    assert refuses(held, parse(other.encode())) is NO_KEY_MATCHES
    elliptic = pem(ec.generate_private_key(ec.SECP256R1()))
    broken = "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n"
    for bad in (elliptic, broken):
        with pytest.raises(NoKeysError, match="X509"):
            key_set(json.dumps({"a": pem(RSA_KEY.private), "b": bad}).encode())


def test_keys_are_in_no_text() -> None:
    assert tokens.encoded(b"x") not in repr(keys(OCT))
    assert str(OCT.jwk["k"]) not in repr(keys(OCT))
    assert "secret" not in repr(keys(OCT))


def test_what_goes_wrong_in_the_library_verifies_nothing() -> None:
    assert not _jose.holds("ES256", b"no key", b"x", b"y")
    assert not _jose.holds("none", None, b"", b"")
    assert _jose.public_key({"kty": "none"}) is None


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5)
MEMBERS = st.sampled_from(["kty", "kid", "alg", "crv", "x", "y", "n", "e", "k", "use"])
WORDS = st.sampled_from(["RSA", "EC", "oct", "OKP", "P-256", "Ed25519", "ES256", "RS256", "AQAB", "AA", "$", ""])


@settings(deadline=None)
@given(
    st.binary() | st.lists(st.dictionaries(MEMBERS, WORDS | JSON)).map(lambda held: json.dumps({"keys": held}).encode())
)
def test_any_bytes_are_keys_or_refused_and_verify_nothing_of_others(data: bytes) -> None:
    token = parse(signer("ES256", "a stranger").token(CLAIMS).encode())
    with suppress(NoKeysError):
        assert refuses(key_set(data), token) is not None
