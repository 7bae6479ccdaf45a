"""x-forwarded-client-cert: each mode, each part, with a certificate and without."""

from __future__ import annotations

import pytest

from proxyless.governance.client_cert import encoded, tell_client
from proxyless.governance.peer import Peer
from proxyless.governance.request import RequestView
from proxyless.xds.model.forwarding import ClientCert, ClientCertMode

PEER = Peer(
    certificate=b"leaf",
    validated=True,
    uri_sans=("spiffe://a/b", "spiffe://c/d"),
    dns_sans=("one", "two"),
    subject="CN=x,O=y",
    local_uri_sans=("spiffe://me/1",),
    chain=(b"leaf", b"root"),
)


def told(options: ClientCert, peer: Peer = PEER, sent: tuple[bytes, ...] = ()) -> list[str]:
    view = RequestView(b"GET", b"https", b"a", b"/", [(b"a", b"1")])
    tell_client(view, options, peer, sent)
    return [value.decode() for name, value in view.raw_headers if name == b"x-forwarded-client-cert"]


def own() -> str:
    from hashlib import sha256

    return f"By=spiffe://me/1;Hash={sha256(b'leaf').hexdigest()}"


@pytest.mark.parametrize(
    ("mode", "sent", "expected"),
    [
        ("SANITIZE", (b"Hash=1",), []),
        ("FORWARD_ONLY", (b"Hash=1", b"Hash=2"), ["Hash=1,Hash=2"]),
        ("FORWARD_ONLY", (), []),
        ("ALWAYS_FORWARD_ONLY", (b"Hash=1",), ["Hash=1"]),
        ("APPEND_FORWARD", (b"Hash=1",), ["Hash=1,{own}"]),
        ("APPEND_FORWARD", (), ["{own}"]),
        ("SANITIZE_SET", (b"Hash=1",), ["{own}"]),
    ],
)
def test_modes(mode: ClientCertMode, sent: tuple[bytes, ...], expected: list[str]) -> None:
    assert told(ClientCert(mode), sent=sent) == [each.replace("{own}", own()) for each in expected]


def test_a_header_that_is_always_kept_is_one_line() -> None:
    line = (b"x-forwarded-client-cert", b"Hash=1")
    view = RequestView(b"GET", b"https", b"a", b"/", [line, (b"a", b"1")])
    tell_client(view, ClientCert("ALWAYS_FORWARD_ONLY"), PEER, (b"Hash=1",))
    assert view.raw_headers == [line, (b"a", b"1")]


def test_without_a_certificate_nothing_is_said() -> None:
    assert told(ClientCert("APPEND_FORWARD"), Peer(), (b"Hash=1",)) == []


def test_all_parts_in_their_order() -> None:
    options = ClientCert("SANITIZE_SET", subject=True, cert=True, chain=True, dns=True, uri=True)
    leaf, root = encoded(b"leaf"), encoded(b"root")
    assert told(options) == [
        f'{own()};Cert="{leaf}";Chain="{leaf}{root}";Subject="CN=x,O=y";URI=spiffe://a/b;URI=spiffe://c/d;DNS=one;DNS=two'
    ]


def test_names_that_are_not_there() -> None:
    options = ClientCert("SANITIZE_SET", subject=True, dns=True, uri=True)
    assert told(options, Peer(certificate=b"leaf"))[0].partition(";")[2] == 'Subject="";URI='


def test_a_certificate_is_pem_that_a_url_may_hold() -> None:
    assert encoded(bytes(60)) == (
        f"-----BEGIN%20CERTIFICATE-----%0A{'A' * 64}%0A{'A' * 16}%0A-----END%20CERTIFICATE-----%0A"
    )
