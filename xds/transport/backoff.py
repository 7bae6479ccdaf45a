"""How long to wait before the next stream: doubling, with full jitter (Envoy's control plane: 0.5 s, at most 30 s)."""

from collections.abc import Callable

INITIAL_S = 0.5
MAX_S = 30.0


class Backoff:
    """Seconds between attempts; `reset` after a stream has brought something."""

    __slots__ = ("_attempt", "_uniform")

    def __init__(self, uniform: Callable[[], float]) -> None:
        self._uniform = uniform
        self._attempt = 0

    def next_s(self) -> float:
        """The pause before the next attempt."""
        ceiling = min(INITIAL_S * 2.0**self._attempt, MAX_S)
        self._attempt = min(self._attempt + 1, 16)
        return ceiling * self._uniform()

    def reset(self) -> None:
        """Start from the shortest pause again."""
        self._attempt = 0
