"""Assertions about decisions: what they take, and what they say when they fail."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proxyless.testing import Decision, Decisions

V1 = "outbound|80|v1|catalog.shop.svc.cluster.local"
GOOD = Decision("GET", "catalog", "/items", "canary", V1, "127.0.0.1:8080", 200, (), 1, None)
OVER = replace(GOOD, endpoint=None, status=503, flags=("URX", "UO"), tries=2)


def test_a_decision_says_of_its_cluster_what_it_is_of() -> None:
    assert (GOOD.service, GOOD.subset) == ("catalog.shop.svc.cluster.local", "v1")
    assert replace(GOOD, cluster="outbound|80||catalog").subset is None
    passed = replace(GOOD, cluster="PassthroughCluster")
    assert (passed.service, passed.subset) == ("PassthroughCluster", None)
    assert replace(GOOD, cluster=None).service is None


def test_what_is_as_wanted_passes() -> None:
    decisions = Decisions([GOOD, OVER])
    assert decisions.assert_last(flags="UO,URX", status=503, subset="v1") is OVER
    assert decisions.assert_last(flags=["UO", "URX"], endpoint=None) is OVER
    assert decisions.assert_any(flags="", tries=1) is GOOD
    decisions.assert_none(host="cart")
    assert decisions.count_by("status") == {200: 1, 503: 1}
    assert list(decisions.where(status=200)) == [GOOD] == list(decisions[:1])
    decisions.clear()
    assert not decisions


def test_what_is_not_says_what_was_decided() -> None:
    decisions = Decisions([GOOD, OVER])
    with pytest.raises(AssertionError) as last:
        decisions.assert_last(status=200, flags="", subset="v1")
    assert str(last.value).splitlines() == [
        "the last decision differs:",
        "  status: 503, where 200 is wanted",
        "  flags: ('URX', 'UO'), where () is wanted",
        f"  decided: GET catalog/items: 503 URX,UO, route canary, {V1} at no endpoint, 2 tries",
    ]
    with pytest.raises(AssertionError) as found:
        decisions.assert_any(status=404)
    assert str(found.value).splitlines()[0] == "no decision with status=404 among 2 decisions"
    assert f"  GET catalog/items: 200 -, route canary, {V1} at 127.0.0.1:8080, 1 try" in str(found.value)
    with pytest.raises(AssertionError, match="decisions with host='catalog': 2 decisions"):
        decisions.assert_none(host="catalog")
    with pytest.raises(AssertionError, match="no call has been decided"):
        Decisions().assert_last(status=200)


def test_a_part_that_no_decision_has_is_named() -> None:
    for ask in (Decisions([GOOD]).where, Decisions([GOOD]).assert_last, Decisions([GOOD]).assert_none):
        with pytest.raises(TypeError, match="a decision has no pod: it has cluster, endpoint"):
            ask(pod="x")
    with pytest.raises(TypeError, match="has no pod"):
        Decisions().count_by("pod")
