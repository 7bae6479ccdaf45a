"""Tokens of every algorithm, well made and badly made, and the key sets that go with them."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeAlias

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import get_default_algorithms

Json: TypeAlias = dict[str, Any]

CURVES: dict[str, ec.EllipticCurve] = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}
ALGORITHMS = (
    *("ES256", "ES384", "ES512", "HS256", "HS384", "HS512", "RS256", "RS384", "RS512"),
    *("PS256", "PS384", "PS512", "EdDSA"),
)


def encoded(data: bytes | Json) -> str:
    """Base64url without padding; an object as JSON."""
    raw = data if isinstance(data, bytes) else json.dumps(data, separators=(",", ":")).encode()
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


@dataclass(frozen=True)
class Signer:
    """A private key, and what a key set says of it."""

    algorithm: str
    private: Any = field(repr=False)
    jwk: Mapping[str, Any]

    def sign(self, data: str, algorithm: str = "") -> str:
        """The signature of the first two parts."""
        maker: Any = get_default_algorithms()[algorithm or self.algorithm]
        return encoded(maker.sign(data.encode(), self.private))

    def token(self, payload: Json | bytes, header: Json | bytes | None = None) -> str:
        """A whole token; the header names algorithm and key if none is given."""
        if header is None:
            header = {"alg": self.algorithm, "kid": self.jwk["kid"], "typ": "JWT"}
        data = f"{encoded(header)}.{encoded(payload)}"
        return f"{data}.{self.sign(data)}"

    def key(self, *without: str, **members: Any) -> Json:
        """Its public key as a JWK, with other members or without some."""
        return {name: value for name, value in {**self.jwk, **members}.items() if name not in without}


@cache
def signer(algorithm: str, which: str = "one") -> Signer:
    """A key of an algorithm; another for each name."""
    common = {"kid": f"{algorithm}-{which}", "alg": algorithm}
    private: Any
    if algorithm in CURVES:
        private = ec.generate_private_key(CURVES[algorithm])
        numbers = private.public_key().public_numbers()
        size = (private.curve.key_size + 7) // 8
        x, y = (encoded(each.to_bytes(size, "big")) for each in (numbers.x, numbers.y))
        crv = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}[algorithm]
        return Signer(algorithm, private, {"kty": "EC", **common, "crv": crv, "x": x, "y": y})
    if algorithm.startswith("HS"):
        secret = f"a secret that nobody else knows but {which}, and long enough for any digest that there is".encode()
        return Signer(algorithm, secret, {"kty": "oct", **common, "k": encoded(secret)})
    if algorithm == "EdDSA":
        edwards = ed25519.Ed25519PrivateKey.generate()
        x = encoded(edwards.public_key().public_bytes_raw())
        return Signer(algorithm, edwards, {"kty": "OKP", **common, "crv": "Ed25519", "x": x})
    private = _rsa(which)
    numbers = private.public_key().public_numbers()
    n, e = (encoded(each.to_bytes((each.bit_length() + 7) // 8, "big")) for each in (numbers.n, numbers.e))
    return Signer(algorithm, private, {"kty": "RSA", **common, "n": n, "e": e})


@cache
def _rsa(which: str) -> rsa.RSAPrivateKey:
    del which
    return rsa.generate_private_key(65537, 2048)


def key_set(*keys: Json | Signer) -> str:
    """A key set."""
    return json.dumps({"keys": [each.key() if isinstance(each, Signer) else each for each in keys]})
