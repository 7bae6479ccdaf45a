"""Filter chains of outbound listeners while they are put together: what each takes, and which exclude each other."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from ...wire.schema.types import core_v3, listener_v3
from ..registry.services import UNSPECIFIED
from .messages import cidr_range

ANY_SNI = "*"
SNIFFED_HTTP = ("http/1.1", "h2c")
RAW_BUFFER = "raw_buffer"


@dataclass(frozen=True, slots=True, eq=False)
class Chain:
    """One chain: SNI names, destination ranges, protocols, and the network filters."""

    filters: tuple[listener_v3.Filter, ...]
    sni: tuple[str, ...] = ()
    ranges: tuple[str, ...] = ()
    protocols: tuple[str, ...] = ()
    transport: str = ""
    metadata: core_v3.Metadata | None = None

    @property
    def takes_all(self) -> bool:
        return (not self.sni or ANY_SNI in self.sni) and not (self.protocols or self.transport or self.ranges)

    def excludes(self, other: Chain) -> bool:
        """Two chains that match the same connections: a listener may hold only the first."""
        return (
            self.transport == other.transport
            and self.protocols == other.protocols
            and {name for name in self.sni if name != ANY_SNI} == {name for name in other.sni if name != ANY_SNI}
            and _networks(self.ranges) == _networks(other.ranges)
        )

    def match(self) -> listener_v3.FilterChainMatch:
        made = listener_v3.FilterChainMatch(application_protocols=self.protocols, transport_protocol=self.transport)
        if ANY_SNI not in self.sni:
            made.server_names.extend(sorted(self.sni))
        made.prefix_ranges.extend(cidr_range(text) for text in sorted(self.ranges) if _parsed(text) is not None)
        return made


def merged(chains: Iterable[Chain], more: Iterable[Chain]) -> tuple[Chain, ...]:
    """Chains in order, without those that an earlier one excludes."""
    out = list(chains)
    for chain in more:
        if not any(known.excludes(chain) for known in out):
            out.append(chain)
    return tuple(out)


def _parsed(text: str) -> ipaddress.IPv4Interface | ipaddress.IPv6Interface | None:
    """None for what is no address, and for the unspecified one, which matches everything."""
    try:
        found = ipaddress.ip_interface(text)
    except ValueError:
        return None
    return None if str(found.ip) == UNSPECIFIED else found


def _networks(ranges: Iterable[str]) -> set[str]:
    return {str(found.network) for found in map(_parsed, ranges) if found is not None}
