"""The addresses of host names that are only known when a request names them (envoy source: DnsCacheImpl).

`dynamic_forward_proxy` filters look a request's host up here before it goes on, clusters of that type find their
endpoint here. A name is asked for once however many requests wait for it anew, is asked again when its TTL or the
cache's refresh rate has passed, keeps its address while it cannot be resolved, and is forgotten when nothing has used
it for `host_ttl`. Caches belong to the process and are shared by name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from ..xds.model.dns import DnsCache

Found = tuple[tuple[str, ...] | None, float | None]
"""(addresses, None where there was no answer; TTL in seconds, None where nobody said)."""


class NoResolver:
    """Where nobody can be asked: no name has an address."""

    def ask(self, request: object, timeout_s: float) -> Found:
        """No answer."""
        del request, timeout_s
        return None, None

    async def ask_async(self, request: object, timeout_s: float) -> Found:
        """No answer."""
        return self.ask(request, timeout_s)


OVERFLOW = "overflow"
PENDING = "pending"


@dataclass(slots=True)
class Name:
    """One host and port. `addresses` are empty while it has none; `due`: when to ask again."""

    addresses: tuple[str, ...]
    due: float
    used: float
    failures: int = 0


class NameCache:
    """One cache; its limits are those of the newest configuration."""

    __slots__ = ("_clock", "_lock", "_names", "config", "pending")

    def __init__(self, config: DnsCache, clock: Callable[[], float]) -> None:
        self.config = config
        self.pending = 0
        self._clock = clock
        self._lock = Lock()
        self._names: dict[str, Name] = {}

    def find(self, host: str) -> tuple[str, ...] | None:
        """What is known of a host (`name:port`); None where it was never asked for, empty where it has no address."""
        known = self._names.get(host)
        return None if known is None else known.addresses

    def begin(self, host: str) -> str | None:
        """Use a host: "fresh" where nothing needs to be asked, None to ask for it (`end` must follow), else why not."""
        now = self._clock()
        with self._lock:
            known = self._names.get(host)
            if known is not None:
                known.used = now
                if now < known.due:
                    return "fresh"
            elif len(self._names) >= self.config.max_hosts:
                self._forget(now)
                if len(self._names) >= self.config.max_hosts:
                    return OVERFLOW
            if self.pending >= self.config.max_pending:
                return PENDING
            self.pending += 1
            return None

    def end(self, host: str, addresses: tuple[str, ...] | None, ttl_s: float | None = None) -> tuple[str, ...]:
        """What came of it, None for a failure; the addresses that count now."""
        now = self._clock()
        options = self.config.options
        with self._lock:
            self.pending -= 1
            known = self._names.get(host)
            if known is None:
                known = self._names[host] = Name((), now, now)
            if addresses:
                known.addresses = addresses
                known.failures = 0
                # As Envoy, a TTL counts here whatever respect_dns_ttl says: there is no such field.
                known.due = now + (options.refresh_rate_s if ttl_s is None else max(ttl_s, options.min_refresh_rate_s))
            else:
                base_s = options.failure_refresh_base_s
                longest_s = options.failure_refresh_max_s or 10 * (base_s or 0.0)
                known.due = now + (
                    options.refresh_rate_s
                    if base_s is None
                    else min(base_s * 2.0 ** min(known.failures, 32), longest_s)
                )
                known.failures += 1
            return known.addresses

    def abandon(self) -> None:
        """Whoever asked went away."""
        with self._lock:
            self.pending -= 1

    def _forget(self, now: float) -> None:
        for host, known in list(self._names.items()):
            if now - known.used >= self.config.host_ttl_s:
                del self._names[host]


class NameCaches:
    """All caches of a process, by their names."""

    __slots__ = ("_caches", "_clock", "_lock")

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = Lock()
        self._caches: dict[str, NameCache] = {}

    def get(self, config: DnsCache) -> NameCache:
        """The cache of a configuration, made when it is first asked for."""
        with self._lock:
            cache = self._caches.get(config.name)
            if cache is None:
                cache = self._caches[config.name] = NameCache(config, self._clock)
            cache.config = config
            return cache


def full_name(authority: bytes, default_port: int) -> str:
    """`name:port` of a Host header, lower-case (DnsHostInfo::normalizeHostForDfp)."""
    text = authority.decode("latin-1").lower()
    name, colon, port = text.rpartition(":")
    if colon and port.isdigit() and (":" not in name or name.endswith("]")):
        return text
    return f"{text}:{default_port}"
