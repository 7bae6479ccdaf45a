"""Encoded resources by what they were made of."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

V = TypeVar("V")


class Cache(Generic[V]):
    """Two generations: what a world did not ask for is forgotten when its successor is gone too.

    Keys hold the objects that a value depends on, compared by identity, so nothing has to be invalidated. Not for
    several threads.
    """

    def __init__(self) -> None:
        self._young: dict[Hashable, V] = {}
        self._old: dict[Hashable, V] = {}

    def __len__(self) -> int:
        return len(self._young)

    def get(self, key: Hashable, make: Callable[[], V]) -> V:
        found = self._young.get(key)
        if found is None:
            found = self._old.get(key)
            if found is None:
                found = make()
            self._young[key] = found
        return found

    def age(self) -> None:
        """A new world has come."""
        self._old = self._young
        self._young = {}
