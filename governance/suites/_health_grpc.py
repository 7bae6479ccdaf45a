"""The check of grpc.health.v1.Health, over grpcio: a request and an answer of one field each, so no generated code."""

from __future__ import annotations

import grpc

from ...xds.model.health_check import GrpcCheck
from ...xds.model.values import Address
from ..checking.answers import Answer, Failed, Passed

METHOD = "/grpc.health.v1.Health/Check"
SERVING = b"\x08\x01"
"""HealthCheckResponse.status = SERVING."""


def ask_grpc(check: GrpcCheck, where: Address, authority: str, timeout_s: float) -> Answer:
    """One check, on a channel of its own."""
    name = check.service_name.encode()
    request = b"\n" + _length(len(name)) + name if name else b""
    target = f"ipv6:{where}" if ":" in where.host else f"ipv4:{where}"
    if where.unix:
        target = f"unix-abstract:{where.host[1:]}" if where.host[0] == "@" else f"unix:{where.host}"
    options = [
        ("grpc.default_authority", authority),
        ("grpc.enable_http_proxy", 0),
        ("grpc.use_local_subchannel_pool", 1),
    ]
    with grpc.insecure_channel(target, options=options) as channel:
        try:
            answer: bytes = channel.unary_unary(METHOD, None, None)(request, timeout=timeout_s)
        except grpc.RpcError as error:
            code = error.code()
            if code is grpc.StatusCode.DEADLINE_EXCEEDED:
                return Failed("network timeout", f"no answer within {timeout_s:g} s")
            if code is grpc.StatusCode.UNAVAILABLE:
                return Failed("network", error.details() or "unavailable")
            return Failed("active", f"{code.name}: {error.details()}")
    return Passed() if answer == SERVING else Failed("active", "it is not serving")


def _length(number: int) -> bytes:
    found = b""
    while number > 0x7F:
        found += bytes((number & 0x7F | 0x80,))
        number >>= 7
    return found + bytes((number,))
