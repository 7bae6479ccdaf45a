"""Which changes concern resources that are made by name: those of gRPC's own xDS.

Such a client names the hosts that it calls, so services and rules of other hosts cannot change what it holds. The rules
are istiod's: services of the client's own namespace count always, since they shape what it serves itself; a rule of
which nothing is known any more counts too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from ..emit.grpc_listeners import INBOUND, asked_hosts
from ..emit.view import View
from ..hosts import matches, parse_subset_key
from ..objects import Ref
from . import rules
from .changes import Changes
from .rules import ENDPOINTS, SERVICE, Key, ResourceType


def scoped(changes: Changes, type_: ResourceType, names: Collection[str], views: Collection[View]) -> Changes:
    """The changes without those that cannot touch the named resources; `views` are the client's now and before."""
    hosts = _hosts(type_, names, views)
    if changes.everything or hosts is None:
        return changes
    return changes.only(key for key in changes.keys if _touches(key, type_, hosts, views))


def _hosts(type_: ResourceType, names: Collection[str], views: Iterable[View]) -> set[str] | None:
    """The hosts of the names; None where they cannot be said."""
    if not names:
        return None
    if type_ is rules.LISTENER:
        proxy = next(iter(views)).proxy
        wanted = [name for name in names if not name.startswith(INBOUND)]
        return set(asked_hosts(wanted, proxy.node.domain, proxy.namespace))
    out = set()
    for name in names:
        key = parse_subset_key(name)
        if key is None or not key.host:
            return None
        out.add(key.host)
    return out


def _touches(key: Key, type_: ResourceType, hosts: set[str], views: Collection[View]) -> bool:
    if key.kind in (SERVICE, ENDPOINTS):
        own = any(key.namespace == view.proxy.namespace for view in views)
        return own or key.name in hosts or _aliased(key.name, hosts, views)
    if key.kind == "DestinationRule" and type_ is not rules.ROUTE:
        ref = Ref(key.kind, key.namespace, key.name)
        known = [host for view in views if (host := view.scope.rule_host(ref)) is not None]
        return not known or any(matches(rule, host) for rule in known for host in hosts)
    return True


def _aliased(name: str, hosts: set[str], views: Iterable[View]) -> bool:
    """Whether a service goes by one of the hosts too."""
    found = (view.scope.by_host.get(name) for view in views)
    return any(alias.hostname in hosts for service in found if service for alias in service.aliases)
