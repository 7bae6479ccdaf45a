"""Client contexts: who we are to endpoints, and who they must be (UpstreamTlsContext).

A handshake verifies the chain as OpenSSL does and then the names, in the very call that completes it: `ssl.SSLSocket`
and `ssl.SSLObject` are subclassed, so whatever library opens the connection, and whether it is sync, asyncio or anyio,
not one byte of a request goes to somebody else. A context belongs to one identity, one UpstreamTlsContext and one
generation of the secrets; connections that are open live on with theirs when secrets change, as in Envoy.
"""

from __future__ import annotations

import ssl
from base64 import b64encode
from collections import OrderedDict, deque
from dataclasses import replace
from hashlib import sha256
from threading import Lock
from typing import Any, Self

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ..model.tls import Presented, SanMatcher, UpstreamTls, Validation
from .contexts import VERSIONS, domains_of, load, set_ciphers, trust
from .names import Names, chain_of, expected, matches, named, names_of, presented
from .secrets import IdentityError, Secrets

CIPHERS = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-RSA-CHACHA20-POLY1305",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
)
"""Of TLS 1.2, where the configuration says nothing, as Envoy's clients have them."""

MOST_CONTEXTS = 1024
"""A dynamic forward proxy may ask for as many names as its callers know; those that were used last are kept."""

MOST_SESSIONS = 4096
"""Endpoints whose last sessions a context keeps."""


class _Object(ssl.SSLObject):
    """TLS over memory: asyncio, anyio, TLS inside TLS."""

    resumable = ""
    kept = False
    names: Names | None = None

    def do_handshake(self) -> None:
        _verified(self, super().do_handshake)

    def read(self, *arguments: Any) -> Any:
        data = super().read(*arguments)
        if data and not self.kept:  # the tickets of TLS 1.3 come before the first bytes
            self.kept = True
            _keep_session(self)
        return data

    def __del__(self) -> None:
        if not self.kept:
            _keep_session(self)


class _Socket(ssl.SSLSocket):
    """TLS over a socket."""

    resumable = ""
    names: Names | None = None

    def do_handshake(self, block: bool = False) -> None:
        _verified(self, super().do_handshake, block)

    def close(self) -> None:
        _keep_session(self)
        super().close()


class ClientContext(ssl.SSLContext):
    """One context. `sessions`: the last ones, by endpoint."""

    sslsocket_class = _Socket
    sslobject_class = _Object

    validation: Validation | None
    sessions: OrderedDict[str, deque[ssl.SSLSession]]
    most: int
    domains: dict[str, frozenset[bytes]]

    def __new__(cls, *_: Any) -> Self:
        return super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)

    def __init__(self, tls: UpstreamTls, secrets: Secrets, alpn: tuple[str, ...], names: tuple[str, ...]) -> None:
        common = tls.common
        self.validation = secrets.complete(common.validation) if common.validation is not None else None
        if self.validation is not None and names:
            self.validation = replace(self.validation, sans=tuple(SanMatcher("exact", each) for each in names))
        self.sessions = OrderedDict()
        self.most = tls.max_session_keys
        self.domains = {}
        self.by_sni = tls.auto_sni_san_validation and not names
        self.check_hostname = False
        self.verify_mode = ssl.CERT_NONE
        self.minimum_version = VERSIONS.get(common.minimum, ssl.TLSVersion.TLSv1_2)
        self.maximum_version = VERSIONS.get(common.maximum, ssl.TLSVersion.TLSv1_2)  # Envoy's default
        set_ciphers(self, common if common.ciphers else replace(common, ciphers=CIPHERS))
        self.options |= ssl.OP_NO_COMPRESSION
        if not tls.allow_renegotiation:
            self.options |= ssl.OP_NO_RENEGOTIATION
        self.own = Names()
        if common.certificate is not None:
            pair = secrets.key_pair(common.certificate)
            load(self, pair)
            self.own = names_of(x509.load_pem_x509_certificate(pair.chain))
        validation = self.validation
        roots = secrets.roots(validation) if validation is not None else None
        if roots is not None and validation is not None and not validation.accept_untrusted:
            self.verify_mode = ssl.CERT_REQUIRED
            trust(self, roots, validation)
            self.domains = domains_of(roots)
            if self.domains:
                self.most = 0  # a session that is resumed shows no chain: nobody could say whose roots it came from
        elif validation is not None and not validation.accept_untrusted and (validation.sans or self.by_sni):
            raise IdentityError("names are to be verified, and nothing says by whose word")
        if alpn:
            self.set_alpn_protocols(list(alpn))

    def expected(self, sni: str) -> str:
        """Who is expected, for people."""
        if self.by_sni and sni:
            return sni
        return expected(self.validation) if self.validation is not None else "anybody"

    def examine(self, tls: ssl.SSLObject | ssl.SSLSocket) -> None:
        """Who has completed this handshake. Raises ssl.SSLCertVerificationError for somebody else."""
        validation = self.validation
        if validation is None or validation.accept_untrusted:
            return
        sans = validation.sans
        sni = tls.server_hostname or ""
        if self.by_sni and sni:
            sans = (SanMatcher("exact", sni, "DNS"),)
        hashes = validation.certificate_hashes or validation.spki_hashes
        if not sans and not hashes and not self.domains:
            return
        der = tls.getpeercert(True)
        if not der:
            raise _refused(self.expected(sni), "no certificate")
        certificate = x509.load_der_x509_certificate(der)
        names = tls.names = names_of(certificate)  # type: ignore[union-attr]
        if sans and not matches(names, sans):
            raise _refused(self.expected(sni), names)
        if hashes:
            key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            if (
                sha256(der).hexdigest() not in validation.certificate_hashes
                and b64encode(sha256(key).digest()).decode() not in validation.spki_hashes
            ):
                raise _refused("a certificate or key of certain hashes", names)
        if self.domains:
            self._of_its_domain(tls, names)

    def _of_its_domain(self, tls: Any, names: Names) -> None:
        domain = names.trust_domain
        roots = self.domains.get(domain) if domain else None
        if roots is None:
            raise _refused(f"a trust domain of {', '.join(sorted(self.domains))}", names)
        chain = tls._sslobj.get_verified_chain() or ()  # public from Python 3.13 on
        if not chain or ssl.PEM_cert_to_DER_cert(chain[-1].public_bytes()) not in roots:
            raise _refused(f"a certificate of {domain}'s own roots", f"{names}, which comes from another domain's")

    def principals(self, tls: ssl.SSLObject | ssl.SSLSocket) -> tuple[str, str]:
        """The first URIs of our certificate and of theirs, which has to be a verified one."""
        names: Names | None = tls.names  # type: ignore[union-attr]
        if names is None and self.verify_mode == ssl.CERT_REQUIRED and (der := tls.getpeercert(True)):
            names = names_of(x509.load_der_x509_certificate(der))
        return _first_uri(self.own), _first_uri(names) if names is not None else ""

    def chain(self, tls: ssl.SSLObject | ssl.SSLSocket) -> tuple[bytes, ...]:
        """The certificates that the other side has shown, in DER."""
        der = tls.getpeercert(True)
        return chain_of(tls, der) if der else ()

    def presented(self, chain: tuple[bytes, ...]) -> Presented:
        """All that they say."""
        if not chain:
            return Presented(local=named(self.own))
        names = names_of(x509.load_der_x509_certificate(chain[0]))
        return presented(chain, names, named(self.own), validated=self.verify_mode == ssl.CERT_REQUIRED)

    def session(self, endpoint: str) -> ssl.SSLSession | None:
        """One to resume; it is used once (RFC 8446, appendix C.4)."""
        kept = self.sessions.get(endpoint)
        try:
            return kept.pop() if kept else None
        except IndexError:  # another thread was first
            return None

    def keep(self, endpoint: str, session: ssl.SSLSession) -> None:
        """For the next connection to this endpoint."""
        kept = self.sessions.get(endpoint)
        if kept is None:
            kept = self.sessions[endpoint] = deque(maxlen=self.most)
            if len(self.sessions) > MOST_SESSIONS:
                self.sessions.popitem(last=False)
        kept.append(session)


class EndpointContext:
    """What a library takes for a context: that of an identity, with the name and the session of one endpoint."""

    __slots__ = ("_context", "_endpoint", "_sni")

    def __init__(self, context: ClientContext, sni: str, endpoint: str) -> None:
        self._context = context
        self._sni = sni.encode("ascii", "ignore") or None
        """In bytes: IDNA would refuse labels that Envoy sends."""
        self._endpoint = endpoint

    @property
    def context(self) -> ClientContext:
        """The identity's."""
        return self._context

    def wrap_socket(self, sock: Any, server_side: bool = False, *_: Any, **__: Any) -> ssl.SSLSocket:
        """As of `ssl.SSLContext`, whatever name is asked for."""
        del server_side
        context, endpoint = self._context, self._endpoint
        made = context.wrap_socket(
            sock,
            server_hostname=self._sni,
            session=context.session(endpoint),
        )
        made.resumable = endpoint  # type: ignore[attr-defined]
        return made

    def wrap_bio(
        self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, server_side: bool = False, *_: Any, **__: Any
    ) -> ssl.SSLObject:
        """The same over memory."""
        del server_side
        context, endpoint = self._context, self._endpoint
        made = context.wrap_bio(
            incoming,
            outgoing,
            server_hostname=self._sni,
            session=context.session(endpoint),
        )
        made.resumable = endpoint  # type: ignore[attr-defined]
        return made


class ClientContexts:
    """Those of one workload. Safe from all threads."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets
        self._lock = Lock()
        self._generation = -1
        self._made: OrderedDict[tuple[UpstreamTls, tuple[str, ...], tuple[str, ...]], ClientContext] = OrderedDict()

    def context(
        self, tls: UpstreamTls, alpn: tuple[str, ...], names: tuple[str, ...], sni: str, endpoint: str
    ) -> EndpointContext:
        """For one connection. Raises IdentityError."""
        key = (tls, alpn, names)
        with self._lock:
            generation = self._secrets.generation
            if generation != self._generation:
                self._made, self._generation = OrderedDict(), generation
            found = self._made.get(key)
            if found is None:
                found = self._made[key] = ClientContext(tls, self._secrets, alpn, names)
                if len(self._made) > MOST_CONTEXTS:
                    self._made.popitem(last=False)
        return EndpointContext(found, sni, endpoint)


def _first_uri(names: Names) -> str:
    return names.uris[0] if names.uris else ""


def _verified(tls: Any, handshake: Any, *arguments: Any) -> None:
    context: ClientContext = tls.context
    try:
        handshake(*arguments)
    except ssl.SSLCertVerificationError as error:
        wanted = context.expected(tls.server_hostname or "")
        why = getattr(error, "verify_message", "") or error.reason
        raise _refused(wanted, f"a certificate that is refused: {why}") from error
    context.examine(tls)


def _keep_session(tls: Any) -> None:
    try:
        endpoint, context = tls.resumable, tls.context
        session = tls.session if endpoint and context.most else None
        if session is not None and session.has_ticket:
            context.keep(endpoint, session)
    except (AttributeError, ValueError):
        pass  # it never came to a handshake


def _refused(wanted: str, presented: object) -> ssl.SSLCertVerificationError:
    return ssl.SSLCertVerificationError(1, f"expected {wanted}, presented {presented}")
