"""Durations that Envoy refuses wherever they stand, and `%...%` formats."""

from __future__ import annotations

from typing import Any

from . import Case, Json
from .build import HTTP_OPTIONS, action, cluster, listener, managed, manager, route, typed

NEGATIVE = "Invalid duration: Expected positive duration: seconds: -1"
TOO_LONG = "Invalid duration: Duration out-of-range: seconds: "


def header(text: str, says: str | None = None, differs: str = "") -> Case:
    """A header with a format for its value."""
    added: list[Json] = [{"header": {"key": "a", "value": text}}]
    return Case(f"format {text}", route(request_headers_to_add=added), says, differs)


def options(**fields: Any) -> Json:
    """A cluster's HttpProtocolOptions."""
    own = typed(HTTP_OPTIONS, explicit_http_config={"http_protocol_options": {}}, common_http_protocol_options=fields)
    return cluster(typed_extension_protocol_options={HTTP_OPTIONS: own})


DURATIONS = [
    Case("the longest timeout", action(timeout="9223372035.999999999s")),
    Case("a second more", action(timeout="9223372036s"), TOO_LONG + "9223372036"),
    Case("as long as protobuf allows", action(timeout="315576000000s"), TOO_LONG + "315576000000"),
    Case("route: idle_timeout", action(idle_timeout="-1s"), NEGATIVE),
    Case("route: max_grpc_timeout", action(max_grpc_timeout="-1s"), NEGATIVE),
    Case("route: grpc_timeout_offset", action(grpc_timeout_offset="-1s"), NEGATIVE),
    Case("route: flush_timeout", action(flush_timeout="-1s"), NEGATIVE),
    Case("route: below a second", action(timeout="-0.5s"), "Expected positive duration: nanos: -500000000"),
    Case("stream: header max", action(max_stream_duration={"grpc_timeout_header_max": "-1s"}), NEGATIVE),
    Case("stream: header offset", action(max_stream_duration={"grpc_timeout_header_offset": "-1s"}), NEGATIVE),
    Case("manager: request_timeout", managed(request_timeout="-1s"), NEGATIVE),
    Case("manager: before its own rule", managed(request_headers_timeout="-1s"), NEGATIVE),
    Case("manager: delayed_close_timeout", managed(delayed_close_timeout="-1s"), NEGATIVE),
    Case("manager: stream_flush_timeout", managed(stream_flush_timeout="-1s"), NEGATIVE),
    Case("manager: inside", managed(common_http_protocol_options={"idle_timeout": "-1s"}), NEGATIVE),
    Case(
        "manager: config source",
        managed(rds={"route_config_name": "r", "config_source": {"ads": {}, "initial_fetch_timeout": "-1s"}}),
        NEGATIVE,
    ),
    Case(
        "chain: connect timeout",
        listener(filter_chains=[{"filters": [manager()], "transport_socket_connect_timeout": "-1s"}]),
        NEGATIVE,
    ),
    Case("cluster: inside an extension", options(max_connection_duration="-1s"), NEGATIVE),
    Case("cluster: inside a list", cluster(health_checks=[{"timeout": "-1s"}]), NEGATIVE),
]

FORMATS = [
    header("%PROTOCOL(x)%", "PROTOCOL does not take any parameters or length"),
    header("%PROTOCOL:3%", "PROTOCOL does not take any parameters or length"),
    header("%REQ(x", "Incorrect configuration: %REQ(x. Couldn't find valid command at position 0"),
    header("%REQ(x)", "Incorrect configuration: %REQ(x). Couldn't find valid command at position 0"),
    header("%req(x)%", "Incorrect configuration: %req(x)%. Couldn't find valid command at position 0"),
    header("%REQ(x):%", "Incorrect configuration: %REQ(x):%. Couldn't find valid command at position 0"),
    header("%REQ(a):b%", "Incorrect configuration: %REQ(a):b%. Couldn't find valid command at position 0"),
    header("%REQ()%", "REQ requires parameters"),
    header("%REQ%", "REQ requires parameters"),
    header("%REQ(a?)%"),
    header("%REQ(a?b?c)%", "More than 1 alternative header specified in token: a?b?c"),
    header("%TRAILER(a?b?c)%", "More than 1 alternative header specified in token: a?b?c"),
    header("%REQ(a b)%", "Invalid header configuration. Format string contains invalid characters."),
    header("%REQ(a)%%REQ(b)%"),
    header("%REQ(a):3%"),
    header("%RESP(a)%"),
    header("%RESPONSE_CODE%"),
    header("%START_TIME(%s)%"),
    header("%START_TIME%"),
    header("%START_TIME:3%", "START_TIME does not allow length to be specified."),
    header("%%"),
    header("100%%"),
    header("%%%", "Incorrect configuration: %%%. Couldn't find valid command at position 2"),
    header("10% off", "Incorrect configuration: 10% off. Couldn't find valid command at position 2"),
    header("%DURATION%x%", "Incorrect configuration: %DURATION%x%. Couldn't find valid command at position 11"),
    header("%HOSTNAME(a)%", "HOSTNAME does not take any parameters or length"),
    header("%DYNAMIC_METADATA()%", "DYNAMIC_METADATA requires parameters"),
    header('%DYNAMIC_METADATA(["a","b"])%'),
    header("%CEL(request.headers['a'])%"),
    header("%ENVIRONMENT(A)%"),
    header("%QUERY_PARAM(a)%"),
    header("%PATH(WQ)%"),
    header("%METADATA(ROUTE:a)%"),
    header("%NOPE%", "Not supported field in StreamInfo: NOPE"),
    header("%REQ_WITHOUT_QUERY(x)%", "Not supported field in StreamInfo: REQ_WITHOUT_QUERY"),
    header("%PATH(NOPE)%", "Invalid PATH option: 'NOPE', only 'WQ'/'NQ' are allowed", "parameters are not looked into"),
    header("%METADATA(NOPE:a)%", "NOPE is not supported type of metadata", "parameters are not looked into"),
]

CASES = [*DURATIONS, *FORMATS]
