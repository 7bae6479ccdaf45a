"""What is told of requests: spans, and lines of access logs, by Envoy and by us. One configuration, one table."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import NAMESPACE_URL, uuid5

from tests.differential.actions import METADATA
from tests.differential.batch import FIRST_PORT, together
from tests.differential.bootstrap import HCM, TYPE, static
from tests.differential.case import Case
from tests.differential.custom import cluster, host, route
from tests.differential.recording import Recording, Resource
from tests.differential.requests import Request
from tests.differential.rig import Rig
from tests.support.behaviour import Address, Headers

ANY: Resource = {"prefix": "/"}
MARK = "x-mark"
DEAD: Address = ("127.0.20.9", 80)
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"

# -- lines --------------------------------------------------------------------------------------------------------

COMMANDS = (
    *("ACCESS_LOG_TYPE", "BYTES_RECEIVED", "BYTES_SENT", "CONNECTION_TERMINATION_DETAILS", "CUSTOM_FLAGS", "PROTOCOL"),
    *("FILTER_CHAIN_NAME", "LISTENER_NAME", "DOWNSTREAM_LOCAL_PORT", "DOWNSTREAM_TLS_VERSION", "VIRTUAL_CLUSTER_NAME"),
    *("GRPC_STATUS", "GRPC_STATUS(SNAKE_STRING)", "GRPC_STATUS_NUMBER", "LOCAL_REPLY_BODY", "RESPONSE_CODE"),
    *("RESPONSE_CODE_DETAILS", "RESPONSE_FLAGS", "RESPONSE_FLAGS_LONG", "ROUTE_NAME", "ROUTE_RESOLUTION_COUNT"),
    *("UPSTREAM_CLUSTER", "UPSTREAM_CLUSTER_RAW", "UPSTREAM_HOST", "UPSTREAM_HOST_NAME", "UPSTREAM_PROTOCOL"),
    *("UPSTREAM_HOSTS_ATTEMPTED", "UPSTREAM_REMOTE_ADDRESS", "UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT"),
    *("UPSTREAM_REMOTE_PORT", "UPSTREAM_REQUEST_ATTEMPT_COUNT", "UPSTREAM_TRANSPORT_FAILURE_REASON"),
    *("UPSTREAM_HOST_NAME_WITHOUT_PORT", "UPSTREAM_HOSTS_ATTEMPTED_WITHOUT_PORT", "RESPONSE_TRAILERS_BYTES"),
    *("REQ(:METHOD)", "REQ(:PATH)", "REQ(:AUTHORITY)", "REQ(X-A)", "REQ(X-A):1", "REQ(X-NONE?X-A)", "REQ(X-NONE)"),
    *("REQ(X-ENVOY-ORIGINAL-PATH?:PATH)", "REQ(X-FORWARDED-PROTO)", "PATH", "PATH(NQ)", "PATH(WQ:ORIG)"),
    *("QUERY_PARAM(q)", "QUERY_PARAMS", "RESP(:STATUS)", "RESP(CONTENT-TYPE)", "RESP(X-NONE)", "TRAILER(x)"),
    *("RESP(X-OWN)", "METADATA(ROUTE:m)", "METADATA(ROUTE:m:s:n)", "METADATA(ROUTE:m:a):2", "METADATA(CLUSTER:m:a)"),
    *("DYNAMIC_METADATA(a:b)", "FILTER_STATE(a)", "REQUESTED_SERVER_NAME", "REQUEST_HEADERS_BYTES"),
)
"""What a line says of a request, the same in both."""
MOMENTS = (
    *("START_TIME", "START_TIME(%Y-%m-%dT%H:%M:%S.%3fZ)", "EMIT_TIME", "DURATION", "REQUEST_DURATION"),
    *("RESPONSE_DURATION", "RESPONSE_TX_DURATION", "RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)", "STREAM_ID", "TRACE_ID"),
    *("COMMON_DURATION(DS_RX_BEG:DS_TX_END:us)", "SPAN_ID", "REQ(X-REQUEST-ID)", "DOWNSTREAM_REMOTE_ADDRESS"),
)
"""What differs from one time to the next: compared by its shape."""

NESTED: Resource = {
    "mark": f"%REQ({MARK})%",
    "of": {"request": {"path": "%REQ(:PATH)%", "none": "%REQ(X-NONE)%"}, "none": {"x": "%REQ(X-NONE)%"}},
    "list": ["%RESPONSE_CODE%", "%REQ(X-NONE)%", 1.5, True, None],
    "mixed": "%RESPONSE_CODE% %REQ(X-NONE)%",
    "route": "%METADATA(ROUTE:m)%",
    "code": "%RESPONSE_CODE%",
}
ISTIO = (
    '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% '
    '%RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% "%UPSTREAM_TRANSPORT_FAILURE_REASON%" %BYTES_RECEIVED% '
    '%BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" '
    '"%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%" %UPSTREAM_CLUSTER_RAW% %REQUESTED_SERVER_NAME% '
    f"%ROUTE_NAME% mark=%REQ({MARK})%\n"
)
"""Istio's own format but for what only sockets know, and the mark at the end."""


def _json(fields: Resource, **more: object) -> Resource:
    return {"log_format": {"json_format": fields, **more}}


LINES: dict[str, Resource] = {
    "commands": _json({each: f"%{each}%" for each in (*COMMANDS, f"REQ({MARK})")}),
    "sparse": _json({each: f"%{each}%" for each in (*COMMANDS, f"REQ({MARK})")}, omit_empty_values=True),
    "moments": _json({each: f"%{each}%" for each in (*MOMENTS, f"REQ({MARK})")}),
    "nested": _json(NESTED),
    "nested, sparse": _json(NESTED, omit_empty_values=True),
    "text": {"log_format": {"text_format_source": {"inline_string": ISTIO}}},
    "text, sparse": {"log_format": {"text_format_source": {"inline_string": ISTIO}, "omit_empty_values": True}},
}

# -- filters ------------------------------------------------------------------------------------------------------


def _compared(op: str, value: int) -> Resource:
    return {"comparison": {"op": op, "value": {"default_value": value, "runtime_key": "telemetry.none"}}}


def _status(op: str, value: int) -> Resource:
    return {"status_code_filter": _compared(op, value)}


def _header(**match: object) -> Resource:
    return {"header_filter": {"header": {"name": "x-a", **match}}}


def _share(numerator: int, denominator: str = "HUNDRED") -> Resource:
    return {
        "runtime_filter": {
            "runtime_key": "telemetry.none",
            "percent_sampled": {"numerator": numerator, "denominator": denominator},
        }
    }


def _both(*filters: Resource) -> Resource:
    return {"and_filter": {"filters": list(filters)}}


def _either(*filters: Resource) -> Resource:
    return {"or_filter": {"filters": list(filters)}}


def _expression(text: str) -> Resource:
    config = {"@type": TYPE + "access_loggers.filters.cel.v3.ExpressionFilter", "expression": text}
    return {"extension_filter": {"name": "envoy.access_loggers.extension_filters.cel", "typed_config": config}}


EXPRESSIONS = (
    *("response.code >= 400", "response.code == 200 && !connection.mtls", "response.code", "response.nothing == 1"),
    *("request.headers['x-a'] == 'abc'", "request.headers['X-A'] == 'abc'", 'request.headers["x-none"] == ""'),
    *("has(request.headers.b)", "'x-a' in request.headers", "!('x-a' in request.headers)", "has(request.referer)"),
    *("!has(request.useragent) || !request.useragent.startsWith('none')", "request.headers['x-a'].size() > 2"),
    *("request.headers['host'] == request.host", "request.headers[':method'] == request.method"),
    *("request.url_path.contains('a')", "request.path != request.url_path", "request.query == ''"),
    *("request.method == 'GET' && request.scheme == 'http'", "request.protocol == 'HTTP/1.1'"),
    *("request.url_path.matches('^/[a-d]')", "request.size > 0", "request.total_size > 10", "request.id != ''"),
    *("request.time > timestamp('2024-01-01T00:00:00Z')", "request.time.getFullYear() < 2024"),
    *("request.duration < duration('60s')", "has(request.duration)", "response.size > 0", "response.total_size > 0"),
    *("response.headers['content-type'].startsWith('text')", "response.headers[':status'] == '200'"),
    *("size(response.trailers) == 0", "'x-none' in response.trailers", "response.flags != 0", "response.flags == 256"),
    *("response.flags == 2", "response.flags == 32800", "response.flags == 16777216", "response.grpc_status == 0"),
    *("response.grpc_status == 14", "response.grpc_status == 12", "response.code_details == 'via_upstream'"),
    *("response.code_details.startsWith('route_not')", "has(response.backend_latency)"),
    *("response.backend_latency < duration('60s')", "connection.requested_server_name == ''"),
    *("has(connection.tls_version)", "has(connection.uri_san_peer_certificate)", "has(upstream.tls_version)"),
    *("upstream.port > 0", "has(upstream.address)", "upstream.address.endsWith('80')", "has(upstream.locality)"),
    *("upstream.locality.region == ''", "has(upstream.transport_failure_reason)"),
    *("upstream.request_attempt_count > 1", "upstream.request_attempt_count == 0"),
    *("source.address.startsWith('127.')", "has(source.port)", "destination.port > 0", "has(destination.address)"),
    *("'a' in metadata.filter_metadata", "filter_state['a'] == 'b'", "has(filter_state.a)", "has(xds.cluster_name)"),
    *("xds.cluster_name.contains('80')", "xds.route_name == ''", "xds.virtual_host_name != ''"),
    *("xds.route_metadata.filter_metadata['m']['a'] == 'b'", "has(xds.route_metadata.filter_metadata.m.a)"),
    *("has(xds.cluster_metadata)", "has(xds.upstream_host_metadata)", "xds.filter_chain_name == ''", "nothing.x == 1"),
    *("nothing || response.code > 0", "response.code > 399.5", "response.code == 200u", "1 + 1 == 2", "true", "'true'"),
    *("request.headers", "response.code in [200, 404]", "response.code >= 500 ? true : request.method == 'POST'"),
    *("{'a': response.code}.a == 200", "type(response.code) == int", "double(response.code) > 399.0"),
)
"""What the Telemetry API may say of a line (accessLogging.filter.expression)."""
FAILED = _status("GE", 500)
FILTERS: dict[str, Resource] = {
    "status 200": _status("EQ", 200),
    "status below": _status("LE", 299),
    "status from": FAILED,
    "status not": _status("NE", 404),
    "duration": {"duration_filter": _compared("GE", 60_000)},
    "duration below": {"duration_filter": _compared("LE", 60_000)},
    "any flag": {"response_flag_filter": {}},
    "flags": {"response_flag_filter": {"flags": ["NR", "UH", "URX"]}},
    "header": _header(exact_match="abc"),
    "header present": _header(present_match=True),
    "header absent": _header(present_match=True, invert_match=True),
    "share": _share(50),
    "small share": _share(2000, "TEN_THOUSAND"),
    "nothing": _share(0),
    "all": _share(100),
    "both": _both(FAILED, _header(present_match=True)),
    "either": _either(FAILED, _header(present_match=True)),
    "nested": _both(_either(_status("EQ", 200), _status("EQ", 503)), {"not_health_check_filter": {}}),
    "no health check": {"not_health_check_filter": {}},
    "traced": {"traceable_filter": {}},
    "grpc ok": {"grpc_status_filter": {"statuses": ["OK"]}},
    "grpc failed": {"grpc_status_filter": {"statuses": ["OK"], "exclude": True}},
    "grpc unavailable": {"grpc_status_filter": {"statuses": ["UNAVAILABLE", "UNIMPLEMENTED"]}},
    "metadata": {
        "metadata_filter": {"matcher": {"filter": "a", "path": [{"key": "b"}], "value": {"bool_match": True}}}
    },
    "metadata or none": {
        "metadata_filter": {
            "matcher": {"filter": "a", "path": [{"key": "b"}], "value": {"bool_match": True}},
            "match_if_key_not_found": False,
        }
    },
    "of type": {"log_type_filter": {"types": ["DownstreamEnd"]}},
    **{f"cel {n}": _expression(each) for n, each in enumerate(EXPRESSIONS)},
    "of other type": {"log_type_filter": {"types": ["DownstreamEnd"], "exclude": True}},
}


def logs(folder: str) -> list[Resource]:
    """All loggers of all managers, each with a file of its own in the folder."""
    made: list[Resource] = []
    for name, fields in LINES.items():
        made.append(_logger(f"{folder}line {name}", fields))
    for name, filter_ in FILTERS.items():
        only = {"log_format": {"text_format_source": {"inline_string": f"mark=%REQ({MARK})%\n"}}}
        made.append({**_logger(f"{folder}filter {name}", only), "filter": copy.deepcopy(filter_)})
    return made


def _logger(path: str, fields: Resource) -> Resource:
    config = {"@type": TYPE + "access_loggers.file.v3.FileAccessLog", "path": path, **copy.deepcopy(fields)}
    return {"name": "envoy.access_loggers.file", "typed_config": config}


# -- spans --------------------------------------------------------------------------------------------------------

PROVIDER: Resource = {
    "name": "envoy.tracers.opentelemetry",
    "typed_config": {
        "@type": "type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig",
        "http_service": {"http_uri": {"uri": "http://collector/v1/traces", "cluster": "collector", "timeout": "5s"}},
        "service_name": "client",
    },
}
TAGS: list[Resource] = [
    {"tag": "mark", "request_header": {"name": MARK}},
    {"tag": "literal", "literal": {"value": "word"}},
    {"tag": "header", "request_header": {"name": "x-a", "default_value": "none"}},
    {"tag": "absent", "request_header": {"name": "x-none"}},
    {"tag": "environment", "environment": {"name": "NOBODY_HAS_THIS", "default_value": "there"}},
    {"tag": "of the route", "metadata": {"kind": {"route": {}}, "metadata_key": {"key": "m", "path": [{"key": "a"}]}}},
    {"tag": "of nothing", "metadata": {"kind": {"host": {}}, "metadata_key": {"key": "m", "path": [{"key": "a"}]}}},
    {"tag": "format", "value": "%RESPONSE_CODE% %REQ(x-a)%"},
]
MANAGERS: dict[str, Resource] = {
    "spans": {},
    "tries": {"spawn_upstream_span": True},
    "named": {
        "operation": "%REQ(:METHOD)% %REQ(x-a)%",
        "upstream_operation": "to %UPSTREAM_CLUSTER%",
        "spawn_upstream_span": True,
        "max_path_tag_length": 5,
    },
    "half": {"random_sampling": {"value": 50}},
    "never": {"random_sampling": {"value": 0}},
    "none at all": {"overall_sampling": {"value": 0}},
    "no clients": {"random_sampling": {"value": 0}, "client_sampling": {"value": 0}},
    "silent": {"no_context_propagation": True},
}
LOW, HIGH = "00000001-89ab-4cde-8fab-0123456789ab", "00001387-89ab-4cde-8fab-0123456789ab"
"""Request ids: the first is drawn by any share, the second by those of more than half."""
ABOVE = "00001389-89ab-4cde-8fab-0123456789ab"
GRPC: Headers = (("content-type", "application/grpc"), ("te", "trailers"), ("content-length", "0"))


def _traceparent(flags: str) -> Headers:
    return (("traceparent", f"00-{TRACE}-{SPAN}-{flags}"),)


SENT: dict[str, tuple[str, str, Headers, bytes]] = {
    "plain": ("GET", "/ok?q=1&r", (("x-a", "abc"), ("user-agent", "own")), b""),
    "fresh": ("GET", "/ok", (), b""),
    "body": ("POST", "/ok", (("content-type", "text/plain"),), b"hello"),
    "head": ("HEAD", "/ok", (), b""),
    "long": ("GET", "/ok/" + "x" * 300, (), b""),
    "sampled": ("GET", "/ok", (*_traceparent("01"), ("tracestate", "a=1")), b""),
    "unsampled": ("GET", "/ok", _traceparent("00"), b""),
    "malformed": ("GET", "/ok", (("traceparent", "00-zz-yy-01"),), b""),
    "forced": ("GET", "/ok", (("x-envoy-force-trace", "1"),), b""),
    "asked for": ("GET", "/ok", (("x-client-trace-id", "own"),), b""),
    "low": ("GET", "/ok", (("x-request-id", LOW),), b""),
    "high": ("GET", "/ok", (("x-request-id", HIGH),), b""),
    "above": ("GET", "/ok", (("x-request-id", ABOVE),), b""),
    "traced before": ("GET", "/ok", (("x-request-id", LOW[:14] + "9" + LOW[15:]),), b""),
    "no id": ("GET", "/ok", (("x-request-id", "word"),), b""),
    "operation": ("GET", "/ok", (("x-envoy-decorator-operation", "mine"),), b""),
    "decorated": ("GET", "/decorated", (), b""),
    "own sampling": ("GET", "/sampling", (), b""),
    "rewritten": ("GET", "/rewritten/x?y", (), b""),
    "204": ("GET", "/ok", (("x-backend", "status=204"),), b""),
    "404": ("GET", "/ok", (("x-backend", "status=404;x-own=v"),), b""),
    "500": ("GET", "/ok", (("x-a", "abc"), ("x-backend", "status=500")), b""),
    "503": ("GET", "/ok", (("x-backend", "status=503"),), b""),
    "retried": ("GET", "/retried", (("x-backend", "status=503,status=200"),), b""),
    "retried, empty": ("GET", "/retried", (("x-backend", "status=503;body=,status=200"),), b""),
    "too often": ("GET", "/retried", (("x-backend", "status=503"),), b""),
    "reset": ("GET", "/ok", (("x-backend", "fault=reset"),), b""),
    "reset and retried": ("GET", "/retried", (("x-backend", "fault=reset,status=200"),), b""),
    "refused": ("GET", "/dead", (), b""),
    "too late": ("GET", "/late", (("x-backend", "delay=3"),), b""),
    "direct": ("GET", "/direct", (("x-a", "abc"),), b""),
    "redirect": ("GET", "/moved", (), b""),
    "no route": ("GET", "/nowhere", (), b""),
    "no cluster": ("GET", "/none", (), b""),
    "no endpoint": ("GET", "/empty", (), b""),
    "grpc": ("POST", "/ok/Method", (*GRPC, ("x-backend", "content-type=application/grpc;grpc-status=0")), b""),
    "grpc failed": (
        "POST",
        "/ok/Method",
        (*GRPC, ("grpc-timeout", "5S"), ("x-backend", "content-type=application/grpc;grpc-status=14;grpc-message=no")),
        b"",
    ),
    "grpc, theirs": ("POST", "/ok/Method", (*GRPC, ("x-backend", "grpc-status=5")), b""),
    "grpc, exhausted": ("POST", "/ok/Method", (*GRPC, ("x-backend", "grpc-status=8")), b""),
    "grpc, no route": ("POST", "/nowhere/Method", GRPC, b""),
    "grpc, no endpoint": ("POST", "/empty/Method", GRPC, b""),
}


def _hosts() -> tuple[Resource, ...]:
    retry = {"retry_policy": {"retry_on": "5xx", "num_retries": 1, "retry_back_off": {"base_interval": "0.001s"}}}
    sampled = {"random_sampling": {"numerator": 0}, "custom_tags": [{"tag": "own", "literal": {"value": "route"}}]}
    rules: list[Resource] = [
        route({"prefix": "/ok"}, "a", name="its-name"),
        route({"prefix": "/decorated"}, "a", decorator={"operation": "decorated"}),
        route({"prefix": "/sampling"}, "a", tracing=sampled),
        route({"prefix": "/rewritten"}, {"cluster": "a", "prefix_rewrite": "/new"}),
        route({"prefix": "/retried"}, {"cluster": "a", **retry}),
        route({"prefix": "/late"}, {"cluster": "a", "timeout": "0.2s"}),
        route({"prefix": "/dead"}, "dead"),
        {"match": {"prefix": "/direct"}, "direct_response": {"status": 418, "body": {"inline_string": "tea"}}},
        {"match": {"prefix": "/moved"}, "redirect": {"prefix_rewrite": "/new"}},
        route({"prefix": "/none"}, "none"),
        route({"prefix": "/empty"}, "empty"),
    ]
    return (host(*({**each, "metadata": copy.deepcopy(METADATA)} for each in rules)),)


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: which, behind which manager, and what it is."""

    name: str
    manager: str
    request: Request


def _cases() -> Iterator[Case]:
    for name in MANAGERS:
        yield Case(_hosts(), (), manager=telling(name))


def telling(name: str) -> Resource:
    """What one of these managers says of spans and logs."""
    tracing = {"provider": copy.deepcopy(PROVIDER), "custom_tags": copy.deepcopy(TAGS), **MANAGERS[name]}
    return {"tracing": tracing, "access_log": logs("")}


def recording(base: Recording) -> Recording:
    """All managers."""
    made = together(base, list(_cases()))
    made.clusters["dead"] = cluster("dead", DEAD)
    made.node = located(base.node)
    return made


def located(node: Resource) -> Resource:
    """A node where the static configuration says that it is."""
    return {**node, "locality": {"region": "r1", "zone": "a"}}


SHORT = (
    *("plain", "sampled", "unsampled", "forced", "asked for", "low", "high", "above", "traced before", "no id"),
    *("decorated", "operation", "own sampling", "too often"),
)
"""The requests of managers that differ in whom they trace."""


def asked() -> list[Asked]:
    """All requests."""
    return [
        asked_of(manager, name, f"x.test:{FIRST_PORT + number}")
        for number, manager in enumerate(MANAGERS)
        for name in (SENT if manager in ("spans", "tries") else SHORT)
    ]


def asked_of(manager: str, name: str, authority: str) -> Asked:
    """One of the requests to a host behind a manager."""
    method, target, headers, body = SENT[name]
    mark = f"{manager}: {name}"
    if name != FRESH and not any(key == "x-request-id" for key, _ in headers):
        headers = (*headers, ("x-request-id", _id(mark)))
    return Asked(name, manager, Request(method, f"http://{authority}{target}", (*headers, (MARK, mark)), body))


FRESH = "fresh"
"""The request without an id, to which each gives one: nobody knows whether it is drawn."""


def _id(mark: str) -> str:
    """The same in each run."""
    made = str(uuid5(NAMESPACE_URL, mark))
    return f"{made[:14]}4{made[15:]}"


class Telling(Rig):
    """Envoy that sends its spans to a collector and writes all these logs."""

    def __init__(self, recording: Recording, collector_port: int) -> None:
        self._collector_port = collector_port
        super().__init__(recording)

    def bootstrap(self) -> Resource:
        """With what only Envoy needs."""
        made = static(self.recording, direct=False)
        made["static_resources"]["clusters"].append(cluster("collector", ("127.0.0.1", self._collector_port)))
        layers = made["layered_runtime"]["layers"]
        layers.append({"name": "at once", "static_layer": {"tracing.opentelemetry.min_flush_spans": 1}})
        for listener in made["static_resources"]["listeners"]:
            if listener["name"].startswith("0.0.0.0_"):
                for config in managers_of(listener):
                    config["access_log"] += logs("{FOLDER}/")
        return made


def managers_of(listener: Resource) -> Iterator[Resource]:
    """Its connection managers."""
    for chain in listener["filter_chains"]:
        for each in chain["filters"]:
            if each["name"] == HCM:
                yield each["typed_config"]
