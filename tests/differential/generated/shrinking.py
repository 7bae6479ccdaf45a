"""A case made as small as it can be while Envoy and proxyless still differ about it.

Hypothesis shrinks by one example after the other; here each would be a start of Envoy. So every round tries all ways of
leaving one thing out at once, each as a case of its own in one batch, and then as many of those that still differ
together as can be. Left out are fields and entries of the configuration and headers; texts become shorter.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from google.protobuf import json_format

from proxyless.xds.model.resource import ResourceError
from proxyless.xds.wire.decode.route_configuration import inline_configuration
from proxyless.xds.wire.refused import RefusedError
from proxyless.xds.wire.schema import pool
from proxyless.xds.wire.schema import types as pb
from tests.differential.case import Case
from tests.differential.requests import Request
from tests.support.envoy import EnvoyError

Differ = Callable[[Sequence[Case]], list[bool]]
"""Of each case of a batch: does it still differ? Raises EnvoyError where the batch is refused as a whole."""

Path = tuple[str | int, ...]
ROUNDS = 40
WIDE = 120
"""Candidates in one Envoy."""


@dataclass(frozen=True, slots=True)
class _Edit:
    """Leave out what is at a path, or put another text there."""

    path: Path
    text: str | None = None


def alone(case: Case, request: int) -> Case:
    """The case with one of its requests."""
    return replace(case, requests=(case.requests[request],))


def shrunk(case: Case, differ: Differ) -> Case:
    """The smallest case that still differs, starting from one that does."""
    document = _document(case)
    for _ in range(ROUNDS):
        edits = list(_edits(document))
        kept = [edit for edit, still in zip(edits, _ask(document, edits, differ), strict=True) if still]
        if not kept:
            break
        document = _most(document, kept, differ)
    return _case(document)


def _most(document: Any, edits: list[_Edit], differ: Differ) -> Any:
    """All edits if that still differs, else the larger half of them that does, at least the first."""
    while len(edits) > 1:
        halves = [edits[: len(edits) // 2], edits[len(edits) // 2 :]]
        candidates = [_edited(document, each) for each in (edits, *halves)]
        found = _survey([_case(each) for each in candidates], differ)
        for candidate, still in zip(candidates, found, strict=True):
            if still:
                return candidate
        edits = halves[0]
    return _edited(document, edits)


def _ask(document: Any, edits: list[_Edit], differ: Differ) -> list[bool]:
    found: list[bool] = []
    for start in range(0, len(edits), WIDE):
        found += _survey([_case(_edited(document, [each])) for each in edits[start : start + WIDE]], differ)
    return found


def _survey(cases: Sequence[Case], differ: Differ) -> list[bool]:
    """`differ` of each. A case that is refused does not differ: most are known without Envoy, the others by halves."""
    sound = [acceptable(case) for case in cases]
    asked = iter(_halved([case for case, good in zip(cases, sound, strict=True) if good], differ))
    return [good and next(asked) for good in sound]


def _halved(cases: Sequence[Case], differ: Differ) -> list[bool]:
    if not cases:
        return []
    try:
        return differ(cases)
    except EnvoyError:
        if len(cases) == 1:
            return [False]
        half = len(cases) // 2
        return [*_halved(cases[:half], differ), *_halved(cases[half:], differ)]


def acceptable(case: Case) -> bool:
    """Whether a table is one at all, as far as proxyless can tell: Envoy may still refuse it."""
    fields = {"name": "case", "virtual_hosts": list(case.hosts), **case.table}
    try:
        message = json_format.ParseDict(fields, pb.route_v3.RouteConfiguration(), descriptor_pool=cast("Any", pool()))
        for host in inline_configuration(message).virtual_hosts:
            host.value()
    except (json_format.ParseError, RefusedError, ResourceError):
        return False
    return True


def _document(case: Case) -> Any:
    requests = [[r.method, r.url, [list(each) for each in r.headers], r.body.decode("latin-1")] for r in case.requests]
    return copy.deepcopy([list(case.hosts), requests, case.table, case.manager])


def _case(document: Any) -> Case:
    hosts, requests, table, manager = copy.deepcopy(document)
    made = [
        Request(m, url, tuple((n, v) for n, v in headers), body.encode("latin-1")) for m, url, headers, body in requests
    ]
    return Case(tuple(hosts), tuple(made), table, manager)


def _edits(document: Any) -> Iterator[_Edit]:
    """Every way to make it smaller by one thing, the largest things first."""
    found = list(_within(document, ()))
    yield from sorted(found, key=lambda edit: (len(edit.path), edit.text is not None))


def _within(value: Any, path: Path) -> Iterator[_Edit]:
    if isinstance(value, dict):
        for name, each in value.items():
            if not _needed(path, name):
                yield _Edit((*path, name))
            yield from _within(each, (*path, name))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            if _optional(path):
                yield _Edit((*path, index))
            yield from _within(each, (*path, index))
    elif isinstance(value, str):
        yield from (_Edit(path, text) for text in _simpler(value, path))


def _optional(path: Path) -> bool:
    """Whether entries of the list at a path can be left out: not the parts of the document, a request or a header."""
    return path != () and not (path[0] == 1 and len(path) in (1, 2, 4))


def _needed(path: Path, name: str) -> bool:
    return name in ("name", "domains", "routes") and len(path) == 2


def _simpler(text: str, path: Path) -> Iterator[str]:
    if path[:1] == (1,) and len(path) == 3 and path[2] == 0:
        yield from ("GET",) if text != "GET" else ()
        return
    if path[:1] == (1,) and len(path) == 3 and path[2] == 1:
        bare = text.partition("?")[0]
        yield from (each for each in ("http://case.test/", bare) if len(each) < len(text))
        return
    if path[0] != 1 and path[-1] != "value":
        return
    if len(text) > 1:
        yield from dict.fromkeys((text[: len(text) // 2], text[len(text) // 2 :], text[:-1]))


def _edited(document: Any, edits: Sequence[_Edit]) -> Any:
    """A copy with edits made; what stands in a list behind another goes first, so that the places stay right."""
    result = copy.deepcopy(document)
    gone = {edit.path for edit in edits if edit.text is None}
    for edit in sorted(edits, key=lambda each: [(str(type(p)), p) for p in each.path], reverse=True):
        if any(edit.path[:length] in gone for length in range(1, len(edit.path))):
            continue
        if edit.path in gone and edit.text is not None:
            continue
        holder = result
        for step in edit.path[:-1]:
            holder = holder[step]
        if edit.text is None:
            del holder[edit.path[-1]]
        else:
            holder[edit.path[-1]] = edit.text
    return result
