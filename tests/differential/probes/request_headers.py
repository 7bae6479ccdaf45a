"""Request headers of the recorded `frontend` configuration: what is added, changed, removed, joined and in which
order.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.differential.probes.show import answer, headers, short
from tests.differential.recording import Recording
from tests.differential.rig import Observation, Rig
from tests.support import rawhttp
from tests.support.behaviour import Headers

UUID = "2f7e851d-2f0b-459b-bdcb-8d78b958309a"
CONTROL = (
    "x-envoy-max-retries x-envoy-retry-on x-envoy-retry-grpc-on x-envoy-upstream-rq-timeout-ms "
    "x-envoy-upstream-rq-per-try-timeout-ms x-envoy-upstream-stream-duration-ms x-envoy-retriable-status-codes "
    "x-envoy-retriable-header-names x-envoy-hedge-on-per-try-timeout x-envoy-upstream-alt-stat-name "
    "x-envoy-upstream-rq-timeout-alt-response x-envoy-expected-rq-timeout-ms x-envoy-attempt-count "
    "x-envoy-decorator-operation x-envoy-original-path x-envoy-original-host x-envoy-internal x-envoy-external-address "
    "x-envoy-downstream-service-cluster x-envoy-downstream-service-node x-envoy-force-trace x-envoy-ip-tags "
    "x-envoy-degraded x-envoy-immediate-health-check-fail x-envoy-original-dst-host x-envoy-peer-metadata "
    "x-envoy-overloaded x-envoy-ratelimited x-envoy-original-method x-envoy-upstream-service-time x-envoy-foo"
)
SINGLE = (
    "accept accept-encoding accept-language access-control-request-headers access-control-request-method "
    "access-control-request-private-network authorization cache-control client-trace-id content-encoding content-type "
    "cookie date etag expect expires forwarded from grpc-accept-encoding grpc-timeout if-match if-modified-since "
    "if-none-match if-range if-unmodified-since last-modified link location max-forwards origin pragma "
    "proxy-authorization proxy-status range referer sec-fetch-mode server set-cookie traceparent tracestate trailer "
    "user-agent vary via warning x-b3-traceid x-client-trace-id x-envoy-downstream-service-cluster "
    "x-envoy-external-address x-envoy-original-path x-forwarded-for x-forwarded-host x-forwarded-port "
    "x-forwarded-proto x-forwarded-scheme x-ot-span-context x-request-id x-custom"
)
CASES: dict[str, Headers] = {
    "nothing but Host": (),
    "names in mixed case": (("User-Agent", "x/1"), ("Accept", "*/*"), ("X-Z", "1"), ("X-A", "2")),
    "duplicates": (("X-A", "1"), ("X-B", "b"), ("x-a", "2"), ("Cookie", "a=1"), ("cookie", "b=2")),
    "empty and padded values": (("X-A", ""), ("x-b", " "), ("x-c", "  y \t")),
    "underscore, non-ASCII": (("x_foo", "1"), ("X-Foo_Bar", "2"), ("x-n", "caf\xe9")),
    "connection: close, x-foo": (("connection", "close, x-foo"), ("x-foo", "1"), ("x-bar", "2")),
    "connection: keep-alive": (("connection", "keep-alive"), ("keep-alive", "timeout=5")),
    "proxy-connection": (("proxy-connection", "keep-alive"), ("proxy-authorization", "Basic x")),
    "te: trailers": (("te", "trailers"),),
    "te: trailers, deflate": (("te", "trailers, deflate"),),
    "te: gzip": (("te", "gzip"),),
    "trailer": (("trailer", "x-t"),),
    "upgrade without connection": (("upgrade", "h2c"), ("http2-settings", "AAA")),
    "upgrade: h2c": (("connection", "Upgrade, HTTP2-Settings"), ("upgrade", "h2c"), ("http2-settings", "AAMA")),
    "upgrade: foo": (("connection", "Upgrade"), ("upgrade", "foo")),
    "upgrade: websocket": (("connection", "Upgrade"), ("upgrade", "websocket"), ("sec-websocket-key", "x")),
    "x-forwarded-*": (
        ("x-forwarded-for", "1.2.3.4, 10.0.0.1"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "h"),
        ("x-forwarded-port", "99"),
    ),
    "x-forwarded-proto: ftp": (("x-forwarded-proto", "ftp"),),
    "x-forwarded-proto: HTTPS": (("x-forwarded-proto", "HTTPS"),),
    "x-forwarded-proto empty": (("x-forwarded-proto", ""),),
    "x-forwarded-client-cert": (("x-forwarded-client-cert", "By=spiffe://x;Hash=1"),),
    "x-request-id a uuid": (("x-request-id", UUID),),
    "x-request-id a word": (("x-request-id", "abc"),),
    "x-request-id empty": (("x-request-id", ""),),
    "x-request-id twice": (("x-request-id", "abc"), ("x-request-id", "def")),
    "tracing headers": (("traceparent", f"00-{'a' * 32}-{'b' * 16}-01"), ("b3", "0"), ("x-client-trace-id", "5")),
    "content-length 0 on GET": (("content-length", "0"),),
    "expect": (("expect", "100-continue"), ("content-length", "0")),
    "name with a space": (("x foo", "1"),),
    "control character": (("x-foo", "a\x01b"),),
    "100 headers with Host": tuple((f"x-{n}", "a") for n in range(99)),
    "101 headers with Host": tuple((f"x-{n}", "a") for n in range(100)),
    "header block of 60,000 bytes": (("x-foo", "a" * 60000),),
    "header block of 62,000 bytes": (("x-foo", "a" * 62000),),
}


def _arrived(seen: Observation) -> str:
    if not seen.arrivals:
        return answer(seen)
    arrival = seen.arrivals[0]
    text = f"{arrival.method} {arrival.target} {len(arrival.body)} bytes: {headers(arrival.headers)}"
    if arrival.trailers:
        text += f" trailers: {headers(arrival.trailers)}"
    return text if seen.response.status == 200 else f"{text} (answer {seen.response.status} {seen.details})"


def run(base: Recording) -> Iterator[str]:
    """Each line: what was sent, then what arrived (in order), or the answer."""
    with Rig(base) as rig:
        for label, sent in CASES.items():
            yield f"{label} -> {short(_arrived(rig.send('GET', '/beta', *sent, host='checkout')), 1200)}"
        seen = rig.raw(b"GET /beta HTTP/1.1\r\nX-A: 1\r\nHost: CHECKOUT\r\nX-B: 2\r\n\r\n")
        yield f"Host in the middle, upper case -> {_arrived(seen)}"
        for label, method, body, sent in (
            ("POST without length", "POST", b"", ()),
            ("POST with body", "POST", b"hello", ()),
            ("GET with body", "GET", b"hello", ()),
            *((f"{method} without length", method, b"", ()) for method in ("PUT", "PATCH", "DELETE", "OPTIONS")),
        ):
            yield f"{label} -> {_arrived(rig.send(method, '/beta', *sent, host='checkout', body=body))}"
        chunked = (("host", "checkout"), ("transfer-encoding", "chunked"), ("trailer", "x-t"))
        seen = rig.raw(rawhttp.request("POST", "/beta", chunked, b"5\r\nhello\r\n0\r\nx-t: 1\r\n\r\n"))
        yield f"chunked with trailers -> {_arrived(seen)}"
        both = (("host", "checkout"), ("content-length", "5"), ("transfer-encoding", "chunked"))
        seen = rig.raw(rawhttp.request("POST", "/beta", both, b"5\r\nhello\r\n0\r\n\r\n"))
        yield f"content-length and chunked -> {_arrived(seen)}"
        yield from _control(rig)
        yield from _joined(rig)
        yield from _routes(rig)
        yield from _http2(rig)


def _control(rig: Rig) -> Iterator[str]:
    """Envoy's own headers sent by the program, alone and as if they came from inside (x-forwarded-for private)."""
    for label, more in (("", ()), (" with x-forwarded-for 10.0.0.1", (("x-forwarded-for", "10.0.0.1"),))):
        kept: list[str] = []
        gone: list[str] = []
        changed: list[str] = []
        for name in CONTROL.split():
            seen = rig.send("GET", "/v1/x", (name, "7"), *more)
            value = seen.arrivals[0].header(name)
            (kept if value == "7" else gone if not value else changed).append(
                name if value in ("7", "") else f"{name}={value}"
            )
        yield f"x-envoy headers sent as 7{label}: kept {kept}; removed {gone}; overwritten {changed}"
    honoured = (("x-envoy-retry-on", "5xx"), ("x-envoy-max-retries", "1"), ("x-envoy-upstream-rq-timeout-ms", "100"))
    for origin in ((), (("x-forwarded-for", "10.0.0.1"),), (("x-envoy-internal", "true"),)):
        seen = rig.send("GET", "/beta", *honoured, *origin, ("x-backend", "delay=0.2;status=500"), host="checkout")
        log = seen.log or {}
        yield f"retry-on, max-retries, timeout sent {origin} -> {seen.response.status} tries {log.get('attempts')}"


def _joined(rig: Rig) -> Iterator[str]:
    joined: list[str] = []
    apart: list[str] = []
    other: list[str] = []
    for name in SINGLE.split():
        seen = rig.send("GET", "/beta", (name, "aa"), ("zz", "1"), (name, "bb"), host="checkout")
        values = [v for k, v in seen.arrivals[0].headers if k == name] if seen.arrivals else [str(seen.response.status)]
        kind = joined if values == ["aa,bb"] else apart if values == ["aa", "bb"] else other
        kind.append(name if kind is not other else f"{name}={values}")
    yield f"sent twice, joined with a comma at the first place: {' '.join(joined)}"
    yield f"sent twice, kept apart: {' '.join(apart)}"
    yield f"sent twice, otherwise: {' '.join(other)}"


def _http2(rig: Rig) -> Iterator[str]:
    """The recorded gRPC cluster is spoken to by HTTP/2."""
    grpc = ("recommend", 50051)
    sent = (("Content-Type", "application/grpc"), ("te", "trailers"), ("cookie", "a=1; b=2"), ("connection", "close"))
    for label, method, body in (("POST", "POST", b"hello"), ("GET", "GET", b"")):
        seen = rig.send(method, "/a.B/C", *sent, host=grpc[0], body=body, to=("10.96.1.6", grpc[1]))
        yield f"HTTP/2 upstream, {label} -> {_arrived(seen)}; response {headers(seen.response.headers)}"


def _routes(rig: Rig) -> Iterator[str]:
    """One request for each kind of recorded route, with a header of each kind that a route touches."""
    for name in ("catalog", "unknown.example.com"):
        own = (("x-envoy-expected-rq-timeout-ms", "7"), ("x-envoy-decorator-operation", "mine"), ("x-z", "1"))
        yield f"Envoy's headers sent to {name} -> {_arrived(rig.send('GET', '/', *own, host=name))}"
    sent = (("x-debug", "1"), ("x-legacy", "0"), ("x-canary", "no"), ("x-envoy-original-path", "/p"))
    for label, name, target in (
        ("internal-users", "catalog", "/items"),
        ("legacy-path", "catalog", "/v1/a?b=c"),
        ("canary", "catalog", "/"),
        ("canary", "catalog", "/"),
        ("cart", "cart", "/"),
        ("default", "frontend", "/"),
        ("payment", "payment", "/"),
        ("wildcard", "a.wild.example.com", "/"),
        ("allow_any", "unknown.example.com", "/"),
    ):
        group = (("x-user-group", "internal"),) if label == "internal-users" else ()
        yield f"route {label} -> {_arrived(rig.send('GET', target, *sent, *group, host=name))}"
