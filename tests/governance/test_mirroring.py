"""Mirroring: which copies are made of a request, what they look like, and how they live."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from proxyless.governance.actions import AwaitConfig, BodyEnd, Deliver, Head, OpenConnection, Send, Start
from proxyless.governance.background import Background
from proxyless.governance.copies import CopyCall
from proxyless.governance.forwarding import Workload
from proxyless.governance.mirroring import Copy
from proxyless.governance.mutating import compile_mutations, mutate
from proxyless.governance.request import RequestView
from proxyless.governance.runtime import Options
from proxyless.xds.model.cluster import HttpProtocol
from proxyless.xds.model.matchers import StringMatcher
from proxyless.xds.model.route import MirrorPolicy, RetryPolicy, RouteAction
from proxyless.xds.model.values import AppendAction, Fraction, HeaderMutation
from tests.support.model import CLUSTER, ENDPOINT, bad, cluster, eds, resource, route, table, vhost
from tests.support.world import OK, FakeConnection, World

TO_B = MirrorPolicy("b")


def world(*policies: MirrorPolicy, draws: tuple[float, ...] = (), **fields: Any) -> World:
    wants = route("/", RouteAction(cluster="a", mirrors=policies, **fields))
    clusters = [cluster("a", "10.0.0.1:80"), cluster("b", "10.0.0.2:80"), cluster("none")]
    options = Options(workload=Workload(address="10.0.0.9"))
    return World(tables=[table(vhost(wants, domains=["*"]))], clusters=clusters, draws=draws, options=options)


def copies(here: World, *answers: Any, **request: Any) -> list[Copy]:
    """The copies that a call makes on its way."""
    steps = here.call("http://shop/p", answers or [200], **request)
    assert here.runtime.background.active == 0
    return [each.copy for each in steps.trace if isinstance(each, Start)]


def test_a_request_is_copied_once_for_each_policy() -> None:
    made = copies(world(TO_B, MirrorPolicy("c")))
    assert [(each.cluster, each.upstream.authority, each.upstream.path) for each in made] == [
        ("b", b"shop-shadow", b"/p"),
        ("c", b"shop-shadow", b"/p"),
    ]


def test_a_request_that_is_tried_again_is_not_copied_again() -> None:
    here = world(TO_B, retry=RetryPolicy(("5xx",)))
    assert len(copies(here, 503, 200)) == 1


def test_a_request_without_an_endpoint_is_not_copied() -> None:
    here = World(
        tables=[table(vhost(route("/", RouteAction(cluster="none", mirrors=(TO_B,))), domains=["*"]))],
        clusters=[cluster("none"), cluster("b", "10.0.0.2:80")],
    )
    steps = here.call("http://shop/p", ())
    assert (steps.status, steps.trace) == (503, [])


def test_a_share_is_copied() -> None:
    half = MirrorPolicy("b", Fraction(50))
    assert len(copies(world(half, draws=(0.4,)))) == 1
    assert copies(world(half, draws=(0.6,))) == []


def test_a_header_names_the_cluster() -> None:
    by_header = MirrorPolicy("", cluster_header="X-To")
    assert [each.cluster for each in copies(world(by_header), headers=[("x-to", "b")])] == ["b"]
    assert copies(world(by_header)) == []


@pytest.mark.parametrize(
    ("policy", "host", "expected"),
    [
        (TO_B, "shop", b"shop-shadow"),
        (TO_B, "shop:80", b"shop-shadow:80"),
        (replace(TO_B, append_shadow_suffix=False), "shop:80", b"shop:80"),
        (replace(TO_B, host_rewrite="copy:1"), "shop:80", b"copy:1"),
    ],
)
def test_the_host_of_the_copy_says_so(policy: MirrorPolicy, host: str, expected: bytes) -> None:
    (made,) = copies(world(policy), headers=[("host", host)])
    assert made.upstream.authority == expected


def test_the_copy_has_mutations_of_its_own_and_says_that_it_is_one() -> None:
    mutations = (HeaderMutation("x-copy", "%REQ(x-one)%"), "X-Two", StringMatcher("prefix", "x-th"))
    policy = MirrorPolicy("b", mutations=mutations)
    sent = [("x-one", "1"), ("x-two", "2"), ("x-three", "3"), ("x-forwarded-for", "10.1.1.1")]
    (made,) = copies(world(policy), headers=sent)
    headers = [pair for pair in made.upstream.headers if pair[0].startswith(b"x-") and b"request" not in pair[0]]
    assert headers[:1] == [(b"x-one", b"1")]
    assert dict(headers)[b"x-copy"] == b"1"
    assert dict(headers)[b"x-forwarded-for"] == b"10.1.1.1,10.0.0.9"
    assert (b"x-envoy-internal", b"true") in headers
    assert {b"x-two", b"x-three"}.isdisjoint(dict(headers))


def test_a_cluster_s_own_policies_come_first() -> None:
    here = world(MirrorPolicy("c"))
    own = cluster("a", "10.0.0.1:80", http=HttpProtocol(mirrors=(TO_B,)))
    here.update(clusters={"a": resource(CLUSTER, "a", own)})
    assert [each.cluster for each in copies(here)] == ["b"]


def test_mutations_see_what_those_before_them_did() -> None:
    rename = compile_mutations(
        [
            HeaderMutation("a", "1", AppendAction.OVERWRITE_IF_EXISTS_OR_ADD),
            HeaderMutation("b", "%REQ(a)%"),
            "a",
        ]
    )
    request = RequestView(b"GET", b"http", b"shop", b"/", [(b"a", b"0")])
    assert mutate(rename, [(b"a", b"0")], request) == [(b"b", b"1")]
    assert mutate(rename, [(b"a", b"0")], request, live=False) == [(b"b", b"0")]


# -- the life of a copy --------------------------------------------------------------------------------------------


def begun(here: World, to: str = "b", timeout_s: float | None = 5.0) -> CopyCall:
    steps = here.steps("http://shop/p")
    while not isinstance(steps.action, Start):
        steps.answer()
    made = steps.action.copy
    steps.close()
    assert here.runtime.background.begin()
    return CopyCall(here.runtime, "test", replace(made, cluster=to, timeout_s=timeout_s))


def test_a_copy_goes_to_its_cluster_and_its_answer_is_read() -> None:
    here = world(TO_B)
    call = begun(here)
    machine = call.run()
    assert isinstance(next(machine), OpenConnection)
    send = machine.send(FakeConnection())
    assert isinstance(send, Send)
    assert (send.host.address, send.authority, send.deadline) == ("10.0.0.2:80", b"shop-shadow", 1005.0)
    head = Head(200, [(b"x", b"1")], None)
    deliver = machine.send(head)
    assert isinstance(deliver, Deliver)
    assert deliver.head is head
    with pytest.raises(StopIteration) as stop:
        machine.send(OK)
    assert stop.value.value is None
    background = here.runtime.background
    assert (background.active, background.counts) == (0, {"answered": 1, "failed": 0, "dropped": 0})
    assert here.heard.calls == [each for each in here.heard.calls if each is not call]


@pytest.mark.parametrize("to", ["none", "nowhere"])
def test_a_copy_that_cannot_be_sent_is_counted(to: str) -> None:
    here = world(TO_B)
    with pytest.raises(StopIteration) as stop:
        next(begun(here, to, None).run())
    assert stop.value.value.status == 503
    assert here.runtime.background.counts["failed"] == 1


def test_a_copy_whose_response_is_cut_has_failed() -> None:
    here = world(TO_B)
    machine = begun(here, timeout_s=None).run()
    next(machine)
    machine.send(FakeConnection())
    machine.send(Head(200, [], None))
    with pytest.raises(StopIteration):
        machine.send(BodyEnd(False))
    assert here.runtime.background.counts["failed"] == 1


def test_a_copy_to_endpoints_that_are_bad_is_counted() -> None:
    here = world(TO_B)
    call = begun(here)
    here.update(clusters={"b": resource(CLUSTER, "b", eds("b"))}, assignments={"b": bad(ENDPOINT, "b")})
    with pytest.raises(StopIteration):
        next(call.run())
    assert here.runtime.background.counts["failed"] == 1


def test_a_copy_waits_for_its_cluster() -> None:
    here = world(TO_B)
    call = begun(here)
    complete = here.runtime.plan.snapshot
    here.update(clusters={**complete.clusters, "b": resource(CLUSTER, "b", eds("b"))})
    machine = call.run()
    assert isinstance(next(machine), AwaitConfig)
    assert any("b" in names for _, names in here.asked)
    assert isinstance(machine.send(None), AwaitConfig)
    here.runtime.publish(complete)
    assert isinstance(machine.send(None), OpenConnection)
    machine.close()
    assert here.runtime.background.active == 0


def test_a_copy_gives_up_when_the_mesh_ends() -> None:
    here = world(TO_B)
    call = begun(here)
    here.update(clusters={"b": resource(CLUSTER, "b", eds("b"))})
    here.runtime.close()
    with pytest.raises(StopIteration):
        next(call.run())
    assert here.runtime.background.counts["failed"] == 1


def test_there_is_room_for_so_many() -> None:
    background = Background(1)
    assert [background.begin(), background.begin()] == [True, False]
    background.ended("answered")
    assert background.begin()
    background.drop()
    assert background.counts == {"answered": 1, "failed": 0, "dropped": 2}


def test_the_workers_of_a_background_end_with_it() -> None:
    stopped: list[bool] = []

    class Fake:
        def stop(self) -> None:
            stopped.append(True)

    background = Background()
    background.workers = Fake()
    background.close()
    background.close()
    assert stopped == [True]
