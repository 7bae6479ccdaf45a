"""Earliest deadline first: Envoy's way to honour weights (envoy source: EdfScheduler).

Each entry is due again 1/weight after it was last picked; entries due at the same time go in the order they were added.
"""

from collections.abc import Callable, Iterable
from heapq import heapify, heappop, heapreplace
from threading import Lock
from typing import Generic, TypeVar

T = TypeVar("T")


class EdfScheduler(Generic[T]):
    """A weighted round robin over entries. Weights must be above zero; a pick costs O(log n)."""

    __slots__ = ("_heap", "_lock", "_order", "_weight")

    def __init__(self, entries: Iterable[T], weight: Callable[[T], float], skip: int = 0) -> None:
        """`skip` picks count as made, so that many clients do not start at the same entry.

        Each entry has had its whole share of them; only the odd ones out are made one by one (EdfScheduler::
        createWithPicks), so a start anywhere costs no more than one at the beginning.
        """
        self._weight = weight
        self._lock = Lock()
        weighed = [(weight(entry), entry) for entry in entries]
        total = sum(each for each, _ in weighed)
        made = [int(skip * each / total) for each, _ in weighed]
        self._heap: list[tuple[float, int, T]] = [
            ((picks + 1) / each, order, entry)
            for order, ((each, entry), picks) in enumerate(zip(weighed, made, strict=True))
        ]
        self._order = len(self._heap)
        heapify(self._heap)
        for _ in range(skip - sum(made)):
            self.pick()

    def __len__(self) -> int:
        return len(self._heap)

    def pick(self) -> T | None:
        """The entry that is due, put back with the weight it has now; None if there are none."""
        with self._lock:
            heap = self._heap
            if not heap:
                return None
            due, _, entry = heap[0]
            weight = self._weight(entry)
            if weight <= 0:
                heappop(heap)
                return entry
            self._order += 1
            heapreplace(heap, (due + 1.0 / weight, self._order, entry))
            return entry
