"""What a request is before a route is looked for (docs/envoy-facts.md: "Order of things", "Request headers")."""

from __future__ import annotations

import random
import uuid

import pytest

from proxyless.governance.admission import Admission, admit, request_id
from proxyless.governance.forwarding import put
from proxyless.governance.paths import NotHttpError
from proxyless.governance.replies import LocalReply
from proxyless.governance.request import RequestView
from proxyless.xds.model.listener import HttpConnectionManager, PathAction

ID = "x-request-id: 7"
CONFIG = Admission(HttpConnectionManager("test", normalize_path=True))


def asked(
    *lines: str, method: str = "GET", path: str = "/", authority: str = "shop", scheme: str = "http"
) -> RequestView:
    """A request with headers given as `name: value`."""
    pairs = [tuple(each.encode("latin-1") for each in line.split(": ", 1)) for line in lines]
    return RequestView(method.encode(), scheme.encode(), authority.encode("latin-1"), path.encode(), pairs)  # type: ignore[arg-type]


def admitted(*lines: str, **request: str) -> list[str]:
    """The header lines after admission, which succeeds; without the protocol and the id that every request gets."""
    view = asked(*lines, ID, **request)
    assert admit(view, CONFIG, random.Random(1)) is None
    assert view.headers == RequestView(b"", b"", b"", b"", view.raw_headers).headers, "what is matched is what is sent"
    found = [b": ".join(pair).decode("latin-1") for pair in view.raw_headers]
    return [line for line in found if line not in (ID, "x-forwarded-proto: http")]


def refused(*lines: str, **request: str) -> LocalReply:
    reply = admit(asked(*lines, **request), CONFIG, random.Random(1))
    assert reply is not None
    return reply


def told(reply: LocalReply) -> tuple[int, str, str]:
    return reply.status, reply.flag, reply.details


def test_a_request_gets_its_protocol_and_an_id_at_the_end() -> None:
    view = asked("host: shop", "accept: */*", "connection: keep-alive", "user-agent: test")
    assert admit(view, CONFIG, random.Random(1)) is None
    names = [name.decode() for name, _ in view.raw_headers]
    assert names == ["accept", "user-agent", "x-forwarded-proto", "x-request-id"]
    assert view.header(b"x-forwarded-proto") == b"http"
    made = uuid.UUID((view.header(b"x-request-id") or b"").decode())
    assert (made.version, made.variant) == (4, uuid.RFC_4122)


@pytest.mark.parametrize("bits", [0, 2**128 - 1, 0x0123456789ABCDEF0123456789ABCDEF])
def test_a_request_id_is_a_uuid_of_its_random_bits(bits: int) -> None:
    made = uuid.UUID(request_id(bits).decode())
    assert (made.version, made.variant) == (4, uuid.RFC_4122)
    fixed = ~(0xF << 76 | 0x3 << 62)
    assert made.int & fixed & ~(0xFFF << 64) == (
        bits >> 96 << 96 | (bits >> 80 & 0xFFFF) << 80 | (bits >> 48 & 0x3FFF) << 48 | bits & 0xFFFFFFFFFFFF
    )


def test_an_id_that_was_sent_stays_and_an_empty_one_is_filled_in_its_place() -> None:
    kept = asked("X-Request-Id: any text", "a: 1")
    assert admit(kept, CONFIG, random.Random(1)) is None
    assert kept.raw_headers[0] == (b"X-Request-Id", b"any text")
    filled = asked("x-request-id: ", "a: 1")
    assert admit(filled, CONFIG, random.Random(1)) is None
    (name, value), *rest = filled.raw_headers
    assert (name, len(value)) == (b"x-request-id", 36)
    assert filled.header(b"x-request-id") == value
    assert [each for each, _ in rest] == [b"a", b"x-forwarded-proto"]


@pytest.mark.parametrize(
    ("sent", "scheme"), [("https", "https"), ("HTTPS", "https"), ("ftp", "http"), ("http", "http")]
)
def test_a_protocol_that_was_sent_stays_and_is_the_scheme_if_it_is_one(sent: str, scheme: str) -> None:
    view = asked(f"x-forwarded-proto: {sent}")
    assert admit(view, CONFIG, random.Random(1)) is None
    assert view.header(b"x-forwarded-proto") == sent.encode()
    assert view.header(b":scheme") == scheme.encode()


def test_an_empty_protocol_leads_nowhere() -> None:
    assert told(refused("x-forwarded-proto: ")) == (404, "NR", "route_not_found")


@pytest.mark.parametrize(
    "line",
    [
        "x-envoy-max-retries: 3",
        "X-Envoy-Retry-On: 5xx",
        "x-envoy-retry-grpc-on: cancelled",
        "x-envoy-upstream-rq-timeout-ms: 5",
        "x-envoy-upstream-rq-per-try-timeout-ms: 5",
        "x-envoy-retriable-status-codes: 418",
        "x-envoy-hedge-on-per-try-timeout: true",
        "x-envoy-upstream-alt-stat-name: x",
        "x-envoy-expected-rq-timeout-ms: 5",
        "x-envoy-internal: true",
        "x-envoy-force-trace: true",
        "x-envoy-ip-tags: x",
        "x-forwarded-client-cert: Hash=1",
        "keep-alive: timeout=5",
        "proxy-connection: keep-alive",
        "upgrade: websocket",
        "upgrade: h2c",
        "te: gzip",
        "connection: close",
    ],
)
def test_what_concerns_one_hop_or_envoy_alone_is_removed(line: str) -> None:
    assert admitted("a: 1", line, "b: 2") == ["a: 1", "b: 2"]


@pytest.mark.parametrize(
    "line",
    [
        "x-envoy-external-address: 1.2.3.4",
        "x-envoy-original-dst-host: 1.2.3.4:5",
        "x-envoy-unheard-of: 1",
        "x-forwarded-for: 10.1.1.1",
        "traceparent: 00-1-2-01",
        "trailer: x",
        "proxy-authorization: Basic x",
        "expect: 100-continue",
        "X_Under: score",
        "empty: ",
        "high: \xff",
    ],
)
def test_what_may_be_said_is_kept_as_it_is(line: str) -> None:
    assert admitted("a: 1", line, "keep-alive: 1") == ["a: 1", line]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["te: trailers"], ["te: trailers"]),
        (["te: gzip, trailers", "a: 1"], ["te: trailers", "a: 1"]),
        (["te: gzip", "a: 1", "te: trailers"], ["te: trailers", "a: 1"]),
    ],
)
def test_te_says_trailers_or_nothing(lines: list[str], expected: list[str]) -> None:
    assert admitted(*lines) == expected


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["connection: X-Gone, close", "x-gone: 1", "x: 1"], ["x: 1"]),
        (["connection: a", "connection: b", "a: 1", "b: 1", "c: 1"], ["c: 1"]),
        (
            ["connection: te, content-length", "te: trailers", "content-length: 3"],
            ["te: trailers", "content-length: 3"],
        ),
        (["connection: upgrade, http2-settings", "upgrade: h2c", "http2-settings: x"], []),
        (["http2-settings: x", "te: x"], ["http2-settings: x"]),
        (["connection: upgrade", "upgrade: websocket", "a: 1"], ["connection: upgrade", "upgrade: websocket", "a: 1"]),
        (
            ["Connection: keep-alive, Upgrade", "Upgrade: WebSocket"],
            ["Connection: keep-alive, Upgrade", "Upgrade: WebSocket"],
        ),
    ],
)
def test_connection_names_what_is_removed_and_upgrades(lines: list[str], expected: list[str]) -> None:
    assert admitted(*lines) == expected


@pytest.mark.parametrize("value", ["x-forwarded-for", "a, X-Forwarded-Proto", ",".join("abcdefghijk")])
def test_connection_may_not_name_forwarding_headers_or_too_many(value: str) -> None:
    reply = refused(f"connection: {value}")
    assert told(reply) == (400, "DPE", "http1.connection_header_rejected")
    assert (reply.body, reply.headers) == (b"Bad Request", ((b"connection", b"close"),))


@pytest.mark.parametrize("upgrade", ["h3", "websocket, h2c"])
def test_an_unknown_upgrade_is_forbidden(upgrade: str) -> None:
    reply = refused("connection: upgrade", f"upgrade: {upgrade}")
    assert (told(reply), reply.body) == ((403, "-", "upgrade_failed"), b"")


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["accept: a", "b: 1", "Accept: c"], ["accept: a,c", "b: 1"]),
        (["user-agent: a", "user-agent: "], ["user-agent: a"]),
        (["cookie: a", "cookie: b"], ["cookie: a", "cookie: b"]),
        (["x-custom: a", "x-custom: a"], ["x-custom: a", "x-custom: a"]),
    ],
)
def test_what_envoy_keeps_as_one_line_is_joined_and_the_rest_kept_apart(lines: list[str], expected: list[str]) -> None:
    assert admitted(*lines) == expected


@pytest.mark.parametrize("method", ["get", "PRI", "FOO", "G@T", "", "CONNECT", "M-SEARCH"])
def test_a_method_that_the_parser_does_not_know_is_a_bad_request(method: str) -> None:
    reply = refused(method=method)
    assert told(reply) == (400, "DPE", "http1.codec_error")


@pytest.mark.parametrize("method", ["GET", "OPTIONS", "TRACE", "PATCH", "PROPFIND", "PURGE", "MSEARCH"])
def test_methods_that_it_knows_pass(method: str) -> None:
    assert admitted(method=method) == []


def test_query_needs_a_content_type() -> None:
    assert told(refused(method="QUERY")) == (400, "-", "query_missing_content_type")
    assert told(refused("content-type: ", method="QUERY")) == (400, "-", "query_missing_content_type")
    assert admitted("content-type: text/plain", method="QUERY") == ["content-type: text/plain"]


def test_a_hundred_headers_are_enough() -> None:
    lines = [f"x-{number}: 1" for number in range(98)]
    assert admitted(*lines) == lines
    reply = refused(*lines, "x-98: 1", "x-99: 1")
    assert told(reply) == (431, "DPE", "http1.too_many_headers")
    assert reply.body == b"Request Header Fields Too Large"


def test_the_path_is_normalized_and_a_bad_one_refused() -> None:
    view = asked(path="/a/../%41?x")
    assert admit(view, CONFIG, random.Random(1)) is None
    assert view.path == b"/A?x"
    assert told(refused(path="/%00")) == (400, "-", "path_normalization_failed")


def slashed(action: PathAction, *lines: str) -> LocalReply:
    config = Admission(HttpConnectionManager("test", normalize_path=True, escaped_slashes=action))
    reply = admit(asked(*lines, path="/a%2fb?c"), config, random.Random(1))
    assert reply is not None
    return reply


def test_escaped_slashes_may_be_refused_or_redirected_but_grpc_follows_nobody() -> None:
    assert told(slashed("REJECT_REQUEST")) == (400, "-", "path_normalization_failed")
    redirected = slashed("UNESCAPE_AND_REDIRECT")
    assert (told(redirected), redirected.headers) == (
        (307, "-", "path_normalization_failed"),
        ((b"location", b"/a/b?c"),),
    )
    assert told(slashed("UNESCAPE_AND_REDIRECT", "content-type: application/grpc")) == (
        400,
        "-",
        "path_normalization_failed",
    )


def test_of_several_faults_the_inspector_speaks_first_and_then_the_codec() -> None:
    with pytest.raises(NotHttpError):
        refused("connection: x-forwarded-for", path="*", authority="caf\xe9")
    with pytest.raises(NotHttpError):
        refused(path="/%00?\x7f")
    assert refused(path="/%00", authority="caf\xe9").details == "http.invalid_authority"
    assert refused(method="get", authority="caf\xe9").details == "http1.codec_error"
    assert refused("x-forwarded-proto: ", authority="a b").details == "http.invalid_authority"


@pytest.mark.parametrize(
    ("before", "sent", "after"),
    [
        ([b"a", b"b"], True, [b"a", b"b", b"x"]),
        ([b"X", b"a"], True, [b"x", b"a"]),
        ([b"a", b"x", b"b", b"X", b"x"], True, [b"a", b"x", b"b"]),
        ([b"x"], False, [b"x", b"x"]),
    ],
)
def test_put_takes_the_place_of_what_was_sent(before: list[bytes], sent: bool, after: list[bytes]) -> None:
    headers = [(name, b"old") for name in before]
    put(headers, b"x", b"new", sent=sent)
    assert [name for name, _ in headers] == after
    assert headers[after.index(b"x") if sent else -1] == (b"x", b"new")
