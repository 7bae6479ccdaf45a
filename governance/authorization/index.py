"""Which of many conditions may hold, found by what a question says instead of by asking each."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Sequence
from typing import Any

from .clues import Clue, Shape, chosen, clues_in
from .question import Question
from .readers import Reader

Test = Callable[[Question], bool]

FEW = 4
"""So many conditions are asked one after the other."""

Table = dict[Hashable, tuple[int, ...]]
Lookup = Callable[[Question, list[int]], None]
"""Adds the numbers of the conditions that a question has a clue of."""


class Index:
    """Conditions by their numbers; `first` is the lowest number of one that holds."""

    __slots__ = ("_always", "_lookups", "_tests")

    def __init__(self, tests: Sequence[Test], shapes: Sequence[Shape | None]) -> None:
        self._tests = tuple(tests)
        shared = Counter(clue for each in shapes if each is not None for clue in set(clues_in(each)))
        always: list[int] = []
        tables: dict[tuple[Reader, str], defaultdict[Hashable, list[int]]] = {}
        for number, shape in enumerate(shapes):
            if shape is None:
                always.append(number)
                continue
            for clue in chosen(shape, shared)[1]:
                tables.setdefault((clue.reader, clue.how), defaultdict(list))[clue.value].append(number)
        self._always = tuple(always)
        self._lookups = tuple(
            _lookup(reader, how, {value: tuple(numbers) for value, numbers in table.items()})
            for (reader, how), table in tables.items()
        )

    def first(self, question: Question) -> int:
        """-1 where none holds."""
        numbers = list(self._always)
        for look in self._lookups:
            look(question, numbers)
        if len(numbers) > 1:
            numbers = sorted(set(numbers))
        tests = self._tests
        for number in numbers:
            if tests[number](question):
                return number
        return -1


def _lookup(reader: Reader, how: str, table: Table) -> Lookup:
    read: Callable[[Question], Sequence[Any]] = reader
    nothing: tuple[int, ...] = ()

    def exact(question: Question, numbers: list[int]) -> None:
        for value in read(question):
            numbers += table.get(value, nothing)

    if how == "exact":
        return exact
    if how == "network":
        ranges = sorted({key[:2] for key in table if isinstance(key, tuple)})

        def within(question: Question, numbers: list[int]) -> None:
            for version, number in read(question):
                bits = 32 if version == 4 else 128
                for wanted, length in ranges:
                    if wanted == version:
                        numbers += table.get((version, length, number >> (bits - length)), nothing)

        return within
    lengths = sorted({len(key) for key in table if isinstance(key, bytes)})

    def begins(question: Question, numbers: list[int]) -> None:
        for value in read(question):
            most = len(value)
            for length in lengths:
                if length > most:
                    break
                numbers += table.get(value[:length], nothing)

    def ends(question: Question, numbers: list[int]) -> None:
        for value in read(question):
            most = len(value)
            for length in lengths:
                if length > most:
                    break
                numbers += table.get(value[most - length :], nothing)

    return begins if how == "prefix" else ends


__all__ = ["FEW", "Clue", "Index", "Test"]
