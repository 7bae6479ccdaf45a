"""The check of grpc.health.v1.Health: a request and an answer of one field each, so no generated code."""

from __future__ import annotations

from time import monotonic

from ...xds.model.health_check import GrpcCheck
from ..actions import Failure
from ..checking.answers import Answer, Failed, Passed
from ..framing import framed, varint
from ..services.grpc import StatusError, message_of, request
from ..services.http2 import Dial, Exchange, Link, exchanged

METHOD = "/grpc.health.v1.Health/Check"
SERVING = b"\x08\x01"
"""HealthCheckResponse.status = SERVING."""
USER_AGENT = (("user-agent", "Envoy/HC"),)


def ask_grpc(
    check: GrpcCheck, dial: Dial, authority: str, timeout_s: float, *, scheme: str = "http", where: str = ""
) -> Answer:
    """One check, over a connection of its own. `where`: whom it asks, for people."""
    name = check.service_name.encode()
    message = b"\n" + varint(len(name)) + name if name else b""
    headers = request(scheme, authority, METHOD, USER_AGENT, timeout_s)
    links: list[Link] = []

    def begin(exchange: Exchange) -> Link:
        links.append(Link(dial, where or authority, exchange))
        return links[-1]

    try:
        reply = exchanged(begin, headers, framed(message), monotonic() + timeout_s)
    finally:
        for each in links:
            each.close()
    if isinstance(reply, Failure):
        if reply.kind == "timeout":
            return Failed("network timeout", f"no answer within {timeout_s:g} s")
        return Failed("network", reply.reason)
    try:
        answer = message_of(reply)
    except StatusError as error:
        return Failed("active", str(error))
    return Passed() if answer == SERVING else Failed("active", "it is not serving")
