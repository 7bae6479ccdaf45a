"""Resolves the host names of gateways of other networks beside the plane's thread, again and again."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Collection

from .registry.networks import NO_ADDRESSES, Addresses

REFRESH_S = 30.0
"""istiod asks again when an answer has expired, but never more often."""


def resolved(name: str) -> tuple[str, ...]:
    """The addresses of a name, of both families, sorted.

    Raises:
        OSError: it cannot be resolved.
    """
    return tuple(sorted({str(found[4][0]) for found in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)}))


class Names:
    """What names were resolved to; one that cannot be resolved any more keeps what it had.

    `changed` is called in a thread of its own. Nothing is resolved before `want` names it.
    """

    def __init__(
        self,
        changed: Callable[[], None],
        resolve: Callable[[str], tuple[str, ...]] = resolved,
        *,
        refresh_s: float = REFRESH_S,
    ) -> None:
        self._changed = changed
        self._resolve = resolve
        self._refresh_s = refresh_s
        self._lock = threading.Lock()
        self._wanted: frozenset[str] = frozenset()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self.addresses: Addresses = NO_ADDRESSES
        """Replaced, never changed."""

    def want(self, names: Collection[str]) -> None:
        """The names that are needed from now on; the rest is forgotten."""
        wanted = frozenset(names)
        with self._lock:
            if wanted == self._wanted:
                return
            self._wanted = wanted
            self._wake.set()
            if wanted and self._thread is None:
                self._thread = threading.Thread(target=self._run, name="proxyless-names", daemon=True)
                self._thread.start()

    def renewed(self, changed: Callable[[], None]) -> Names:
        """The same for the child of a fork, which has no threads."""
        made = Names(changed, self._resolve, refresh_s=self._refresh_s)
        made.addresses = self.addresses
        return made

    def close(self) -> None:
        self.want(())

    def _run(self) -> None:
        while True:
            self._wake.clear()
            with self._lock:
                wanted = self._wanted
                if not wanted:
                    self._thread = None
                    return
            before = self.addresses
            found = {name: self._found(name, before.get(name, ())) for name in sorted(wanted)}
            if found != before:
                self.addresses = found
                self._changed()
            self._wake.wait(self._refresh_s)

    def _found(self, name: str, before: tuple[str, ...]) -> tuple[str, ...]:
        try:
            return self._resolve(name)
        except (OSError, UnicodeError):
            return before
