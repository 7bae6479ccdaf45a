"""Load reports that endpoints send by a stream of their own (xds.service.orca.v3.OpenRcaService).

(envoy source: OrcaOobManager.) Each endpoint of a cluster has a stream: begun somewhere within the first period, given
up where nothing came for three, begun again after a pause that doubles with each failure and is short again with each
report. An endpoint that does not know the service is not asked again. Whoever runs the streams takes those that are due
and tells what came of them; nothing here does I/O.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import inf
from threading import Lock
from typing import final

from ...xds.model.cluster import ClientSideWeights
from ..framing import varint
from ..orca import from_message, weight_of
from .client_side import note
from .host import Host

METHOD = "/xds.service.orca.v3.OpenRcaService/StreamCoreMetrics"
FIRST_PAUSE_MS = 1000
LONGEST_PAUSE_MS = 30_000
PATIENCE = 3
"""Periods without a report after which a stream is given up."""


@final
class LoadStream:
    """The stream of one endpoint. `due`: when it begins, infinite while it runs; `silent_at`: when it is given up."""

    __slots__ = ("due", "gone", "host", "pause_ms", "silent_at")

    def __init__(self, host: Host, due: float) -> None:
        self.host = host
        self.due = due
        self.silent_at = inf
        self.pause_ms = FIRST_PAUSE_MS
        self.gone = False
        """Whether nobody wants it any more."""


@final
class LoadReports:
    """The streams of one cluster."""

    __slots__ = ("_clock", "_lock", "_uniform", "config", "streams")

    def __init__(self, clock: Callable[[], float], uniform: Callable[[], float]) -> None:
        self._clock = clock
        self._uniform = uniform
        self._lock = Lock()
        self.config: ClientSideWeights | None = None
        self.streams: dict[str, LoadStream] = {}

    def configure(self, config: ClientSideWeights | None, hosts: Iterable[Host]) -> None:
        """These are the endpoints now. None asks nobody; another way to ask begins anew."""
        with self._lock:
            wanted = {each.address: each for each in hosts} if config is not None else {}
            for address, stream in list(self.streams.items()):
                if address not in wanted or config != self.config:
                    stream.gone = True
                    del self.streams[address]
            self.config = config
            for address, host in wanted.items():
                known = self.streams.get(address)
                if known is not None:
                    known.host = host
                else:
                    self.streams[address] = LoadStream(host, self._clock() + self._uniform() * self.period_s)

    @property
    def period_s(self) -> float:
        """How often endpoints are to report."""
        return self.config.out_of_band_s or 0.0 if self.config is not None else 0.0

    def take_due(self, now: float) -> list[LoadStream]:
        """The streams that begin now."""
        with self._lock:
            found = [each for each in self.streams.values() if each.due <= now]
            for each in found:
                each.due, each.silent_at = inf, now + PATIENCE * self.period_s
        return found

    def next_due(self) -> float:
        """When the next one begins; infinite where none will."""
        with self._lock:
            return min((each.due for each in self.streams.values()), default=inf)

    def heard(self, stream: LoadStream, message: bytes) -> bool:
        """A report has come; whether it could be read."""
        config = self.config
        try:
            report = from_message(message) if message else None
        except ValueError:
            return False
        if report is not None and config is not None:
            now = self._clock()
            stream.pause_ms, stream.silent_at = FIRST_PAUSE_MS, now + PATIENCE * self.period_s
            weight = weight_of(report, config.metrics, config.penalty)
            if weight is not None:
                note(stream.host, weight, now)
        return True

    def ended(self, stream: LoadStream, *, unknown: bool = False) -> None:
        """A stream is over; `unknown`: the endpoint does not know the service."""
        with self._lock:
            interval = stream.pause_ms
            stream.pause_ms = min(2 * interval, LONGEST_PAUSE_MS)
            stream.silent_at = inf
            if not unknown:
                stream.due = self._clock() + int(self._uniform() * interval) / 1000.0


def request(period_s: float) -> bytes:
    """xds.service.orca.v3.OrcaLoadReportRequest with this interval."""
    whole_ms = round(period_s * 1000)
    seconds, nanos = whole_ms // 1000, whole_ms % 1000 * 1_000_000
    duration = b"".join(bytes((tag,)) + varint(value) for tag, value in ((0x08, seconds), (0x10, nanos)) if value)
    return b"\x0a" + varint(len(duration)) + duration
