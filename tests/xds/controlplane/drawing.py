"""Random values from a source of randomness, put together as hypothesis puts strategies together.

With `random.Random(seed)` thousands of objects are drawn in a second, evenly; with hypothesis' own source
(`st.randoms(use_true_random=False)`) the same objects shrink.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any, Generic, TypeVar

T = TypeVar("T")
U = TypeVar("U")


class Draw(Generic[T]):
    """A way to draw values."""

    def __init__(self, draw: Callable[[Random], T]) -> None:
        self.draw = draw

    def map(self, change: Callable[[T], U]) -> Draw[U]:
        return Draw(lambda rng: change(self.draw(rng)))

    def flatmap(self, follow: Callable[[T], Draw[U]]) -> Draw[U]:
        return Draw(lambda rng: follow(self.draw(rng)).draw(rng))


def just(value: T) -> Draw[T]:
    return Draw(lambda rng: value)


def sampled_from(values: Sequence[T]) -> Draw[T]:
    return Draw(lambda rng: values[rng.randrange(len(values))])


def one_of(*ways: Draw[Any]) -> Draw[Any]:
    return sampled_from(ways).flatmap(lambda way: way)


def integers(low: int, high: int) -> Draw[int]:
    return Draw(lambda rng: rng.randint(low, high))


def booleans() -> Draw[bool]:
    return sampled_from([True, True, False])


def lists(of: Draw[T], *, min_size: int = 0, max_size: int) -> Draw[list[T]]:
    return Draw(lambda rng: [of.draw(rng) for _ in range(rng.randint(min_size, max_size))])


def subsets(of: Sequence[T], *, max_size: int) -> Draw[list[T]]:
    return Draw(lambda rng: rng.sample(list(of), rng.randint(0, min(max_size, len(of)))))


def dictionaries(keys: Draw[T], values: Draw[U], *, min_size: int = 0, max_size: int) -> Draw[dict[T, U]]:
    return lists(tuples(keys, values), min_size=min_size, max_size=max_size).map(dict)


def tuples(*of: Draw[Any]) -> Draw[Any]:
    return Draw(lambda rng: tuple(each.draw(rng) for each in of))


def fixed_dictionaries(
    required: Mapping[str, Draw[Any]], *, optional: Mapping[str, Draw[Any]] | None = None
) -> Draw[dict[str, Any]]:
    """Each optional key is there in one of two cases."""

    def draw(rng: Random) -> dict[str, Any]:
        chosen = [key for key in optional or {} if rng.random() < 0.5]
        return {key: of.draw(rng) for key, of in {**required, **{k: (optional or {})[k] for k in chosen}}.items()}

    return Draw(draw)
