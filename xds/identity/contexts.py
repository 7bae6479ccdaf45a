"""What contexts of clients and servers have in common: versions, ciphers, key pairs, roots (CommonTlsContext)."""

from __future__ import annotations

import os
import re
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from ..model.tls import CommonTls, DataSource, TlsVersion, Validation
from .secrets import IdentityError, KeyPair, Roots

VERSIONS: dict[TlsVersion, ssl.TLSVersion] = {
    "TLSv1_0": ssl.TLSVersion.TLSv1,
    "TLSv1_1": ssl.TLSVersion.TLSv1_1,
    "TLSv1_2": ssl.TLSVersion.TLSv1_2,
    "TLSv1_3": ssl.TLSVersion.TLSv1_3,
}
NO_CHECK_TIME = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME of OpenSSL, which ssl has no name for."""

_LIST = re.compile(rb"-----BEGIN X509 CRL-----.+?-----END X509 CRL-----", re.DOTALL)

PARTIAL_CHAIN = 0x80000
"""X509_V_FLAG_PARTIAL_CHAIN: an intermediate authority may be what is trusted."""


def server_base(common: CommonTls) -> ssl.SSLContext:
    """A server's context before it has anything to show. Raises IdentityError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = VERSIONS.get(common.minimum, ssl.TLSVersion.TLSv1_2)
    context.maximum_version = VERSIONS.get(common.maximum, ssl.TLSVersion.TLSv1_3)
    set_ciphers(context, common)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_CIPHER_SERVER_PREFERENCE | ssl.OP_NO_RENEGOTIATION
    return context


def set_ciphers(context: ssl.SSLContext, common: CommonTls) -> None:
    """The ciphers of TLS 1.2; those of 1.3 are no choice. `[A|B]`, equal to BoringSSL, come one after the other here.

    Raises:
        IdentityError: none of them is known.
    """
    if common.ciphers:
        names = ":".join(common.ciphers).translate({ord("["): None, ord("]"): None, ord("|"): ":"})
        try:
            context.set_ciphers(names)
        except ssl.SSLError as error:
            raise IdentityError(f"no cipher of {names} is supported") from error
    if len(common.curves) == 1:
        try:
            context.set_ecdh_curve(
                {"P-256": "prime256v1", "P-384": "secp384r1"}.get(common.curves[0], common.curves[0])
            )
        except ValueError as error:
            raise IdentityError(f"curve {common.curves[0]} is not supported") from error


def alpn_of(common: CommonTls, spoken: frozenset[str]) -> tuple[str, ...]:
    """The protocols of a context that are spoken here, in its order."""
    return tuple(each for each in common.alpn if each in spoken)


def load(context: ssl.SSLContext, pair: KeyPair) -> None:
    """Show this certificate. OpenSSL reads it from a file that nobody else can open. Raises IdentityError."""
    with as_file(pair.key + b"\n" + pair.chain) as path:
        try:
            context.load_cert_chain(path)
        except (ssl.SSLError, OSError) as error:
            reason = getattr(error, "reason", None) or type(error).__name__
            raise IdentityError(f"the certificate and its key cannot be used: {reason}") from error


def trust(context: ssl.SSLContext, roots: Roots, validation: Validation) -> None:
    """Verify peers by these roots. Raises IdentityError."""
    pem = b"\n".join((roots.pem, *roots.domains.values()))
    try:
        context.load_verify_locations(cadata=pem.decode("ascii"))
        if roots.crl or validation.crl:
            # Only its lists: a certificate among them would be trusted.
            lists = b"\n".join(_LIST.findall(roots.crl or _text(validation.crl)))
            if not lists:
                raise IdentityError("the revocation list that peers are verified by holds no list in PEM")
            with as_file(lists) as path:
                context.load_verify_locations(cafile=path)
            context.verify_flags |= (
                ssl.VERIFY_CRL_CHECK_LEAF if validation.crl_of_leaf_only else ssl.VERIFY_CRL_CHECK_CHAIN
            )
    except (ssl.SSLError, OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or type(error).__name__
        raise IdentityError(f"the roots that peers are verified by cannot be used: {reason}") from error
    flags = int(context.verify_flags) | PARTIAL_CHAIN
    context.verify_flags = ssl.VerifyFlags(flags | (NO_CHECK_TIME if validation.allow_expired else 0))


def _text(crl: DataSource) -> bytes:
    return Path(crl.filename).read_bytes() if crl.filename else crl.inline


def domains_of(roots: Roots) -> dict[str, frozenset[bytes]]:
    """The roots (DER) of each trust domain that has its own."""
    return {
        name: frozenset(each.public_bytes(Encoding.DER) for each in x509.load_pem_x509_certificates(pem))
        for name, pem in roots.domains.items()
    }


@contextmanager
def as_file(data: bytes) -> Iterator[str]:
    """A file of these bytes while it is needed: in memory where the system has such, else of mode 0600."""
    if hasattr(os, "memfd_create") and os.path.isdir("/proc/self/fd"):  # noqa: PTH112  # one look
        number = os.memfd_create("proxyless", os.MFD_CLOEXEC)
        try:
            os.write(number, data)
            yield f"/proc/self/fd/{number}"
        finally:
            os.close(number)
        return
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        yield file.name
