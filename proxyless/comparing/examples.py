"""A text that a matcher takes, where one can be made."""

from __future__ import annotations

import importlib
from typing import Any

from ..governance.matching import string_test
from ..governance.regex import BadRegexError, compile_regex
from ..xds.model.matchers import StringMatcher

_TRIED = "a1A0-_.~/xz"
"""Characters for what any or nearly any character may be: those that a path may hold as they are."""

_MOST = 64


def matching(matcher: StringMatcher) -> str | None:
    """A text that the matcher takes; None where none was found."""
    if matcher.kind != "safe_regex":
        return matcher.value
    return of_regex(matcher.value)


def not_matching(matcher: StringMatcher) -> str | None:
    """A text that it does not take."""
    try:
        test = string_test(matcher)
    except BadRegexError:
        return None
    return next((each for each in (f"{matcher.value}x", f"x{matcher.value}", "x", "") if not test(each.encode())), None)


def of_regex(pattern: str) -> str | None:
    """A text that RE2 matches as a whole, made from the tree of Python's own parser; None where none comes of it."""
    parser: Any = importlib.import_module("re._parser")
    try:
        program = compile_regex(pattern)
        tree = parser.parse(pattern)
    except (BadRegexError, RecursionError, OverflowError, ValueError, importlib.import_module("re").error):
        return None
    for least in (1, 0):
        try:
            made = "".join(_of(each, least) for each in tree)
        except (_UnknownError, RecursionError):
            continue
        if made.isprintable() and program.fullmatch(made.encode()) is not None:
            return made
    return None


class _UnknownError(Exception):
    """A part of an expression that no text is made for."""


def _of(node: Any, least: int) -> str:
    """A text for one node; what may be repeated is there `least` times, if it may."""
    kind, value = str(node[0]), node[1]
    if kind == "LITERAL":
        return chr(value)
    if kind == "ANY":
        return _TRIED[0]
    if kind == "NOT_LITERAL":
        return next(each for each in _TRIED if ord(each) != value)
    if kind == "IN":
        return _one_of(value)
    if kind == "BRANCH":
        return "".join(_of(each, least) for each in value[1][0])
    if kind == "SUBPATTERN":
        return "".join(_of(each, least) for each in value[-1])
    if kind in ("MAX_REPEAT", "MIN_REPEAT"):
        low, high, inner = value
        if low > _MOST:
            raise _UnknownError(kind)
        return "".join(_of(each, least) for each in inner) * max(int(low), min(least, int(high)))
    if kind == "AT":
        return ""
    raise _UnknownError(kind)


def _one_of(members: Any) -> str:
    negated = str(members[0][0]) == "NEGATE"
    if negated:
        found = next((each for each in _TRIED if not any(_holds(m, each) for m in members[1:])), None)
    else:
        found = next((each for each in _TRIED if any(_holds(m, each) for m in members)), None)
        if found is None:
            kind, value = str(members[0][0]), members[0][1]
            found = chr(value if kind == "LITERAL" else value[0]) if kind in ("LITERAL", "RANGE") else None
    if found is None:
        raise _UnknownError("IN")
    return found


def _holds(member: Any, character: str) -> bool:
    kind, value = str(member[0]), member[1]
    if kind == "LITERAL":
        return ord(character) == int(value)
    if kind == "RANGE":
        return bool(value[0] <= ord(character) <= value[1])
    tests = {
        "CATEGORY_DIGIT": character.isdigit(),
        "CATEGORY_NOT_DIGIT": not character.isdigit(),
        "CATEGORY_WORD": character.isalnum() or character == "_",
        "CATEGORY_NOT_WORD": not (character.isalnum() or character == "_"),
        "CATEGORY_SPACE": character.isspace(),
        "CATEGORY_NOT_SPACE": not character.isspace(),
    }
    return tests.get(str(value), False)
