"""Server contexts: what terminates TLS as a DownstreamTlsContext says, with the certificates of now.

A context is made when the first connection needs it, and anew when the certificates have changed: connections that are
under way live on with the old one, and its sessions are not resumed.
"""

from __future__ import annotations

import ssl
from base64 import b64encode
from hashlib import sha256
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ..model.tls import DownstreamTls, Presented, Validation
from .contexts import alpn_of, domains_of, load, server_base, trust
from .names import Names, chain_of, ders, expected, matches, named, names_of, presented
from .secrets import IdentityError, Secrets

NOT_SPOKEN = frozenset({"istio-peer-exchange"})
"""A protocol of Envoy's own filters, which exchange metadata by it before the app's bytes."""


class ServerContext:
    """One DownstreamTlsContext at one generation of the certificates."""

    __slots__ = ("_domains", "_local", "_validation", "context", "required")

    def __init__(self, tls: DownstreamTls, secrets: Secrets, spoken: frozenset[str]) -> None:
        common = tls.common
        validation = secrets.complete(common.validation) if common.validation is not None else None
        self._validation = validation
        self._domains: dict[str, frozenset[bytes]] = {}
        self.context = context = server_base(common)
        if common.certificate is None:
            raise IdentityError("a server's context without a certificate")
        pair = secrets.key_pair(common.certificate)
        load(context, pair)
        self._local = named(names_of(x509.load_pem_x509_certificate(pair.chain)))
        roots = secrets.roots(validation) if validation is not None else None
        self.required = tls.require_client_certificate
        if roots is not None and validation is not None:
            context.verify_mode = ssl.CERT_REQUIRED if self.required else ssl.CERT_OPTIONAL
            trust(context, roots, validation)
            self._domains = domains_of(roots)
        elif self.required:
            raise IdentityError("a client certificate is required, and nothing says what it is verified by")
        protocols = alpn_of(common, spoken) if spoken else common.alpn
        protocols = tuple(each for each in protocols if each not in NOT_SPOKEN)
        if protocols:
            context.set_alpn_protocols(list(protocols))
        if self._domains:
            # A session that is resumed shows no chain, and nobody could say whose roots it came from.
            context.options |= ssl.OP_NO_TICKET
            context.num_tickets = 0
        elif not tls.stateless_resumption:
            context.options |= ssl.OP_NO_TICKET
            if not tls.stateful_resumption:
                context.num_tickets = 0

    @property
    def expected(self) -> str:
        """Who may come in, for people."""
        return expected(self._validation) if self._validation is not None else "anybody"

    def examine(self, tls: ssl.SSLObject | ssl.SSLSocket) -> Presented:
        """Who has completed this handshake.

        Raises:
            ssl.SSLCertVerificationError: somebody that the context does not let in.
        """
        der = tls.getpeercert(True)
        if not der:
            return Presented(local=self._local)
        certificate = x509.load_der_x509_certificate(der)
        names = names_of(certificate)
        validated = self.context.verify_mode != ssl.CERT_NONE
        if self._validation is not None and validated:
            self._check(self._validation, certificate, der, names, tls)
        return presented(chain_of(tls, der), names, self._local, validated=validated)

    def _check(self, validation: Validation, certificate: x509.Certificate, der: bytes, names: Names, tls: Any) -> None:
        if validation.sans and not matches(names, validation.sans):
            raise _refused(self.expected, names, "")
        if validation.certificate_hashes or validation.spki_hashes:
            key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            if (
                sha256(der).hexdigest() not in validation.certificate_hashes
                and b64encode(sha256(key).digest()).decode() not in validation.spki_hashes
            ):
                raise _refused("a certificate or key of certain hashes", names, "")
        if self._domains:
            domain = names.trust_domain
            roots = self._domains.get(domain) if domain else None
            if roots is None:
                raise _refused(f"a trust domain of {', '.join(sorted(self._domains))}", names, "")
            verified = ders(tls._sslobj.get_verified_chain() or ())
            if not verified or roots.isdisjoint(verified):
                raise _refused(f"a certificate of {domain}'s own roots", names, ", which comes from another domain's")


class ServerContexts:
    """Those of one workload. Safe from all threads."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets
        self._generation = -1
        self._made: dict[tuple[DownstreamTls, frozenset[str]], ServerContext] = {}

    def terminator(self, tls: DownstreamTls, spoken: frozenset[str]) -> ServerContext:
        """The context of now.

        Raises:
            ssl.SSLError: there is no certificate to show, or nothing to verify peers by.
        """
        generation = self._secrets.generation
        made = self._made
        if generation != self._generation:
            # Whoever comes between has made his from the newer secrets, and makes it once more.
            made = self._made = {}
            self._generation = generation
        found = made.get((tls, spoken))
        if found is None:
            try:
                found = ServerContext(tls, self._secrets, spoken)
            except (IdentityError, ValueError) as error:
                raise ssl.SSLError(str(error)) from error
            # Not among those of a generation that has begun meanwhile.
            made[tls, spoken] = found
        return found


def _refused(wanted: str, names: Names, more: str) -> ssl.SSLCertVerificationError:
    return ssl.SSLCertVerificationError(f"expected {wanted}; presented {names}{more}")
