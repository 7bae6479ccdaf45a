"""What a backend is told to do, and what it saw: the words that backends, Envoy's rig and proxyless' rig share."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TypeAlias

Address: TypeAlias = tuple[str, int]
Headers: TypeAlias = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What a backend does with one request.

    `fault`: `reset` (RST before headers; on HTTP/2 a stream reset), `refused` (HTTP/2 REFUSED_STREAM), `close` (FIN
    before headers), `cut` (headers and half of the body, then FIN), `cut-reset` (the same, then RST). `trailers` are
    sent on HTTP/2 only.
    """

    status: int = 200
    delay_s: float = 0.0
    body_delay_s: float = 0.0
    fault: str = ""
    headers: Headers = ()
    body: bytes | None = None
    trailers: Headers = ()


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request as it arrived: `headers` in order, names in the case received (HTTP/2 pseudo headers included)."""

    backend: Address
    at: float
    connection: int
    protocol: str
    method: str
    target: str
    headers: Headers
    body: bytes
    trailers: Headers = ()

    @property
    def authority(self) -> str:
        """The Host header or :authority."""
        return self.header("host") or self.header(":authority")

    def header(self, name: str) -> str:
        """All values of a header, joined by a comma; empty when absent."""
        return ",".join(value for key, value in self.headers if key.lower() == name)


@dataclass(frozen=True, slots=True)
class Reply:
    """A behaviour resolved for one arrival."""

    behaviour: Behaviour
    headers: Headers
    body: bytes


def parse(text: str) -> list[Behaviour]:
    """The behaviours of an `x-backend` header, one for each attempt."""
    return [_parse_one(part) for part in text.split(",")]


def _parse_one(text: str) -> Behaviour:
    result = Behaviour()
    for item in filter(None, (piece.strip() for piece in text.split(";"))):
        key, _, value = item.partition("=")
        if key == "status":
            result = replace(result, status=int(value))
        elif key == "delay":
            result = replace(result, delay_s=float(value))
        elif key == "body-delay":
            result = replace(result, body_delay_s=float(value))
        elif key == "fault":
            result = replace(result, fault=value)
        elif key == "body":
            result = replace(result, body=value.encode())
        elif key == "size":
            result = replace(result, body=b"x" * int(value))
        else:  # any other key is a response header
            result = replace(result, headers=(*result.headers, (key, value)))
    return result


def describe(arrival: Arrival) -> bytes:
    """The body of an ordinary answer."""
    document = {
        "backend": "{}:{}".format(*arrival.backend),
        "protocol": arrival.protocol,
        "method": arrival.method,
        "target": arrival.target,
        "headers": arrival.headers,
        "body_length": len(arrival.body),
    }
    return json.dumps(document).encode()
