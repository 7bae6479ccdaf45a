"""The header x-forwarded-client-cert: who the other side of a connection is, for those behind.

(envoy source: ConnectionManagerUtility::mutateXfccRequestHeader.)
"""

from __future__ import annotations

from base64 import encodebytes
from hashlib import sha256

from ..xds.model.forwarding import ClientCert
from .forwarding import CLIENT_CERT, put
from .peer import Peer
from .request import RequestView

ENCODED = {ord("\n"): "%0A", ord(" "): "%20", ord("+"): "%2B", ord("/"): "%2F", ord("="): "%3D"}
LINE = 48
"""Bytes in a line of PEM."""


def tell_client(request: RequestView, options: ClientCert, peer: Peer, sent: tuple[bytes, ...]) -> None:
    """Say who `peer` is; `sent` is the header as it came, which admission has removed unless it is always kept."""
    if options.mode == "SANITIZE" or not peer.presented:
        return
    value = b",".join(sent)
    if options.mode in ("APPEND_FORWARD", "SANITIZE_SET"):
        own = _element(options, peer)
        value = value + b"," + own if value and options.mode == "APPEND_FORWARD" else own
    if not value and not sent:
        return
    headers = list(request.raw_headers)
    put(headers, CLIENT_CERT, value)
    request.replace_headers(headers)


def _element(options: ClientCert, peer: Peer) -> bytes:
    parts = [f"By={each}" for each in peer.local_uri_sans]
    parts.append(f"Hash={sha256(peer.certificate).hexdigest()}")
    if options.cert:
        parts.append(f'Cert="{encoded(peer.certificate)}"')
    if options.chain:
        parts.append(f'Chain="{"".join(map(encoded, peer.chain))}"')
    if options.subject:
        parts.append(f'Subject="{peer.subject}"')
    if options.uri:
        parts += [f"URI={each}" for each in peer.uri_sans or ("",)]
    if options.dns:
        parts += [f"DNS={each}" for each in peer.dns_sans]
    return ";".join(parts).encode("utf-8")


def encoded(der: bytes) -> str:
    """A certificate as PEM, as it is put into a header."""
    lines = (encodebytes(der[place : place + LINE]).decode() for place in range(0, len(der), LINE))
    pem = f"-----BEGIN CERTIFICATE-----\n{''.join(lines)}-----END CERTIFICATE-----\n"
    return pem.translate(ENCODED)
