"""What istiod made for the shop's payment: its chain decides, with real tokens and with the peer that a server says."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import pytest

from proxyless.governance.inbound import InboundRequest
from proxyless.governance.peer import Peer
from proxyless.governance.request import RequestView
from proxyless.mesh import Mesh

RECORDED = Path(__file__).parents[2] / "recorded" / "shop" / "xds"
SECRET = b"secret-secret-secret-secret-1234"
CHECKOUT = Peer(b"x", validated=True, uri_sans=("spiffe://cluster.local/ns/shop/sa/checkout",))
CART = Peer(b"x", validated=True, uri_sans=("spiffe://cluster.local/ns/shop/sa/cart",))
NONE = "rbac_access_denied_matched_policy[none]"
DENY = "rbac_access_denied_matched_policy[ns[shop]-policy[payment-deny]-rule[{}]]"


def token(**claims: Any) -> tuple[bytes, bytes]:
    """A header with a token of the issuer that the shop trusts."""
    head = {"alg": "HS256", "typ": "JWT", "kid": "k1"}
    own = {"iss": "https://issuer.example", "sub": "alice", "exp": 4_000_000_000, **claims}
    signed = b".".join(_url64(json.dumps(each).encode()) for each in (head, own))
    return b"authorization", b"Bearer " + signed + b"." + _url64(hmac.new(SECRET, signed, hashlib.sha256).digest())


def _url64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def details(
    who: str,
    method: bytes,
    path: bytes,
    *headers: tuple[bytes, bytes],
    source: str = "10.0.0.1",
    peer: Peer | None = None,
) -> str | None:
    """Why a request is refused; None where the app gets it."""
    with Mesh.from_recorded(RECORDED / who, registry=False) as mesh:
        view = RequestView(method, b"http", b"payment.shop", path, list(headers), source)
        reply = InboundRequest(mesh.runtime, view, 8080, peer=peer).decide()
        return None if reply is None else reply.details


@pytest.mark.parametrize(
    ("method", "path", "header", "source", "peer", "expected"),
    [
        (b"GET", b"/healthz", None, "10.0.0.1", None, None),
        (b"POST", b"/healthz", None, "10.0.0.1", None, NONE),
        (b"GET", b"/healthz", None, "203.0.113.7", None, DENY.format(0)),
        (b"GET", b"/adminx", (b"x-debug", b"1"), "10.0.0.1", CHECKOUT, DENY.format(1)),
        (b"POST", b"/pay", None, "10.0.0.1", CHECKOUT, None),
        (b"POST", b"/x/../pay?a=1", None, "10.0.0.1", CHECKOUT, None),
        (b"POST", b"/refund/7", None, "10.0.0.1", CHECKOUT, None),
        (b"POST", b"/pay", None, "10.0.0.1", CART, NONE),
        (b"POST", b"/pay", None, "10.0.0.1", None, NONE),
        (b"GET", b"/any", token(role="admin"), "10.0.0.1", None, None),
        (b"GET", b"/any", token(role=["user", "admin"]), "10.0.0.1", None, None),
        (b"GET", b"/any", token(role="user"), "10.0.0.1", None, NONE),
        (b"GET", b"/any", token(), "10.0.0.1", None, NONE),
    ],
)
def test_the_chain_of_payment(
    method: bytes, path: bytes, header: tuple[bytes, bytes] | None, source: str, peer: Peer | None, expected: str | None
) -> None:
    headers = () if header is None else (header,)
    assert details("payment", method, path, *headers, source=source, peer=peer) == expected


def test_the_chain_of_ledger_takes_peers_alone() -> None:
    assert details("ledger", b"GET", b"/", peer=CART) is None
    assert details("ledger", b"GET", b"/") == "refused"
