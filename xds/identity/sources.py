"""What gives a workload its secrets by name: the shape that the identity knows its source by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from ..model.identity import HeldCertificate
from ..model.tls import CertificateFiles, Validation
from .secrets import KeyPair


class Source(Protocol):
    """Only the identity's own thread calls `step`; everything else may be called from any thread."""

    @property
    def error(self) -> str:
        """Why the last attempt failed; empty after one that did not."""

    @property
    def settled(self) -> bool:
        """Whether there is nothing more to wait for: a certificate is there, or nobody gives one."""

    def key_pair(self, name: str) -> KeyPair | CertificateFiles:
        """The pair of this name, or the files that hold it. Raises IdentityError."""

    def validation(self, name: str) -> Validation:
        """What peers are verified by under this name, its roots inline or in files. Raises IdentityError."""

    def step(self) -> float | None:
        """Do what is due; seconds until something is due again, None where nothing is."""

    def held(self) -> list[HeldCertificate]: ...

    def rotations(self) -> Mapping[str, int]: ...

    def failures(self) -> Mapping[str, int]: ...

    def forked(self) -> None:
        """In a child: connections are the parent's, what is held stays."""

    def close(self) -> None: ...
