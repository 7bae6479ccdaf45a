"""EnvoyFilter patches on route tables: the table, its virtual hosts, their routes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...wire.schema.types import route_v3
from ..api.envoy_filter import ApplyTo, PatchContext, RouteMatch, VirtualHostMatch
from ..hosts import parse_subset_key
from .patch import Patch
from .patch_list import patch_list
from .patch_merge import copied, merge

RouteConfiguration = route_v3.RouteConfiguration
VirtualHost = route_v3.VirtualHost
Route = route_v3.Route

KINDS: tuple[ApplyTo, ...] = ("ROUTE_CONFIGURATION", "VIRTUAL_HOST", "HTTP_ROUTE")
_ACTIONS = {"route": "ROUTE", "redirect": "REDIRECT", "direct_response": "DIRECT_RESPONSE"}


def patch_table(
    table: RouteConfiguration, patches: Mapping[ApplyTo, Sequence[Patch]], context: PatchContext
) -> RouteConfiguration:
    """Changes the table and returns it."""
    mine = {
        kind: [p for p in patches.get(kind, ()) if p.within(context) and _is_table(p, table.name)] for kind in KINDS
    }
    for patch in mine["ROUTE_CONFIGURATION"]:
        _merge(table, patch)
    if not mine["VIRTUAL_HOST"] and not mine["HTTP_ROUTE"]:
        return table
    kept: list[VirtualHost] = []
    removed: set[str] = set()
    for host in table.virtual_hosts:
        patched = _patched_host(copied(host), mine)
        if patched is None:
            removed.add(host.name)
        else:
            kept.append(patched)
    for patch in mine["VIRTUAL_HOST"]:
        if patch.operation == "ADD":
            value: Any = patch.value
            kept.append(copied(value))
    kept = [host for host in kept if host.name not in removed]
    del table.virtual_hosts[:]
    table.virtual_hosts.extend(kept)
    return table


def _merge(target: RouteConfiguration | VirtualHost | Route, patch: Patch) -> None:
    if patch.merges:
        merge(target, patch.value, replace_lists=patch.operation == "MERGE_AND_REPLACE_LIST")


def _is_table(patch: Patch, name: str) -> bool:
    match = patch.table
    if match is None:
        return True
    if match.name and match.name != name:
        return False
    return not match.port_number or match.port_number == _port(name)


def _port(name: str) -> int:
    """The port of a table's name, outbound `80`, inbound `inbound|80||`."""
    key = parse_subset_key(name)
    if key is not None:
        return key.port
    return int(name) if name.isdecimal() else 0


def _patched_host(host: VirtualHost, patches: Mapping[ApplyTo, Sequence[Patch]]) -> VirtualHost | None:
    """None if the host is removed."""
    for patch in patches["VIRTUAL_HOST"]:
        if not _is_host(patch, host):
            continue
        if patch.operation == "REMOVE":
            return None
        if patch.operation == "REPLACE":
            value: Any = patch.value
            host = copied(value)
        else:
            _merge(host, patch)
    _patch_routes(host, patches["HTTP_ROUTE"])
    return host


def _host_match(patch: Patch) -> VirtualHostMatch | None:
    return patch.table.vhost if patch.table else None


def _is_host(patch: Patch, host: VirtualHost) -> bool:
    match = _host_match(patch)
    return match is None or (
        match.name in ("", host.name) and (not match.domain_name or match.domain_name in host.domains)
    )


def _patch_routes(host: VirtualHost, patches: Sequence[Patch]) -> None:
    """First each route is merged or removed, then routes are added."""
    items: list[Route] = []
    for route in host.routes:
        made = _patched_route(copied(route), host, patches)
        if made is not None:
            items.append(made)
    for patch in patches:
        if not _is_host(patch, host) or patch.operation == "REMOVE" or patch.merges:
            continue
        match = _host_match(patch)
        wanted = match.route if match else None

        def picks(route: Route, wanted: RouteMatch | None = wanted) -> bool:
            return _is_route(wanted, route)

        if patch.operation == "INSERT_FIRST" and not any(picks(route) for route in items) and wanted is not None:
            continue
        if patch.operation != "REPLACE":
            items = patch_list(items, patch, picks, specific=wanted is not None)
    del host.routes[:]
    host.routes.extend(items)


def _patched_route(route: Route, host: VirtualHost, patches: Sequence[Patch]) -> Route | None:
    for patch in patches:
        match = _host_match(patch)
        if not _is_host(patch, host) or not _is_route(match.route if match else None, route):
            continue
        if patch.operation == "REMOVE":
            return None
        _merge(route, patch)
    return route


def _is_route(match: RouteMatch | None, route: Route) -> bool:
    if match is None:
        return True
    if match.name and match.name != route.name:
        return False
    if match.action == "ANY":
        return True
    action = _ACTIONS.get(route.WhichOneof("action") or "")
    return action is None or action == match.action
