"""The commands of formats about the TLS of the connection that a request came by (Envoy: Ssl::ConnectionInfo).

Without TLS, and for a certificate that was not presented, they say nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha1, sha256

from .client_cert import encoded
from .peer import Peer
from .subject import Subject


def _of_peer(read: Callable[[Peer], str]) -> Callable[[Subject], bytes | None]:
    def command(subject: Subject) -> bytes | None:
        peer = subject.peer
        found = read(peer) if peer is not None else ""
        return found.encode("utf-8", "surrogateescape") if found else None

    return command


def _of_certificate(read: Callable[[bytes], str]) -> Callable[[Subject], bytes | None]:
    return _of_peer(lambda peer: read(peer.certificate) if peer.presented else "")


def _sha1(der: bytes) -> str:
    return sha1(der, usedforsecurity=False).hexdigest()


def _sha256(der: bytes) -> str:
    return sha256(der).hexdigest()


def _transport(subject: Subject) -> bytes | None:
    return subject.transport.replace(" ", "_").encode() or None


PEER: Mapping[str, Callable[[Subject], bytes | None]] = {
    "DOWNSTREAM_LOCAL_DNS_SAN": _of_peer(lambda peer: ",".join(peer.local_dns_sans)),
    "DOWNSTREAM_LOCAL_URI_SAN": _of_peer(lambda peer: ",".join(peer.local_uri_sans)),
    "DOWNSTREAM_PEER_CERT": _of_certificate(encoded),
    "DOWNSTREAM_PEER_CHAIN_FINGERPRINTS_1": _of_peer(lambda peer: ",".join(map(_sha1, peer.chain))),
    "DOWNSTREAM_PEER_CHAIN_FINGERPRINTS_256": _of_peer(lambda peer: ",".join(map(_sha256, peer.chain))),
    "DOWNSTREAM_PEER_DNS_SAN": _of_peer(lambda peer: ",".join(peer.dns_sans)),
    "DOWNSTREAM_PEER_FINGERPRINT_1": _of_certificate(_sha1),
    "DOWNSTREAM_PEER_FINGERPRINT_256": _of_certificate(_sha256),
    "DOWNSTREAM_PEER_ISSUER": _of_peer(lambda peer: peer.issuer),
    "DOWNSTREAM_PEER_SERIAL": _of_peer(lambda peer: peer.serial),
    "DOWNSTREAM_PEER_SUBJECT": _of_peer(lambda peer: peer.subject),
    "DOWNSTREAM_PEER_URI_SAN": _of_peer(lambda peer: ",".join(peer.uri_sans)),
    "DOWNSTREAM_TLS_CIPHER": _of_peer(lambda peer: peer.cipher),
    "DOWNSTREAM_TLS_VERSION": _of_peer(lambda peer: peer.version),
    "UPSTREAM_TRANSPORT_FAILURE_REASON": _transport,
}
"""Commands without parameters."""
