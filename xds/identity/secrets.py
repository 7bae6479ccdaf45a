"""What certificates come to, once they have been got: key pairs and roots in memory, and who hands them out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import field
from typing import Protocol

from ..model.records import dataclass
from ..model.tls import CertificateFiles, SecretName, Validation


class IdentityError(Exception):
    """A certificate or a root cannot be had; the text says of what, in one line, and holds no secret."""


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate chain, leaf first, and its private key: PEM."""

    chain: bytes
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Roots:
    """The certificates that peers are verified by: PEM.

    `domains` says them by SPIFFE trust domain, where each has roots of its own: then a peer's certificate must come
    from those of the domain that it names.
    """

    pem: bytes
    domains: Mapping[str, bytes] = field(default_factory=dict)
    crl: bytes = b""
    """A revocation list that came with the roots: PEM."""


class SecretKeeper(Protocol):
    """Who takes what the control plane sends."""

    def take(self, name: str, raw: bytes) -> None:
        """A secret in its bytes. Raises IdentityError: it cannot be used, and what was there before stays."""

    def forget(self, names: Iterable[str]) -> None:
        """Nothing needs these any more."""


class Secrets(Protocol):
    """The identity of a workload, kept fresh. Safe from all threads; nothing here waits for a network."""

    @property
    def generation(self) -> int:
        """Grows with every change: contexts made of an older one are made anew."""

    def key_pair(self, wanted: SecretName | CertificateFiles) -> KeyPair:
        """The certificate to show. Raises IdentityError."""

    def roots(self, wanted: Validation) -> Roots | None:
        """What to verify peers by; None where the context says that nothing is verified. Raises IdentityError."""

    def complete(self, wanted: Validation) -> Validation:
        """With what its secret asks of a peer beside roots. Raises IdentityError."""

    def on_change(self, tell: Callable[[], None]) -> Callable[[], None]:
        """Be told, by any thread, of each new generation; the result ends it."""
