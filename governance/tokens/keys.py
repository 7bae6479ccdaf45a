"""Key sets (envoy source: common/jwt/jwks), and which key a token is verified with (common/jwt/verify).

A key without `kid` or `alg` fits any; a token without `kid` tries all keys. The kind of the key, not the token, says
which algorithms it may be used for, so that no public key can ever serve as a shared secret. One thing is stricter than
in Envoy, which takes any hash on any curve: ES256 is P-256, ES384 is P-384, ES512 is P-521 (RFC 7518, 3.4).
"""

from __future__ import annotations

from dataclasses import field
from typing import final

from ...xds.model.records import dataclass
from .encoding import Json, MalformedError, base64url, json_object
from .reasons import ED25519_LENGTH, NO_KEY_MATCHES, NOT_VERIFIED, Reason
from .token import Token

RSA = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
SHARED = frozenset({"HS256", "HS384", "HS512"})
EDWARDS = frozenset({"EdDSA"})
CURVES = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}
ED25519_SIGNATURE = 64
EXPONENTS = (3, 65537)
"""Of RSA keys; Envoy takes no other."""

BEGIN, END = "-----BEGIN CERTIFICATE-----\n", "\n-----END CERTIFICATE-----\n"


@final
@dataclass(frozen=True, slots=True)
class Key:
    """One key. `allowed`: the algorithms of its kind."""

    allowed: frozenset[str]
    key: object = field(repr=False)
    key_id: str = ""
    algorithm: str = ""


class NoKeysError(ValueError):
    """A key set without a key that can be used."""


def key_set(data: bytes) -> tuple[Key, ...]:
    """The keys of a set; those that are of no use are left out.

    Raises:
        NoKeysError: none is left, or it is no key set.
    """
    try:
        document = json_object(data)
    except MalformedError:
        raise NoKeysError("Jwks is an invalid JSON") from None
    listed = document.get("keys")
    if "keys" not in document:
        found = _certified(document)
    elif not isinstance(listed, tuple):
        raise NoKeysError("[keys] in Jwks is not an array")
    else:
        found = [_key(each) for each in listed if isinstance(each, dict)]
    keys = tuple(each for each in found if each is not None)
    if not keys:
        raise NoKeysError("Jwks doesn't have any valid public key")
    return keys


def refuses(keys: tuple[Key, ...], token: Token) -> Reason | None:
    """Why no key takes a token's signature; None: one does."""
    from ._jose import holds

    reason = NO_KEY_MATCHES
    for each in keys:
        if token.key_id and each.key_id and each.key_id != token.key_id:
            continue
        if each.algorithm and each.algorithm != token.algorithm:
            continue
        reason = NOT_VERIFIED
        if each.allowed is EDWARDS and len(token.signature) != ED25519_SIGNATURE:
            return ED25519_LENGTH
        if token.algorithm in each.allowed and holds(token.algorithm, each.key, token.signed, token.signature):
            return None
    return reason


def _certified(document: dict[str, Json]) -> list[Key | None]:
    """Certificates by key id: all of them, or none."""
    from ._jose import certified_key

    texts = [each for each in document.values() if isinstance(each, str)]
    if not all(document) or len(texts) != len(document):
        raise NoKeysError("Jwks does not have [keys] field")
    if not all(each.startswith(BEGIN) and each.endswith(END) for each in texts):
        raise NoKeysError("Jwks does not have [keys] field")
    found = [certified_key(each) for each in texts]
    if None in found:
        raise NoKeysError("X509 parse pubkey fails")
    return [Key(RSA, key, name) for name, key in zip(document, found, strict=True)]


def _key(members: dict[str, Json]) -> Key | None:
    texts = {name: value for name, value in members.items() if isinstance(value, str)}
    match texts.get("kty"):
        case "RSA":
            return _rsa(texts)
        case "EC":
            return _elliptic(texts)
        case "oct":
            return _shared(texts)
        case "OKP":
            return _edwards(texts)
        case _:
            return None


def _made(texts: dict[str, str], allowed: frozenset[str], **members: str) -> Key | None:
    from ._jose import public_key

    key = public_key({"kty": texts["kty"], **members})
    return None if key is None else Key(allowed, key, texts.get("kid", ""), texts.get("alg", ""))


def _rsa(texts: dict[str, str]) -> Key | None:
    algorithm = texts.get("alg", "")
    exponent = _bytes(texts, "e")
    if algorithm[:2] not in ("", "RS", "PS") or "n" not in texts:
        return None
    if exponent is None or int.from_bytes(exponent, "big") not in EXPONENTS:
        return None
    return _made(texts, RSA, n=texts["n"], e=texts["e"])


def _elliptic(texts: dict[str, str]) -> Key | None:
    algorithm, curve = texts.get("alg", ""), texts.get("crv", "")
    if not curve:
        curve = next((name for name, each in CURVES.items() if each == (algorithm or "ES256")), "")
    if CURVES.get(curve) is None or algorithm not in ("", CURVES[curve]) or not {"x", "y"} <= texts.keys():
        return None
    return _made(texts, frozenset({CURVES[curve]}), crv=curve, x=texts["x"], y=texts["y"])


def _shared(texts: dict[str, str]) -> Key | None:
    algorithm = texts.get("alg", "")
    secret = _bytes(texts, "k")
    if (algorithm and algorithm not in SHARED) or not secret:
        return None
    return Key(SHARED, secret, texts.get("kid", ""), algorithm)


def _edwards(texts: dict[str, str]) -> Key | None:
    if texts.get("alg", "EdDSA") not in ("", "EdDSA") or texts.get("crv") != "Ed25519" or "x" not in texts:
        return None
    return _made(texts, EDWARDS, crv="Ed25519", x=texts["x"])


def _bytes(texts: dict[str, str], name: str) -> bytes | None:
    try:
        return base64url(texts[name].encode())
    except (KeyError, MalformedError):
        return None
