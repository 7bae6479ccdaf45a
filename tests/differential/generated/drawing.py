"""Examples of a Hypothesis strategy by a seed, without a test around each."""

from __future__ import annotations

from typing import TypeVar

from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st

T = TypeVar("T")

AT_ONCE = 5
"""Examples in one of Hypothesis' own, which are not drawn without end."""


def drawn(strategy: st.SearchStrategy[T], seed: int, count: int) -> list[T]:
    """`count` examples by a seed."""
    found: list[T] = []
    while len(found) < count:
        found += _some(strategy, seed * 7919 + len(found))
    return found[:count]


def _some(strategy: st.SearchStrategy[T], seed: int) -> list[T]:
    """Some at once: as one example, because Hypothesis makes most of those that follow from the one before.

    The first that it tries is the simplest there is, so the second is taken.
    """
    examples: list[list[T]] = []

    @seeded(seed)
    @settings(
        max_examples=2,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,
    )
    @given(st.lists(strategy, min_size=AT_ONCE, max_size=AT_ONCE))
    def collect(made: list[T]) -> None:
        examples.append(made)

    collect()
    return examples[-1]
