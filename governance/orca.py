"""What endpoints say of their load in response headers (ORCA; envoy source: Orca::parseOrcaLoadReportHeaders).

`endpoint-load-metrics` holds one of three forms (`TEXT a:1,b:2`, `JSON {...}`, `BIN <base64>`), the older
`endpoint-load-metrics-bin` the last of them. The message is xds.data.orca.v3.OrcaLoadReport. A report that is not well
formed counts as none, as in Envoy.
"""

from __future__ import annotations

import binascii
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from math import isfinite
from struct import unpack_from

from .request import RawHeaders

TEXT_OR_OTHER = b"endpoint-load-metrics"
BINARY = b"endpoint-load-metrics-bin"
NAMED = "named_metrics."
MOST = 0xFFFFFFFF

_NUMBER = re.compile(r"\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\s*", re.ASCII)


@dataclass(slots=True)
class LoadReport:
    """xds.data.orca.v3.OrcaLoadReport, as far as a balancer looks at it."""

    cpu_utilization: float = 0.0
    mem_utilization: float = 0.0
    application_utilization: float = 0.0
    rps_fractional: float = 0.0
    eps: float = 0.0
    request_cost: dict[str, float] = field(default_factory=dict)
    utilization: dict[str, float] = field(default_factory=dict)
    named_metrics: dict[str, float] = field(default_factory=dict)


NUMBERS = {1: "cpu_utilization", 2: "mem_utilization", 6: "rps_fractional", 7: "eps", 9: "application_utilization"}
MAPS = {4: "request_cost", 5: "utilization", 8: "named_metrics"}
"""The fields of the message by their numbers; 3, `rps`, is deprecated and nobody looks at it."""

SINGLE = frozenset(NUMBERS.values())


class _BadReportError(ValueError):
    """Not well formed."""


def load_report(headers: RawHeaders) -> LoadReport | None:
    """The report of a response, if it has a good one."""
    text = binary = None
    for name, value in headers:
        if len(name) in (len(TEXT_OR_OTHER), len(BINARY)):
            lower = name.lower()
            if lower == BINARY and binary is None:
                binary = value
            elif lower == TEXT_OR_OTHER and text is None:
                text = value
    try:
        if binary is not None:
            return _from_base64(binary)
        if text is None:
            return None
        kind, _, rest = text.partition(b" ")
        return _FORMS[kind](rest)
    except (ValueError, KeyError):
        return None


def _from_base64(text: bytes) -> LoadReport:
    data = binascii.a2b_base64(text + b"=" * (-len(text) % 4), strict_mode=True)
    if not data:
        raise _BadReportError
    return from_message(data)


def from_message(data: bytes) -> LoadReport:
    """The report in a message.

    Raises:
        ValueError: it is not well formed.
    """
    found = LoadReport()
    for number, value in _fields(data):
        if number in NUMBERS and isinstance(value, float):
            setattr(found, NUMBERS[number], value)
        elif number in MAPS and isinstance(value, bytes):
            key, amount = "", 0.0
            for part, each in _fields(value):
                if part == 1 and isinstance(each, bytes):
                    key = each.decode()
                elif part == 2 and isinstance(each, float):
                    amount = each
            getattr(found, MAPS[number])[key] = amount
    return found


def _fields(data: bytes) -> Iterator[tuple[int, float | int | bytes]]:
    """The fields of a message in protobuf's wire format."""
    at, size = 0, len(data)
    while at < size:
        tag, at = _varint(data, at)
        number, kind = tag >> 3, tag & 7
        if kind == 0:
            value, at = _varint(data, at)
            yield number, value
            continue
        length = 8 if kind == 1 else 4
        if kind == 2:
            length, at = _varint(data, at)
        if kind not in (1, 2, 5) or at + length > size or not number:
            raise _BadReportError
        yield number, unpack_from("<d", data, at)[0] if kind == 1 else data[at : at + length]
        at += length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data) and shift < 64:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise _BadReportError


def _from_text(text: bytes) -> LoadReport:
    found = LoadReport()
    seen: set[str] = set()
    for each in text.decode().split(","):
        name, _, value = each.strip().partition(":")
        if not name and not value:
            continue
        if name in seen or not _NUMBER.fullmatch(value) or not isfinite(float(value)):
            raise _BadReportError
        seen.add(name)
        if name in SINGLE:
            setattr(found, name, float(value))
        elif name.startswith(NAMED) and name != NAMED:
            found.named_metrics[name.removeprefix(NAMED)] = float(value)
        else:
            raise _BadReportError
    return found


def _from_json(text: bytes) -> LoadReport:
    """Field names as in the message or in camel case, as protobuf reads them."""
    document = json.loads(text)
    if not isinstance(document, dict):
        raise _BadReportError
    found = LoadReport()
    for name, value in document.items():
        own = re.sub(r"(?<=[a-z])([A-Z])", lambda match: "_" + match[1].lower(), name)
        if own in SINGLE:
            setattr(found, own, _number(value))
        elif own in MAPS.values() and isinstance(value, dict):
            getattr(found, own).update({key: _number(each) for key, each in value.items()})
        elif own != "rps":
            raise _BadReportError
    return found


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise _BadReportError
    return float(value)


_FORMS: dict[bytes, Callable[[bytes], LoadReport]] = {b"TEXT": _from_text, b"JSON": _from_json, b"BIN": _from_base64}


# -- what a balancer makes of it -----------------------------------------------------------------------------------


def weight_of(report: LoadReport, metrics: Sequence[str], penalty: float) -> int | None:
    """Requests a second for each part of the endpoint that is used; None where the report does not say.

    `metrics`: what counts as used before `application_utilization` and `cpu_utilization` do; the largest of them.
    `penalty`: by how much the share of errors adds to it.
    """
    rate = report.rps_fractional
    if not rate > 0:
        return None
    used = max((each for each in _named(report, metrics)), default=0.0)
    if not used > 0:
        used = report.application_utilization
    if not used > 0:
        used = report.cpu_utilization
    used += penalty * report.eps / rate
    if not used > 0:
        return None
    return int(min(rate / used, MOST))


def _named(report: LoadReport, metrics: Iterable[str]) -> Iterator[float]:
    for metric in metrics:
        if metric in SINGLE:
            yield getattr(report, metric)
            continue
        kind, _, key = metric.partition(".")
        if kind in MAPS.values():
            values: dict[str, float] = getattr(report, kind)
            if key == "*":
                yield from values.values()
            elif key in values:
                yield values[key]
