"""TLS of connections (envoy.extensions.transport_sockets.tls.v3): how to prove oneself, and what to ask of a peer.

A context names its secrets and does not hold them: whoever makes connections gets them from `xds.identity`.
"""

from __future__ import annotations

from dataclasses import field
from typing import Literal

from .records import dataclass

TlsVersion = Literal["TLS_AUTO", "TLSv1_0", "TLSv1_1", "TLSv1_2", "TLSv1_3"]


@dataclass(frozen=True, slots=True)
class DataSource:
    """envoy.config.core.v3.DataSource: a file's name, or what it would hold; empty where nothing is said."""

    filename: str = ""
    inline: bytes = field(default=b"", repr=False)

    def __bool__(self) -> bool:
        return bool(self.filename or self.inline)


@dataclass(frozen=True, slots=True)
class SecretName:
    """SdsSecretConfig. `name` is what istiod calls it: `default`, `ROOTCA`, `file-cert:CHAIN~KEY`, `file-root:PATH` ...

    `cluster` or `path` is where the configuration says that it is served (`sds-grpc` is the workload's own agent);
    `ads`: by the control plane, on the stream of everything else. None of them: in the bootstrap.
    """

    name: str
    cluster: str = ""
    path: str = ""
    ads: bool = False


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """TlsCertificate, said in the context itself."""

    chain: DataSource
    key: DataSource


@dataclass(frozen=True, slots=True)
class SanMatcher:
    """SubjectAltNameMatcher. `san` is empty where any kind of name may match (match_subject_alt_names)."""

    kind: Literal["exact", "prefix", "suffix", "contains", "safe_regex"]
    value: str
    san: Literal["", "EMAIL", "DNS", "URI", "IP_ADDRESS", "OTHER_NAME"] = ""
    ignore_case: bool = False


@dataclass(frozen=True, slots=True)
class Validation:
    """CertificateValidationContext, the default of a combined one merged with what its secret adds when it is used.

    `roots` are the trusted certificates said here, `secret` the one that brings them. Neither: peers are not verified.
    """

    roots: DataSource = DataSource()
    secret: SecretName | None = None
    system_roots: bool = False
    sans: tuple[SanMatcher, ...] = ()
    crl: DataSource = DataSource()
    crl_of_leaf_only: bool = False
    certificate_hashes: tuple[str, ...] = ()
    """Lower-case hexadecimal SHA-256 of the peer's certificate (verify_certificate_hash)."""
    spki_hashes: tuple[str, ...] = ()
    """Base64 of the SHA-256 of its public key (verify_certificate_spki)."""
    allow_expired: bool = False
    accept_untrusted: bool = False
    """trust_chain_verification ACCEPT_UNTRUSTED."""
    spiffe_domains: tuple[tuple[str, DataSource], ...] = ()
    """envoy.tls.cert_validator.spiffe: the roots of each trust domain."""


@dataclass(frozen=True, slots=True)
class CommonTls:
    """CommonTlsContext. `certificate` None: no certificate is shown."""

    certificate: SecretName | CertificateFiles | None = None
    validation: Validation | None = None
    alpn: tuple[str, ...] = ()
    minimum: TlsVersion = "TLS_AUTO"
    maximum: TlsVersion = "TLS_AUTO"
    ciphers: tuple[str, ...] = ()
    curves: tuple[str, ...] = ()
    signature_algorithms: tuple[str, ...] = ()

    @property
    def discovered(self) -> frozenset[str]:
        """The names of the secrets that the control plane sends."""
        named = (self.certificate, self.validation.secret if self.validation is not None else None)
        return frozenset(each.name for each in named if isinstance(each, SecretName) and each.ads)


@dataclass(frozen=True, slots=True)
class UpstreamTls:
    """UpstreamTlsContext."""

    common: CommonTls = CommonTls()
    sni: str = ""
    auto_host_sni: bool = False
    auto_sni_san_validation: bool = False
    allow_renegotiation: bool = False
    max_session_keys: int = 1
    enforce_rsa_key_usage: bool = False


@dataclass(frozen=True, slots=True)
class DownstreamTls:
    """DownstreamTlsContext."""

    common: CommonTls = CommonTls()
    require_client_certificate: bool = False
    require_sni: bool = False
    stateless_resumption: bool = True
    stateful_resumption: bool = True


@dataclass(frozen=True, slots=True)
class Named:
    """The names of a certificate."""

    subject: str = ""
    uri_sans: tuple[str, ...] = ()
    dns_sans: tuple[str, ...] = ()
    ip_sans: tuple[str, ...] = ()
    email_sans: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Presented(Named):
    """What the peer of a connection has shown: DER, its certificate first, and what this one says.

    `local` are the names that were shown to it. Times are Unix times.
    """

    chain: tuple[bytes, ...] = ()
    validated: bool = False
    local: Named = Named()
    issuer: str = ""
    serial: str = ""
    chain_serials: tuple[str, ...] = ()
    begins: float = 0.0
    ends: float = 0.0
