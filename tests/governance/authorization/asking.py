"""Questions and conditions in a test's hand."""

from __future__ import annotations

from typing import Any

from proxyless.governance.authorization.conditions import compiled
from proxyless.governance.authorization.question import Question
from proxyless.governance.peer import Peer
from proxyless.governance.request import RequestView
from proxyless.xds.model.matchers import StringMatcher
from proxyless.xds.model.rbac import Condition

FRONTEND = "spiffe://cluster.local/ns/shop/sa/frontend"
PEER = Peer(b"x", validated=True, uri_sans=(FRONTEND,), dns_sans=("a.shop.example",), subject="CN=a", server_name="sni")


def request(path: str = "/a/b?q=1", method: str = "GET", *headers: tuple[str, str]) -> RequestView:
    """A request to `shop`."""
    own = [(name.encode(), value.encode()) for name, value in headers]
    return RequestView(method.encode(), b"http", b"shop", path.encode(), own)


def asked(view: RequestView | None = None, **fields: Any) -> Question:
    """A question about a request from 10.0.0.1 for 10.0.0.9:8080."""
    own = {"source": "10.0.0.1", "destination": "10.0.0.9", "port": 8080, "peer": PEER, **fields}
    return Question(view or request(), **own)


def holds(condition: Condition, question: Question | None = None) -> bool:
    """Whether a condition does."""
    return compiled(condition)(question or asked())


def exact(value: str) -> StringMatcher:
    """Just this text."""
    return StringMatcher("exact", value)
