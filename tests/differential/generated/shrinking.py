"""A case made as small as it can be while Envoy and proxyless still differ about it.

Hypothesis shrinks by one example after the other; here each would be a start of Envoy. So every round tries all ways of
leaving one thing out at once, each as a case of its own in one batch, and then as many of those that still differ
together as can be. Left out are fields and entries of the configuration and headers; texts become shorter.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from tests.support.envoy import EnvoyError

C = TypeVar("C")
Path = tuple[str | int, ...]
Differ = Callable[[Sequence[C]], list[bool]]
"""Of each case of a batch: does it still differ? Raises EnvoyError where the batch is refused as a whole."""

ROUNDS = 40
WIDE = 120
"""Candidates in one Envoy."""


class Shape(Protocol[C]):
    """A kind of case as lists, dictionaries and texts, and what of that can be left out."""

    def document(self, case: C) -> Any: ...

    def case(self, document: Any) -> C: ...

    def acceptable(self, case: C) -> bool:
        """Whether it is worth asking Envoy, which may still refuse it."""

    def droppable(self, path: Path) -> bool:
        """Whether the field or entry at a path can be left out."""

    def shorter(self, text: str, path: Path) -> Iterator[str]:
        """Texts to try instead."""


@dataclass(frozen=True, slots=True)
class _Edit:
    """Leave out what is at a path, or put another text there."""

    path: Path
    text: str | None = None


def shrunk(shape: Shape[C], case: C, differ: Differ[C]) -> C:
    """The smallest case that still differs, starting from one that does."""
    smallest: C = _Shrinking(shape, differ).run(case)
    return smallest


class _Shrinking:
    def __init__(self, shape: Shape[Any], differ: Differ[Any]) -> None:
        self.shape = shape
        self.differ = differ

    def run(self, case: Any) -> Any:
        document = self.shape.document(case)
        for _ in range(ROUNDS):
            edits = sorted(self._edits(document, ()), key=lambda edit: (len(edit.path), edit.text is not None))
            kept = [edit for edit, still in zip(edits, self._single(document, edits), strict=True) if still]
            if not kept:
                break
            document = self._most(document, kept)
        return self.shape.case(document)

    def _single(self, document: Any, edits: list[_Edit]) -> list[bool]:
        found: list[bool] = []
        for start in range(0, len(edits), WIDE):
            found += self._survey([edited(document, [each]) for each in edits[start : start + WIDE]])
        return found

    def _most(self, document: Any, edits: list[_Edit]) -> Any:
        """All edits if that still differs, else the larger half of them that does, at least the first."""
        while len(edits) > 1:
            half = len(edits) // 2
            candidates = [edited(document, each) for each in (edits, edits[:half], edits[half:])]
            for candidate, still in zip(candidates, self._survey(candidates), strict=True):
                if still:
                    return candidate
            edits = edits[:half]
        return edited(document, edits)

    def _survey(self, documents: Sequence[Any]) -> list[bool]:
        """Which differ. What is refused does not: most of it is known without Envoy, the rest is found by halves."""
        cases = [self.shape.case(copy.deepcopy(each)) for each in documents]
        sound = [self.shape.acceptable(case) for case in cases]
        asked = iter(self._halved([case for case, good in zip(cases, sound, strict=True) if good]))
        return [good and next(asked) for good in sound]

    def _halved(self, cases: Sequence[Any]) -> list[bool]:
        if not cases:
            return []
        try:
            return self.differ(cases)
        except EnvoyError:
            if len(cases) == 1:
                return [False]
            half = len(cases) // 2
            return [*self._halved(cases[:half]), *self._halved(cases[half:])]

    def _edits(self, value: Any, path: Path) -> Iterator[_Edit]:
        """Every way to make it smaller by one thing."""
        if isinstance(value, str):
            yield from (_Edit(path, text) for text in self.shape.shorter(value, path))
            return
        items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for name, each in items:
            if self.shape.droppable((*path, name)):
                yield _Edit((*path, name))
            yield from self._edits(each, (*path, name))


def edited(document: Any, edits: Sequence[_Edit]) -> Any:
    """A copy with edits made; what stands in a list behind another goes first, so that the places stay right."""
    result = copy.deepcopy(document)
    gone = {edit.path for edit in edits if edit.text is None}
    for edit in sorted(edits, key=lambda each: [(isinstance(p, str), p) for p in each.path], reverse=True):
        within_gone = any(edit.path[:length] in gone for length in range(1, len(edit.path)))
        if within_gone or (edit.text is not None and edit.path in gone):
            continue
        holder = result
        for step in edit.path[:-1]:
            holder = holder[step]
        if edit.text is None:
            del holder[edit.path[-1]]
        else:
            holder[edit.path[-1]] = edit.text
    return result
