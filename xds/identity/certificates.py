"""Certificates and keys in PEM, read and judged before anything uses them.

`Leaf` and `Root` are what is kept of them for people; the texts of errors say what is wrong, never what is in a key.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from ..model.identity import HeldCertificate
from .secrets import IdentityError, KeyPair

_BLOCK = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)

MOST_LINKS = 16
"""Certificates between a leaf and its root; more is a circle."""


def certificates(pem: bytes, what: str) -> list[x509.Certificate]:
    """All certificates of a text, each of which has to be one.

    Raises:
        IdentityError: there is none, or one of them cannot be read.
    """
    blocks: list[bytes] = _BLOCK.findall(pem)
    if not blocks:
        raise IdentityError(f"{what}: holds no certificate in PEM")
    try:
        return [x509.load_pem_x509_certificate(each) for each in blocks]
    except ValueError as error:
        raise IdentityError(f"{what}: holds a certificate that cannot be read: {_first_line(error)}") from error


def roots(pem: bytes, what: str) -> tuple[bytes, list[x509.Certificate], int]:
    """The readable certificates of a bundle, as PEM and as they are, each once, and how many are not readable.

    As Istio's agent does: a bundle is refused only where nothing of it can be read.

    Raises:
        IdentityError: there is none.
    """
    found: dict[bytes, x509.Certificate] = {}
    bad = 0
    for block in _BLOCK.findall(pem):
        try:
            certificate = x509.load_pem_x509_certificate(block)
            found.setdefault(certificate.public_bytes(serialization.Encoding.PEM), certificate)
        except ValueError:
            bad += 1
    if not found:
        raise IdentityError(f"{what}: holds no certificate in PEM" + (" that can be read" if bad else ""))
    return b"".join(found), list(found.values()), bad


def check_pair(pair: KeyPair, what: str) -> x509.Certificate:
    """The leaf of a pair.

    Raises:
        IdentityError: chain or key cannot be read, or they do not belong together.
    """
    leaf = certificates(pair.chain, what)[0]
    try:
        key = serialization.load_pem_private_key(pair.key, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # The library's text may quote what it could not read.
        raise IdentityError(f"{what}: the private key cannot be read (PEM, not encrypted)") from None
    if _public(key.public_key()) != _public(leaf.public_key()):
        raise IdentityError(f"{what}: the private key is not the one of the certificate {subject(leaf)}")
    return leaf


def check_chain(leaf: x509.Certificate, between: Iterable[x509.Certificate], anchors: list[x509.Certificate]) -> None:
    """Follow a leaf up to a root by the signatures.

    Raises:
        IdentityError: no root is reached.
    """
    links = list(between)
    current = leaf
    for _ in range(MOST_LINKS):
        if any(_issued(current, each) for each in anchors):
            return
        above = next((each for each in links if each != current and _issued(current, each)), None)
        if above is None:
            break
        current = above
    names = ", ".join(subject(each) for each in anchors)
    raise IdentityError(f"the certificate {subject(leaf)} does not lead to the root that came with it ({names})")


def _issued(certificate: x509.Certificate, by: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(by)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def subject(certificate: x509.Certificate) -> str:
    """How a certificate is called: its SPIFFE identity, else its first other name, else its distinguished name."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return certificate.subject.rfc4514_string() or "without a name"
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    others = [*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))]
    spiffe = [each for each in uris if each.startswith("spiffe://")]
    return next(iter([*spiffe, *uris, *others]), certificate.subject.rfc4514_string() or "without a name")


def held(
    name: str, certificate: x509.Certificate, obtained: float, *, root: bool = False, renews: float | None = None
) -> HeldCertificate:
    """What is said of it."""
    return HeldCertificate(
        name,
        "root" if root else "leaf",
        subject(certificate),
        certificate.issuer.rfc4514_string(),
        f"{certificate.serial_number:x}",
        certificate.not_valid_before_utc.timestamp(),
        certificate.not_valid_after_utc.timestamp(),
        obtained,
        renews,
    )


def _public(key: object) -> bytes:
    return key.public_bytes(  # type: ignore[attr-defined,no-any-return]  # every kind of key has it
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
