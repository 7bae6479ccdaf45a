"""What became of a case, in words that Envoy, httpx and the machine can all say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from tests.differential.timeline import TOLERANCE_S
from tests.support.behaviour import Address, Headers

OWN = frozenset({"x-request-id", "x-envoy-expected-rq-timeout-ms"})
"""What is another with each run, or says how much time is left."""

ANSWERED = ("location", "x-envoy-overloaded", "x-answer")
"""Headers of responses that cases are about."""


@dataclass(frozen=True, slots=True)
class Try:
    """What one endpoint got: headers in order, in lower case, without the host and what `OWN` names."""

    host: Address
    method: str
    authority: str
    path: str
    headers: Headers


@dataclass(frozen=True, slots=True)
class Told:
    """One request: what the caller got, and the tries that it was, in order; `body` where no endpoint gave it."""

    status: int
    flags: str
    body: str | None
    answer: Headers
    tries: tuple[Try, ...]

    @property
    def hosts(self) -> tuple[Address, ...]:
        """The endpoints that it was sent to."""
        return tuple(each.host for each in self.tries)


def tried(host: Address, method: str, authority: str, path: str, headers: Headers) -> Try:
    """A try in the common words."""
    lower = ((name.lower(), value) for name, value in headers)
    kept = tuple(pair for pair in lower if pair[0] not in OWN and pair[0] != "host" and pair[0][0] != ":")
    return Try(host, method, authority, path, kept)


def answered(headers: Iterable[tuple[str, str]]) -> Headers:
    """What is compared of the headers of a response."""
    return tuple((name.lower(), value) for name, value in headers if name.lower() in ANSWERED)


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
            yield f"request {number}:\n  Envoy {one}\n  ours  {other}"
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
