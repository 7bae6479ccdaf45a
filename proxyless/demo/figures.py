"""The live figures: what the Prometheus text of every service says, read once a second by a thread."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from threading import Event, Thread

from .seen import Metrics, UnseenError, metrics
from .shop import Instance

EVERY_S = 1.0
PATIENCE_S = 2.0


@dataclass(frozen=True, slots=True)
class Figure:
    """One service. `connected` None: it does not answer."""

    name: str
    connected: bool | None = None
    generation: int = 0
    served: int = 0
    refused: int = 0
    calls: Mapping[str, int] | None = None
    failed: int = 0
    retries: int = 0
    overflows: int = 0
    active: int = 0
    waiting: int = 0


def figure(name: str, text: Metrics) -> Figure:
    """From one process's metrics: requests it served and refused, calls it made by whom they went to."""
    requests = "istio_requests_total"
    calls = text.by("destination_workload", requests, reporter="source", response_code="200")
    made = int(text.sum(requests, reporter="source"))
    arrived = int(text.sum(requests, reporter="destination"))
    refused = int(text.sum("proxyless_rate_limited_total", reporter="destination"))
    return Figure(
        name,
        text.sum("proxyless_control_plane_connected") > 0,
        int(text.sum("proxyless_configuration_generation")),
        arrived - refused,
        refused,
        calls,
        made - sum(calls.values()),
        int(text.sum("proxyless_retries_total")),
        int(text.sum("proxyless_cluster_overflows_total", threshold="pending")),
        int(text.sum("proxyless_cluster_active_requests")),
        int(text.sum("proxyless_cluster_pending_requests")),
    )


class Watch:
    """Tells `show` how things stand until it is closed."""

    def __init__(self, instances: Sequence[Instance], show: Callable[[list[Figure]], None]) -> None:
        self._instances = instances
        self._show = show
        self._end = Event()
        self._thread = Thread(target=self._run, name="figures", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._end.wait(EVERY_S):
            self._show([_read(each) for each in self._instances])

    def close(self) -> None:
        self._end.set()
        self._thread.join(PATIENCE_S)


def _read(instance: Instance) -> Figure:
    try:
        return figure(instance.name, metrics(instance, PATIENCE_S))
    except UnseenError:
        return Figure(instance.name)
