"""The keeper: what is fetched when, what stays when a fetch fails, and what is forgotten."""

from __future__ import annotations

import threading

import pytest

from proxyless.xds.controlplane.keys.keeper import Keeper, retry_s
from proxyless.xds.controlplane.keys.sources import KeySource

ONE, TWO = KeySource("one", "http://one"), KeySource("two", "http://two")


class Server:
    """Answers what the test wants next, and says when it was asked."""

    def __init__(self) -> None:
        self.answers: dict[KeySource, str | Exception] = {}
        self.timeouts: dict[KeySource, float] = {}

    def __call__(self, source: KeySource, timeout_s: float) -> str:
        self.timeouts[source] = timeout_s
        answer = self.answers[source]
        if isinstance(answer, Exception):
            raise answer
        return answer


def test_keys_and_reasons_are_told_once_each() -> None:
    server, told = Server(), threading.Semaphore(0)
    server.answers = {ONE: "keys", TWO: OSError("gone")}
    keeper = Keeper(told.release, server, pause=lambda failures: 0.05)
    try:
        keeper.want({ONE: 3.0, TWO: 4.0})
        keeper.wait(60)
        assert told.acquire(timeout=60)
        assert told.acquire(timeout=60)
        assert keeper.held() == ({ONE: "keys"}, {TWO: "gone"})
        assert server.timeouts == {ONE: 3.0, TWO: 4.0}
        server.answers[TWO] = "at last"  # it is tried again soon
        assert told.acquire(timeout=60)
        assert keeper.held() == ({ONE: "keys", TWO: "at last"}, {})
        renewed = keeper.renewed(told.release)
        assert renewed.held() == keeper.held()
        keeper.want({TWO: 5.0})
        assert keeper.held() == ({TWO: "at last"}, {})
    finally:
        keeper.close()
    assert keeper.held() == ({}, {})


def test_what_was_fetched_stays_for_a_week_of_failures() -> None:
    server, told = Server(), threading.Semaphore(0)
    now = [0.0]
    keeper = Keeper(told.release, server, clock=lambda: now[0], pause=lambda failures: 0.05)
    watched = keeper._watches  # the next try is not waited for
    server.answers = {ONE: OSError("first")}
    try:
        keeper.want({ONE: 1.0})
        assert told.acquire(timeout=60)
        server.answers[ONE] = "keys"
        assert told.acquire(timeout=60)
        assert keeper.held() == ({ONE: "keys"}, {})
        watch = watched[ONE]
        server.answers[ONE] = OSError("second")
        assert keeper._take(ONE, watch, None, "second", forget=False)
        assert keeper.held() == ({ONE: "keys"}, {ONE: "second"})
        assert not keeper._take(ONE, watch, None, "second", forget=False)
        assert keeper._take(ONE, watch, None, "second", forget=True)
        assert keeper.held() == ({}, {ONE: "second"})
    finally:
        keeper.close()
    assert not keeper._take(ONE, watch, "late", "", forget=False)


@pytest.mark.parametrize(("failures", "seconds"), [(1, 1), (7, 1), (8, 60), (9, 120), (14, 3600), (5000, 3600)])
def test_failures_are_tried_again_more_and_more_seldom(failures: int, seconds: float) -> None:
    assert retry_s(failures) == seconds
