"""What a caller gets in place of a failure."""

from __future__ import annotations

from typing import Any

import pytest

from proxyless.governance.actions import Failure, Head
from proxyless.governance.composition.compose import compose
from proxyless.governance.composition.items import MESH, Fallback, PolicyError
from proxyless.governance.composition.messages import Request, Response
from proxyless.governance.inbound import InboundRequest
from proxyless.governance.passing import PASSTHROUGH
from proxyless.governance.runtime import Options
from proxyless.xds.model.cluster import Thresholds
from proxyless.xds.model.filters import LocalRateLimit, TokenBucket
from proxyless.xds.model.route import DirectResponseAction
from proxyless.xds.model.values import Fraction
from tests.support.model import chain, cluster, http_filter, listener, manager, route, table, vhost
from tests.support.world import Steps, World

LIMITED = http_filter(
    "limit", LocalRateLimit("limit", TokenBucket(1, 1, 3600.0), enabled=Fraction(100), enforced=Fraction(100))
)
BACKUP = [
    vhost(route("/", "b"), domains=["backup"]),
    vhost(route("/", "empty"), domains=["empty"]),
    vhost(route("/", PASSTHROUGH), domains=["outside"]),
    vhost(route("/hedged", "a"), route("/own", DirectResponseAction(503, b"own")), route("/", "a")),
]


def world(*policies: object, **parts: Any) -> World:
    parts.setdefault("tables", [table(*BACKUP)])
    parts.setdefault("clusters", [cluster("a", "10.0.0.1:80"), cluster("b", "10.0.0.2:80"), cluster("empty")])
    return World(options=Options(policies=compose(policies, "test", whole=True)), **parts)


def got(steps: Steps) -> tuple[int, bytes, str]:
    assert steps.reply is not None
    return steps.reply.status, steps.reply.body, steps.flags


def test_a_response_takes_the_place_of_a_failure_and_the_flag_stays() -> None:
    one = world(Fallback(Response(200, "cached")))
    steps = one.call(answers=["reset"])
    assert got(steps) == (200, b"cached", "UC")
    assert (steps.call.fallback, steps.reply.flags) == ("response", ())  # type: ignore[union-attr]
    steps = one.call(answers=[200])
    assert (steps.status, steps.call.fallback) == (200, "")


@pytest.mark.parametrize(("on", "expected"), [("breaker", 200), ("limit", 503), (("UO", "NR"), 200)])
def test_a_fallback_is_for_what_it_says(on: Any, expected: int) -> None:
    full = Thresholds(0, 0, 0, 0)
    one = world(Fallback(Response(200), on=on), clusters=[cluster("a", "10.0.0.1:80", limits=full)])
    assert one.call(answers=[]).status == expected


def test_a_rate_limit_has_a_fallback_too() -> None:
    one = world(Fallback(Response(200, "less"), on="limit"), filters=[LIMITED])
    assert one.call().status == 200
    assert got(one.call(answers=[])) == (200, b"less", "RL")


def test_a_function_is_asked_with_what_the_caller_would_have_got_and_may_leave_it_at_that() -> None:
    seen: list[tuple[str, int, tuple[str, ...]]] = []

    def answer(request: Request, failed: Response) -> Response | None:
        seen.append((request.path, failed.status, failed.flags))
        return None if request.path == "/no" else Response(206)

    one = world(Fallback(answer), Fallback(Response(207)))
    assert one.call("http://shop/", answers=["connect-failure"]).status == 206
    assert one.call("http://shop/no", answers=["connect-failure"]).status == 207
    assert seen == [("/", 503, ("UF",)), ("/no", 503, ("UF",))]
    with pytest.raises(PolicyError, match="test: the function of a fallback has returned 7"):
        world(Fallback(lambda request, failed: 7)).call(answers=["reset"])  # type: ignore[arg-type,return-value]


def test_another_host_gets_the_same_request_by_its_own_routes() -> None:
    class Own:
        def on_request(self, request: Request) -> None:
            request.headers["x-own"] = "1"

    for own in ([], [Own()]):
        steps = world(*own, Fallback("http://backup")).call(
            "http://shop/p?q", answers=["reset", 200], headers=[("Host", "shop")]
        )
        assert steps.hosts == ["10.0.0.1:80", "10.0.0.2:80"]
        last = steps.sent()[-1]
        assert (last.authority, last.path) == (b"backup", b"/p?q")
        assert ((b"x-own", b"1") in last.headers) == bool(own)
        assert (steps.status, steps.flags, steps.call.fallback) == (200, "UC", "host")


@pytest.mark.parametrize("backup", ["[fd00::1]", "[fd00::1]:8080", "backup:8080"])
def test_another_host_may_be_an_address_or_have_a_port(backup: str) -> None:
    routes = table(vhost(route("/", "b"), domains=[backup]), vhost(route("/", "a")))
    listeners = [listener(f"0.0.0.0_{port}", chain(manager("80"))) for port in (80, 8080)]
    made = world(Fallback(f"http://{backup}/"), tables=[routes], listeners=listeners).call(answers=["reset", 200])
    assert [each.authority for each in made.sent()] == [b"shop", backup.encode()]
    assert made.hosts == ["10.0.0.1:80", "10.0.0.2:80"]


def test_where_that_fails_too_the_fallbacks_behind_it_are_asked() -> None:
    steps = world(Fallback("http://empty"), Fallback("http://backup:80"), Fallback(Response(201))).call(
        answers=["reset", "reset"]
    )
    assert got(steps) == (201, b"", "UC,UH,UC")
    assert world(Fallback("http://empty")).call(answers=["reset"]).status == 503


def test_a_host_outside_of_the_mesh_is_none_that_a_library_would_dial() -> None:
    steps = world(Fallback("http://outside"), Fallback("http://backup")).call(answers=["reset", 200])
    assert (steps.hosts, steps.status, steps.flags) == (["10.0.0.1:80", "10.0.0.2:80"], 200, "UC,UF")
    status, body, flags = got(world(Fallback("http://outside")).call(answers=["reset"]))
    assert (status, body[:31], flags) == (503, b"outside is outside of the mesh,", "UC,UF")


def test_a_request_that_is_not_here_any_more_goes_nowhere_else() -> None:
    one = world(Fallback("http://backup"), Fallback(Response(202)))
    assert one.call(answers=[Failure("reset", "", None, False)]).status == 202
    one = world(Fallback("http://backup", on=[], statuses=[500]))
    assert one.call(answers=[Head(500, [], None, replayable=False)]).status == 500


def test_statuses_of_endpoints_count_where_they_are_named() -> None:
    one = world(
        Fallback(Response(200, "instead"), on=[], statuses=[502]), Fallback("http://backup", on=[], statuses=[503])
    )
    assert got(one.call(answers=[502])) == (200, b"instead", "-")
    steps = one.call(answers=[503, 200])
    assert (steps.hosts, steps.status) == (["10.0.0.1:80", "10.0.0.2:80"], 200)
    assert one.call(answers=[500]).status == 500
    assert one.counts()[2] == 0


def test_an_answer_that_a_route_asks_for_is_no_failure() -> None:
    assert got(world(Fallback(Response(200))).call("http://shop/own", answers=[])) == (503, b"own", "-")


def test_own_policies_see_what_a_fallback_answers() -> None:
    class Own:
        def on_response(self, request: Request, response: Response) -> None:
            response.headers["x-flags"] = ",".join(response.flags)

    steps = world(Own(), MESH, Fallback(Response(200))).call(answers=["reset"])
    assert steps.reply is not None
    assert (b"x-flags", b"UC") in steps.reply.headers


def test_refusals_of_incoming_requests_have_fallbacks_but_no_other_host() -> None:
    one = World(complete=False)

    def ask(*policies: object) -> InboundRequest:
        request = InboundRequest(one.runtime, one.start().request, 80, policies=compose(policies, "test"))
        request.decide()
        return request

    assert ask(Fallback("http://b", on="NR")).status == 503
    assert ask(Fallback(Response(200), on="failure")).status == 503
    found = ask(Fallback(lambda request, failed: Response(200, request.path), on="NR"))
    assert (found.status, found.flags, found.fallback) == (200, ("NR",), "function")
    assert found.reply is not None
    assert found.reply.body == b"/"
