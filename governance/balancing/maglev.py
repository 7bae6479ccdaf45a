"""The maglev table (envoy source: MaglevTable): endpoints take turns in filling a table of prime size.

Each has its own permutation of the places, from two hashes of its key (xxHash64 with seeds 0 and 1), and takes the next
of it that is free; one with a smaller share sits out turns. Envoy's compact and original tables hold the same.
"""

from array import array
from collections.abc import Sequence

from xxhash import xxh64_intdigest

from .digest import MASK


class Maglev:
    """A pick is one look into the table."""

    __slots__ = ("_size", "_table")

    def __init__(self, keys: Sequence[bytes], shares: Sequence[float], size: int) -> None:
        self._size = size
        count = len(keys)
        self._table = array("I", bytes(4 * size if count else 0))
        if count < 2:
            return  # all places are those of the one
        # The order of filling counts, so it is made not to depend on the order of configuration.
        order = sorted(range(count), key=keys.__getitem__)
        places = [xxh64_intdigest(keys[each]) % size for each in order]
        skips = [xxh64_intdigest(keys[each], 1) % max(1, size - 1) + 1 for each in order]
        largest = max(shares, default=0.0)
        taken = bytearray(size)
        if all(shares[each] == largest for each in order):
            self._fill(order, places, skips, taken)
        else:
            self._fill_weighted(order, places, skips, taken, [shares[each] for each in order], largest)

    def _fill(self, order: Sequence[int], places: list[int], skips: list[int], taken: bytearray) -> None:
        """Nobody sits out a turn."""
        table, size = self._table, self._size
        turns = range(len(order))
        left = size
        while left:
            for turn in turns if left >= len(turns) else range(left):
                place, skip = places[turn], skips[turn]
                while taken[place]:
                    place += skip
                    if place >= size:
                        place -= size
                taken[place] = 1
                table[place] = order[turn]
                places[turn] = place
            left -= min(left, len(turns))

    def _fill_weighted(
        self,
        order: Sequence[int],
        places: list[int],
        skips: list[int],
        taken: bytearray,
        shares: list[float],
        largest: float,
    ) -> None:
        """One with the largest share is in every turn; one with a third of it in every third."""
        table, size = self._table, self._size
        targets = [0.0] * len(order)
        left, iteration = size, 0
        while left:
            iteration += 1
            for turn, share in enumerate(shares):
                if iteration * share < targets[turn]:
                    continue
                targets[turn] += largest
                place, skip = places[turn], skips[turn]
                while taken[place]:
                    place += skip
                    if place >= size:
                        place -= size
                taken[place] = 1
                table[place] = order[turn]
                places[turn] = place
                left -= 1
                if not left:
                    break

    def __len__(self) -> int:
        return len(self._table)

    def pick(self, hash_: int, attempt: int = 0) -> int | None:
        """The number of the endpoint in the hash's place; a further attempt turns nearly all bits of the hash over."""
        if attempt:
            hash_ ^= MASK - attempt + 1
        return self._table[hash_ % self._size] if self._table else None
