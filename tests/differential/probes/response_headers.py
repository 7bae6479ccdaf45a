"""Response headers of the recorded `frontend` configuration; mirrors, faults and CORS as it configures them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from tests.differential.probes.show import answer, headers, outcome
from tests.differential.recording import Recording
from tests.differential.rig import Rig
from tests.support.behaviour import Behaviour, Headers

BACKEND = ("127.0.13.2", 8080)
OWN = (
    "x-envoy-attempt-count x-envoy-decorator-operation x-envoy-overloaded x-envoy-degraded x-envoy-ratelimited "
    "x-envoy-immediate-health-check-fail x-envoy-original-path x-envoy-is-timeout-alt x-envoy-foo x-request-id"
)
CASES: dict[str, Headers] = {
    "ordinary": (),
    "server, date, x-envoy-upstream-service-time": (
        ("Server", "mine"),
        ("Date", "never"),
        ("x-envoy-upstream-service-time", "99"),
    ),
    "connection and friends": (
        ("connection", "x-gone"),
        ("x-gone", "1"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "a"),
        ("upgrade", "b"),
        ("te", "c"),
        ("trailer", "d"),
        ("via", "e"),
    ),
    "duplicates and case": (("Set-Cookie", "a"), ("set-cookie", "b"), ("X-Dup", "1"), ("x-dup", "2"), ("X-Empty", "")),
    "duplicates of known headers": (("cache-control", "a"), ("cache-control", "b"), ("vary", "a"), ("vary", "b")),
    "Envoy's own": tuple((name, "7") for name in OWN.split()),
}
STATUSES = (200, 204, 299, 304, 400, 404, 418, 500, 599, 600, 999)
ORIGIN = "https://shop.example"


def run(base: Recording) -> Iterator[str]:
    """Each line: what the backend answered, then what the client got."""
    with Rig(base) as rig:
        for label, sent in CASES.items():
            rig.backends.behave(BACKEND, Behaviour(headers=sent, body=b"body"))
            yield f"{label} -> {answer(rig.send('GET', '/beta', host='checkout'))}"
        rig.backends.behave(BACKEND, Behaviour(body=b"body"))
        yield f"HEAD -> {answer(rig.send('HEAD', '/beta', host='checkout'))}"
        for status in STATUSES:
            seen = rig.send("GET", "/beta", ("x-backend", f"status={status};body=b"), host="checkout")
            yield f"status {status} -> {answer(seen)}"
        seen = rig.send("GET", "/v1/x", ("x-backend", "x-served-by=backend"))
        yield f"legacy-path sets x-served-by -> {headers(seen.response.headers)}"
        yield from _mirror(rig)
        yield from _fault(rig)
        yield from _cors(rig)
        yield from _cookie(rig)


def _mirror(rig: Rig) -> Iterator[str]:
    statuses: Counter[str] = Counter()
    for number in range(80):
        seen = rig.send("POST", "/m?x=1", ("x-debug", "1"), ("x-backend", "status=200"), body=b"abc", settle_s=0.02)
        statuses[str(len(seen.arrivals))] += 1
        mirrored = [a for a in seen.arrivals if a.backend[0] == "127.0.11.4"]
        if mirrored and statuses.pop("shown", 0) == 0 and number:
            yield f"mirrored copy: {mirrored[0].method} {mirrored[0].target} {headers(mirrored[0].headers)}"
            break


def _fault(rig: Rig) -> Iterator[str]:
    for sent in ((("x-chaos", "on"),), (("x-chaos", "on"), ("content-type", "application/grpc"))):
        seen = rig.send("GET", "/", *sent, host="payment")
        yield f"delay and abort {sent} -> {answer(seen)}; {outcome(seen)}"


def _cors(rig: Rig) -> Iterator[str]:
    ask = ("access-control-request-method", "GET")
    for label, method, sent in (
        ("preflight", "OPTIONS", (("origin", ORIGIN), ask)),
        ("preflight of another method", "OPTIONS", (("origin", ORIGIN), ("access-control-request-method", "DELETE"))),
        ("preflight without method", "OPTIONS", (("origin", ORIGIN),)),
        ("preflight of another origin", "OPTIONS", (("origin", "https://evil.example"), ask)),
        ("preflight without origin", "OPTIONS", (ask,)),
        ("preflight, origin in another case", "OPTIONS", (("origin", ORIGIN.upper()), ask)),
        ("actual request", "GET", (("origin", ORIGIN),)),
        ("actual request of another origin", "GET", (("origin", "https://evil.example"),)),
        ("actual request without origin", "GET", ()),
        ("backend sets it too", "GET", (("origin", ORIGIN), ("x-backend", "access-control-allow-origin=*"))),
    ):
        seen = rig.send(method, "/", *sent, host="cart")
        yield f"CORS {label} -> {answer(seen, body=False)} reached backend: {bool(seen.arrivals)}"


def _cookie(rig: Rig) -> Iterator[str]:
    seen = rig.send("GET", "/", host="cart")
    yield f"cookie hash policy, no cookie sent -> {headers(seen.response.headers)}"
    seen = rig.send("GET", "/", ("cookie", "a=b; session=abc; c=d"), host="cart")
    yield f"cookie hash policy, cookie sent -> {headers(seen.response.headers)}"
