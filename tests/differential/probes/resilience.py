"""Hedging, internal redirects, idle timeouts, durations of streams, policies and limits of clusters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from tests.differential.custom import cluster, custom, host, route
from tests.differential.probes.retries import ENDPOINTS, policy
from tests.differential.probes.show import headers, outcome
from tests.differential.recording import Recording, Resource
from tests.differential.rig import Rig, Sent
from tests.support import rawhttp

ANY: Resource = {"prefix": "/"}
OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
POLICY = "internal_redirect_policy"
HIDDEN = ("host", "x-backend", "x-forwarded-proto", "x-request-id")
GRPC = (("content-type", "application/grpc"), ("te", "trailers"))


def options(**fields: object) -> Resource:
    """A cluster's HttpProtocolOptions over HTTP/1.1."""
    own = {
        "@type": f"type.googleapis.com/{OPTIONS}",
        "explicit_http_config": {"http_protocol_options": {}},
        **fields,
    }
    return {"typed_extension_protocol_options": {OPTIONS: own}}


def run(base: Recording) -> Iterator[str]:
    """What became of each request."""
    yield from _cluster_policy(base)
    yield from _limits(base)
    yield from _durations(base)
    yield from _hedges(base)
    yield from _redirects(base)


def _cluster_policy(base: Recording) -> Iterator[str]:
    routes: dict[str, Resource] = {
        "none": {"cluster": "a"},
        "other": {"cluster": "a", "retry_policy": policy("retriable-4xx", num_retries=4, per_try_timeout="0.1s")},
        "per-try": {"cluster": "timed"},
        "of-route": {"cluster": "a", "retry_policy": {"per_try_timeout": "0.1s"}},
        "early": {"cluster": "b", "retry_policy": policy("retriable-status-codes", retriable_status_codes=[425])},
        "wanting": {
            "cluster": "b",
            "retry_policy": policy(
                "5xx", retriable_request_headers=[{"name": ":path", "string_match": {"exact": "/new"}}]
            ),
            "prefix_rewrite": "/new",
        },
        "limited": {
            "cluster": "b",
            "retry_policy": policy(
                "5xx",
                rate_limited_retry_back_off={"reset_headers": [{"name": "retry-after"}], "max_interval": "2s"},
            ),
        },
        "before": {"cluster": "b", "retry_policy": policy("reset-before-request", per_try_timeout="0.1s")},
    }
    hosts = [
        host(route(ANY, action), domains=(name,), include_request_attempt_count=True) for name, action in routes.items()
    ]
    own = options(retry_policy=policy("5xx"))
    timed = options(retry_policy=policy("5xx", per_try_timeout="0.1s"))
    clusters = [cluster("a", *ENDPOINTS, **own), cluster("timed", *ENDPOINTS, **timed), cluster("b", *ENDPOINTS)]
    with Rig(custom(base, hosts, clusters)) as rig:
        for name, what in (
            ("none", "status=503"),
            ("other", "status=503"),
            ("other", "status=409"),
            ("other", "delay=0.3"),
            ("per-try", "delay=0.3"),
            ("of-route", "delay=0.3"),
            ("early", "status=425"),
            ("wanting", "status=503"),
            ("limited", "status=503;retry-after=1,status=200"),
            ("limited", "status=503;retry-after=3,status=200"),
            ("before", "delay=0.3"),
        ):
            seen = rig.send("GET", "/", ("x-backend", what), host=name)
            expected = [a.header("x-envoy-expected-rq-timeout-ms") for a in seen.arrivals]
            yield f"cluster policy {name}, {what}: {outcome(seen)} expected {expected}"


def _limits(base: Recording) -> Iterator[str]:
    one: Resource = {"thresholds": [{"max_connection_pools": 1}]}
    per_host: Resource = {"per_host_thresholds": [{"max_connections": 1}]}
    budget: Resource = {"thresholds": [{"retry_budget": {"budget_percent": {"value": 20}, "min_retry_concurrency": 1}}]}
    window: Resource = {
        "thresholds": [
            {
                "retry_budget": {
                    "budget_percent": {"value": 20},
                    "min_retry_concurrency": 0,
                    "budget_interval": "1s",
                }
            }
        ]
    }
    slow_retry = policy("5xx", num_retries=1, retry_back_off={"base_interval": "3s", "max_interval": "3s"})
    hosts = [host(route(ANY, name), domains=(name,)) for name in ("pools", "each")]
    hosts += [
        host(route(ANY, {"cluster": name, "retry_policy": slow_retry}), domains=(name,))
        for name in ("budget", "window")
    ]
    clusters = [
        cluster("pools", *ENDPOINTS, circuit_breakers=one),
        cluster("each", *ENDPOINTS[:2], circuit_breakers=per_host),
        cluster("budget", *ENDPOINTS, circuit_breakers=budget),
        cluster("window", *ENDPOINTS, circuit_breakers=window),
    ]
    try:
        with Rig(custom(base, hosts, clusters)) as rig:
            for _ in range(3):
                seen = rig.send(host="pools")
                yield f"max_connection_pools 1: {outcome(seen)} {seen.response.body[:60]!r}"
            head = rawhttp.request("GET", "/", (("host", "each"), ("x-backend", "delay=0.3")))
            found = rig.run([Sent(head) for _ in range(6)], parallel=6)
            took = [(each.response.status, each.flags, (each.log or {}).get("duration")) for each in found]
            yield f"per host 1, 6 calls: {took}"
            for name in ("budget", "window"):
                heads = (("host", name), ("x-backend", "delay=0.2;status=503,status=200"))
                sent = [Sent(rawhttp.request("GET", "/", heads)) for _ in range(10)]
                found = rig.run(sent, parallel=10)
                yield f"{name}: {Counter((each.response.status, each.flags) for each in found)}"
    except Exception as error:
        yield f"limits: {error!r}"


def _durations(base: Recording) -> Iterator[str]:
    actions: dict[str, Resource] = {
        "idle": {"timeout": "0s", "idle_timeout": "0.2s"},
        "idle-retry": {"timeout": "0s", "idle_timeout": "0.3s", "retry_policy": policy("5xx", num_retries=5)},
        "stream": {"timeout": "0.1s", "max_stream_duration": {"max_stream_duration": "0.2s"}},
        "stream-0": {"timeout": "0.1s", "max_stream_duration": {"max_stream_duration": "0s"}},
        "stream-empty": {"timeout": "0.1s", "max_stream_duration": {}},
        "stream-grpc": {"timeout": "0.1s", "max_stream_duration": {"grpc_timeout_header_max": "0.3s"}},
        "stream-grpc-0": {
            "timeout": "0.1s",
            "max_stream_duration": {"grpc_timeout_header_max": "0s", "grpc_timeout_header_offset": "0.05s"},
        },
        "try-idle": {"timeout": "0s", "retry_policy": {"retry_on": "5xx", "per_try_idle_timeout": "0.2s"}},
        "try-idle-only": {"timeout": "0s", "retry_policy": {"per_try_idle_timeout": "0.2s"}},
    }
    hosts = [
        host(route(ANY, {"cluster": "a", **extra}), domains=(name,), include_request_attempt_count=True)
        for name, extra in actions.items()
    ]
    short = options(common_http_protocol_options={"max_stream_duration": "0.2s"})
    hosts += [
        host(route(ANY, {"cluster": "short", "timeout": "0s"}), domains=("short",)),
        host(
            route(ANY, {"cluster": "short", "timeout": "0s", "retry_policy": policy("reset", num_retries=1)}),
            domains=("short-retry",),
        ),
    ]
    with Rig(custom(base, hosts, [cluster("a", *ENDPOINTS), cluster("short", *ENDPOINTS, **short)])) as rig:
        for name, what in (
            ("idle", "delay=0.4"),
            ("idle", "body-delay=0.4"),
            ("idle-retry", "delay=0.2;status=503"),
            ("stream", "delay=0.4"),
            ("stream", "delay=0.15"),
            ("stream", "body-delay=0.4"),
            ("stream-0", "delay=0.4"),
            ("stream-empty", "delay=0.4"),
            ("stream-grpc", "delay=0.4"),
            ("try-idle", "delay=0.4"),
            ("try-idle", "body-delay=0.4"),
            ("try-idle-only", "delay=0.4"),
            ("short", "delay=0.4"),
            ("short", "body-delay=0.4"),
            ("short-retry", "delay=0.4"),
        ):
            seen = rig.send("GET", "/", ("x-backend", what), host=name)
            expected = [a.header("x-envoy-expected-rq-timeout-ms") for a in seen.arrivals]
            yield f"{name}, {what}: {outcome(seen)} expected {expected} body {seen.response.body[:60]!r}"
        for name, extra in (
            ("idle", GRPC),
            ("stream", GRPC),
            ("stream-grpc", (*GRPC, ("grpc-timeout", "200m"))),
            ("stream-grpc", (*GRPC, ("grpc-timeout", "2S"))),
            ("stream-grpc", (("grpc-timeout", "200m"),)),
            ("stream-grpc-0", (*GRPC, ("grpc-timeout", "250m"))),
            ("stream-grpc-0", (*GRPC, ("grpc-timeout", "30m"))),
            ("short", GRPC),
        ):
            seen = rig.send("POST", "/a.B/C", *extra, ("x-backend", "delay=0.5"), host=name)
            sent = [(a.header("grpc-timeout"), a.header("x-envoy-expected-rq-timeout-ms")) for a in seen.arrivals]
            yield f"{name}, gRPC {extra[2:]}: {outcome(seen)}; sent {sent}; {headers(seen.response.headers)}"
        for name in ("idle", "stream", "short"):
            head = rawhttp.request("POST", "/", (("host", name), ("content-length", "4")))
            seen = rig.run([Sent(head + b"ab", later=b"cd", later_s=0.5)])[0]
            yield f"{name}, upload pauses: {outcome(seen)} {seen.response.body!r}"


def _hedges(base: Recording) -> Iterator[str]:
    hedge = {"hedge_policy": {"hedge_on_per_try_timeout": True}}
    quick = {"retry_back_off": {"base_interval": "0.001s"}}
    actions: dict[str, Resource] = {
        "hedge": {"retry_policy": policy("5xx", per_try_timeout="0.2s", num_retries=2, **quick)},
        "one": {"retry_policy": policy("5xx", per_try_timeout="0.2s", num_retries=1, **quick)},
        "no-5xx": {"retry_policy": policy("connect-failure", per_try_timeout="0.2s", num_retries=1, **quick)},
        "no-policy": {"retry_policy": {"per_try_timeout": "0.2s"}},
        "whole": {"timeout": "0.5s", "retry_policy": policy("5xx", per_try_timeout="0.2s", num_retries=1, **quick)},
        "idle": {"retry_policy": policy("5xx", per_try_idle_timeout="0.2s", num_retries=1, **quick)},
    }
    hosts = [
        host(
            route(ANY, {"cluster": "a", "timeout": "2s", **hedge, **extra}),
            domains=(name,),
            include_request_attempt_count=True,
        )
        for name, extra in actions.items()
    ]
    hosts += [
        host(
            route(ANY, {"cluster": "none-left", "timeout": "2s", **hedge, **actions["one"]}),
            domains=("overflow",),
        ),
        host(
            route(ANY, {"cluster": "a", "timeout": "2s", **actions["hedge"]}),
            domains=("of-host",),
            hedge_policy=hedge["hedge_policy"],
        ),
    ]
    none_left: Resource = {"circuit_breakers": {"thresholds": [{"max_retries": 0}]}}
    with Rig(custom(base, hosts, [cluster("a", *ENDPOINTS), cluster("none-left", *ENDPOINTS, **none_left)])) as rig:
        for name, what in (
            ("hedge", "delay=0.8,status=201"),
            ("hedge", "delay=0.3,delay=0.8;status=201"),
            ("hedge", "delay=0.8,status=503,status=202"),
            ("hedge", "delay=0.4;status=503,delay=0.4;status=201"),
            ("hedge", "delay=0.8;status=200,status=503,status=503"),
            ("hedge", "delay=0.8;status=503,status=503,status=503"),
            ("hedge", "delay=0.5;fault=reset,delay=0.6;status=201"),
            ("hedge", "status=503,status=201"),
            ("one", "delay=0.6,delay=0.6"),
            ("one", "delay=0.6;status=503,delay=0.6;status=502"),
            ("one", "delay=0.6;status=404,delay=0.6"),
            ("no-5xx", "delay=0.6,status=201"),
            ("no-5xx", "delay=0.6,status=503"),
            ("no-policy", "delay=0.6"),
            ("whole", "delay=0.8"),
            ("idle", "delay=0.8,status=201"),
            ("overflow", "delay=0.4"),
            ("of-host", "delay=0.8,status=201"),
        ):
            seen = rig.send("GET", "/", ("x-backend", what), host=name)
            expected = [a.header("x-envoy-expected-rq-timeout-ms") for a in seen.arrivals]
            yield f"hedging {name}, {what}: {outcome(seen)} expected {expected} body {seen.response.body[:60]!r}"


def _redirects(base: Recording) -> Iterator[str]:
    other = {"prefix": "/other"}
    to = {"header": {"key": "x-route", "value": "other"}}

    def predicate(kind: str, **fields: object) -> Resource:
        package = "envoy.extensions.internal_redirect"
        return {"name": kind, "typed_config": {"@type": f"type.googleapis.com/{package}.{kind}", **fields}}

    allowed = predicate("allow_listed_routes.v3.AllowListedRoutesConfig", allowed_route_names=["allowed"])
    previous = predicate("previous_routes.v3.PreviousRoutesConfig")
    safe = predicate("safe_cross_scheme.v3.SafeCrossSchemeConfig")
    policies: dict[str, Resource] = {
        "plain": {},
        "codes": {"redirect_response_codes": [301, 302, 303, 307, 308]},
        "two": {"max_internal_redirects": 2},
        "zero": {"max_internal_redirects": 0},
        "cross": {"allow_cross_scheme_redirect": True},
        "safe": {"allow_cross_scheme_redirect": True, "predicates": [safe]},
        "allowed": {"predicates": [allowed]},
        "previous": {"max_internal_redirects": 5, "predicates": [previous]},
        "copy": {"response_headers_to_copy": ["x-copied", "x-gone"]},
        "bad-codes": {"redirect_response_codes": [200, 404]},
    }
    hosts = [
        host(
            route(other, "b", request_headers_to_add=[to], name="allowed" if name == "allowed" else "o"),
            {"match": {"prefix": "/direct"}, "direct_response": {"status": 418}},
            route({"prefix": "/slow"}, {"cluster": "b", "timeout": "0.1s"}),
            route(
                {"prefix": "/rewritten"}, {"cluster": "a", "prefix_rewrite": "/was", "internal_redirect_policy": fields}
            ),
            route(
                ANY,
                {"cluster": "a", "internal_redirect_policy": fields, "timeout": "1s", "retry_policy": policy("5xx")},
            ),
            domains=(name,),
            include_request_attempt_count=True,
            request_headers_to_add=[{"header": {"key": "x-host", "value": name}}],
            response_headers_to_add=[{"header": {"key": "x-answer", "value": "%REQ(:PATH)%"}}],
        )
        for name, fields in policies.items()
    ]
    with Rig(custom(base, hosts, [cluster("a", *ENDPOINTS[:1]), cluster("b", ENDPOINTS[1])])) as rig:

        def ask(name: str, path: str, what: str, method: str = "GET", body: bytes = b"", *more: tuple[str, str]) -> str:
            extra = (("content-length", str(len(body))),) if body else ()
            seen = rig.send(method, path, ("x-backend", what), *extra, *more, host=name, body=body)
            tries = [
                f"\n    {a.backend[0][-1]} {a.method} {a.authority} {a.target} {len(a.body)} "
                f"{headers(a.headers, without=HIDDEN)}"
                for a in seen.arrivals
            ]
            shown = headers((n, v) for n, v in seen.response.headers if n.startswith("x-") or n == "location")
            return f"redirect {name} {method} {path} {what}: {outcome(seen)} {shown}{''.join(tries)}"

        def location(name: str, to: str, status: int = 302) -> str:
            return f"status={status};location=http://{name}{to},status=200"

        yield ask("plain", "/", location("plain", "/other?q=1"))
        yield ask("plain", "/", "status=302;location=/other,status=200")
        yield ask("plain", "/", "status=302;location=//plain/other,status=200")
        yield ask("plain", "/", "status=302;location=http://plain:80/other,status=200")
        yield ask("plain", "/", "status=302;location=http://PLAIN/other,status=200")
        yield ask("plain", "/", "status=302;location=http://plain,status=200")
        yield ask("plain", "/", "status=302;location=http://plain/other#frag,status=200")
        yield ask("plain", "/", "status=302;location=http://plain/x/../other,status=200")
        yield ask("plain", "/", "status=302;location=http://nobody/other,status=200")
        yield ask("plain", "/", "status=302;location=ftp://plain/other,status=200")
        yield ask("plain", "/", "status=302;location=https://plain/other,status=200")
        yield ask("plain", "/", "status=302,status=200")
        yield ask("plain", "/", location("plain", "/other", 301))
        yield ask("codes", "/", location("codes", "/other", 303), "POST", b"body", ("content-type", "text/x"))
        yield ask("codes", "/", location("codes", "/other", 307), "POST", b"body")
        yield ask("codes", "/", location("codes", "/other", 303), "HEAD")
        yield ask("codes", "/", location("codes", "/other", 302), "POST", b"x" * 1_048_577)
        yield ask(
            "plain", "/", "status=302;location=http://plain/again,status=302;location=http://plain/other,status=200"
        )
        yield ask("two", "/", "status=302;location=http://two/again,status=302;location=http://two/other,status=200")
        yield ask("zero", "/", location("zero", "/other"))
        yield ask("cross", "/", "status=302;location=https://cross/other,status=200")
        yield ask("safe", "/", "status=302;location=https://safe/other,status=200")
        yield ask("safe", "/", location("safe", "/other"))
        yield ask("allowed", "/", location("allowed", "/other"))
        yield ask("allowed", "/", location("allowed", "/slow"))
        yield ask("previous", "/", "status=302;location=http://previous/again,status=200")
        yield ask("previous", "/", location("previous", "/other"))
        yield ask(
            "copy",
            "/",
            "status=302;location=http://copy/other;x-copied=1,status=200",
            "GET",
            b"",
            ("x-gone", "1"),
            ("x-copied", "0"),
        )
        yield ask("bad-codes", "/", "status=200;location=http://bad-codes/other,status=201")
        yield ask("plain", "/", "status=302;location=http://plain/direct,status=201")
        yield ask("plain", "/", "status=302;location=http://plain/slow,delay=0.3")
        yield ask("plain", "/", "status=503,status=302;location=http://plain/other,status=200")
        yield ask("plain", "/", "delay=0.6;status=302;location=http://plain/again,delay=0.6;status=200")
        yield ask("plain", "/rewritten", location("plain", "/other"))
        yield ask("plain", "/", location("two", "/other"))
