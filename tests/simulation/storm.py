"""A dip in capacity, and what retries make of it."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass, replace
from functools import partial
from threading import Lock

from proxyless.governance.pool import Breaker
from proxyless.governance.retry import BackOff, CompiledRetry, compile_retry
from proxyless.xds.model.cluster import UNLIMITED, RetryBudget, Thresholds
from proxyless.xds.model.route import RetryPolicy

from .clockwork import Clockwork
from .report import Plot, Report, Series

TRY_S = 0.5
"""How long a client waits for an answer before it tries again, or gives up."""
DIP = (10.0, 15.0)
CAPACITY, DIPPED = 1.5, 0.5
"""Of what is asked."""

WIDE = Thresholds(UNLIMITED, UNLIMITED, UNLIMITED, UNLIMITED)
BUDGET = RetryBudget(20.0, 3)
"""Envoy's own: a fifth of the requests under way, and three in any case."""
VARIANTS: tuple[tuple[str, int, Thresholds], ...] = (
    ("no retries", 0, WIDE),
    ("2 retries, as istiod limits them (not at all)", 2, WIDE),
    ("2 retries, budget of 20 %", 2, replace(WIDE, retry_budget=BUDGET)),
)
FLEETS = ((1000, 1.0), (10, 100.0))
"""(clients, requests of each in a second): the same load from many small ones, and from a few large ones."""


class Server:
    """All endpoints as one: what is asked is done in its order, also for who has stopped waiting."""

    def __init__(self, clock: Clockwork, per_s: float) -> None:
        self._clock = clock
        self._per_s = per_s
        self._queue: deque[Try] = deque()
        self._busy = False

    def ask(self, each: Try) -> None:
        """A try arrives."""
        self._queue.append(each)
        if not self._busy:
            self._busy = True
            self._next()

    def _next(self) -> None:
        factor = DIPPED if DIP[0] <= self._clock.now < DIP[1] else CAPACITY
        self._clock.after(1.0 / (self._per_s * factor), self._done)

    def _done(self) -> None:
        self._queue.popleft().answered()
        if self._queue:
            self._next()
        else:
            self._busy = False


@dataclass(slots=True)
class Counts:
    """Of one second: requests begun, tries that arrived, requests answered in time."""

    asked: int = 0
    tries: int = 0
    good: int = 0


class Try:
    """One try of one request; the retry policy and the breaker are the product's."""

    __slots__ = ("_back_off", "_breaker", "_number", "_over", "_retrying", "_second", "_storm")

    def __init__(self, storm: Storm, breaker: Breaker, second: int, back_off: BackOff | None, number: int = 0) -> None:
        self._storm = storm
        self._breaker = breaker
        self._second = second
        self._back_off = back_off
        self._number = number
        self._retrying = number > 0
        self._over = False
        breaker.requests += 1
        storm.counts[int(storm.clock.now)].tries += 1
        storm.clock.after(TRY_S, self._timed_out)
        storm.server.ask(self)

    def answered(self) -> None:
        """The server is done with it; perhaps too late."""
        if not self._over:
            self._end()
            self._storm.counts[self._second].good += 1

    def _again(self) -> None:
        Try(self._storm, self._breaker, self._second, self._back_off, self._number + 1)

    def _end(self) -> None:
        self._over = True
        self._breaker.requests -= 1
        if self._retrying:
            self._breaker.end_retry(self._storm.lock)

    def _timed_out(self) -> None:
        if self._over:
            return
        self._end()
        storm, policy = self._storm, self._storm.policy
        wants = policy is not None and self._number < policy.retries and policy.wants_reset("per-try-timeout")
        if wants and self._back_off is not None and self._breaker.try_retry(storm.lock, storm.clock.now):
            pause_s = self._back_off.pause_s(storm.chance.random)
            storm.clock.after(pause_s, self._again)


class Storm:
    """One run."""

    def __init__(
        self, retries: int, limits: Thresholds, *, clients: int, per_s: float, seconds: int, seed: int
    ) -> None:
        self.clock = Clockwork()
        self.chance = random.Random(seed)
        self.lock = Lock()
        self.server = Server(self.clock, clients * per_s)
        self.counts = [Counts() for _ in range(seconds + 10)]
        found: CompiledRetry | None = compile_retry(RetryPolicy(retry_on=("5xx",), num_retries=retries))
        self.policy = found
        for _ in range(clients):
            breaker = Breaker(limits)
            for _ in range(int(per_s * seconds)):
                self.clock.at(self.chance.random() * seconds, partial(self._begin, breaker))
        self.clock.run(seconds)
        self.counts = self.counts[:seconds]

    def _begin(self, breaker: Breaker) -> None:
        second = int(self.clock.now)
        self.counts[second].asked += 1
        Try(self, breaker, second, self.policy.back_off() if self.policy is not None else None)


def simulate(clients: int, per_s: float, seed: int = 1, *, seconds: int = 50) -> list[tuple[str, list[Counts]]]:
    """Every variant on one fleet."""
    return [
        (name, Storm(retries, limits, clients=clients, per_s=per_s, seconds=seconds, seed=seed).counts)
        for name, retries, limits in VARIANTS
    ]


def share(counts: list[Counts], begin: int, end: int) -> float:
    """Percent of the requests begun in these seconds that were answered in time."""
    part = counts[begin:end]
    return 100.0 * sum(each.good for each in part) / max(1, sum(each.asked for each in part))


def report(seed: int = 1) -> Report:
    """Goodput before, in and after the dip."""
    found = [
        (f"{clients:,} clients, {name}", counts)
        for clients, per_s in FLEETS
        for name, counts in simulate(clients, per_s, seed)
    ]
    seconds = list(range(48))
    return Report(
        "Retry storms",
        f"Clients ask 1,000 times a second in all; the service could take {CAPACITY:.2f} times as much. From second 10 "
        f"to 15 it can take {DIPPED:.1f} times as much. A try is given up after {TRY_S} s; what is given up is done "
        "all the same, as servers do. Answered in time, percent:",
        ("", "before", "in the dip", "seconds 15 to 25", "seconds 38 to 48", "tries for each request at worst"),
        [
            (
                name,
                share(counts, 2, 10),
                share(counts, 10, 15),
                share(counts, 15, 25),
                share(counts, 38, 48),
                max(each.tries / max(1, each.asked) for each in counts[:48]),
            )
            for name, counts in found
        ],
        "Without retries the service works off what piled up and is well again. With retries it is asked for three "
        "times as much, more than it can take when it is whole: it stays down after the dip is over, for as long as "
        "somebody retries. A budget ends that where a client has many requests under way, since it then lets a fifth "
        "more through, which the head room carries. For clients that have one or two under way it is no limit: three "
        "retries are always allowed (min_retry_concurrency), each client has its own budget, and nobody adds them up. "
        "What helps there is min_retry_concurrency 0, which for such clients means no retries at all, or retries in "
        "one place only.",
        [
            Plot(
                "storm",
                "Requests answered in time, by the second they began",
                "seconds",
                "percent",
                [Series(name, seconds, [share(counts, s, s + 1) for s in seconds]) for name, counts in found],
            )
        ],
    )
