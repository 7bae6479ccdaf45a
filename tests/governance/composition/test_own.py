"""Own policies around those of the mesh: what they change, what they answer, what they see of the response."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from proxyless.governance.actions import Ask, Bypass, Collect, Deliver, Head, OpenConnection
from proxyless.governance.call import OutgoingCall
from proxyless.governance.composition.compose import compose
from proxyless.governance.composition.items import MESH, PolicyError
from proxyless.governance.composition.messages import Request, Response
from proxyless.governance.inbound import InboundRequest
from proxyless.governance.request import RequestView
from proxyless.governance.runtime import Options
from proxyless.xds.model.listener import TcpProxy
from proxyless.xds.model.matchers import HeaderMatcher, PathMatcher, StringMatcher
from proxyless.xds.model.route import RouteMatch
from tests.support.model import bad_vhost, chain, cluster, listener, manager, route, table
from tests.support.world import OK, Steps, World


class Own:
    def __init__(self, name: str, log: list[str], request: Any = None, response: Any = None) -> None:
        self.name, self._log, self._request, self._response = name, log, request, response

    def on_request(self, request: Request) -> Any:
        self._log.append(f"{self.name}>")
        return self._request(request) if self._request is not None else None

    def on_response(self, request: Request, response: Response) -> Any:
        self._log.append(f"<{self.name}")
        return self._response(request, response) if self._response is not None else None


def world(*policies: object, **parts: Any) -> World:
    parts.setdefault("tables", [table(route("/", "a"))])
    parts.setdefault("clusters", [cluster("a", "10.0.0.1:80"), cluster("b", "10.0.0.2:80")])
    return World(options=Options(policies=compose(policies, "test", whole=True)), **parts)


def test_a_request_passes_in_order_and_its_response_in_reverse() -> None:
    log: list[str] = []
    steps = world(Own("a", log), Own("b", log), MESH, Own("c", log)).call()
    assert log == ["a>", "b>", "c>", "<c", "<b", "<a"]
    assert steps.status == 200


def test_what_is_changed_before_the_mesh_is_what_routes_match() -> None:
    def change(request: Request) -> None:
        request.headers["x-version"] = "2"
        request.path = "/other?x"

    match = RouteMatch(PathMatcher("prefix", "/other"), (HeaderMatcher("x-version", StringMatcher("exact", "2")),))
    steps = world(Own("a", [], change), tables=[table(route(match, "b"), route("/", "a"))]).call("http://shop/first")
    [sent] = steps.sent()
    assert (sent.host.address, sent.path) == ("10.0.0.2:80", b"/other?x")
    assert (b"x-version", b"2") in sent.headers


def test_what_is_changed_behind_the_mesh_goes_out_and_no_route_knows() -> None:
    def change(request: Request) -> None:
        assert (request.route, request.cluster) == ("", "a")
        request.headers["x-version"] = "2"
        request.path, request.host = "/elsewhere", "other"

    [sent] = world(MESH, Own("a", [], change)).call("http://shop/first").sent()
    assert (sent.host.address, sent.path, sent.authority) == ("10.0.0.1:80", b"/elsewhere", b"other")
    assert (b"x-version", b"2") in sent.headers


@pytest.mark.parametrize("behind", [False, True])
def test_a_policy_may_answer_itself_and_those_behind_it_hear_nothing(behind: bool) -> None:
    log: list[str] = []
    answering = Own("b", log, lambda request: Response(418, "teapot", {"x-own": "1"}))
    first = Own("a", log)
    steps = world(*([first, MESH, answering] if behind else [first, answering])).call(answers=[])
    assert steps.reply is not None
    assert (steps.reply.status, steps.reply.body, steps.reply.details) == (418, b"teapot", "policy{b}")
    assert log == ["a>", "b>", "<a"]
    assert steps.sent() == []
    assert steps.call.status == 418


@pytest.mark.parametrize(("length", "status"), [(3, 200), (4, 413)])
@pytest.mark.parametrize("behind", [False, True])
def test_a_policy_that_wants_the_body_has_it_or_refuses_it(behind: bool, length: int, status: int) -> None:
    seen: list[bytes | None] = []
    own = Own("a", [], lambda request: seen.append(request.body))
    own.max_request_bytes = 3  # type: ignore[attr-defined]
    fixture = world(*([MESH, own] if behind else [own]))
    view = RequestView(b"POST", b"http", b"shop", b"/", [(b"transfer-encoding", b"chunked")])
    call = OutgoingCall(fixture.runtime, "test", view, b"shop", 80)
    steps = Steps(fixture, call)
    found = steps.until(Collect)
    assert isinstance(found, Collect)
    found.body = b"x" * length
    action = steps.answer(length)
    assert seen == ([b"xxx"] if status == 200 else [])
    if status == 200:
        assert isinstance(action, OpenConnection)
    else:
        assert steps.reply is not None
        assert steps.reply.status == 413


def test_a_hash_key_is_what_a_hash_ring_goes_by() -> None:
    ring = cluster("a", *(f"10.0.0.{n}:80" for n in range(1, 9)), lb_policy="RING_HASH")

    def hosts(where: Any) -> list[str]:
        found = []
        for key in ("one", "two", "one", "three"):

            def say(request: Request, key: str = key) -> None:
                request.hash_key = key

            mine = where(Own("a", [], say))
            [sent] = world(*mine, clusters=[ring]).call().sent()
            found.append(sent.host.address)
        return found

    before, after = hosts(lambda own: [own]), hosts(lambda own: [MESH, own])
    assert before == after
    assert before[0] == before[2]
    assert len(set(before)) > 1


def test_the_headers_of_a_response_can_be_changed() -> None:
    def change(request: Request, response: Response) -> None:
        assert (response.status, response.body, request.context) == (200, None, {"seen": 1})
        response.headers["x-seen"] = "yes"

    def remember(request: Request) -> None:
        request.context["seen"] = 1

    head = world(Own("a", [], remember, change)).call().head
    assert head is not None
    assert (b"x-seen", b"yes") in head.headers


def test_another_response_takes_the_place_of_an_endpoints() -> None:
    log: list[str] = []
    steps = world(Own("a", log), Own("b", log, None, lambda request, response: Response(203, "own"))).call()
    assert steps.reply is not None
    assert (steps.reply.status, steps.reply.body) == (203, b"own")
    assert log == ["a>", "b>", "<b", "<a"]
    assert steps.world.counts()[2] == 0, "the request is over"


def test_replies_of_the_mesh_are_seen_and_can_be_changed_or_replaced() -> None:
    def change(request: Request, response: Response) -> Response | None:
        assert response.flags == ("NR",)
        response.headers["x-seen"] = "yes"
        return Response(200, "nothing") if request.path == "/instead" else None

    one = world(Own("a", [], None, change), MESH, Own("late", []), tables=[table()])
    reply = one.call(answers=[]).reply
    assert reply is not None
    assert (reply.status, reply.headers) == (404, ((b"x-seen", b"yes"),))
    reply = one.call("http://shop/instead", answers=[]).reply
    assert reply is not None
    assert (reply.status, reply.body) == (200, b"nothing")


@pytest.mark.parametrize("behind", [False, True])
def test_what_the_mesh_passes_on_goes_out_as_policies_left_it(behind: bool) -> None:
    def change(request: Request) -> None:
        request.headers["x-tenant"] = "t"

    own = Own("a", [], change, lambda request, response: response.headers.add("x-back", "1"))
    passed = listener("virtualOutbound", chain(TcpProxy("PassthroughCluster")))
    steps = world(*([MESH, own] if behind else [own]), listeners=[passed]).steps("http://elsewhere/p")
    bypass = steps.wants(Bypass)
    assert bypass.changed is not None
    assert (b"x-tenant", b"t") in bypass.changed.raw_headers
    steps.answer(Head(200, [], None))
    assert (b"x-back", b"1") in steps.wants(Deliver).head.headers
    steps.answer(OK)
    unchanged = world(Own("a", []), listeners=[passed]).steps("http://elsewhere/p")
    assert unchanged.wants(Bypass).changed is None
    unchanged.close()


def test_a_coroutine_is_a_service_that_only_tasks_can_ask() -> None:
    async def answer(request: Request) -> Response:
        return Response(204)

    steps = world(Own("a", [], answer)).steps()
    asked = steps.wants(Ask)
    steps.answer(asyncio.run(asked.service.ask_async(asked.request, asked.timeout_s)))
    assert steps.status == 204
    steps = world(Own("a", [], answer)).steps()
    asked = steps.wants(Ask)
    with pytest.raises(PolicyError, match=r"on_request of policy a \(test\) is to be awaited, and this code is sync"):
        asked.service.ask(asked.request, 1.0)
    steps.close()


def test_any_other_awaitable_is_one_too() -> None:
    class Awaited:
        def __await__(self) -> Any:
            return iter(())

    asked = world(Own("a", [], lambda request: Awaited())).steps().wants(Ask)
    with pytest.raises(PolicyError, match="this code is sync"):
        asked.service.ask(asked.request, 1.0)


def test_nothing_but_a_response_is_an_answer() -> None:
    with pytest.raises(PolicyError, match=r"on_request of policy a \(test\) has returned 7: a Response or None"):
        world(Own("a", [], lambda request: 7)).call()


def test_what_a_policy_raises_reaches_the_caller_and_the_call_is_over() -> None:
    def fail(request: Request, response: Response) -> None:
        raise ZeroDivisionError

    one = world(Own("a", [], None, fail))
    with pytest.raises(ZeroDivisionError):
        one.call()
    assert one.counts()[2] == 0
    assert one.heard.calls[0].flags == ("DC",)


def inbound(*policies: object, incoming: bool = True) -> tuple[InboundRequest, World]:
    one = World(options=Options(passthrough_until_ready=True), complete=False)
    made = InboundRequest(one.runtime, one.start().request, 80, policies=compose(policies, "test", incoming=incoming))
    return made, one


def test_incoming_requests_pass_the_same_way() -> None:
    log: list[str] = []
    request, _ = inbound(
        Own("a", log, lambda request: request.headers.add("x-in", "1")),
        MESH,
        Own("b", log, None, lambda request, response: response.headers.add("x-out", "1")),
    )
    assert request.decide() is None
    assert (b"x-in", b"1") in request.request.raw_headers
    assert request.response(200, []) == [(b"x-out", b"1")]
    assert request.response(200, []) == []
    assert log == ["a>", "b>", "<b", "<a"]


@pytest.mark.parametrize("behind", [False, True])
def test_an_incoming_request_may_be_answered_by_a_policy(behind: bool) -> None:
    own = Own("b", [], lambda request: Response(403, "no"))
    request, _ = inbound(Own("a", [], None, lambda request, response: Response(200)), *([MESH] if behind else []), own)
    reply = request.decide()
    assert reply is not None
    assert (reply.status, request.status) == (200, 200)
    assert inbound(own)[0].decide() is not None


def test_what_cannot_be_decided_is_refused_on_its_way_through_policies_too() -> None:
    log: list[str] = []
    worse = replace(table(), virtual_hosts=(bad_vhost("bad"),))
    one = World(listeners=[listener("virtualInbound", chain(manager(worse)))])
    policies = compose((Own("a", log),), "test", incoming=True)
    request = InboundRequest(one.runtime, one.start().request, 80, policies=policies)
    reply = request.decide()
    assert reply is not None
    assert (reply.status, request.flags, log) == (503, ("NR",), ["a>", "<a"])


def test_an_apps_response_cannot_be_replaced() -> None:
    request, _ = inbound(
        Own("a", [], None, lambda request, response: Response(200)),
        type("B", (), {"on_request": lambda self, request: None})(),
    )
    assert request.decide() is None
    with pytest.raises(PolicyError, match=r"on_response of policy a \(test\) cannot replace the response of an app"):
        request.response(200, [])


def test_a_suites_own_policies_are_those_of_its_calls() -> None:
    one = world()
    seen: list[str] = []
    call = one.start()
    made = OutgoingCall(one.runtime, "test", call.request, b"shop", 80, compose([Own("a", seen)], "suite"))
    steps = Steps(one, made)
    steps.until(OpenConnection)
    assert seen == ["a>"]
    steps.close()
    assert made.flags == ("DC",)
