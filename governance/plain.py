"""Values as Envoy writes them: strings as they are, everything else as JSON (keys in order, no spaces)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping


def plain_text(value: object) -> bytes:
    """A metadata value."""
    return value.encode() if isinstance(value, str) else written(value)


def written(value: object) -> bytes:
    """A value as JSON."""
    if isinstance(value, Mapping):
        pairs = sorted((key.encode(), each) for key, each in value.items())
        return b"{%b}" % b",".join(b"%b:%b" % (quoted(key), written(each)) for key, each in pairs)
    if isinstance(value, tuple):
        return b"[%b]" % b",".join(map(written, value))
    if isinstance(value, str):
        return quoted(value.encode())
    if value is None or isinstance(value, bool):
        return {None: b"null", True: b"true", False: b"false"}[value]
    if isinstance(value, int | float):
        return shortest(float(value)).encode()
    raise TypeError(f"no value of JSON: {value!r}")


def quoted(value: bytes) -> bytes:
    """A string of JSON."""
    return b'"%b"' % escaped(value)


_PLAIN = re.compile(rb"[ !#-\[\]-~]*")


def escaped(value: bytes) -> bytes:
    """What stands between the quotes. Of what is no UTF-8 every byte that is not plain is written as a character."""
    if _PLAIN.fullmatch(value) is not None:
        return value
    try:
        return json.dumps(value.decode(), ensure_ascii=False)[1:-1].encode()
    except UnicodeDecodeError:
        plain = (chr(each) if 32 <= each < 127 and each not in b'"\\' else f"\\u{each:04x}" for each in value)
        return "".join(plain).encode()


def shortest(value: float) -> str:
    """The shorter of a number's two spellings, with an exponent or without (std::to_chars)."""
    sign = "-" if str(value).startswith("-") else ""
    mantissa, _, exponent = f"{abs(value)!r}".partition("e")
    whole, _, part = mantissa.partition(".")
    digits = (whole + part).lstrip("0")
    point = len(digits) - len(part) + int(exponent or 0)
    digits = digits.rstrip("0")
    if not digits:
        return f"{sign}0"
    power = point - 1
    fraction = f".{digits[1:]}" if digits[1:] else ""
    scientific = f"{digits[0]}{fraction}e{'-' if power < 0 else '+'}{abs(power):02}"
    if point >= len(digits):
        fixed = f"{int(abs(value))}"
    else:
        fixed = f"{digits[:point]}.{digits[point:]}" if point > 0 else f"0.{'0' * -point}{digits}"
    return sign + (fixed if len(fixed) <= len(scientific) else scientific)
