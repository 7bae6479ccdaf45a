"""How keys are fetched: when again, and what of an answer is of use (envoy source: http/common/jwks_fetcher)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import final
from urllib.parse import urlsplit

from ...xds.model.jwt import RemoteJwks

AHEAD_S = 5.0
"""So long before keys are too old are they fetched anew by themselves."""


@final
class Target:
    """What is asked of an endpoint."""

    __slots__ = ("authority", "path", "scheme")

    def __init__(self, remote: RemoteJwks) -> None:
        url = urlsplit(remote.uri)
        self.scheme = url.scheme
        self.authority = url.netloc.rpartition("@")[2]
        self.path = (url.path or "/") + (f"?{url.query}" if url.query else "")


def pauses(remote: RemoteJwks, uniform: Callable[[], float]) -> Iterator[float]:
    """Seconds before each attempt: none before the first, then a share of an interval that doubles."""
    yield 0.0
    interval_s = remote.back_off_s
    for _ in range(remote.retries):
        yield uniform() * interval_s
        interval_s = min(interval_s * 2, remote.max_back_off_s)


def again_after_s(remote: RemoteJwks, *, fetched: bool) -> float:
    """Seconds until keys that are fetched by themselves are fetched anew."""
    if not fetched:
        return remote.refetch_after_failure_s
    return remote.cache_s - AHEAD_S if remote.cache_s > AHEAD_S else remote.cache_s
