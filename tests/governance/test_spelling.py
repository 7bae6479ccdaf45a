"""How names are spelled over HTTP/1.1: the cases that the real Envoy was asked (probes/spelling.py)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proxyless.governance.actions import Send
from proxyless.governance.spelling import lower, proper, spell
from proxyless.xds.model.cluster import HttpProtocol
from proxyless.xds.model.listener import Spelling
from tests.support.model import cluster, route, table
from tests.support.world import World

GIVEN = [(b"HOST", b"shop"), (b"X-fOO", b"1"), (b"x-foo", b"2"), (b"foo$b#$a1x-y.z", b"3")]
SENT = [(b"Host", b"shop"), *GIVEN[1:], (b"x-request-id", b"4")]


@pytest.mark.parametrize(
    ("manager", "proper_words", "names"),
    [
        ("lower", False, None),
        ("lower", True, "Host X-Foo X-Foo Foo$B#$A1x-Y.Z X-Request-Id"),
        ("as it came", False, "HOST X-fOO X-fOO foo$b#$a1x-y.z x-request-id"),
        ("as it came", True, "HOST X-fOO X-fOO foo$b#$a1x-y.z x-request-id"),
        ("as it came, own proper", False, "HOST X-fOO X-fOO foo$b#$a1x-y.z X-Request-Id"),
    ],
)
def test_names_are_spelled_as_manager_and_cluster_say(manager: Spelling, proper_words: bool, names: str | None) -> None:
    world = World(
        tables=[table(route())], clusters=[cluster("a", "10.0.0.1:80", http=HttpProtocol(proper_case=proper_words))]
    )
    steps = world.steps()
    steps.until(Send)
    send = steps.wants(Send)
    assert steps.call.destination is not None
    http = steps.call.destination.http
    assert http is not None
    http.config = replace(http.config, spelling=manager)
    found = spell(steps.call, send, SENT, GIVEN)
    assert (None if found is None else b" ".join(name for name, _ in found).decode()) == names


def test_a_copy_is_spelled_as_its_cluster_says_and_a_pool_that_is_gone_says_nothing() -> None:
    steps = World(tables=[table(route())], clusters=[cluster("a", "10.0.0.1:80")]).steps()
    steps.until(Send)
    send = steps.wants(Send)
    steps.call.destination = None
    assert spell(steps.call, send, SENT, []) is None
    send.slot.pool.retire()
    assert spell(steps.call, send, SENT, []) is None
    assert lower(SENT)[0] == (b"host", b"shop")
    assert proper(b"1a-b") == b"1a-B"
