"""What an authority is made of, and what it signs. Times are Unix seconds."""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from .callers import AuthorityError
from .requests import PublicKey

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

ROOT_S = 3650 * 86_400.0
SKEW_S = 120.0
"""A certificate is valid from so much before it is made, since clocks differ (istiod's figure)."""


@dataclass(frozen=True, slots=True)
class Signer:
    """A key that signs. `between`: the certificates between a leaf and a root, the signer's own first; none where the
    signer is a root itself.
    """

    certificate: x509.Certificate
    key: PrivateKey = field(repr=False)
    between: tuple[x509.Certificate, ...] = ()


@dataclass(frozen=True, slots=True)
class Material:
    """Who signs, what workloads are told to trust, and who will sign next (its root is already among `roots`)."""

    signer: Signer
    roots: tuple[x509.Certificate, ...]
    coming: Signer | None = None

    def chain(self, leaf: x509.Certificate) -> tuple[str, ...]:
        """PEM, leaf first; the last element holds all roots, as istiod's does."""
        return (*map(pem_of, (leaf, *self.signer.between)), "".join(map(pem_of, self.roots)))


def new_signer(now: float) -> Signer:
    """A new root, which vouches for itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    serial = x509.random_serial_number()
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "proxyless development authority"),
            x509.NameAttribute(NameOID.COMMON_NAME, f"root {serial:x}"[:40]),
        ]
    )
    made = (
        _builder(subject, subject, key.public_key(), _identifier(key), now - SKEW_S, now + ROOT_S, serial)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_usage(authority=True), critical=True)
    )
    return Signer(made.sign(key, hashes.SHA256()), key)


def new_material(now: float) -> Material:
    """A new authority, that nobody trusts yet."""
    signer = new_signer(now)
    return Material(signer, (signer.certificate,))


def sign(
    signer: Signer, key: PublicKey, names: Iterable[str], now: float, lifetime_s: float, *, client: bool = True
) -> x509.Certificate:
    """A leaf for URIs, DNS names and addresses. It does not outlive its signer.

    Raises:
        AuthorityError: the signer has expired itself.
    """
    ends = signer.certificate.not_valid_after_utc.timestamp()
    if now >= ends:
        raise AuthorityError("the authority's own certificate has expired", "INTERNAL")
    uses = [ExtendedKeyUsageOID.SERVER_AUTH, *([ExtendedKeyUsageOID.CLIENT_AUTH] if client else [])]
    issuer = signer.certificate.subject
    serial = x509.random_serial_number()
    made = (
        _builder(x509.Name([]), issuer, key, _vouching(signer), now - SKEW_S, min(now + lifetime_s, ends), serial)
        .add_extension(x509.SubjectAlternativeName([_name(each) for each in names]), critical=True)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
    )
    return made.sign(signer.key, _digest(signer.key))


def issued(certificate: x509.Certificate, by: x509.Certificate) -> bool:
    """Whether one certificate vouches for another."""
    try:
        certificate.verify_directly_issued_by(by)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def pem_of(certificate: x509.Certificate) -> str:
    """A certificate as text."""
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def key_pem(key: PrivateKey) -> bytes:
    """A private key as text, not encrypted."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _digest(key: PrivateKey) -> hashes.SHA256 | hashes.SHA384:
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.key_size > 256:
        return hashes.SHA384()
    return hashes.SHA256()


def _name(text: str) -> x509.GeneralName:
    if "://" in text:
        return x509.UniformResourceIdentifier(text)
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_encipherment=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: PublicKey,
    by: x509.AuthorityKeyIdentifier,
    starts: float,
    ends: float,
    serial: int,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(serial)
        .not_valid_before(dt.datetime.fromtimestamp(int(starts), dt.UTC))
        .not_valid_after(dt.datetime.fromtimestamp(int(ends), dt.UTC))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(by, critical=False)
    )


def _identifier(key: PrivateKey) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())


def _vouching(signer: Signer) -> x509.AuthorityKeyIdentifier:
    """The identifier that the signer's certificate has. A root that others made (Go's, and so helm's) has one of
    SHA-256, and a verifier looks for that."""
    try:
        said = signer.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        return _identifier(signer.key)
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(said)
