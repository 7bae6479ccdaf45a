"""The commands of formats about the TLS of connections (Envoy: Ssl::ConnectionInfo): of the one that a request came by,
and of the one to its endpoint.

Without TLS, and for a certificate that was not presented, they say nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha1, sha256

from .client_cert import encoded
from .moments import clock_format
from .peer import Peer
from .subject import Subject

Said = Callable[[Subject], "bytes | None"]
Side = Callable[[Subject], "Peer | None"]


def downstream(subject: Subject) -> Peer | None:
    """Who the request came from."""
    return subject.peer


def upstream(subject: Subject) -> Peer | None:
    """Who is at the endpoint."""
    return subject.upstream() if subject.upstream is not None else None


def _said(side: Side, read: Callable[[Peer], str]) -> Said:
    def command(subject: Subject) -> bytes | None:
        peer = side(subject)
        found = read(peer) if peer is not None else ""
        return found.encode("utf-8", "surrogateescape") if found else None

    return command


def _of_certificate(read: Callable[[bytes], str]) -> Callable[[Peer], str]:
    return lambda peer: read(peer.certificate) if peer.presented else ""


def _sha1(der: bytes) -> str:
    return sha1(der, usedforsecurity=False).hexdigest()


def _sha256(der: bytes) -> str:
    return sha256(der).hexdigest()


def _transport(subject: Subject) -> bytes | None:
    return subject.transport.replace(" ", "_").encode() or None


_OF_BOTH: Mapping[str, Callable[[Peer], str]] = {
    "LOCAL_DNS_SAN": lambda peer: ",".join(peer.local_dns_sans),
    "LOCAL_IP_SAN": lambda peer: ",".join(peer.local_ip_sans),
    "LOCAL_URI_SAN": lambda peer: ",".join(peer.local_uri_sans),
    "PEER_CERT": _of_certificate(encoded),
    "PEER_DNS_SAN": lambda peer: ",".join(peer.dns_sans),
    "PEER_IP_SAN": lambda peer: ",".join(peer.ip_sans),
    "PEER_ISSUER": lambda peer: peer.issuer,
    "PEER_SUBJECT": lambda peer: peer.subject,
    "PEER_URI_SAN": lambda peer: ",".join(peer.uri_sans),
    "TLS_CIPHER": lambda peer: peer.cipher,
    "TLS_SESSION_ID": lambda peer: peer.session_id,
    "TLS_VERSION": lambda peer: peer.version,
}
_OF_CLIENTS: Mapping[str, Callable[[Peer], str]] = {
    "LOCAL_EMAIL_SAN": lambda peer: ",".join(peer.local_email_sans),
    "LOCAL_SUBJECT": lambda peer: peer.local_subject,
    "PEER_CHAIN_FINGERPRINTS_1": lambda peer: ",".join(map(_sha1, peer.chain)),
    "PEER_CHAIN_FINGERPRINTS_256": lambda peer: ",".join(map(_sha256, peer.chain)),
    "PEER_CHAIN_SERIALS": lambda peer: ",".join(peer.chain_serials),
    "PEER_EMAIL_SAN": lambda peer: ",".join(peer.email_sans),
    "PEER_FINGERPRINT_1": _of_certificate(_sha1),
    "PEER_FINGERPRINT_256": _of_certificate(_sha256),
    "PEER_SERIAL": lambda peer: peer.serial,
}

PEER: Mapping[str, Said] = {
    **{f"DOWNSTREAM_{name}": _said(downstream, read) for name, read in {**_OF_BOTH, **_OF_CLIENTS}.items()},
    **{f"UPSTREAM_{name}": _said(upstream, read) for name, read in _OF_BOTH.items()},
    "UPSTREAM_TRANSPORT_FAILURE_REASON": _transport,
}
"""Commands without parameters."""


def _validity(side: Side, read: Callable[[Peer], float]) -> Callable[[str], Said]:
    def compiled(parameters: str) -> Said:
        spelled = clock_format(parameters, utc=True)

        def command(subject: Subject) -> bytes | None:
            peer = side(subject)
            return spelled(read(peer)) if peer is not None and peer.presented else None

        return command

    return compiled


VALIDITY: Mapping[str, Callable[[str], Said]] = {
    f"{name}_PEER_CERT_V_{when}": _validity(side, read)
    for name, side in (("DOWNSTREAM", downstream), ("UPSTREAM", upstream))
    for when, read in (("START", lambda peer: peer.begins), ("END", lambda peer: peer.ends))
}
"""From when to when the other side's certificate is valid, by a format of times."""
