"""Connections: what listeners do with them where no route decides, and settings of connection managers."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from ..xds.model.filters import HttpFilter
from ..xds.model.listener import FilterChain, HttpConnectionManager, Listener, TcpProxy
from .changes import Change, label, policy, service_of
from .differing import differences, plain
from .effects import effect_of
from .sight import INBOUND, Sight
from .touched import Touched

SKIP = frozenset({"route_config", "stat_prefix", "rds", "tracing", "http_filters", "server_name", "notes"})
"""Of a connection manager: compared elsewhere, or decides nothing."""

CATCH_ALL = "virtualOutbound"
PASSTHROUGH = "PassthroughCluster"

Key = tuple[str, int, str]
"""Address and port of a listener, and what its chain asks for."""


def compare_chains(touched: Touched) -> Iterator[Change]:
    """Outgoing connections."""
    old, new = touched.old, touched.new
    before, after = (_chains(side, touched.listeners) for side in (old, new))
    one, other = (outbound_policy(each) for each in (old, new))
    if one != other:
        effect = effect_of("outbound", one, other)
        yield policy("mesh", "", {}, "outbound", one, other, effect)
    for key in sorted(before.keys() | after.keys()):
        first, second = before.get(key), after.get(key)
        address, port, asks = key
        to = [_to(each, port) for each in (first, second)]
        if to[0] != to[1]:
            document = {"address": address, "port": port, "match": asks, "old": to[0], "new": to[1]}
            yield Change("connections", _host(first, second) or address, document)
        if first is None or second is None:
            continue
        where = {"address": address, "port": port, "match": asks or None}
        if first.tcp is not None and second.tcp is not None:
            for path, b, a in differences(first.tcp, second.tcp, _TCP_SKIP):
                yield policy("listener", address, where, path, b, a, effect_of(path, b, a))
        if first.http is not None and second.http is not None:
            for path, b, a in manager_differences(first.http, second.http):
                yield policy("listener", address, where, path, b, a, effect_of(path, b, a))


_TCP_SKIP = frozenset({"cluster", "weighted_clusters", "stat_prefix"})


def manager_differences(old: HttpConnectionManager, new: HttpConnectionManager) -> Iterator[tuple[str, Any, Any]]:
    """Settings of a connection manager and of its filters, which are compared by name."""
    yield from differences(old, new, SKIP)
    before, after = filters_by_name(old.http_filters), filters_by_name(new.http_filters)
    for name in sorted(before.keys() | after.keys()):
        one, other = before.get(name), after.get(name)
        if one is None or other is None:
            yield f"http_filters[{name}]", _filter(one), _filter(other)
        else:
            yield from differences(one.config, other.config, path=f"http_filters[{name}]")
    shared = before.keys() & after.keys()
    order = [[name for name in each if name in shared] for each in (before, after)]
    if order[0] != order[1]:
        yield "http_filters", order[0], order[1]


def filters_by_name(filters: tuple[HttpFilter, ...]) -> dict[str, HttpFilter]:
    """Filters in their order; the second of a name is `NAME#2`."""
    found: dict[str, HttpFilter] = {}
    for each in filters:
        name, number = each.name, 1
        while name in found:
            number += 1
            name = f"{each.name}#{number}"
        found[name] = each
    return found


def _filter(each: HttpFilter | None) -> Any:
    return None if each is None else plain(each.config) or True


def _chains(sight: Sight, names: Collection[str]) -> dict[Key, FilterChain]:
    found: dict[Key, FilterChain] = {}
    for name in sorted(names):
        listener = sight.listeners.get(name)
        if listener is None or name == INBOUND or listener.direction == "INBOUND":
            continue
        for chain in listener.all_chains():
            found.setdefault((*_place(listener, chain), _asks(chain)), chain)
    return found


def _place(listener: Listener, chain: FilterChain) -> tuple[str, int]:
    address = listener.address
    port = chain.match.destination_port or (address.port if address is not None else 0)
    return ("(any)" if listener.name == CATCH_ALL else address.host if address is not None else listener.name), port


def _asks(chain: FilterChain) -> str:
    match = chain.match
    said = [f"{each.address}/{each.prefix_len}" for each in match.prefix_ranges]
    said += [f"SNI {each}" for each in match.server_names]
    said += [match.transport_protocol] if match.transport_protocol else []
    said += list(match.application_protocols)
    if match.source_prefix_ranges:
        said += [f"from {each.address}/{each.prefix_len}" for each in match.source_prefix_ranges]
    return ", ".join(said)


def _to(chain: FilterChain | None, port: int) -> Any:
    if chain is None:
        return None
    if chain.closed_by:
        return f"refused: {chain.closed_by[0].name}"
    if chain.http is not None:
        return "HTTP"
    return None if chain.tcp is None else shares(chain.tcp, port)


def _host(*chains: FilterChain | None) -> str:
    """The service that connections go to, where it is one."""
    for chain in chains:
        if chain is not None and chain.tcp is not None and chain.tcp.cluster.startswith("outbound|"):
            return service_of(chain.tcp.cluster)[0]
    return ""


def shares(tcp: TcpProxy, port: int) -> dict[str, float]:
    """Where connections go, in percent."""
    if tcp.cluster:
        return {label(tcp.cluster, port): 100.0}
    total = sum(weight for _, weight in tcp.weighted_clusters) or 1
    found: dict[str, float] = {}
    for name, weight in tcp.weighted_clusters:
        found[label(name, port)] = found.get(label(name, port), 0.0) + round(100.0 * weight / total, 4)
    return found


def outbound_policy(sight: Sight) -> str | None:
    """What becomes of connections that nobody knows: Istio's outboundTrafficPolicy."""
    listener = sight.listeners.get(CATCH_ALL)
    if listener is None:
        return None
    tcp = [each.tcp for each in listener.all_chains() if each.tcp is not None and each.match.destination_port is None]
    if not tcp:
        return None
    return "ALLOW_ANY" if tcp[-1].cluster == PASSTHROUGH else "REGISTRY_ONLY"
