"""External authorization: what is asked, and what becomes of a request by the answer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from proxyless.governance.actions import Ask, Collect, Failure
from proxyless.governance.check_request import pem
from proxyless.governance.filters.ext_authz import DURATION, METADATA, ExtAuthzFilter
from proxyless.governance.peer import Peer
from proxyless.governance.replies import LocalReply
from proxyless.governance.request import RequestView
from proxyless.governance.route_table import RouteTable
from proxyless.governance.runtime import Runtime
from proxyless.xds.model.authorization_service import CheckAnswer, CheckQuery, HeaderChange, HttpCheck, HttpVerdict
from proxyless.xds.model.ext_authz import BodySettings, ExtAuthz, ExtAuthzPerRoute, HttpAuthorizer
from proxyless.xds.model.filters import FilterConfig, GrpcTarget
from proxyless.xds.model.matchers import StringMatcher
from proxyless.xds.model.rbac import WithMetadata
from proxyless.xds.model.route import RouteAction
from proxyless.xds.model.values import Fraction, HeaderMutation
from tests.support.model import cluster, route, snapshot, table, vhost
from tests.support.streams import FakeStream, Ran
from tests.support.world import Clock, Draws

CONFIG = ExtAuthz(GrpcTarget("authz"))
HTTP = HttpAuthorizer("authz", headers_to_add=(HeaderMutation("x-more", "1"),))
OK, DENIED = CheckAnswer("ok"), CheckAnswer("denied")
SENT = ((b"Host", b"shop"), (b"X-A", b"1"), (b"x-a", b"2"), (b"Content-Length", b"5"), (b"connection", b"close"))


def stream(
    own: FilterConfig | None = None,
    headers: tuple[tuple[bytes, bytes], ...] = SENT,
    *,
    of_host: FilterConfig | None = None,
    draws: tuple[float, ...] = (),
    peer: Peer | None = None,
) -> FakeStream:
    """A request to a cluster, whose route says something of the filter."""
    wants = route(
        "/",
        RouteAction(cluster="a"),
        filters={"authz": own} if own is not None else {},
        metadata={"ns": {"k": "v"}},
    )
    of_vhost = {"authz": of_host} if of_host is not None else {}
    found = RouteTable(table(vhost(wants, domains=["*"], filters=of_vhost))).find(b"x")
    assert found is not None
    runtime = Runtime(clock=Clock(), rng=Draws(*draws), wall=lambda: 7.5)
    runtime.publish(snapshot(clusters=[cluster("a", "10.0.0.1:80")]))
    view = RequestView(b"POST", b"http", b"shop", b"/a?b=c", headers, "10.1.1.1")
    return FakeStream(view, found.routes[0], found.routes[0].targets[0], runtime, peer=peer)


def filter_of(config: ExtAuthz, here: FakeStream, *, on: bool = True) -> ExtAuthzFilter:
    return ExtAuthzFilter("authz", config, here.runtime, on=on)


def ran(filter_: ExtAuthzFilter, here: FakeStream, answer: object, *, body: bytes | None = b"hello") -> Ran:
    """Run with an answer; whoever wants the body gets it."""
    steps = filter_.on_request(here)
    if steps is None or isinstance(steps, LocalReply):
        return Ran(steps, [])
    actions: list[Any] = []
    try:
        action = next(steps)
        while True:
            actions.append(action)
            if isinstance(action, Collect):
                action.body = body or b""
                action = steps.send(None if body is None else len(body))
            else:
                action = steps.send(answer)
    except StopIteration as stop:
        return Ran(stop.value, actions)


def asked(here: FakeStream, config: ExtAuthz = CONFIG, *, body: bytes | None = b"hello") -> Any:
    """What is asked, if anything."""
    actions = ran(filter_of(config, here), here, OK, body=body).actions
    return next((each.request for each in actions if isinstance(each, Ask)), None)


def test_a_service_is_shown_the_request() -> None:
    query = asked(stream())
    assert isinstance(query, CheckQuery)
    assert (query.method, query.path, query.host, query.scheme) == (b"POST", b"/a?b=c", b"shop", b"http")
    assert (query.source.address, query.destination.address, query.destination.port) == ("10.1.1.1", "10.0.0.9", 8080)
    assert (query.protocol, query.time_s, query.size, query.body) == ("HTTP/1.1", 7.5, 0, None)
    assert dict(query.headers) == {
        b":authority": b"shop",
        b":path": b"/a?b=c",
        b":method": b"POST",
        b":scheme": b"http",
        b"x-a": b"1,2",
        b"content-length": b"5",
    }
    assert (query.context, query.metadata, query.route_metadata, query.server_name) == ({}, {}, {}, None)
    assert query.source.principal == query.destination.principal == query.source.certificate == ""


def test_an_upgrade_is_shown() -> None:
    query = asked(stream(headers=((b"Upgrade", b"websocket"), (b"Connection", b"Upgrade"))))
    assert dict(query.headers)[b"connection"] == b"Upgrade"
    assert b"upgrade" not in dict(asked(stream(headers=((b"upgrade", b"h2c"),))).headers)


PEER = Peer(b"der", True, ("spiffe://a",), ("a.example",), "CN=a", "sni", local_uri_sans=("spiffe://me",))


def test_a_service_learns_who_asks() -> None:
    config = replace(CONFIG, peer_certificate=True, tls_session=True)
    query = asked(stream(peer=PEER), config)
    assert (query.source.principal, query.destination.principal) == ("spiffe://a", "spiffe://me")
    assert (query.source.certificate, query.server_name) == (pem(PEER), "sni")
    assert pem(PEER).startswith("-----BEGIN%20CERTIFICATE-----%0A")
    assert asked(stream(peer=replace(PEER, uri_sans=()))).source.principal == "a.example"
    assert asked(stream(peer=replace(PEER, validated=False))).source.principal == ""
    nobody = asked(stream(peer=Peer(server_name="sni")), config)
    assert (nobody.source.principal, nobody.source.certificate) == ("", "")
    assert asked(stream(), config).server_name == ""


NAMES = (StringMatcher("exact", "x-a"), StringMatcher("prefix", ":"))


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (replace(CONFIG, allowed_headers=NAMES), {b"x-a", b":path", b":method", b":scheme", b":authority"}),
        (replace(CONFIG, disallowed_headers=NAMES), {b"content-length"}),
        (replace(CONFIG, allowed_headers=NAMES[:1], disallowed_headers=NAMES), set()),
    ],
)
def test_a_service_sees_the_headers_that_it_may(config: ExtAuthz, expected: set[bytes]) -> None:
    assert {name for name, _ in asked(stream(), config).headers} == expected


def test_raw_headers_are_shown_one_by_one() -> None:
    query = asked(stream(), replace(CONFIG, raw_headers=True))
    assert query.raw_headers
    assert [pair for pair in query.headers if pair[0] == b"x-a"] == [(b"x-a", b"1"), (b"x-a", b"2")]


@pytest.mark.parametrize(
    ("settings", "headers", "body", "expected"),
    [
        (BodySettings(5), SENT, b"hello", (b"hello", b"false", 5, False)),
        (BodySettings(5, as_bytes=True), SENT, b"hello", (b"hello", b"false", 5, True)),
        (BodySettings(4, partial=True), SENT, b"hello", (b"hell", b"true", 5, False)),
        (BodySettings(5), ((b"transfer-encoding", b"chunked"),), b"", (b"", b"false", 0, False)),
        (BodySettings(5), ((b"content-length", b"3"),), b"", (None, None, 0, False)),
        (BodySettings(5), ((b"content-length", b"0"),), b"x", (None, None, 0, False)),
        (BodySettings(5), (), b"x", (None, None, 0, False)),
        (BodySettings(5), ((b"upgrade", b"WebSocket"), (b"content-length", b"1")), b"x", (None, None, 0, False)),
    ],
)
def test_a_body_is_shown_where_it_is_wanted(settings: BodySettings, headers: Any, body: bytes, expected: Any) -> None:
    query = asked(stream(headers=headers), replace(CONFIG, body=settings), body=body)
    partial = dict(query.headers).get(b"x-envoy-auth-partial-body")
    assert (query.body, partial, query.size, query.raw_body) == (
        expected[0],
        expected[1],
        expected[2],
        settings.as_bytes,
    )


def test_an_incoming_request_may_have_a_body_without_saying_so() -> None:
    here = stream(headers=())
    here.incoming = True
    assert asked(here, replace(CONFIG, body=BodySettings(5)), body=b"x").body == b"x"


def test_a_body_that_is_too_long_is_refused() -> None:
    here = stream()
    found = ran(filter_of(replace(CONFIG, body=BodySettings(4)), here), here, OK)
    assert found.reply is not None
    assert (found.reply.status, len(found.actions)) == (413, 1)


def test_a_dry_run_asks_nobody() -> None:
    here = stream()
    assert ran(filter_of(CONFIG, here), here, None).reply is None
    found = ran(filter_of(replace(CONFIG, body=BodySettings(4)), here), here, OK, body=None)
    assert (found.reply, len(found.actions)) == (None, 1)


def test_places_have_their_say() -> None:
    own = ExtAuthzPerRoute(context={"b": "route"})
    here = stream(own, of_host=ExtAuthzPerRoute(context={"a": "host", "b": "host"}))
    assert asked(here).context == {"a": "host", "b": "route"}
    body = replace(CONFIG, body=BodySettings(9))
    assert asked(stream(ExtAuthzPerRoute(no_body=True)), body).body is None
    assert asked(stream(ExtAuthzPerRoute(body=BodySettings(2, partial=True))), body).body == b"he"
    other = stream(ExtAuthzPerRoute(service=HTTP, timeout_s=3.0))
    filter_ = filter_of(CONFIG, other)
    for _ in range(2):
        action = ran(filter_, other, HttpVerdict(200)).actions[0]
        assert isinstance(action, Ask)
        assert action.timeout_s == 3.0
        assert isinstance(action.request, HttpCheck)
    many = [ExtAuthzPerRoute(service=HTTP) for _ in range(1030)]
    for each in many:
        filter_._of(each)
    assert len(filter_._others) < 1024


def test_it_applies_where_a_request_goes_somewhere() -> None:
    here = stream()
    assert not filter_of(CONFIG, here).applies(None)
    assert filter_of(CONFIG, here).applies(here.target)
    assert not filter_of(CONFIG, here, on=False).applies(here.target)
    assert filter_of(CONFIG, here, on=False).applies(stream(ExtAuthzPerRoute()).target)
    assert not filter_of(CONFIG, here).applies(stream(ExtAuthzPerRoute(disabled=True)).target)


def test_it_is_asked_as_often_as_wanted() -> None:
    half = replace(CONFIG, enabled=Fraction(50, 100))
    assert asked(stream(draws=(0.4, 0.1)), half) is not None
    assert asked(stream(draws=(0.6,)), half) is None
    here = stream(draws=(0.6,))
    reply = ran(filter_of(replace(half, deny_at_disable=True, status_on_error=503), here), here, OK).reply
    assert reply is not None
    assert (reply.status, reply.flags, reply.details) == (503, ("UAEX",), "ext_authz_error")


def test_what_filters_say_switches_it_on() -> None:
    condition = WithMetadata("rbac", ("id",), StringMatcher("prefix", "istio-ext-authz"))
    config = replace(CONFIG, enabled_metadata=condition, namespaces=("rbac", "none"), route_namespaces=("ns",))
    assert asked(stream(), config) is None
    here = stream()
    here.dynamic["rbac"] = {"id": "istio-ext-authz-one"}
    query = asked(here, config)
    assert (query.metadata, query.route_metadata) == ({"rbac": {"id": "istio-ext-authz-one"}}, {"ns": {"k": "v"}})
    assert asked(stream(), replace(config, enabled_metadata=replace(condition, invert=True))) is not None


@pytest.mark.parametrize(
    ("config", "answer", "status", "details"),
    [
        (CONFIG, DENIED, 403, "ext_authz_denied"),
        (CONFIG, replace(DENIED, status=401, body=b"no"), 401, "ext_authz_denied"),
        (CONFIG, CheckAnswer("error"), 403, "ext_authz_error"),
        (CONFIG, Failure("unreachable", "x"), 403, "ext_authz_error"),
        (CONFIG, HttpVerdict(200), 403, "ext_authz_error"),
        (replace(CONFIG, status_on_error=502), Failure("unreachable", "x"), 502, "ext_authz_error"),
        (replace(CONFIG, validate_mutations=True), replace(OK, invalid=True), 500, "ext_authz_invalid"),
        (CONFIG, replace(OK, headers=(HeaderChange(b"x", b"a\nb"),)), 500, "ext_authz_invalid"),
        (CONFIG, replace(DENIED, headers=(HeaderChange(b"x y", b""),)), 500, "ext_authz_invalid"),
        (CONFIG, replace(OK, response_headers=(HeaderChange(b"", b""),)), 500, "ext_authz_invalid"),
        (
            replace(CONFIG, validate_mutations=True),
            replace(OK, set_parameters=((b"a b", b""),)),
            500,
            "ext_authz_invalid",
        ),
    ],
)
def test_what_may_not_pass_is_answered(config: ExtAuthz, answer: object, status: int, details: str) -> None:
    here = stream()
    reply = ran(filter_of(config, here), here, answer).reply
    assert reply is not None
    assert (reply.status, reply.flags, reply.details) == (status, ("UAEX",), details)


def test_denials_have_headers_and_a_body() -> None:
    here = stream()
    answer = replace(DENIED, headers=(HeaderChange(b"x-why", b"1"), HeaderChange(b"x-why", b"2")), body=b"because")
    reply = ran(filter_of(replace(CONFIG, max_denied_body=3), here), here, answer).reply
    assert reply is not None
    assert (reply.body, reply.headers) == (b"bec", ((b"x-why", b"1"), (b"x-why", b"2")))


def test_a_failure_may_let_pass() -> None:
    config = replace(CONFIG, failure_mode_allow=True)
    here = stream()
    assert ran(filter_of(config, here), here, CheckAnswer("error")).reply is None
    assert here.request.header(b"x-envoy-auth-failure-mode-allowed") is None
    assert (
        ran(filter_of(replace(config, failure_mode_allow_header=True), here), here, CheckAnswer("error")).reply is None
    )
    assert here.request.header(b"x-envoy-auth-failure-mode-allowed") == b"true"


def test_an_answer_changes_request_and_response() -> None:
    here = stream()
    filter_ = filter_of(CONFIG, here)
    answer = replace(
        OK, headers=(HeaderChange(b"x-who", b"me"),), response_headers=(HeaderChange(b"x-r", b"1", "add"),)
    )
    assert filter_.on_response(here, 200, [(b"a", b"b")]) == [(b"a", b"b")]
    assert ran(filter_, here, answer).reply is None
    assert here.request.header(b"x-who") == b"me"
    assert filter_.on_response(here, 200, []) == [(b"x-r", b"1")]
    assert not here.moved


@pytest.mark.parametrize(
    ("answer", "moved"),
    [
        (OK, False),
        (replace(OK, headers=(HeaderChange(b"a", b"", "add"),)), False),
        (replace(OK, headers=(HeaderChange(b"a", b""),)), True),
        (replace(OK, remove=(b"a",)), True),
        (replace(OK, set_parameters=((b"a", b""),)), True),
        (replace(OK, remove_parameters=(b"a",)), True),
    ],
)
def test_a_changed_request_may_be_routed_anew(answer: CheckAnswer, moved: bool) -> None:
    here = stream()
    assert ran(filter_of(replace(CONFIG, clear_route_cache=True), here), here, answer).reply is None
    assert here.moved is moved


def test_other_filters_are_told() -> None:
    here = stream()
    ran(filter_of(CONFIG, here), here, replace(OK, metadata={"who": "me"}))
    assert here.dynamic[METADATA] == {"who": "me", DURATION: 0.0}
    ran(filter_of(CONFIG, here), here, replace(DENIED, metadata={"who": "you"}))
    assert here.dynamic[METADATA]["who"] == "you"
    deaf = stream()
    ran(filter_of(replace(CONFIG, takes_metadata=False), deaf), deaf, replace(OK, metadata={"who": "me"}))
    assert deaf.dynamic == {}


def test_a_service_may_speak_plain_http() -> None:
    allowed = replace(HTTP, prefix="/pre", allowed_headers=(StringMatcher("exact", "x-a"),))
    check = asked(stream(), replace(CONFIG, service=allowed, body=BodySettings(9)))
    assert (check.method, check.authority, check.path, check.body) == (b"POST", b"shop", b"/pre/a?b=c", b"hello")
    assert dict(check.headers) == {
        b"content-length": b"5",
        b"x-a": b"1,2",
        b"x-envoy-auth-partial-body": b"false",
        b"x-more": b"1",
    }
    own = replace(
        CONFIG, service=replace(HTTP, override="/always"), allowed_headers=(StringMatcher("exact", "content-length"),)
    )
    check = asked(stream(), own)
    assert (check.path, dict(check.headers)) == (b"/always", {b"content-length": b"0", b"x-more": b"1"})
    here = stream()
    reply = ran(
        filter_of(replace(CONFIG, service=HTTP), here), here, HttpVerdict(401, ((b"x-why", b"1"),), b"no")
    ).reply
    assert reply is not None
    assert (reply.status, reply.body, reply.headers) == (401, b"no", ((b"x-why", b"1"),))
