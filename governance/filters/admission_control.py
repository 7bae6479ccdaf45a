"""Admission control (envoy source: extensions/filters/http/admission_control): refuses a share of the requests while
those before them fail.

The share follows from the success rate of a sliding window; a request that is refused here does not count in it, so
that the rate recovers with what it measures. The window is one of the process, and of seconds.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING

from ...xds.model.filters import InertFilter
from ...xds.model.overload import AdmissionControl
from ..grpc_statuses import number_in
from ..headers import HeaderList
from ..replies import LocalReply
from ..routing import CompiledRoute, Target
from .stream import Stream

if TYPE_CHECKING:
    from ..runtime import Runtime

ACCURACY = 10_000
GRPC = b"application/grpc"
REFUSED = LocalReply(503, details="denied_by_admission_control")


class Window:
    """Requests and successes of the last seconds."""

    __slots__ = ("_clock", "_lock", "_samples", "_window_s", "requests", "successes")

    def __init__(self, window_s: int, clock: Callable[[], float]) -> None:
        self._window_s = window_s
        self._clock = clock
        self._samples: deque[list[float]] = deque()
        self._lock = Lock()
        self.requests = 0
        self.successes = 0

    def rps(self) -> int:
        """Whole requests a second, as far as the window goes back; what is too old is still in it until it is
        looked at the next time."""
        with self._lock:
            if not self.requests:
                return 0
            age_s = int(self._clock() - self._samples[0][0])
            return self.requests // max(self._window_s, age_s, 1)

    def counts(self) -> tuple[int, int]:
        """(requests, successes) now."""
        with self._lock:
            self._advance()
            return self.requests, self.successes

    def record(self, *, success: bool) -> None:
        """A request has ended."""
        with self._lock:
            newest = self._advance()
            newest[1] += 1
            newest[2] += success
            self.requests += 1
            self.successes += success

    def _advance(self) -> list[float]:
        now, samples = self._clock(), self._samples
        while samples and now - samples[0][0] >= self._window_s:
            _, requests, successes = samples.popleft()
            self.requests -= int(requests)
            self.successes -= int(successes)
        if not samples or now - samples[-1][0] >= 1.0:
            samples.append([now, 0, 0])
        return samples[-1]


class AdmissionControlFilter:
    """The filter in a chain. `on`: whether it runs where no route says so."""

    __slots__ = ("_config", "_on", "_window", "name")

    def __init__(self, name: str, config: AdmissionControl | None, scope: str, runtime: Runtime, *, on: bool) -> None:
        self.name = name
        self._config = config if config is not None and config.enabled else None
        self._on = on
        self._window: Window | None = None
        if config is not None:
            self._window = runtime.lasting((scope, name, config), lambda: Window(config.window_s, runtime.clock))

    def applies(self, place: Target | CompiledRoute | None) -> bool:
        """Routes may switch it on and off, and say nothing else."""
        return self._config is not None and (
            self._on or (place is not None and isinstance(place.filters.get(self.name), InertFilter))
        )

    def on_request(self, stream: Stream) -> LocalReply | None:
        """503, by chance, with no flag."""
        config, window = self._config, self._window
        if config is None or window is None or window.rps() < config.rps_threshold:
            return None
        chance = rejection(config, *window.counts())
        if ACCURACY * chance > stream.runtime.draw(ACCURACY):
            stream.kept[self] = None
            return REFUSED
        return None

    def on_response(self, stream: Stream, status: int, headers: HeaderList) -> HeaderList:
        """Count it. What a gRPC client is told by the mesh itself is known at the end only."""
        config, window = self._config, self._window
        if config is None or window is None or self in stream.kept:
            return headers
        success = _success(config, status, headers)
        if stream.request.is_grpc:
            stream.kept[self] = success
        elif success is not None:
            window.record(success=success)
        return headers

    def on_end(self, stream: Stream) -> None:
        """Count what a gRPC client was told."""
        success: bool | None = stream.kept.pop(self, None)
        if success is None or self._config is None or self._window is None:
            return
        if stream.reply is not None:
            success = _success(self._config, stream.reply.status, list(stream.reply.headers))
        self._window.record(success=success is True)


def rejection(config: AdmissionControl, requests: int, successes: int) -> float:
    """The share of requests to refuse after so many, of which so many were successes."""
    share = (requests - successes / config.success_threshold) / (requests + 1)
    if share <= 0:
        return 0.0
    return min(math.pow(share, 1.0 / config.aggression), config.max_rejection)


def _success(config: AdmissionControl, status: int, headers: HeaderList) -> bool | None:
    """None where trailers would say it: these are not seen here."""
    said = next((value for name, value in headers if name.lower() == b"grpc-status"), None)
    if said is not None:
        return number_in(said) in config.grpc_successes
    if status == 200 and any(name.lower() == b"content-type" and value.startswith(GRPC) for name, value in headers):
        return None
    return any(start <= status < end for start, end in config.http_successes)
