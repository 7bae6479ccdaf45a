"""The names that a certificate holds, and whether they are those that a context asks for (SubjectAltNameMatcher)."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any

import re2
from cryptography import x509
from cryptography.x509.oid import NameOID

from ..model.records import dataclass
from ..model.tls import Named, Presented, SanMatcher, Validation

SHORT = {
    NameOID.EMAIL_ADDRESS: "emailAddress",
    NameOID.SERIAL_NUMBER: "serialNumber",
    NameOID.GIVEN_NAME: "GN",
    NameOID.SURNAME: "SN",
    NameOID.TITLE: "title",
    NameOID.POSTAL_CODE: "postalCode",
    NameOID.PSEUDONYM: "pseudonym",
    NameOID.GENERATION_QUALIFIER: "generationQualifier",
    NameOID.DN_QUALIFIER: "dnQualifier",
}
"""What BoringSSL calls attributes that RFC 2253 has no name for."""


@dataclass(frozen=True, slots=True)
class Names:
    """Of one certificate."""

    subject: str = ""
    uris: tuple[str, ...] = ()
    dns: tuple[str, ...] = ()
    ips: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()

    def __str__(self) -> str:
        return (
            ", ".join((*self.uris, *self.dns, *self.ips, *self.emails)) or self.subject or "a certificate without names"
        )

    @property
    def trust_domain(self) -> str | None:
        """That of a SPIFFE identity: a certificate with one URI."""
        if len(self.uris) != 1 or not self.uris[0].startswith("spiffe://"):
            return None
        return self.uris[0].removeprefix("spiffe://").partition("/")[0]


def names_of(certificate: x509.Certificate) -> Names:
    """Those of a certificate; none from an extension that cannot be read."""
    try:
        sans = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return Names(subject_of(certificate.subject))
    return Names(
        subject_of(certificate.subject),
        tuple(sans.get_values_for_type(x509.UniformResourceIdentifier)),
        tuple(sans.get_values_for_type(x509.DNSName)),
        tuple(str(each) for each in sans.get_values_for_type(x509.IPAddress)),
        tuple(sans.get_values_for_type(x509.RFC822Name)),
    )


def subject_of(name: x509.Name) -> str:
    """A subject as RFC 2253 writes it: the last part first, whatever is not ASCII as the hexadecimal of its bytes."""
    text = name.rfc4514_string(SHORT)
    return "".join(each if " " <= each <= "~" else "".join(f"\\{byte:02X}" for byte in each.encode()) for each in text)


def serial_of(certificate: x509.Certificate) -> str:
    """The serial number as the hexadecimal of its bytes."""
    number = certificate.serial_number
    return f"{number:0{max(1, (number.bit_length() + 7) // 8) * 2}x}"


def named(names: Names) -> Named:
    """The same for those who know nothing of certificates."""
    return Named(names.subject, names.uris, names.dns, names.ips, names.emails)


def presented(chain: tuple[bytes, ...], names: Names, local: Named, *, validated: bool) -> Presented:
    """What a peer has shown, in DER; there is at least one certificate."""
    certificates = [x509.load_der_x509_certificate(each) for each in chain]
    leaf = certificates[0]
    return Presented(
        names.subject,
        names.uris,
        names.dns,
        names.ips,
        names.emails,
        chain,
        validated,
        local,
        subject_of(leaf.issuer),
        serial_of(leaf),
        tuple(map(serial_of, certificates)),
        leaf.not_valid_before_utc.timestamp(),
        leaf.not_valid_after_utc.timestamp(),
    )


def chain_of(tls: Any, own: bytes) -> tuple[bytes, ...]:
    """All that the peer of a connection has presented; the certificate alone where a session was resumed."""
    inner = tls._sslobj  # public from Python 3.13 on
    return (own, *(each for each in ders(inner.get_unverified_chain() or ()) if each != own))


def ders(chain: Any) -> list[bytes]:
    """The certificates of a chain, as ssl has it."""
    return [ssl.PEM_cert_to_DER_cert(each.public_bytes()) for each in chain]


def expected(validation: Validation) -> str:
    """Who is asked for, for people."""
    wanted = [_said(each) for each in validation.sans]
    return " or ".join(wanted) or "a certificate of a trusted authority"


def _said(matcher: SanMatcher) -> str:
    match matcher.kind:
        case "exact":
            return matcher.value
        case "prefix":
            return f"{matcher.value}..."
        case kind:
            return f"{kind} {matcher.value}"


def matches(names: Names, matchers: Sequence[SanMatcher]) -> bool:
    """Whether one of the names is one of those asked for (envoy source: DefaultCertValidator::matchSubjectAltName)."""
    return any(_matches(each, names) for each in matchers)


def _matches(matcher: SanMatcher, names: Names) -> bool:
    kinds = {"DNS": names.dns, "URI": names.uris, "IP_ADDRESS": names.ips, "EMAIL": names.emails}
    if matcher.san in ("", "DNS") and matcher.kind == "exact":
        if any(_dns(matcher.value, each) for each in names.dns):
            return True
        if matcher.san == "DNS":
            return False
    if matcher.san:
        return any(_text(matcher, each) for each in kinds.get(matcher.san, ()))
    return any(_text(matcher, each) for kind in kinds.values() for each in kind)


def _dns(wanted: str, name: str) -> bool:
    """A DNS name of a certificate may have a wildcard as its first label."""
    wanted, name = wanted.lower(), name.lower()
    if wanted == name:
        return True
    first, dot, rest = name.partition(".")
    return bool(dot) and first == "*" and wanted.partition(".")[2] == rest and bool(wanted.partition(".")[0])


def _text(matcher: SanMatcher, name: str) -> bool:
    value = matcher.value
    if matcher.kind == "safe_regex":
        return re2.fullmatch(value, name) is not None
    if matcher.san == "IP_ADDRESS" and matcher.kind == "exact":
        try:
            return ip_address(value) == ip_address(name)
        except ValueError:
            return False
    if matcher.ignore_case:
        value, name = value.lower(), name.lower()
    match matcher.kind:
        case "exact":
            return value == name
        case "prefix":
            return name.startswith(value)
        case "suffix":
            return name.endswith(value)
        case _:
            return value in name
