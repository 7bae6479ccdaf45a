"""What an annotation can say about a field beyond its Python type.

Each mark is data that `decode` compiles; the aliases below are the spellings used in the message classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Annotated

UINT32_MAX = 2**32 - 1


@dataclass(frozen=True, slots=True)
class Bounds:
    """Inclusive range of a number."""

    low: float
    high: float


class Format(Enum):
    """A string with a grammar."""

    DURATION = "duration"
    GATEWAY_DURATION = "gateway duration"
    REGEX = "regex"
    BYTES = "bytes"
    YAML = "yaml"


class Required(Enum):
    """A field that Istio's API marks as required."""

    REQUIRED = "required"


REQUIRED = Required.REQUIRED


@dataclass(frozen=True, slots=True)
class Inert:
    """A field that changes nothing here, and why; `check` tells whoever sets it."""

    why: str


Duration = Annotated[float, Format.DURATION]
"""Seconds. Written as Go writes durations: `1.5s`, `500ms`, `1h30m`."""

GatewayDuration = Annotated[float, Format.GATEWAY_DURATION]
"""Seconds. Written as the Gateway API writes durations: up to four whole numbers of h, m, s or ms."""

Regex = Annotated[str, Format.REGEX]
"""RE2 syntax, as Envoy compiles it."""

Bytes = Annotated[bytes, Format.BYTES]
"""Base64 in JSON."""

UInt32 = Annotated[int, Bounds(0, UINT32_MAX)]
Int32 = Annotated[int, Bounds(-(2**31), 2**31 - 1)]
UInt64 = Annotated[int, Bounds(0, 2**64 - 1)]
Port = Annotated[int, Bounds(0, 65535)]
Percentage = Annotated[float, Bounds(0, 100)]
WholePercentage = Annotated[int, Bounds(0, 100)]
HttpStatus = Annotated[int, Bounds(200, 599)]

Json = object
"""Any JSON value: a Struct in Istio's API."""

OneOf = tuple[tuple[str, ...], ...]
"""Groups of fields of which at most one may be set."""
