"""Dialled hosts that only DNS knows: their addresses choose a listener as they do behind a sidecar.

There the program resolves the name itself, and the redirect hands Envoy the address it dialled. Here the plan asks for
it where it matters (`Plan.destination`) and only there: the name table does not have the host, and something at the
port listens to one address or range of addresses.

Nothing here blocks. The first call that needs an answer waits for it as it waits for configuration; one look-up serves
all. An answer holds for its TTL, goes on holding while it is asked for anew, and must be waited for again once it is
long out of date. What cannot be resolved keeps the addresses that it had.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from threading import Lock

from ..xds.model.dns import DnsOptions

OPTIONS = DnsOptions(respect_ttl=True, lookup_family="ALL", query_timeout_s=1.0, query_tries=2)
"""As a program asks: both families, the host's file first, with the machine's search domains."""

UNTOLD_S = 5.0
"""How long an answer holds that has no TTL: of the host's file, of no such name, and of no server."""
LEAST_S = 1.0
"""The least that a TTL counts."""
STALE_S = 5.0
"""How long after its TTL an answer may still be used."""
MAX_HOSTS = 4096
MAX_ASKED = 64
"""Look-ups at once."""


@dataclass(slots=True)
class _Host:
    """`addresses` None: never answered."""

    addresses: tuple[str, ...] | None = None
    due: float = 0.0
    asked: bool = False


class DialledHosts:
    """What is known of the hosts that calls have dialled, from any thread."""

    __slots__ = ("_asked", "_clock", "_hosts", "_lock", "ask")

    def __init__(self, clock: Callable[[], float]) -> None:
        self.ask: Callable[[str], None] | None = None
        """Look a host up without blocking, and say so by `answer`, be it at once; None where there is no DNS."""
        self._clock = clock
        self._lock = Lock()
        self._hosts: dict[str, _Host] = {}
        self._asked = 0

    def find(self, host: str) -> tuple[str, ...] | None:
        """The addresses of a host in numerical order, empty without one; None while they have to be waited for."""
        ask = self.ask
        if ask is None:
            return ()
        known = self._hosts.get(host)
        now = self._clock()
        if known is not None and now < known.due:
            return known.addresses
        with self._lock:
            known = self._hosts.get(host)
            if known is None:
                if len(self._hosts) >= MAX_HOSTS:
                    self._hosts = {name: each for name, each in self._hosts.items() if each.asked}
                known = self._hosts[host] = _Host()
            asks = not known.asked and self._asked < MAX_ASKED
            if asks:
                known.asked = True
                self._asked += 1
        if asks:
            ask(host)
        return known.addresses if self._clock() < known.due + STALE_S else None

    def answer(self, host: str, addresses: tuple[str, ...] | None, ttl_s: float | None = None) -> None:
        """What came of a look-up; None: nobody answered."""
        with self._lock:
            self._asked -= 1
            known = self._hosts[host]
            known.asked = False
            if addresses is None:
                addresses = known.addresses or ()
            known.addresses = tuple(sorted(addresses, key=_in_order))
            known.due = self._clock() + (UNTOLD_S if ttl_s is None else max(ttl_s, LEAST_S))


def _in_order(address: str) -> tuple[int, int]:
    """DNS turns answers round; a choice must not turn with them."""
    literal = ip_address(address)
    return literal.version, int(literal)
