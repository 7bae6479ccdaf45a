"""Redirects that are followed inside the mesh (docs/envoy-facts.md, "Internal redirects")."""

from __future__ import annotations

from typing import Any

import pytest

from proxyless.governance.actions import Deliver, Discard, Head, Send
from proxyless.governance.passing import PASSTHROUGH
from proxyless.xds.model.matchers import PathMatcher
from proxyless.xds.model.route import (
    DirectResponseAction,
    InternalRedirectPolicy,
    RetryPolicy,
    RouteMatch,
    StreamDuration,
)
from proxyless.xds.model.values import HeaderMutation, HeaderMutations
from tests.support.model import chain, cluster, listener, manager, route, table, vhost
from tests.support.world import Answer, Steps, World

ADDED = HeaderMutations(request_add=(HeaderMutation("x-host", "1"),))


def to(location: str, status: int = 302, *more: tuple[bytes, bytes], replayable: bool = True) -> Head:
    return Head(status, [(b"Location", location.encode()), *more], None, replayable)


def world(
    policy: InternalRedirectPolicy | None = None, *, manage: dict[str, Any] | None = None, **action: Any
) -> World:
    """`shop` sends `/other` to cluster `b` and everything else to `a`, whose redirects are followed."""
    follows = {"internal_redirect": policy or InternalRedirectPolicy(), "timeout_s": 9.0, **action}
    shop = vhost(
        route("/other", "b", name="other", timeout_s=5.0),
        route("/direct", DirectResponseAction(418, b"tea"), name="direct"),
        route("/rewritten", "a", name="rewritten", prefix_rewrite="/was", host_rewrite="inner", **follows),
        route("/outside", PASSTHROUGH, name="outside"),
        route("/", "a", name="rest", **follows),
        domains=("shop", "shop:80"),
        headers=ADDED,
        include_request_attempt_count=True,
    )
    return World(
        listeners=[listener("0.0.0.0_80", chain(manager(table(shop), **(manage or {}))))],
        clusters=[cluster("a", "10.0.0.1:80"), cluster("b", "10.0.0.2:80")],
    )


def redirected(
    *answers: Answer, policy: InternalRedirectPolicy | None = None, url: str = "http://shop/", **request: Any
) -> Steps:
    return world(policy).call(url, answers=answers, **request)


def second(steps: Steps) -> Send:
    assert len(steps.sent()) == 2
    return steps.sent()[1]


def test_the_call_begins_anew_with_the_new_url_and_the_headers_as_they_went_out() -> None:
    steps = redirected(to("http://shop/other?q=1"), 200, headers=[("x-own", "1")])
    first, send = steps.sent()
    assert [type(each) for each in steps.trace if isinstance(each, Discard | Deliver)] == [Discard, Deliver]
    assert (send.host.address, send.authority, send.path, send.method) == (
        "10.0.0.2:80",
        b"shop",
        b"/other?q=1",
        b"GET",
    )
    hidden = (b"x-forwarded-proto", b"x-request-id")
    assert [pair for pair in send.headers if pair[0] not in hidden] == [
        (b"x-own", b"1"),
        (b"x-envoy-expected-rq-timeout-ms", b"5000"),
        (b"x-envoy-attempt-count", b"1"),
        (b"x-host", b"1"),
        (b"x-envoy-original-url", b"http://shop/"),
        (b"x-host", b"1"),
    ]
    assert dict(first.headers)[b"x-request-id"] == dict(send.headers)[b"x-request-id"]
    assert (steps.status, steps.flags, steps.call.attempts) == (200, "-", 1)
    assert steps.call.redirects == (("rest", "other"),)
    assert steps.call.route is not None
    assert steps.call.route.route.name == "other"


@pytest.mark.parametrize(
    "location",
    [
        "",
        "/other",
        "//shop/other",
        "ftp://shop/other",
        "https://shop/other",
        "http://nobody/other",
        "http://shop/outside",
        "http:///other",
        "http://sh op/other",
    ],
)
def test_what_leads_nowhere_in_the_mesh_goes_to_the_caller(location: str) -> None:
    steps = redirected(to(location))
    assert (steps.status, len(steps.sent())) == (302, 1)


def test_a_redirect_without_a_location_goes_to_the_caller() -> None:
    assert redirected(302).status == 302


@pytest.mark.parametrize(
    ("location", "authority", "path"),
    [
        ("http://shop:80/other", b"shop:80", b"/other"),
        ("HTTP://SHOP/other#part", b"SHOP", b"/other"),
        ("http://shop/x/../other", b"shop", b"/other"),
        ("http://shop", b"shop", b"/"),
        ("http://shop?q", b"shop", b"/?q"),
    ],
)
def test_a_location_is_taken_apart(location: str, authority: bytes, path: bytes) -> None:
    send = second(redirected(to(location), 200))
    assert (send.authority, send.path) == (authority, path)


@pytest.mark.parametrize(
    ("status", "codes", "followed"),
    [(302, {302}, True), (301, {302}, False), (307, {301, 307}, True), (302, set(), False)],
)
def test_only_the_statuses_of_the_policy_are_followed(status: int, codes: set[int], followed: bool) -> None:
    policy = InternalRedirectPolicy(codes=frozenset(codes))
    steps = redirected(to("http://shop/other", status), *([200] if followed else []), policy=policy)
    assert steps.status == (200 if followed else status)


@pytest.mark.parametrize(("most", "tries", "status"), [(0, 1, 302), (1, 2, 302), (2, 3, 200)])
def test_so_many_redirects_are_followed(most: int, tries: int, status: int) -> None:
    answers: list[Answer] = [to("http://shop/again"), to("http://shop/other"), 200]
    steps = redirected(*answers[:tries], policy=InternalRedirectPolicy(most))
    assert (steps.status, len(steps.sent())) == (status, tries)
    if tries == 3:
        assert dict(steps.sent()[2].headers)[b"x-envoy-original-url"] == b"http://shop/again"


@pytest.mark.parametrize(
    ("policy", "scheme", "followed"),
    [
        (InternalRedirectPolicy(allow_cross_scheme=True), "https", True),
        (InternalRedirectPolicy(allow_cross_scheme=True, safe_cross_scheme=True), "https", False),
        (InternalRedirectPolicy(allow_cross_scheme=True, safe_cross_scheme=True), "http", True),
        (InternalRedirectPolicy(allowed_routes=frozenset({"other"})), "http", True),
        (InternalRedirectPolicy(allowed_routes=frozenset({"rest"})), "http", False),
    ],
)
def test_predicates_have_a_say(policy: InternalRedirectPolicy, scheme: str, followed: bool) -> None:
    steps = redirected(to(f"{scheme}://shop/other"), *([200] if followed else []), policy=policy)
    assert steps.status == (200 if followed else 302)


def test_each_route_sends_a_call_to_another_only_once() -> None:
    policy = InternalRedirectPolicy(9, previous_routes=True)
    steps = redirected(to("http://shop/again"), to("http://shop/once-more"), policy=policy)
    assert (steps.status, steps.call.redirects) == (302, (("rest", "rest"),))


@pytest.mark.parametrize(
    ("status", "method", "sent_as", "length"),
    [(303, "POST", b"GET", None), (303, "HEAD", b"HEAD", b"4"), (307, "POST", b"POST", b"4")],
)
def test_see_other_makes_it_a_get_without_a_body(
    status: int, method: str, sent_as: bytes, length: bytes | None
) -> None:
    policy = InternalRedirectPolicy(codes=frozenset({303, 307}))
    send = second(
        redirected(
            to("http://shop/other", status), 200, policy=policy, method=method, headers=[("Content-Length", "4")]
        )
    )
    assert send.method == sent_as
    assert dict(send.headers).get(b"Content-Length") == length


def test_a_length_that_the_codec_has_added_is_added_anew() -> None:
    policy = InternalRedirectPolicy(codes=frozenset({307}))
    send = second(redirected(to("http://shop/other", 307), 200, policy=policy, method="POST"))
    assert send.headers[-1] == (b"content-length", b"0")
    assert sum(name == b"content-length" for name, _ in send.headers) == 1


def test_headers_of_the_response_are_copied_or_taken_away() -> None:
    policy = InternalRedirectPolicy(copied_headers=(b"x-copied", b"x-gone", b"x-never"))
    steps = redirected(
        to("http://shop/other", 302, (b"X-Copied", b"1"), (b"x-copied", b"2")),
        200,
        policy=policy,
        headers=[("x-gone", "1"), ("X-Copied", "0")],
    )
    found = [pair for pair in second(steps).headers if pair[0] in (b"x-copied", b"X-Copied", b"x-gone")]
    assert found == [(b"x-copied", b"1"), (b"x-copied", b"2")]


def test_a_body_that_is_gone_is_not_sent_elsewhere() -> None:
    steps = redirected(to("http://shop/other", replayable=False))
    assert steps.status == 302


def test_an_upload_under_way_is_not_redirected() -> None:
    fixture = world()
    call = fixture.start(method="POST")
    call.uploading = True
    steps = Steps(fixture, call)
    steps.finish([to("http://shop/other")])
    assert steps.status == 302


def test_a_redirect_may_lead_to_an_answer_of_the_mesh() -> None:
    steps = redirected(to("http://shop/direct"))
    assert (steps.status, len(steps.sent())) == (418, 1)


def test_rewritten_requests_are_remembered_as_they_went_out() -> None:
    steps = redirected(to("http://shop/other"), 200, url="http://shop/rewritten")
    assert dict(second(steps).headers)[b"x-envoy-original-url"] == b"http://inner/was"


def test_a_retry_comes_before_a_redirect_and_both_begin_with_their_own_time() -> None:
    fixture = world(retry=RetryPolicy(("5xx",), 1), stream_duration=None)
    steps = fixture.steps()
    begin = fixture.clock.now
    steps.until(Send)
    fixture.clock.advance(8.0)
    steps.until(Deliver, answers=[503, to("http://shop/other"), 200])
    assert len(steps.sent()) == 3
    deadline = steps.sent()[2].deadline
    assert deadline is not None
    assert deadline - begin >= 13.0
    assert fixture.counts()[3] == 0


def test_a_redirect_whose_retries_are_used_up_is_followed() -> None:
    policy = RetryPolicy(("retriable-status-codes",), 0, retriable_status_codes=(302,))
    steps = world(retry=policy).call(answers=[to("http://shop/other"), 200])
    assert (steps.status, steps.flags) == (200, "-")
    stays = world(retry=policy).call(answers=[to("/nowhere")])
    assert (stays.status, stays.flags) == (302, "URX")


def test_the_second_pass_has_limits_of_its_own() -> None:
    fixture = world(stream_duration=StreamDuration(4.0))
    steps = fixture.steps()
    steps.until(Send)
    fixture.clock.advance(3.0)
    steps.until(Deliver, answers=[to("http://shop/again"), 200])
    assert steps.sent()[1].deadline == fixture.clock.now + 4.0


@pytest.mark.parametrize(
    ("manage", "location", "status"),
    [
        ({}, "http://shop/%00", 400),
        ({"escaped_slashes": "UNESCAPE_AND_REDIRECT"}, "http://shop/a%2Fb", 307),
    ],
)
def test_a_path_that_cannot_be_normalized_is_answered_as_any(
    manage: dict[str, Any], location: str, status: int
) -> None:
    steps = world(manage=manage).call(answers=[to(location)])
    assert steps.status == status


def test_a_host_that_is_none_leads_nowhere() -> None:
    fixture = world()
    steps = fixture.call(answers=[to("http://sh^op/other")])
    assert steps.status == 302


def test_a_route_that_is_drawn_may_be_missed() -> None:
    shop = vhost(
        route("/", "a", name="rest", internal_redirect=InternalRedirectPolicy()),
        domains=("shop",),
    )
    never = vhost(route(RouteMatch(PathMatcher("path", "/only")), "a"), domains=("other",))
    fixture = World(
        listeners=[listener("0.0.0.0_80", chain(manager(table(shop, never))))], clusters=[cluster("a", "10.0.0.1:80")]
    )
    assert fixture.call(answers=[to("http://other/elsewhere")]).status == 302


def test_a_route_table_that_has_gone_meanwhile_leads_nowhere() -> None:
    one = route("/", "a", internal_redirect=InternalRedirectPolicy())
    fixture = World(tables=[table(one)], clusters=[cluster("a", "10.0.0.1:80")])
    steps = fixture.steps()
    steps.until(Send)
    fixture.update(routes={})
    steps.finish([to("http://shop/other")])
    assert steps.status == 302


def test_to_https_the_call_goes_on_behind_the_listener_that_it_came_to() -> None:
    steps = redirected(to("https://shop/other"), 200, policy=InternalRedirectPolicy(allow_cross_scheme=True))
    assert (steps.status, second(steps).host.address) == (200, "10.0.0.2:80")


def test_the_header_that_names_the_virtual_host_names_the_targets_too() -> None:
    follows = InternalRedirectPolicy(allowed_routes=frozenset({"two"}))
    hosts = (
        vhost(route("/", "a", name="one", internal_redirect=follows), domains=("one",)),
        vhost(route("/", "b", name="two"), domains=("two",)),
    )
    fixture = World(
        listeners=[listener("0.0.0.0_80", chain(manager(table(*hosts, vhost_header="x-vhost"))))],
        clusters=[cluster("a", "10.0.0.1:80"), cluster("b", "10.0.0.2:80")],
    )
    steps = fixture.call("http://two/", answers=[to("http://two/x")], headers=[("x-vhost", "one")])
    assert (steps.status, len(steps.sent())) == (302, 1), "the target is `one` again, which the policy does not allow"
