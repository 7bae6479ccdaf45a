"""Adaptive concurrency (envoy source: extensions/filters/http/adaptive_concurrency): no more requests at a time than
the latencies say there may be. What is more gets 503 at once. The limit is gradient.py's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...xds.model.filters import InertFilter
from ...xds.model.overload import AdaptiveConcurrency
from ..replies import LocalReply
from ..routing import CompiledRoute, Target
from .gradient import Gradient
from .stream import Stream

if TYPE_CHECKING:
    from ..runtime import Runtime

BODY = b"reached concurrency limit"


class AdaptiveConcurrencyFilter:
    """The filter in a chain. `on`: whether it runs where no route says so."""

    __slots__ = ("_gradient", "_on", "_reply", "name")

    def __init__(
        self, name: str, config: AdaptiveConcurrency | None, scope: str, runtime: Runtime, *, on: bool
    ) -> None:
        self.name = name
        self._on = on
        self._gradient: Gradient | None = None
        if config is not None:
            self._reply = LocalReply(config.status, BODY, details="reached_concurrency_limit")
            if config.enabled:
                self._gradient = runtime.lasting(
                    (scope, name, config), lambda: Gradient(config, runtime.clock, runtime.draw)
                )

    def applies(self, place: Target | CompiledRoute | None) -> bool:
        """Routes may switch it on and off, and say nothing else."""
        return self._gradient is not None and (
            self._on or (place is not None and isinstance(place.filters.get(self.name), InertFilter))
        )

    def on_request(self, stream: Stream) -> LocalReply | None:
        """503, or the configured status, with no flag."""
        gradient = self._gradient
        if gradient is None:
            return None
        started = gradient.enter()
        if started is None:
            return self._reply
        stream.kept[self] = started
        return None

    def on_end(self, stream: Stream) -> None:
        """The time that it took counts, if the response came to its end."""
        started: float | None = stream.kept.pop(self, None)
        if started is not None and self._gradient is not None:
            self._gradient.leave(started, whole=stream.reply is not None or not stream.cut)
