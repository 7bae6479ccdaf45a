"""Fetches keys beside the plane's thread, again and again, and tells of what is new."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from .sources import NO_KEYS, Keys, KeySource

Fetch = Callable[[KeySource, float], str]

REFRESH_S = 1200.0
_SOON = (1.0,) * 7  # after a first failure
_LATER_S = 60.0
_LATEST_S = 3600.0
_LIVES_S = 7 * 24 * 3600.0


def fetched(source: KeySource, timeout_s: float) -> str:
    from .fetching import fetch  # whoever needs no keys needs no HTTP

    return fetch(source, timeout_s)


def retry_s(failures: int) -> float:
    """How long after so many failures in a row it is tried again: istiod's times."""
    if failures <= len(_SOON):
        return _SOON[failures - 1]
    return min(_LATER_S * 2.0 ** min(failures - len(_SOON) - 1, 10), _LATEST_S)


@dataclass(slots=True, eq=False)
class _Watch:
    """One source, fetched by a thread of its own until it is not wanted any more."""

    timeout_s: float
    ended: threading.Event = field(default_factory=threading.Event)
    tried: threading.Event = field(default_factory=threading.Event)


class Keeper:
    """What has been fetched, and why the rest could not be. `changed` is called in any thread.

    `pause` says how many seconds after so many failures in a row it is tried again.

    Nothing is fetched before `want` names it.
    """

    def __init__(
        self,
        changed: Callable[[], None],
        fetch: Fetch = fetched,
        *,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[int], float] = retry_s,
    ) -> None:
        self._changed = changed
        self._fetch = fetch
        self._clock = clock
        self._pause = pause
        self._lock = threading.Lock()
        self._watches: dict[KeySource, _Watch] = {}
        self._keys: Keys = NO_KEYS
        self._reasons: Mapping[KeySource, str] = {}

    def held(self) -> tuple[Keys, Mapping[KeySource, str]]:
        """The keys, and the reasons why others are not there. Both are replaced, never changed."""
        with self._lock:
            return self._keys, self._reasons

    def want(self, sources: Mapping[KeySource, float]) -> None:
        """What is needed from now on, with the seconds that a fetch may take; the rest is forgotten."""
        with self._lock:
            for source in [each for each in self._watches if each not in sources]:
                self._watches.pop(source).ended.set()
                self._keys = {each: text for each, text in self._keys.items() if each != source}
                self._reasons = {each: why for each, why in self._reasons.items() if each != source}
            for source, timeout_s in sources.items():
                known = self._watches.get(source)
                if known is not None:
                    known.timeout_s = timeout_s
                    continue
                watch = self._watches[source] = _Watch(timeout_s)
                threading.Thread(target=self._follow, args=(source, watch), name="proxyless-keys", daemon=True).start()

    def wait(self, at_most_s: float) -> None:
        """Until everything that is wanted was tried once, or that long."""
        until = time.monotonic() + at_most_s
        for watch in list(self._watches.values()):
            watch.tried.wait(max(0.0, until - time.monotonic()))

    def renewed(self, changed: Callable[[], None]) -> Keeper:
        """The same for the child of a fork, which has no threads and perhaps a lock that nobody will release."""
        made = Keeper(changed, self._fetch, clock=self._clock, pause=self._pause)
        made._keys, made._reasons = self._keys, self._reasons
        return made

    def close(self) -> None:
        self.want({})

    def _follow(self, source: KeySource, watch: _Watch) -> None:
        failures = 0
        fetched = self._clock()
        while not watch.ended.is_set():
            try:
                text, why = self._fetch(source, watch.timeout_s), ""
                failures, fetched = 0, self._clock()
            except Exception as error:  # whatever it is, others' keys must go on being fetched
                text, why = None, str(error) or type(error).__name__
                failures += 1
            old = self._clock() - fetched >= _LIVES_S
            news = self._take(source, watch, text, why, forget=old)
            watch.tried.set()
            if news:
                self._changed()
            watch.ended.wait(REFRESH_S if text is not None else self._pause(failures))

    def _take(self, source: KeySource, watch: _Watch, text: str | None, why: str, *, forget: bool) -> bool:
        """Whether that is news."""
        with self._lock:
            if watch.ended.is_set():
                return False
            keys, reasons = dict(self._keys), dict(self._reasons)
            if text is not None:
                keys[source] = text
            elif forget:
                keys.pop(source, None)
            if why:
                reasons[source] = why
            else:
                reasons.pop(source, None)
            news = keys != self._keys or reasons != self._reasons
            if news:
                self._keys, self._reasons = keys, reasons
            return news
