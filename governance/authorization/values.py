"""Metadata and what is asked of it (envoy source: common/common/matchers): values as Python has them.

Metadata that filters write is plain: strings, numbers, booleans, None, lists or tuples, mappings. What is not there is
`MISSING`, which is not the same as null.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...xds.model.matchers import StringMatcher
from ...xds.model.rbac import AnyValue, InList, IsBool, IsNull, IsNumber, IsPresent, ValueMatcher
from ..matching import string_test

MISSING = object()

ValueTest = Callable[[Any], bool]


def value_at(metadata: Mapping[str, Any], name: str, path: Sequence[str]) -> Any:
    """What stands at a path of the metadata of one filter."""
    found: Any = metadata.get(name, MISSING)
    for key in path:
        if not isinstance(found, Mapping):
            return MISSING
        found = found.get(key, MISSING)
    return found


def value_test(matcher: ValueMatcher) -> ValueTest:
    """envoy.type.matcher.v3.ValueMatcher."""
    match matcher:
        case StringMatcher():
            test = string_test(matcher)
            return lambda value: isinstance(value, str) and test(value.encode())
        case InList(one_of):
            inner = value_test(one_of)
            return lambda value: isinstance(value, (list, tuple)) and any(inner(each) for each in value)
        case AnyValue(parts):
            tests = tuple(value_test(each) for each in parts)
            return lambda value: any(each(value) for each in tests)
        case IsPresent(wanted):
            return lambda value: wanted and value is not MISSING
        case IsNull():
            return lambda value: value is None
        case IsBool(wanted):
            return lambda value: value is wanted
        case _:
            return _number_test(matcher)


def _number_test(matcher: IsNumber) -> ValueTest:
    start, end = matcher.start, matcher.end
    if end is None:
        return lambda value: _is_number(value) and value == start
    return lambda value: _is_number(value) and start <= value < end


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
