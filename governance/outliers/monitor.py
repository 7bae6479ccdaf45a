"""What is known of one host: failures in a row, outcomes of the interval, ejections (DetectorHostMonitorImpl)."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from ..balancing.host import HostState
from .results import GATEWAY_ERRORS, STATUSES, Result
from .spell import Spell

if TYPE_CHECKING:
    from .detector import Detector


class Bucket:
    """The outcomes of one interval."""

    __slots__ = ("good", "total")

    def __init__(self) -> None:
        self.total = 0
        self.good = 0

    def count(self, *, good: bool) -> None:
        """One outcome more."""
        self.total += 1
        self.good += good

    def take(self) -> tuple[int, int]:
        """(good, all) of the interval that ends; the next one begins."""
        taken = (self.good, self.total)
        self.good = self.total = 0
        return taken


@final
class HostMonitor:
    """One host of one cluster. Any thread may report to it."""

    __slots__ = (
        "address",
        "degradation",
        "detector",
        "ejection",
        "ejections",
        "external",
        "gateway_failures",
        "host",
        "local",
        "local_failures",
        "server_errors",
    )

    def __init__(self, detector: Detector, address: str, host: HostState) -> None:
        self.detector = detector
        self.address = address
        self.host = host
        self.server_errors = 0
        self.gateway_failures = 0
        self.local_failures = 0
        """In a row."""
        self.external = Bucket()
        self.local = Bucket()
        self.ejections = 0
        self.ejection = Spell()
        self.degradation = Spell()

    @property
    def ends_at(self) -> float:
        """When the ejection has lasted long enough."""
        return self.ejection.ends_at(self.detector.config)

    def status(self, code: int, *, degraded: bool = False) -> None:
        """A response came, or something that stands for one. `degraded`: the host says that it is."""
        detector = self.detector
        with detector.lock:
            now = detector.clock()
            if now >= detector.due:
                detector.catch_up(now)
            external = self.external
            external.total += 1
            if 500 <= code < 600:
                self._count_failure(code)
            else:
                external.good += 1
                self.server_errors = self.gateway_failures = 0
                if degraded and detector.config.detect_degraded_hosts:
                    detector.degrade(self)
        if detector.news:
            detector.tell()

    def result(self, result: Result, code: int | None = None) -> None:
        """Something of local origin happened. `code` is the status that stands for it where origins are not split."""
        detector = self.detector
        if not detector.config.split_external_local_origin_errors:
            if code is None:
                code = STATUSES[result]
            if code is not None:
                self.status(code)
            return
        with detector.lock:
            detector.catch_up()
            good = result in ("connected", "connected-finally")
            self.local.count(good=good)
            if good:
                self.local_failures = 0
            else:
                self.local_failures += 1
                if self.local_failures == detector.config.consecutive_local_origin_failure:
                    detector.row(self, "CONSECUTIVE_LOCAL_ORIGIN_FAILURE")
        detector.tell()

    def _count_failure(self, code: int) -> None:
        detector = self.detector
        if code in GATEWAY_ERRORS:
            self.gateway_failures += 1
            if self.gateway_failures == detector.config.consecutive_gateway_failure:
                detector.row(self, "CONSECUTIVE_GATEWAY_FAILURE")
        else:
            self.gateway_failures = 0
        self.server_errors += 1
        if self.server_errors == detector.config.consecutive_5xx:
            detector.row(self, "CONSECUTIVE_5XX")
