"""How far chance may take a count: exact bounds of a binomial distribution."""

from __future__ import annotations

import math
from dataclasses import dataclass

CONFIDENCE = 0.999999
"""Of every interval of the walk: one run in a million is wrong although the mesh is right."""


@dataclass(frozen=True, slots=True)
class Interval:
    """Both ends included."""

    low: int
    high: int

    def holds(self, count: int) -> bool:
        return self.low <= count <= self.high

    def __str__(self) -> str:
        return f"{self.low} to {self.high}" if self.low != self.high else str(self.low)


def binomial(trials: int, probability: float, confidence: float = CONFIDENCE) -> Interval:
    """Where the number of hits lies with at least `confidence`; what is outside is as rare above as below."""
    if not 0.0 < probability < 1.0:
        sure = trials if probability >= 1.0 else 0
        return Interval(sure, sure)
    tail = (1.0 - confidence) / 2.0
    chances = [_chance(trials, probability, hits) for hits in range(trials + 1)]
    return Interval(_first_above(chances, tail), trials - _first_above(chances[::-1], tail))


def _first_above(chances: list[float], tail: float) -> int:
    """The first count at which more than `tail` has been passed."""
    passed = 0.0
    for count, chance in enumerate(chances):
        passed += chance
        if passed > tail:
            return count
    return len(chances) - 1


def _chance(trials: int, probability: float, hits: int) -> float:
    ways = math.lgamma(trials + 1) - math.lgamma(hits + 1) - math.lgamma(trials - hits + 1)
    return math.exp(ways + hits * math.log(probability) + (trials - hits) * math.log1p(-probability))


def percent(confidence: float) -> str:
    """`99.9999 %`."""
    return f"{confidence * 100:.4f}".rstrip("0").rstrip(".") + " %"
