"""The JOSE library: keys of JWKs, and signatures by them (RFC 7517, 7518, 8037).

An algorithm verifies by the one kind of key, and on the one curve, that RFC 7518 pairs it with; whatever goes wrong
inside the library, a key is none and a signature does not hold.
"""

from __future__ import annotations

from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.x509 import load_pem_x509_certificate
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm, get_default_algorithms

_ALGORITHMS = get_default_algorithms()
_READERS: dict[str, Any] = {"RSA": RSAAlgorithm.from_jwk, "EC": ECAlgorithm.from_jwk, "OKP": OKPAlgorithm.from_jwk}


def public_key(members: dict[str, str]) -> object | None:
    """The key of a JWK of type RSA, EC or OKP; None for what is no such key."""
    try:
        found: object = _READERS[members["kty"]](members)
    except Exception:  # a library's many ways to say that it is no key
        return None
    return found


def certified_key(pem: str) -> object | None:
    """The RSA key of a certificate."""
    try:
        found = load_pem_x509_certificate(pem.encode()).public_key()
    except Exception:  # as above
        return None
    return found if isinstance(found, RSAPublicKey) else None


def holds(algorithm: str, key: object, signed: bytes, signature: bytes) -> bool:
    """Whether a signature is by the key's owner. The key has to be of the algorithm's kind: the caller sees to it."""
    try:
        return bool(_ALGORITHMS[algorithm].verify(signed, key, signature))
    except Exception:  # as above
        return False
