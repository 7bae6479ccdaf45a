"""What backends do over time, as real ones are told it and as simulated ones play it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf

from tests.support.behaviour import Address, Behaviour, parse

CLOSED = ("refuse", "stall")
EPSILON_S = 1e-6
"""Moments that are closer are the same: sums of them are not exact."""


@dataclass(frozen=True, slots=True)
class Act:
    """What one backend does from `from_s` on until `until_s`, with its requests number `first` to `last` (from 0).

    `what` is in the words of the `x-backend` header; `refuse` and `stall` are about connections, and about time only.
    """

    backend: Address
    what: str
    from_s: float = 0.0
    until_s: float = inf
    first: int = 0
    last: int | None = None

    def counts(self, at_s: float, number: int) -> bool:
        """Whether it is about a request at a moment."""
        in_time = self.from_s - EPSILON_S <= at_s < self.until_s - EPSILON_S
        return in_time and self.first <= number and (self.last is None or number <= self.last)


class Script:
    """All acts of a case. The first that counts is played; an ordinary answer where none does."""

    def __init__(self, acts: Iterable[Act]) -> None:
        self.acts = tuple(acts)
        self._seen: Counter[Address] = Counter()

    def play(self, backend: Address, at_s: float) -> Behaviour:
        """What a backend does with the request that has just come."""
        number = self._seen[backend]
        self._seen[backend] += 1
        for act in self.acts:
            if act.backend == backend and act.what not in CLOSED and act.counts(at_s, number):
                return parse(act.what)[0]
        return Behaviour()

    def closed(self, backend: Address, at_s: float) -> str:
        """`refuse`, `stall`, or nothing: what becomes of a connection."""
        found = (a.what for a in self.acts if a.backend == backend and a.what in CLOSED and a.counts(at_s, 0))
        return next(found, "")

    def changes(self) -> Sequence[tuple[float, Address, str]]:
        """When a backend begins (`refuse`, `stall`) or ceases (`accept`) to be closed."""
        found = []
        for act in self.acts:
            if act.what in CLOSED:
                found.append((act.from_s, act.backend, act.what))
                if act.until_s < inf:
                    found.append((act.until_s, act.backend, "accept"))
        return sorted(found)
