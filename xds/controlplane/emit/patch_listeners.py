"""EnvoyFilter patches on listeners: from the listener itself down to the HTTP filters of its chains."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ...wire.schema.types import http_connection_manager_v3, listener_v3
from ..api.envoy_filter import ApplyTo, FilterMatch, ListenerMatch, PatchContext
from .filters import HttpFilter
from .http_manager import HTTP_MANAGER, Manager
from .messages import pack
from .patch import Patch
from .patch_list import patch_list
from .patch_merge import ClashError, copied, merge, merged_any

Listener = listener_v3.Listener
FilterChain = listener_v3.FilterChain
Filter = listener_v3.Filter
Patches = Mapping[ApplyTo, Sequence[Patch]]

KINDS: tuple[ApplyTo, ...] = ("LISTENER", "LISTENER_FILTER", "FILTER_CHAIN", "NETWORK_FILTER", "HTTP_FILTER")
_VIRTUAL = frozenset({"virtualInbound", "virtualOutbound"})


def patch_listeners(
    listeners: Sequence[Listener], patches: Patches, context: PatchContext, *, additions: bool = True
) -> list[Listener]:
    """The listeners, which are changed, after all patches; `additions` says whether new ones may come."""
    mine = {kind: [p for p in patches.get(kind, ()) if p.within(context)] for kind in KINDS}
    if not any(mine.values()):
        return list(listeners)
    removed: list[int] = []
    try:
        for index, listener in enumerate(listeners):
            if not _Listener(listener, mine).patched():
                removed.append(index)
        added = [copied(_as_listener(p)) for p in mine["LISTENER"] if additions and p.adds(context)]
    except ClashError:
        added = []  # as istiod leaves it: patched up to here
    kept = [listener for index, listener in enumerate(listeners) if index not in removed]
    return [*kept, *(listener for listener in added if listener.name)]


def _as_listener(patch: Patch) -> Listener:
    value: Any = patch.value
    made: Listener = value
    return made


class _Listener:
    """One listener while it is patched."""

    def __init__(self, listener: Listener, patches: Patches) -> None:
        self._listener = listener
        self._patches = patches

    def patched(self) -> bool:
        """Changes the listener; False if it is removed."""
        listener = self._listener
        for patch in self._of("LISTENER"):
            if patch.operation == "REMOVE":
                return False
            if patch.merges:
                merge(listener, patch.value, replace_lists=patch.operation == "MERGE_AND_REPLACE_LIST")
        self._listener_filters()
        kept = [copied(chain) for chain in listener.filter_chains if chain.filters and self._chain(chain)]
        default = listener.default_filter_chain if listener.HasField("default_filter_chain") else None
        if default is not None and default.filters and not self._chain(default):
            listener.ClearField("default_filter_chain")
        added = (_as_chain(patch) for patch in self._of("FILTER_CHAIN") if patch.operation == "ADD")
        kept += [copied(chain) for chain in added if chain.filters]
        del listener.filter_chains[:]
        listener.filter_chains.extend(kept)
        return True

    def _of(self, kind: ApplyTo) -> Iterable[Patch]:
        return (patch for patch in self._patches[kind] if self._matches(patch.listener, kind))

    def _matches(self, match: ListenerMatch | None, kind: ApplyTo) -> bool:
        if match is None:
            return True
        if match.name and match.name != self._listener.name:
            return False
        if kind != "LISTENER" and self._listener.name in _VIRTUAL:
            return True  # there the port is a chain's
        return not match.port_number or self._listener.address.socket_address.port_value == match.port_number

    def _listener_filters(self) -> None:
        items = [copied(item) for item in self._listener.listener_filters]
        try:
            for patch in self._of("LISTENER_FILTER"):
                wanted = patch.listener.listener_filter if patch.listener else ""

                def picks(item: listener_v3.ListenerFilter, wanted: str = wanted) -> bool:
                    return not wanted or item.name == wanted

                if patch.operation == "MERGE":
                    # A patch that names a filter is merged into every one, whatever its name: so does istiod.
                    for item in items if wanted else ():
                        _merge_config(item, patch, rename=False)
                else:
                    items = patch_list(items, patch, picks, specific=bool(wanted))
        finally:
            del self._listener.listener_filters[:]
            self._listener.listener_filters.extend(items)

    def _chain(self, chain: FilterChain) -> bool:
        """Changes a chain; False if it is removed."""
        for patch in self._of("FILTER_CHAIN"):
            if not self._in_chain(patch.listener, chain):
                continue
            if patch.operation == "REMOVE":
                del chain.filters[:]
                return False
            if patch.merges and not _merged_socket(chain, _as_chain(patch)):
                merge(chain, patch.value, replace_lists=patch.operation == "MERGE_AND_REPLACE_LIST")
        self._network_filters(chain)
        return True

    def _in_chain(self, match: ListenerMatch | None, chain: FilterChain) -> bool:
        if match is None:
            return True
        taken = chain.filter_chain_match
        port = match.port_number if self._listener.name in _VIRTUAL else 0
        if port and taken.destination_port.value != port:
            return False
        wanted = match.filter_chain
        if wanted is None:
            return True
        return (
            (not wanted.name or wanted.name == chain.name)
            and (not wanted.sni or wanted.sni in taken.server_names)
            and (not wanted.transport_protocol or wanted.transport_protocol == taken.transport_protocol)
            and (
                not wanted.application_protocols
                or set(wanted.application_protocols.split(",")) <= set(taken.application_protocols)
            )
            and (not wanted.destination_port or wanted.destination_port == taken.destination_port.value)
        )

    def _network_filters(self, chain: FilterChain) -> None:
        items = [copied(item) for item in chain.filters]
        mine = [patch for patch in self._of("NETWORK_FILTER") if self._in_chain(patch.listener, chain)]
        for patch in mine:
            wanted = _network_filter(patch)

            def picks(item: Filter, wanted: FilterMatch | None = wanted) -> bool:
                return wanted is None or item.name == wanted.name

            items = patch_list(items, patch, picks, specific=wanted is not None)
        try:
            for item in items:
                for patch in mine:
                    wanted = _network_filter(patch)
                    if patch.operation == "MERGE" and (wanted is None or item.name == wanted.name):
                        _merge_config(item, patch)
                if item.name == HTTP_MANAGER:
                    self._http_filters(chain, item)
        finally:
            del chain.filters[:]
            chain.filters.extend(items)

    def _http_filters(self, chain: FilterChain, filter_: Filter) -> None:
        mine = []
        for patch in self._of("HTTP_FILTER"):
            outer = _network_filter(patch)
            if self._in_chain(patch.listener, chain) and (outer is None or outer.name == filter_.name):
                mine.append(patch)
        if not mine or not filter_.HasField("typed_config"):
            return
        manager = Manager.FromString(filter_.typed_config.value)
        items = [copied(item) for item in manager.http_filters]
        for patch in mine:
            wanted = _http_filter(patch)

            def picks(item: HttpFilter, wanted: str | None = wanted) -> bool:
                return wanted is None or item.name == wanted

            items = patch_list(items, patch, picks, specific=wanted is not None)
        for item in items:
            for patch in mine:
                if patch.operation == "MERGE" and _http_filter(patch) in (None, item.name):
                    _merge_config(item, patch)
        del manager.http_filters[:]
        manager.http_filters.extend(items)
        filter_.typed_config.CopyFrom(pack(manager))


def _as_chain(patch: Patch) -> FilterChain:
    value: Any = patch.value
    made: FilterChain = value
    return made


def _network_filter(patch: Patch) -> FilterMatch | None:
    chain = patch.listener.filter_chain if patch.listener else None
    return chain.filter if chain else None


def _http_filter(patch: Patch) -> str | None:
    outer = _network_filter(patch)
    return (outer.sub_filter.name or None) if outer is not None and outer.sub_filter is not None else None


def _merge_config(
    item: listener_v3.ListenerFilter | Filter | http_connection_manager_v3.HttpFilter,
    patch: Patch,
    *,
    rename: bool = True,
) -> None:
    """A filter's typed configuration is merged by content; its name may change. Others cannot be merged."""
    value: Any = patch.value
    if not item.HasField("typed_config"):
        return
    if rename and value.name:
        item.name = value.name
    if value.HasField("typed_config"):
        item.typed_config.CopyFrom(merged_any(item.typed_config, value.typed_config))


def _merged_socket(chain: FilterChain, patch: FilterChain) -> bool:
    """A patch with the chain's own kind of transport socket merges into that, and does nothing else."""
    if not patch.HasField("transport_socket") or not chain.HasField("transport_socket"):
        return False
    mine, theirs = chain.transport_socket, patch.transport_socket
    if mine.name != theirs.name:
        return False
    if mine.HasField("typed_config") and theirs.HasField("typed_config"):
        mine.typed_config.CopyFrom(merged_any(mine.typed_config, theirs.typed_config))
    return True
