"""What Envoy answers itself when it cannot get an answer from a backend: status, flags, details, headers, body."""

from __future__ import annotations

from collections.abc import Iterator

from tests.differential.custom import cluster, custom, host, route
from tests.differential.probes.retries import H2
from tests.differential.probes.show import answer
from tests.differential.recording import Recording, Resource
from tests.differential.rig import Rig

HERE = ("127.0.20.1", 80)
ONE: Resource = {"thresholds": [{"max_requests": 0}]}
PENDING: Resource = {"thresholds": [{"max_pending_requests": 0}]}
CODES: Resource = {"cluster_not_found_response_code": "NOT_FOUND"}


def _hosts() -> list[Resource]:
    names = ("ok", "missing", "none", "refused", "max-requests", "max-pending", "unhealthy")
    hosts = [host(route({"prefix": "/"}, name), domains=(name,)) for name in names]
    limited = {"cluster": "ok", "timeout": "0.100s"}
    per_try = {"cluster": "ok", "retry_policy": {"retry_on": "5xx", "num_retries": 1, "per_try_timeout": "0.100s"}}
    drop = {"cluster": "nowhere", "cluster_not_found_response_code": "NOT_FOUND"}
    internal = {"cluster": "nowhere", "cluster_not_found_response_code": "INTERNAL_SERVER_ERROR"}
    header = {"cluster_header": "x-cluster"}
    return [
        *hosts,
        *_added(),
        host(route({"prefix": "/"}, "h2"), domains=("h2",)),
        host(
            route({"prefix": "/"}, {"cluster": "ok", "timeout": "0.200s"}, typed_per_filter_config=DELAY),
            domains=("delayed",),
        ),
        host(route({"prefix": "/"}, limited), domains=("timeout",)),
        host(route({"prefix": "/"}, per_try), domains=("per-try",)),
        host(route({"prefix": "/"}, drop), domains=("missing-404",)),
        host(route({"prefix": "/"}, internal), domains=("missing-500",)),
        host(route({"prefix": "/"}, header), domains=("cluster-header",)),
        host(route({"prefix": "/"}, "ok"), domains=("tls-only",), require_tls="ALL"),
        host(route({"prefix": "/"}, "ok"), domains=("tls-external",), require_tls="EXTERNAL_ONLY"),
        host(domains=("no-routes",)),
        host({"match": {"prefix": "/"}, "non_forwarding_action": {}}, domains=("non-forwarding",)),
    ]


ADDED: Resource = {
    "response_headers_to_add": [{"header": {"key": "x-added", "value": "%RESPONSE_CODE%"}}],
    "response_headers_to_remove": ["server", "x-envoy-upstream-service-time", "content-type"],
}
FAULT: Resource = {
    "envoy.filters.http.fault": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault",
        "abort": {"http_status": 503, "percentage": {"numerator": 100}},
    }
}

DELAY: Resource = {
    "envoy.filters.http.fault": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault",
        "delay": {"fixed_delay": "0.300s", "percentage": {"numerator": 100}},
    }
}


def _added() -> list[Resource]:
    actions: dict[str, Resource] = {
        name: {"cluster": name} for name in ("ok", "missing", "none", "refused", "max-pending")
    }
    actions["timeout"] = {"cluster": "ok", "timeout": "0.100s"}
    hosts = [host(route({"prefix": "/"}, to, **ADDED), domains=(f"added-{name}",)) for name, to in actions.items()]
    faulty = route({"prefix": "/"}, "ok", typed_per_filter_config=FAULT, **ADDED)
    return [*hosts, host(faulty, domains=("added-fault",))]


def _clusters() -> list[Resource]:
    unhealthy = cluster("unhealthy", HERE, common_lb_config={"healthy_panic_threshold": {"value": 0}})
    unhealthy["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["health_status"] = "UNHEALTHY"
    return [
        cluster("ok", HERE),
        cluster("h2", HERE, **H2),
        cluster("none"),
        cluster("refused", ("127.0.20.2", 80)),
        cluster("max-requests", HERE, circuit_breakers=ONE),
        cluster("max-pending", HERE, circuit_breakers=PENDING),
        unhealthy,
    ]


def run(base: Recording) -> Iterator[str]:
    """Each line: what is wrong, then the whole answer."""
    with Rig(custom(base, _hosts(), _clusters())) as rig:
        rig.backends.refuse(("127.0.20.2", 80))
        for name, label in (
            ("nobody", "no virtual host"),
            ("no-routes", "virtual host without routes"),
            ("missing", "cluster that does not exist"),
            ("missing-404", "the same, cluster_not_found_response_code NOT_FOUND"),
            ("missing-500", "the same, INTERNAL_SERVER_ERROR"),
            ("cluster-header", "cluster_header absent"),
            ("none", "cluster without endpoints"),
            ("unhealthy", "only unhealthy endpoints, panic threshold 0"),
            ("refused", "connection refused"),
            ("max-requests", "max_requests 0"),
            ("max-pending", "max_pending_requests 0"),
            ("tls-only", "require_tls ALL"),
            ("tls-external", "require_tls EXTERNAL_ONLY"),
            ("non-forwarding", "non_forwarding_action"),
        ):
            yield f"{label}: {answer(rig.send('GET', '/a?x=1', host=name))}"
        for value in ("ok", "nowhere", ""):
            seen = rig.send("GET", "/", ("x-cluster", value), host="cluster-header")
            yield f"cluster_header {value!r}: {answer(seen, body=False)}"
        for label, behaviour in (
            ("reset before headers", "fault=reset"),
            ("closed before headers", "fault=close"),
            ("closed in the middle of the body", "fault=cut"),
            ("reset in the middle of the body", "fault=cut-reset"),
        ):
            yield f"{label}: {answer(rig.send('GET', '/', ('x-backend', behaviour), host='ok'), body=False)}"
        for name in ("timeout", "per-try"):
            for label, behaviour in (("before headers", "delay=0.3"), ("after headers", "body-delay=0.3")):
                seen = rig.send("GET", "/", ("x-backend", behaviour), host=name)
                yield f"{name} {label}: {answer(seen)} cut={seen.response.cut}"
        for name in ("ok", "missing", "none", "refused", "max-pending", "timeout"):
            sent = (("x-add", "1"), ("x-backend", "delay=0.3" if name == "timeout" else "status=200"))
            seen = rig.send("GET", "/", *sent, host=f"added-{name}")
            yield f"route that adds response headers, {name}: {answer(seen, body=False)}"
        seen = rig.send("GET", "/", host="added-fault")
        yield f"route that adds response headers, fault abort 503: {answer(seen)}"
        for label, behaviour in (
            ("connection closed before headers", "fault=close"),
            ("stream reset", "fault=reset"),
            ("stream refused", "fault=refused"),
            ("stream reset in the middle of the body", "fault=cut"),
        ):
            yield f"HTTP/2, {label}: {answer(rig.send('GET', '/', ('x-backend', behaviour), host='h2'))}"
        slow = (("x-backend", "delay=0.1"),)
        yield f"fault delay 0.3 s, timeout 0.2 s, backend 0.1 s: {answer(rig.send('GET', '/', *slow, host='delayed'))}"
        yield f"HEAD, no virtual host: {answer(rig.send('HEAD', '/', host='nobody'))}"
        yield f"HEAD, cluster without endpoints: {answer(rig.send('HEAD', '/', host='none'))}"
        grpc = (("content-type", "application/grpc"), ("te", "trailers"))
        for name in ("nobody", "missing", "none", "refused", "max-pending"):
            yield f"gRPC, {name}: {answer(rig.send('POST', '/a.B/C', *grpc, host=name))}"
        seen = rig.send("POST", "/a.B/C", *grpc, ("x-backend", "delay=0.3"), host="timeout")
        yield f"gRPC, timeout: {answer(seen)}"
