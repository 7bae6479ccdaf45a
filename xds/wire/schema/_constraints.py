"""The rules for a single value, as functions: value in, reason out, None when the value is good.

Every kind of rule that occurs in `data/rules.json` is here, with the words and the order of checks of
protoc-gen-validate's C++ code, which is what Envoy runs and prints. A kind that is not here is refused when it is
compiled, so that a new one cannot be passed over in silence. Lengths are characters (`*_len`) or UTF-8 bytes
(`*_bytes`), durations whole nanoseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any, TypeAlias

import re2
from google.protobuf.descriptor import EnumDescriptor

Check: TypeAlias = Callable[[Any], str | None]
Rule: TypeAlias = Mapping[str, Any]
_Texts: TypeAlias = Callable[[int | None, int | None], str]

_NUMBERS = {"double", "float", "int32", "int64", "uint32", "uint64"}
_SECOND = 1_000_000_000
# google.protobuf.Duration: 10,000 years either way.
_MAX_SECONDS = 315_576_000_000

_HEADER_NAME = "^:?[0-9a-zA-Z!#$%&'*+-.^_|~\x60]+$"
_HEADER_VALUE = "^[^\x00-\x08\x0a-\x1f\x7f]*$"
_HEADER_LENIENT = "^[^\x00\x0a\x0d]*$"


class UnknownRuleError(Exception):
    """The rules hold a kind that the engine does not know: the schema is newer than the engine."""


def value_check(kind: str, rule: Rule, enum: EnumDescriptor | None) -> Check:
    """The check for a `FieldRules` of this kind (`string`, `uint32`, `enum`, `duration` ...)."""
    left = dict(rule)
    if kind in _NUMBERS:
        checks = list(_number(left))
    elif kind == "string":
        checks = list(_string(left))
    elif kind == "bytes":
        checks = list(_lengths(left, "min_len", "max_len", len, _bytes_texts))
    elif kind == "bool":
        checks = list(_constant(left, lambda value: str(value).lower()))
    elif kind == "enum" and enum is not None:
        checks = list(_enum(left, enum))
    elif kind == "duration":
        checks = list(_range(left, go_duration))
    else:
        raise UnknownRuleError(kind)
    ignore_empty = left.pop("ignore_empty", False)
    if left:
        raise UnknownRuleError(f"{kind}: {', '.join(sorted(left))}")
    check = _first(checks)
    if kind == "duration":
        return _duration(check)
    return _unless_empty(check) if ignore_empty else check


def size_check(rule: dict[str, Any], low: str, high: str, unit: str) -> Check:
    """The check for the number of items (of a list) or pairs (of a map); takes `low` and `high` out of the rule."""
    return _first(list(_lengths(rule, low, high, len, lambda least, most: _size_text(least, most, unit))))


def camel(name: str) -> str:
    """A field's name as protoc-gen-go spells it, which is how Envoy's texts name fields."""
    out = "X" if name.startswith("_") else ""
    words = name[1:] if out else name
    start = True
    for index, char in enumerate(words):
        if char == "_" and words[index + 1 : index + 2].islower():
            start = True
            continue
        out += char.upper() if start and char.islower() else char
        start = char.isdigit() or not char.isalpha()
    return out


def go_quote(text: str) -> str:
    """A string as Go's %q prints it."""
    named = {"\a": r"\a", "\b": r"\b", "\f": r"\f", "\n": r"\n", "\r": r"\r", "\t": r"\t", "\v": r"\v"}
    named |= {'"': r"\"", "\\": r"\\"}
    out = [named.get(c) or (f"\\x{ord(c):02x}" if ord(c) < 0x20 or ord(c) == 0x7F else c) for c in text]
    return '"' + "".join(out) + '"'


def go_duration(nanoseconds: int) -> str:
    """A duration as Go prints it: `0s`, `1.5ms`, `1m0s`."""
    if abs(nanoseconds) < _SECOND:
        for unit, size in (("ms", 1_000_000), ("µs", 1_000), ("ns", 1)):
            if abs(nanoseconds) >= size:
                return go_number(nanoseconds / size) + unit
        return "0s"
    minutes, rest = divmod(abs(nanoseconds), 60 * _SECOND)
    hours, minutes = divmod(minutes, 60)
    whole, fraction = divmod(rest, _SECOND)
    text = f"{whole}.{fraction:09d}".rstrip("0").rstrip(".") if fraction else str(whole)
    text += "s"
    if hours or minutes:
        text = f"{minutes}m{text}"
    if hours:
        text = f"{hours}h{text}"
    return "-" + text if nanoseconds < 0 else text


def go_number(value: float) -> str:
    """A number as Go's %v prints it."""
    return str(int(value)) if value == int(value) and abs(value) < 1e21 else repr(value)


def _first(checks: list[Check]) -> Check:
    if len(checks) == 1:
        return checks[0]

    def check(value: Any) -> str | None:
        for one in checks:
            reason = one(value)
            if reason is not None:
                return reason
        return None

    return check


def _unless_empty(check: Check) -> Check:
    return lambda value: check(value) if value else None


def _number(rule: dict[str, Any]) -> Iterator[Check]:
    yield from _constant(rule, go_number)
    yield from _range(rule, go_number)
    yield from _listed(rule, lambda values: f"[{' '.join(go_number(value) for value in values)}]")


def _enum(rule: dict[str, Any], enum: EnumDescriptor) -> Iterator[Check]:
    names = {number: value.name for number, value in enum.values_by_number.items()}
    yield from _constant(rule, lambda value: names.get(value, ""))
    yield from _listed(rule, lambda values: f"[{' '.join(names.get(value, '') for value in values)}]")
    if rule.pop("defined_only", False):
        yield lambda value: None if value in names else "value must be one of the defined enum values"


def _string(rule: dict[str, Any]) -> Iterator[Check]:
    yield from _constant(rule, go_quote)
    yield from _listed(rule, lambda values: f"[{' '.join(values)}]")
    yield from _lengths(rule, "min_len", "max_len", len, _characters_texts)
    yield from _lengths(rule, "min_bytes", "max_bytes", lambda value: len(value.encode()), _bytes_texts)
    prefix, suffix = rule.pop("prefix", None), rule.pop("suffix", None)
    if prefix is not None:
        wrong_prefix = f"value does not have prefix {go_quote(prefix)}"
        yield lambda value: None if value.startswith(prefix) else wrong_prefix
    if suffix is not None:
        wrong_suffix = f"value does not have suffix {go_quote(suffix)}"
        yield lambda value: None if value.endswith(suffix) else wrong_suffix
    pattern = rule.pop("pattern", None)
    known, strict = rule.pop("well_known_regex", None), rule.pop("strict", True)
    if known == "HTTP_HEADER_NAME" and strict:
        pattern = _HEADER_NAME
    elif known is not None:
        yield _unless_printable(_pattern(_HEADER_VALUE if strict else _HEADER_LENIENT))
    if pattern is not None:
        yield _pattern(pattern)


@cache
def _pattern(pattern: str) -> Check:
    matches = re2.compile(pattern).fullmatch
    reason = f"value does not match regex pattern {go_quote(pattern)}"
    return lambda value: None if matches(value) else reason


def _unless_printable(check: Check) -> Check:
    # What these patterns refuse is never printable, and asking that is 20 times faster than a regular expression.
    return lambda value: None if value.isprintable() else check(value)


def _constant(rule: dict[str, Any], show: Callable[[Any], str]) -> Iterator[Check]:
    if "const" in rule:
        wanted = rule.pop("const")
        reason = f"value must equal {show(wanted)}"
        yield lambda value: None if value == wanted else reason


def _listed(rule: dict[str, Any], show: Callable[[list[Any]], str]) -> Iterator[Check]:
    if "in" in rule:
        listed = rule.pop("in")
        good, reason = frozenset(listed), f"value must be in list {show(listed)}"
        yield lambda value: None if value in good else reason
    elif "not_in" in rule:
        listed = rule.pop("not_in")
        bad, refusal = frozenset(listed), f"value must not be in list {show(listed)}"
        yield lambda value: refusal if value in bad else None


def _range(rule: dict[str, Any], show: Callable[[Any], str]) -> Iterator[Check]:
    below, most = rule.pop("lt", None), rule.pop("lte", None)
    above, least = rule.pop("gt", None), rule.pop("gte", None)
    high, low = (most if below is None else below), (least if above is None else above)
    if high is None and low is None:
        return

    def too_high(value: Any) -> bool:
        return bool(value >= below if below is not None else value > most)

    def too_low(value: Any) -> bool:
        return bool(value <= above if above is not None else value < least)

    if low is None:
        reason = f"value must be less than {'' if below is not None else 'or equal to '}{show(high)}"
        yield lambda value: reason if too_high(value) else None
    elif high is None:
        reason = f"value must be greater than {'' if above is not None else 'or equal to '}{show(low)}"
        yield lambda value: reason if too_low(value) else None
    elif high > low:
        opening, closing = "[("[above is not None], "])"[below is not None]
        reason = f"value must be inside range {opening}{show(low)}, {show(high)}{closing}"
        yield lambda value: reason if too_low(value) or too_high(value) else None
    else:
        raise UnknownRuleError("a range that excludes its inside")


def _duration(check: Check) -> Check:
    def duration(value: Any) -> str | None:
        seconds, nanos = value.seconds, value.nanos
        if not (-_MAX_SECONDS <= seconds <= _MAX_SECONDS and -_SECOND < nanos < _SECOND):
            return "value is not a valid duration"
        return check(seconds * _SECOND + nanos)

    return duration


def _lengths(rule: dict[str, Any], low: str, high: str, length: Callable[[Any], int], texts: _Texts) -> Iterator[Check]:
    least, most = rule.pop(low, None), rule.pop(high, None)
    if least is None and most is None:
        return
    reason = texts(least, most)
    if most is None:
        yield lambda value: None if length(value) >= least else reason
    elif least is None:
        yield lambda value: None if length(value) <= most else reason
    else:
        yield lambda value: None if least <= length(value) <= most else reason


def _characters_texts(least: int | None, most: int | None) -> str:
    if least == most:
        return f"value must be {least} characters"
    if most is None:
        return f"value length must be at least {least} characters"
    if least is None:
        return f"value length must be at most {most} characters"
    return f"value must have between {least} and {most} characters inclusive"


def _bytes_texts(least: int | None, most: int | None) -> str:
    if least == most:
        return f"value length must be {least} bytes"
    if most is None:
        return f"value length must be at least {least} bytes"
    if least is None:
        return f"value length must be at most {most} bytes"
    return f"value length must be between {least} and {most} bytes, inclusive"


def _size_text(least: int | None, most: int | None, unit: str) -> str:
    if least == most:
        return f"value must contain exactly {least} {unit}(s)"
    if most is None:
        return f"value must contain at least {least} {unit}(s)"
    if least is None:
        return f"value must contain no more than {most} {unit}(s)"
    return f"value must contain between {least} and {most} {unit}s, inclusive"
