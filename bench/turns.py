"""Variants that take turns: what else the machine does, and what a neighbour leaves behind, hits all of them alike."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import TypeVar

T = TypeVar("T")


def taking_turns(variants: Mapping[str, Callable[[], T]], rounds: int) -> dict[str, list[T]]:
    """What each gave, by round; one round more comes first, so that all are warm."""
    found: dict[str, list[T]] = {name: [] for name in variants}
    for name, counts in _turns(list(variants), rounds):
        given = variants[name]()
        if counts:
            found[name].append(given)
    return found


async def taking_turns_async(variants: Mapping[str, Callable[[], Awaitable[T]]], rounds: int) -> dict[str, list[T]]:
    """The same of what is awaited."""
    found: dict[str, list[T]] = {name: [] for name in variants}
    for name, counts in _turns(list(variants), rounds):
        given = await variants[name]()
        if counts:
            found[name].append(given)
    return found


def _turns(names: Sequence[str], rounds: int) -> Iterator[tuple[str, bool]]:
    """Whose turn it is, and whether it counts. Another one is first each time."""
    for turn in range(rounds + 1):
        shift = turn % len(names)
        for name in (*names[shift:], *names[:shift]):
            yield name, turn > 0
