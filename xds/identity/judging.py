"""A secret that was sent, judged before it replaces what is in use."""

from __future__ import annotations

from ..model.identity import HeldCertificate
from ..model.tls import CertificateFiles, Validation
from ..wire.secrets import Secret
from .certificates import check_pair, held, roots
from .files import read
from .secrets import IdentityError, KeyPair


def judged(name: str, secret: Secret, now: float) -> list[HeldCertificate]:
    """The certificates of a secret, for people. What is in files is read when it is used, and followed then.

    Raises:
        IdentityError: it cannot be used.
    """
    what = f"secret {name!r}"
    if isinstance(secret, CertificateFiles):
        if secret.chain.filename or secret.key.filename:
            return []
        return [held(name, check_pair(KeyPair(secret.chain.inline, secret.key.inline), what), now)]
    sources = [source for _, source in secret.spiffe_domains] + ([secret.roots] if secret.roots else [])
    return [held(name, each, now, root=True) for source in sources for each in roots(read(source, what), what)[1]]


def as_certificate(secret: Secret, name: str, said: str) -> CertificateFiles:
    """Raises IdentityError for roots. `said` is who sent it."""
    if isinstance(secret, Validation):
        raise IdentityError(f"{said}: {name!r} is no certificate but what peers are verified by")
    return secret


def as_validation(secret: Secret, name: str, said: str) -> Validation:
    """Raises IdentityError for a certificate. `said` is who sent it."""
    if isinstance(secret, CertificateFiles):
        raise IdentityError(f"{said}: {name!r} is a certificate, and not what peers are verified by")
    return secret


def names_of(certificates: list[HeldCertificate]) -> str:
    """Whose they are, for the log."""
    return ", ".join(dict.fromkeys(each.subject for each in certificates)) or "in files"
