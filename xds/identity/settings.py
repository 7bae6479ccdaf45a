"""Where a workload's certificate comes from, as data: a certificate authority, an agent's socket, or files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import Literal

from ..model.records import dataclass

DAY_S = 86_400.0
DEFAULT = "default"
"""Istio's name of the workload's own certificate (SDS)."""
ROOT = "ROOTCA"
"""Istio's name of what peers are verified by."""


@dataclass(frozen=True, slots=True)
class KeyKind:
    """EC on a curve, or RSA of a size (Istio: ECC_SIGNATURE_ALGORITHM, ECC_CURVE, WORKLOAD_RSA_KEY_SIZE, PKCS8_KEY).

    Istio's agent makes RSA keys unless it is told otherwise; here EC is the default, which costs a tenth.
    """

    algorithm: Literal["EC", "RSA"] = "EC"
    curve: Literal["P256", "P384"] = "P256"
    size: int = 2048
    pkcs8: bool = True


@dataclass(frozen=True, slots=True)
class FromAuthority:
    """istio.v1.auth.IstioCertificateService at `address` (`host:port`).

    `identity` is the SPIFFE identity that is asked for; what the certificate says in the end is the authority's choice.
    `root_cert` empty: the system's authorities. `chain` and `key` are files by which the workload proves itself to the
    authority (Istio's PROV_CERT, virtual machines).
    """

    address: str
    identity: str
    tls: bool = True
    root_cert: str = ""
    token_file: str = ""
    cluster_id: str = ""
    key: KeyKind = KeyKind()
    ttl_s: float = DAY_S
    """Seconds that the certificate shall be valid for (SECRET_TTL)."""
    grace_ratio: float = 0.5
    """The part of its lifetime that is left when another one is asked for (SECRET_GRACE_PERIOD_RATIO)."""
    grace_jitter: float = 0.01
    """By how much of the lifetime, at most, that moment moves (SECRET_GRACE_PERIOD_RATIO_JITTER)."""
    server_name: str = ""
    """The name in the authority's certificate, where it is not the address (ISTIOD_SAN)."""
    signer: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    own_chain: str = ""
    own_key: str = ""
    token_in_the_clear: bool = False
    """Whether the token may go where there is no TLS: its file was named for that."""
    ask: Callable[[bytes], Sequence[str]] | None = None
    """An authority in this process, which is asked directly; `address` then says for people where it is."""

    @property
    def said(self) -> str:
        """For people."""
        return f"certificate authority {self.address}"


@dataclass(frozen=True, slots=True)
class FromSocket:
    """The secret discovery service (SDS) of an agent: Istio's own, or SPIRE's."""

    path: str

    @property
    def said(self) -> str:
        """For people."""
        return f"secret discovery service {self.path}"


@dataclass(frozen=True, slots=True)
class FromFiles:
    """Files that somebody else renews. `roots` empty: peers cannot be verified by `ROOTCA`."""

    chain: str
    key: str
    roots: str = ""

    @property
    def said(self) -> str:
        """For people."""
        return f"files {self.chain}"


IdentitySettings = FromAuthority | FromSocket | FromFiles
