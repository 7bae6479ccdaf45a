"""What there is to say of a workload's certificates, for status and metrics: no secret is in here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Literal

from .records import dataclass


@dataclass(frozen=True, slots=True)
class HeldCertificate:
    """A certificate that is held under the name of its secret. Times are Unix times in seconds.

    `kind` says whether it is shown to peers (the first of its chain) or peers are verified by it (a root).
    """

    name: str
    kind: Literal["leaf", "root"]
    subject: str
    """The SPIFFE identity, else the first other name, else the distinguished name."""
    issuer: str
    serial: str
    not_before: float
    not_after: float
    obtained: float
    """When it was got."""
    renews: float | None = None
    """When another one is asked for; None where somebody else does that."""


@dataclass(frozen=True, slots=True)
class IdentityState:
    """A workload's identity at one moment."""

    source: str
    """Where it comes from, for people."""
    ready: bool
    """Whether there is a certificate to show."""
    generation: int
    certificates: tuple[HeldCertificate, ...] = ()
    rotations: Mapping[str, int] = field(default_factory=dict)
    """How often a secret of this name was replaced by another."""
    failures: Mapping[str, int] = field(default_factory=dict)
    """How often none could be had, by the kind of reason."""
    error: str = ""
    """Why the last attempt failed; empty after one that did not."""
