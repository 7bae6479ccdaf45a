"""Active health checks (envoy.config.core.v3.HealthCheck)."""

from __future__ import annotations

from collections.abc import Iterable

from ...model.health_check import GrpcCheck, HealthCheck, HttpCheck, TcpCheck
from ...model.matchers import Range
from ..refused import NotUnderstoodError, RefusedError
from ..schema import types as pb
from .matchers import string_matcher
from .values import header_options, seconds

HTTP2, HTTP3 = 1, 2
BODILESS = frozenset({"GET", "HEAD", "DELETE", "TRACE"})


def health_check(checks: Iterable[pb.core_v3.HealthCheck]) -> HealthCheck | None:
    """The check of a cluster; None where it has none, or one of a kind that is not done."""
    found = list(checks)
    if len(found) > 1:
        raise RefusedError("Multiple health checks not supported")
    if not found:
        return None
    (message,) = found
    match message.WhichOneof("health_checker"):
        case "http_health_check":
            ask: HttpCheck | TcpCheck | GrpcCheck | None = _http(message.http_health_check)
        case "tcp_health_check":
            tcp = message.tcp_health_check
            ask = TcpCheck(b"".join(_payload([tcp.send])) if tcp.send.text else b"", _payload(tcp.receive))
        case "grpc_health_check":
            ask = GrpcCheck(message.grpc_health_check.service_name, message.grpc_health_check.authority)
        case _:
            ask = None
    if ask is None:
        return None
    interval_s = seconds(message.interval)
    no_traffic_s = _or(message, "no_traffic_interval", 60.0)
    unhealthy_s = _or(message, "unhealthy_interval", interval_s)
    return HealthCheck(
        ask=ask,
        timeout_s=seconds(message.timeout),
        interval_s=interval_s,
        unhealthy_threshold=message.unhealthy_threshold.value,
        healthy_threshold=message.healthy_threshold.value,
        initial_jitter_s=seconds(message.initial_jitter),
        interval_jitter_s=seconds(message.interval_jitter),
        interval_jitter_percent=message.interval_jitter_percent,
        no_traffic_interval_s=no_traffic_s,
        no_traffic_healthy_interval_s=_or(message, "no_traffic_healthy_interval", no_traffic_s),
        unhealthy_interval_s=unhealthy_s,
        unhealthy_edge_interval_s=_or(message, "unhealthy_edge_interval", unhealthy_s),
        healthy_edge_interval_s=_or(message, "healthy_edge_interval", interval_s),
        always_log_failures=message.always_log_health_check_failures,
        always_log_success=message.always_log_health_check_success,
        alpn=tuple(message.tls_options.alpn_protocols),
    )


def _or(message: pb.core_v3.HealthCheck, field: str, otherwise: float) -> float:
    return seconds(getattr(message, field)) if message.HasField(field) else otherwise  # type: ignore[arg-type]


def _http(message: pb.core_v3.HealthCheck.HttpHealthCheck) -> HttpCheck | None:
    method = pb.core_v3.RequestMethod.Name(message.method)
    method = "GET" if method == "METHOD_UNSPECIFIED" else method
    if message.HasField("send") and method in BODILESS:
        raise RefusedError(
            f"HTTP health check cannot specify a request payload with method '{method}'. Only methods that support a "
            "request body (POST, PUT, PATCH, OPTIONS) can be used with payload."
        )
    receive = _payload(message.receive)
    buffer = message.response_buffer_size.value if message.HasField("response_buffer_size") else 1024
    total = sum(len(each) for each in receive)
    if buffer and total > buffer:
        raise RefusedError(
            f"The expected response length '{total}' is over than http health response buffer size '{buffer}'"
        )
    expected = _ranges(message.expected_statuses, "expected")
    retriable = _ranges(message.retriable_statuses, "retriable")
    name = None
    if message.HasField("service_name_matcher"):
        try:
            name = string_matcher(message.service_name_matcher)
        except NotUnderstoodError:
            return None
    if message.codec_client_type in (HTTP2, HTTP3):
        return None
    return HttpCheck(
        path=message.path,
        host=message.host,
        method=method,
        send=b"".join(_payload([message.send])) if message.HasField("send") else b"",
        receive=receive,
        buffer=buffer,
        add=header_options(message.request_headers_to_add),
        remove=tuple(message.request_headers_to_remove),
        expected=expected or (Range(200, 201),),
        retriable=retriable,
        service_name=name,
    )


def _payload(segments: Iterable[pb.core_v3.HealthCheck.Payload]) -> tuple[bytes, ...]:
    """Text is hexadecimal."""
    found = []
    for each in segments:
        if each.WhichOneof("payload") == "binary":
            found.append(each.binary)
            continue
        try:
            found.append(bytes.fromhex(each.text))
        except ValueError:
            raise RefusedError(f"invalid hex string '{each.text}'") from None
    return tuple(found)


def _ranges(ranges: Iterable[pb.type_v3.Int64Range], kind: str) -> tuple[Range, ...]:
    found = []
    for each in ranges:
        start, end = each.start, each.end
        if start >= end:
            raise RefusedError(
                f"Invalid http {kind} status range: expecting start < end, but found start={start} and end={end}"
            )
        if start < 100:
            raise RefusedError(f"Invalid http {kind} status range: expecting start >= 100, but found start={start}")
        if end > 600:
            raise RefusedError(f"Invalid http {kind} status range: expecting end <= 600, but found end={end}")
        found.append(Range(start, end))
    return tuple(found)
