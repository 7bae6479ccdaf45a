"""What became of a case, in words that Envoy, httpx and the machine can all say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from tests.differential.timeline import TOLERANCE_S
from tests.support.behaviour import Address


@dataclass(frozen=True, slots=True)
class Told:
    """One request: what the caller got, and the endpoints that it was sent to, in order."""

    status: int
    flags: str
    hosts: tuple[Address, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """A host was ejected (`out`) or came back."""

    at_s: float
    host: Address
    out: bool


@dataclass(frozen=True, slots=True)
class Story:
    """All of it: requests in the order of the case, changes in the order of time."""

    told: tuple[Told, ...]
    changes: tuple[Change, ...]


def differences(theirs: Story, ours: Story, *, timed: bool = True) -> Iterator[str]:
    """Where two stories differ; `timed`: when hosts were ejected and came back, too."""
    for number, (one, other) in enumerate(zip(theirs.told, ours.told, strict=True)):
        if one != other:
            yield f"request {number}: Envoy {one}, ours {other}"
    if _who(theirs.changes) != _who(ours.changes):
        yield f"changes: Envoy {theirs.changes}, ours {ours.changes}"
    elif timed:
        for mine, its in zip(_sorted(theirs.changes), _sorted(ours.changes), strict=True):
            if abs(mine.at_s - its.at_s) > TOLERANCE_S:
                yield f"when: Envoy {mine}, ours {its}"


def _who(changes: Iterable[Change]) -> list[tuple[Address, bool]]:
    return [(each.host, each.out) for each in _sorted(changes)]


def _sorted(changes: Iterable[Change]) -> Sequence[Change]:
    """By host first: two hosts may change at once."""
    return sorted(changes, key=lambda each: (each.host, each.at_s))
