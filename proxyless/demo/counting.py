"""What a service counts for itself, outside the mesh: what reached its socket, and what got through to the app.

`Counters.outside` stands in front of the middleware and sees every request that arrived; `inside` stands behind it and
sees those that the mesh let through. They are read over a port of their own (`admin`), which the mesh does not touch.
"""

from __future__ import annotations

import time
from collections import Counter
from threading import Lock
from typing import Any

from .web import App, Receive, Scope, Send, headers_of, key_of

ATTEMPT = "x-envoy-attempt-count"


class Counters:
    """Of one process, since it began."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._arrived: Counter[str] = Counter()
        self._served: Counter[str] = Counter()
        self._attempts: Counter[str] = Counter()
        self._last: dict[str, float] = {}

    def outside(self, app: App) -> App:
        """Counts what arrives, whatever becomes of it."""

        async def counted(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                attempt = headers_of(scope).get(ATTEMPT, "")
                with self._lock:
                    key = key_of(scope)
                    self._arrived[key] += 1
                    self._last[key] = time.monotonic()
                    if attempt:
                        self._attempts[f"{key} {attempt}"] += 1
            await app(scope, receive, send)

        return counted

    def inside(self, app: App) -> App:
        """Counts what the app is given."""

        async def counted(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                with self._lock:
                    self._served[key_of(scope)] += 1
            await app(scope, receive, send)

        return counted

    def document(self) -> dict[str, Any]:
        """`last`: when a request arrived last, by time.monotonic(), which all processes of a machine share."""
        with self._lock:
            return {
                "arrived": dict(self._arrived),
                "served": dict(self._served),
                "attempts": dict(self._attempts),
                "last": dict(self._last),
            }
