"""Routes that are found anew because a filter has changed the request, and the filters that come after it."""

from __future__ import annotations

from contextlib import suppress

import pytest

from proxyless.governance.actions import Ask
from proxyless.governance.inbound import InboundRequest
from proxyless.governance.request import RequestView
from proxyless.xds.model.authorization_service import CheckAnswer, HeaderChange
from proxyless.xds.model.ext_authz import ExtAuthz
from proxyless.xds.model.filters import Buffer, Fault, GrpcTarget
from proxyless.xds.model.resource import ResourceError
from proxyless.xds.model.route import DirectResponseAction, Route
from proxyless.xds.model.values import Fraction
from tests.support.model import chain, cluster, http_filter, listener, manager, route, table
from tests.support.world import World

AUTHZ = http_filter("authz", ExtAuthz(GrpcTarget("authz"), clear_route_cache=True))
TEAPOT = http_filter("fault", Fault(abort=Fraction(0, 100), abort_status=418))
FAULT = Fault(abort=Fraction(100, 100), abort_status=418)
FILTERS = (http_filter("buffer", Buffer(9)), AUTHZ, TEAPOT)
MOVED = CheckAnswer("ok", (HeaderChange(b":path", b"/new"),))


def calling(*routes: Route) -> World:
    return World(
        tables=[table(*routes)], clusters=[cluster("a", "10.0.0.1:80"), cluster("b", "10.0.0.2:80")], filters=FILTERS
    )


def test_a_call_goes_where_its_new_path_leads() -> None:
    steps = calling(route("/new", "b"), route("/", "a")).steps("http://shop/old")
    assert isinstance(steps.action, Ask)
    steps.answer(MOVED)
    steps.until(answers=[200])
    assert steps.sent()[0].host.address == "10.0.0.2:80"


def test_the_filters_that_follow_are_those_of_the_new_route() -> None:
    steps = calling(route("/new", "b", filters={"fault": FAULT}), route("/", "a")).steps("http://shop/old")
    steps.answer(MOVED)
    assert steps.status == 418


@pytest.mark.parametrize(
    ("routes", "status"),
    [([route("/new", DirectResponseAction(403)), route("/old", "a")], 403), ([route("/old", "a")], 404)],
)
def test_a_new_path_may_lead_to_no_cluster(routes: list[Route], status: int) -> None:
    steps = calling(*routes).steps("http://shop/old")
    steps.answer(MOVED)
    assert steps.status == status


def test_an_authority_that_nobody_may_have_ends_a_call() -> None:
    steps = calling(route("/", "a")).steps("http://shop/old")
    steps.answer(CheckAnswer("ok", (HeaderChange(b":authority", b"a/b"),)))
    assert steps.status == 503


def test_an_incoming_request_goes_where_its_new_path_leads() -> None:
    def decided(answer: object) -> InboundRequest:
        http = manager(table(route("/new", DirectResponseAction(403)), route()), *FILTERS)
        fixture = World(listeners=[listener("virtualInbound", chain(http, "app"))])
        view = RequestView(b"GET", b"http", b"app", b"/old", [], "10.0.0.9")
        request = InboundRequest(fixture.runtime, view, 8080)
        machine = request.run()
        with suppress(StopIteration):
            action = next(machine)
            while True:
                action = machine.send(answer if isinstance(action, Ask) else 0)
        return request

    assert decided(MOVED).status == 403
    assert decided(CheckAnswer("ok")).reply is None


def test_without_routes_nothing_is_found_anew() -> None:
    fixture = calling(route("/", "a"))
    with pytest.raises(ResourceError):
        InboundRequest(fixture.runtime, RequestView(b"GET", b"http", b"app", b"/", []), 8080).find_route()
    call = fixture.steps("http://shop/old").call
    call.destination = None
    with pytest.raises(ResourceError):
        call.find_route()
