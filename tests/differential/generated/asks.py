"""Requests that a route would take, and those that it just misses: made from the route's own match, then twisted."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import TypeVar

from tests.differential.generated import words
from tests.differential.recording import Resource
from tests.differential.requests import Request

T = TypeVar("T")


def _pick(draw: Random, options: Sequence[T]) -> T:
    return draw.choice(options)


def _one_in(draw: Random, share: int) -> bool:
    return draw.randrange(share) == 0


def request(draw: Random, hosts: list[Resource]) -> Request:
    """One request, most often aimed at a route of one of the hosts."""
    host = _pick(draw, hosts)
    route = _pick(draw, host["routes"])
    match = route["match"]
    headers: list[tuple[str, str]] = []
    method = _pick(draw, words.METHODS)
    for matcher in match.get("headers", ()):
        pair = _header(draw, matcher)
        if pair is not None and pair[0] == ":method":
            method = pair[1]
        elif pair is not None:
            headers.append(pair)
    for matcher in match.get("cookies", ()):
        value = _value(draw, matcher)
        if value is not None:
            headers.append(("cookie", f"{matcher['name']}={value}"))
    if "grpc" in match and not _one_in(draw, 3):
        headers.append(("content-type", "application/grpc"))
    for _ in range(draw.randrange(3)):
        headers += _pick(draw, words.EXTRAS)
    if _one_in(draw, 4):
        headers.append((_pick(draw, words.NAMES), _pick(draw, words.VALUES)))
    if headers and _one_in(draw, 6):
        headers.pop(draw.randrange(len(headers)))
    if _one_in(draw, 4):
        headers.append(("x-backend", _pick(draw, words.STEERED)))
    path = _path(draw, match)
    query = _query(draw, match)
    body = b"body" if method in ("POST", "PUT", "PATCH") and _one_in(draw, 2) else b""
    name = _host(draw, host["domains"])
    if body:
        headers.append(("content-length", str(len(body))))
    return Request(method, f"http://case.test{path}{query}", (("host", name), *headers), body)


def _host(draw: Random, domains: list[str]) -> str:
    if _one_in(draw, 8):
        return str(_pick(draw, words.HOSTS))
    domain = str(_pick(draw, domains))
    if domain == "*":
        return "other.example"
    filled = domain.replace("*", _pick(draw, ("x", "a.b", "")))
    return filled.upper() if _one_in(draw, 8) else filled


def _path(draw: Random, match: Resource) -> str:
    if _one_in(draw, 8):
        return str(_pick(draw, words.PATHS))
    if "safe_regex" in match:
        path = str(_pick(draw, words.REGEXES[match["safe_regex"]["regex"]]))
        return path + (_pick(draw, words.TAILS) if _one_in(draw, 4) else "")
    if "path_match_policy" in match:
        template = match["path_match_policy"]["typed_config"]["path_template"]
        return _pick(draw, words.TEMPLATES[template]) + _pick(draw, words.TAILS)
    kind = next(each for each in ("prefix", "path", "path_separated_prefix") if each in match)
    path = str(match[kind])
    if _one_in(draw, 6):
        path = path.swapcase()
    if kind == "path":
        return path + (_pick(draw, words.TAILS) if _one_in(draw, 4) else "")
    return path + str(_pick(draw, words.TAILS))


def _query(draw: Random, match: Resource) -> str:
    pairs = []
    for matcher in match.get("query_parameters", ()):
        value = _value(draw, matcher)
        if value is not None:
            pairs.append(f"{matcher['name']}={value}")
    if _one_in(draw, 6):
        pairs.insert(0, f"{_pick(draw, words.QUERY_NAMES)}={_pick(draw, words.VALUES)}")
    return "?" + "&".join(pairs) if pairs else ""


def _header(draw: Random, matcher: Resource) -> tuple[str, str] | None:
    name = str(matcher["name"])
    if name == ":method":
        return name, _pick(draw, ("POST", "GET", "PUT"))
    if name.startswith(":") or name == "host":
        return ("x-forwarded-proto", "https") if name == ":scheme" else None
    value = _value(draw, matcher)
    return None if value is None else (name, value)


def _value(draw: Random, matcher: Resource) -> str | None:
    """One that satisfies a matcher most of the time; None stands for absence."""
    if _one_in(draw, 5):
        return str(_pick(draw, words.VALUES)) if not _one_in(draw, 4) else None
    if "range_match" in matcher:
        found = matcher["range_match"]
        return str(_pick(draw, (found["start"], int(found["end"]) - 1, found["end"])))
    if "string_match" in matcher:
        return _text(draw, matcher["string_match"])
    wanted = matcher.get("present_match", True) != matcher.get("invert_match", False)
    return str(_pick(draw, words.VALUES)) if wanted else None


def _text(draw: Random, matcher: Resource) -> str:
    if "safe_regex" in matcher:
        return str(_pick(draw, words.VALUE_REGEXES[matcher["safe_regex"]["regex"]]))
    kind = next(each for each in ("exact", "prefix", "suffix", "contains") if each in matcher)
    text = str(matcher[kind])
    if _one_in(draw, 4):
        text = text.swapcase()
    before = "x" if kind in ("suffix", "contains") and _one_in(draw, 2) else ""
    after = "x" if kind in ("prefix", "contains") and _one_in(draw, 2) else ""
    return before + text + after
