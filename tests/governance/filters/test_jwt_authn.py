"""The JWT filter: which rule a request is under, replies, preflights, what routes say."""

from __future__ import annotations

from typing import Any

import pytest

from proxyless.governance.authorization.decisions import Decision
from proxyless.governance.filters.jwt_authn import NAMESPACE, JwtAuthnFilter
from proxyless.governance.filters.rbac import decisions_of
from proxyless.governance.request import RequestView
from proxyless.governance.routing import Target
from proxyless.governance.runtime import Runtime
from proxyless.governance.tokens.reasons import BAD_FORMAT
from proxyless.xds.model.jwt import JwtAuthentication, JwtPerRoute, JwtProvider, JwtRequirement, JwtRule, RemoteJwks
from proxyless.xds.model.matchers import HeaderMatcher, PathMatcher
from proxyless.xds.model.route import RouteMatch
from tests.governance.filters.places import target
from tests.support.streams import FakeStream, Ran, run
from tests.support.tokens import key_set, signer

NAME = "jwt"
KEYS = key_set(signer("HS256")).encode()
TOKEN = signer("HS256").token({"iss": "one", "sub": "user", "exp": 2000, "aud": "shop"}).encode()
BEARER = (b"authorization", b"Bearer " + TOKEN)
NEED = JwtRequirement("provider", "p")
ANYWHERE = JwtRule(RouteMatch(PathMatcher("prefix", "/")), NEED)
RUNTIME = Runtime(wall=lambda: 1000.0)


def config(*rules: JwtRule, provider: dict[str, Any] | None = None, **fields: Any) -> JwtAuthentication:
    made: dict[str, Any] = {"issuer": "one", "local": KEYS, "headers": (("authorization", "Bearer "),)}
    return JwtAuthentication((("p", JwtProvider(**{**made, **(provider or {})})),), rules or (ANYWHERE,), **fields)


def ran(
    held: JwtAuthentication,
    *headers: tuple[bytes, bytes],
    path: bytes = b"/",
    method: bytes = b"GET",
    place: Target | None = None,
    answers: tuple[object, ...] = (),
) -> tuple[Ran, FakeStream]:
    stream = FakeStream(RequestView(method, b"http", b"app", path, list(headers)), target=place, runtime=RUNTIME)
    return run(JwtAuthnFilter(NAME, held, RUNTIME, on=True), stream, *answers), stream


def status(*args: Any, **fields: Any) -> int:
    reply = ran(*args, **fields)[0].reply
    return reply.status if reply is not None else 0


def test_a_missing_token_is_401_and_says_where() -> None:
    reply = ran(config(), (b"x-forwarded-proto", b"https"), path=b"/a?b")[0].reply
    assert reply is not None
    assert (reply.status, reply.body, reply.flags) == (401, b"Jwt is missing", ())
    assert reply.headers == ((b"www-authenticate", b'Bearer realm="https://app/a?b"'),)
    assert reply.details == "jwt_authn_access_denied{Jwt_is_missing}"


def test_a_bad_token_is_an_invalid_one() -> None:
    reply = ran(config(), (b"authorization", b"Bearer x"), path=b"/" + b"x" * 300)[0].reply
    assert reply is not None
    realm = b"http://app/" + b"x" * 255
    assert reply.headers == ((b"www-authenticate", b'Bearer realm="%s", error="invalid_token"' % realm),)


def test_another_audience_is_403() -> None:
    assert status(config(provider={"audiences": ("else",)}), BEARER) == 403


def test_replies_may_say_nothing() -> None:
    reply = ran(config(strips_replies=True))[0].reply
    assert reply is not None
    assert (reply.status, reply.body, reply.headers) == (401, b"", ())
    assert reply.details == "jwt_authn_access_denied{Jwt_is_missing}"


def test_a_good_token_goes_through_and_tells_the_others() -> None:
    found, stream = ran(config(provider={"payload_in_metadata": "payload"}), BEARER)
    assert found.reply is None
    assert stream.request.raw_headers == []
    assert stream.dynamic[NAMESPACE]["payload"]["sub"] == "user"
    assert decisions_of(stream) == (Decision(NAME, enforced=True, allowed=True, tokens=True),)


def test_why_a_token_was_refused_is_told_to_metrics_and_explain() -> None:
    stream = ran(config(), (b"authorization", b"Bearer x.y"))[1]
    (one,) = decisions_of(stream)
    assert (one.allowed, one.reason) == (False, BAD_FORMAT.text)


def test_the_first_rule_that_matches_counts() -> None:
    held = config(
        JwtRule(RouteMatch(PathMatcher("path", "/open"))),
        JwtRule(RouteMatch(PathMatcher("prefix", "/a"), (HeaderMatcher("x-a"),)), NEED),
    )
    assert status(held, path=b"/open?x#y") == 0
    assert status(held, path=b"/a") == 0
    assert status(held, (b"x-a", b"1"), path=b"/a") == 401
    assert status(held, (b"x-a", b"1"), path=b"/b") == 0


def test_preflights_may_pass() -> None:
    headers = ((b"origin", b"a"), (b"access-control-request-method", b"GET"))
    held = config(lets_preflights_pass=True)
    assert status(held, *headers, method=b"OPTIONS") == 0
    assert status(held, *headers) == 401
    assert status(held, headers[0], method=b"OPTIONS") == 401
    assert status(config(), *headers, method=b"OPTIONS") == 401


def test_what_only_a_token_may_say_is_removed_whatever_is_needed() -> None:
    held = config(JwtRule(RouteMatch(PathMatcher("path", "/else")), NEED), provider={"payload_header": "x-p"})
    for place in (None, target(jwt=JwtPerRoute(None))):
        _, stream = ran(held, (b"x-p", b"forged"), place=place)
        assert stream.request.raw_headers == []


def test_routes_ask_by_name() -> None:
    held = config(JwtRule(RouteMatch(PathMatcher("path", "/else"))), named=(("n", NEED),))
    assert status(held, place=target()) == 0
    assert status(held, place=target(jwt=JwtPerRoute("n"))) == 401
    assert status(config(), place=target(jwt=JwtPerRoute(None))) == 0
    found = ran(held, place=target(jwt=JwtPerRoute("x")))[0].reply
    assert found is not None
    assert found.body == b"Failed JWT authentication: Wrong requirement_name: x. It should be one of [n]"
    assert (found.status, found.headers) == (403, ())
    assert found.details == "jwt_authn_access_denied{Wrong_requirement_name:_x._It_should_be_one_of_[n]}"
    silent = ran(config(strips_replies=True), place=target(jwt=JwtPerRoute("x")))[0].reply
    assert silent is not None
    assert silent.body == b""


@pytest.mark.parametrize(("on", "place", "expected"), [(True, None, True), (False, None, False)])
def test_it_applies_where_it_is_on(on: bool, place: Target | None, expected: bool) -> None:
    filter_ = JwtAuthnFilter(NAME, config(), RUNTIME, on=on)
    assert filter_.applies(place) is expected
    assert filter_.applies(target(jwt=JwtPerRoute("n")))


def test_without_a_configuration_it_needs_nothing() -> None:
    filter_ = JwtAuthnFilter(NAME, None, RUNTIME, on=True)
    assert not filter_.applies(target())
    assert filter_.on_request(FakeStream(RequestView(b"GET", b"http", b"app", b"/"))) is None


def test_the_cluster_that_a_header_named_stays() -> None:
    held = config(provider={"headers": (("x-cluster", ""),)})
    found, stream = ran(held, (b"x-cluster", TOKEN), place=target(header="x-cluster"))
    assert found.reply is None
    assert stream.named == TOKEN.decode()
    again = FakeStream(stream.request, target=target(header="x-cluster"), runtime=RUNTIME, named="kept")
    run(JwtAuthnFilter(NAME, held, RUNTIME, on=True), again)
    assert again.named == "kept"


def test_keys_that_are_fetched_ahead_are_known_to_the_runtime() -> None:
    woken: list[int] = []
    runtime = Runtime()
    remote = RemoteJwks("http://keys/", "keys", 1.0, ahead=True)
    held = config(provider={"remote": remote})
    JwtAuthnFilter(NAME, held, runtime, on=True)
    assert runtime.keys_ahead == ()
    runtime.on_keys = lambda: woken.append(1)
    for _ in range(2):
        JwtAuthnFilter(NAME, held, runtime, on=True)
    assert (len(runtime.keys_ahead), woken) == (1, [1])
    runtime.reset()
    assert runtime.keys_ahead == ()
