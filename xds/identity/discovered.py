"""Secrets that the control plane sends on its stream (`sds_config: {ads: {}}`), in memory and nowhere else.

The control thread hands over what comes; what cannot be used is refused there (NACK), and what was there before stays.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping

from ..model.identity import HeldCertificate
from ..model.records import dataclass
from ..model.tls import CertificateFiles, Validation
from ..wire import secrets as wire
from ..wire.refused import RefusedError
from .judging import as_certificate, as_validation, judged, names_of
from .secrets import IdentityError

log = logging.getLogger("proxyless.identity")

SAID = "the control plane"


@dataclass(frozen=True, slots=True)
class _Kept:
    value: wire.Secret
    certificates: list[HeldCertificate]
    rotations: int = 0


class DiscoveredSecrets:
    """What has come, by name. One thread takes, any thread reads. `clock` is Unix time; `tell`: something is new."""

    def __init__(self, clock: Callable[[], float], tell: Callable[[], None]) -> None:
        self._clock = clock
        self._tell = tell
        self._kept: dict[str, _Kept] = {}

    def __bool__(self) -> bool:
        return bool(self._kept)

    def take(self, name: str, raw: bytes) -> None:
        """A secret in its bytes.

        Raises:
            IdentityError: it cannot be used; the text says why, and holds nothing of it.
        """
        try:
            secret = wire.decode_secret(wire.read_secret(raw))
        except RefusedError as error:
            raise IdentityError(str(error)) from error
        certificates = judged(name, secret, self._clock())
        before = self._kept.get(name)
        if before is not None and type(before.value) is not type(secret):
            raise IdentityError("a certificate came in place of roots, or roots in place of a certificate")
        if before is not None and before.value == secret:
            return
        log.info("%s: secret %r: %s", SAID, name, names_of(certificates))
        self._kept[name] = _Kept(secret, certificates, 0 if before is None else before.rotations + 1)
        self._tell()

    def forget(self, names: Iterable[str]) -> None:
        """Nothing needs these any more."""
        for name in names:
            self._kept.pop(name, None)

    def pair(self, name: str) -> CertificateFiles:
        """A certificate and its key, inline or in files. Raises IdentityError."""
        return as_certificate(self._get(name), name, SAID)

    def validation(self, name: str) -> Validation:
        """What peers are verified by. Raises IdentityError."""
        return as_validation(self._get(name), name, SAID)

    def _get(self, name: str) -> wire.Secret:
        kept = self._kept.get(name)
        if kept is None:
            raise IdentityError(f"{SAID}: no secret {name!r} has come that can be used")
        return kept.value

    def held(self) -> list[HeldCertificate]:
        """For people."""
        return [each for kept in list(self._kept.values()) for each in kept.certificates]

    def rotations(self) -> Mapping[str, int]:
        """How often each was replaced."""
        return {name: kept.rotations for name, kept in list(self._kept.items())}
