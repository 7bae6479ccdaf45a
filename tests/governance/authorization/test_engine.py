"""Policies of one action, and trees."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proxyless.governance.authorization.engine import Outcome, engine_of
from proxyless.governance.peer import Peer
from proxyless.xds.model.matching import Input, InputKind, MatcherTree, OnMatch
from proxyless.xds.model.rbac import Action, Anything, Policy, Rules, Verdict, WithPath
from tests.governance.authorization.asking import FRONTEND, asked, exact, request

A = Policy((WithPath(exact("/a")),), (Anything(),))
B = Policy((WithPath(exact("/b")),), (Anything(),))


@pytest.mark.parametrize(
    ("action", "path", "expected"),
    [
        ("ALLOW", "/a", Outcome(True, "a")),
        ("ALLOW", "/c", Outcome(False)),
        ("DENY", "/b", Outcome(False, "b")),
        ("DENY", "/c", Outcome(True)),
        ("LOG", "/b", Outcome(True, "b", True)),
        ("LOG", "/c", Outcome(True, "", False)),
    ],
)
@pytest.mark.parametrize("more", [0, 8])
def test_rules(action: Action, path: str, expected: Outcome, more: int) -> None:
    others = tuple((f"z{number}", Policy((WithPath(exact(f"/z{number}")),), (Anything(),))) for number in range(more))
    decide = engine_of(Rules(action, (("a", A), ("b", B), *others)))
    assert decide(asked(request(path))) == expected


def tree(kind: InputKind, name: str, **entries: Verdict) -> MatcherTree[Verdict]:
    found = tuple((key, OnMatch(each)) for key, each in entries.items())
    return MatcherTree("exact", Input(kind, name), entries=found)


def test_a_tree_that_leads_nowhere_denies() -> None:
    decide = engine_of(tree("request_header", "X", a=Verdict("one"), b=Verdict("two", "DENY")))
    assert decide(asked(request("/", "GET", ("x", "a")))) == Outcome(True, "one")
    assert decide(asked(request("/", "GET", ("x", "b")))) == Outcome(False, "two")
    assert decide(asked(request("/", "GET", ("x", "c")))) == Outcome(False)
    assert decide(asked()) == Outcome(False)


def test_a_tree_that_logs_says_of_each_request_whether() -> None:
    inner: OnMatch[Verdict] = OnMatch(tree("request_header", "y", a=Verdict("deep", "LOG")))
    entries = (("a", OnMatch(Verdict("one"))), ("b", inner))
    decide = engine_of(MatcherTree("exact", Input("request_header", "x"), entries=entries))
    assert decide(asked(request("/", "GET", ("x", "a")))) == Outcome(True, "one", False)
    assert decide(asked(request("/", "GET", ("x", "b"), ("y", "a")))) == Outcome(True, "deep", True)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("destination_ip", "10.0.0.9"),
        ("destination_port", "8080"),
        ("source_ip", "203.0.113.7"),
        ("source_port", "4000"),
        ("direct_source_ip", "10.0.0.1"),
        ("server_name", "sni"),
        ("uri_san", f"{FRONTEND},spiffe://b"),
        ("dns_san", "a"),
        ("subject", "CN=a"),
    ],
)
def test_inputs(kind: InputKind, value: str) -> None:
    peer = Peer(b"x", True, (FRONTEND, "spiffe://b"), ("a",), "CN=a", "sni")
    decide = engine_of(MatcherTree("exact", Input(kind), entries=((value, OnMatch(Verdict("one"))),)))
    question = asked(remote="203.0.113.7", peer=peer, source_port=4000)
    assert decide(question) == Outcome(True, "one")
    other = asked(source="10.0.0.2", destination="10.0.0.8", port=1, peer=None)
    assert decide(other) == Outcome(False)


@pytest.mark.parametrize(("kind", "value"), [("uri_san", FRONTEND), ("dns_san", "a"), ("subject", "CN=a")])
def test_a_tree_believes_no_certificate_that_was_not_validated(kind: InputKind, value: str) -> None:
    peer = Peer(b"x", False, (FRONTEND,), ("a",), "CN=a", "sni")
    decide = engine_of(MatcherTree("exact", Input(kind), entries=((value, OnMatch(Verdict("one"))),)))
    assert decide(asked(peer=peer)) == Outcome(False)
    assert decide(asked(peer=replace(peer, validated=True))) == Outcome(True, "one")
