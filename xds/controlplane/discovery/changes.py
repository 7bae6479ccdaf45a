"""What differs between two worlds, said as istiod's push requests say it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..api import kubernetes
from ..api.security import RequestAuthentication
from ..keys.sources import touched
from ..objects import Object, Ref
from ..registry.protocols import HTTP
from ..registry.services import Service
from ..registry.virtual_services import Routing, successors
from ..registry.world import World
from .rules import DNS_NAME, ENDPOINTS, SERVICE, Key

# What becomes of the other kinds shows in services, endpoints and workloads.
_CONFIG = frozenset(
    {
        "DestinationRule",
        "Sidecar",
        "EnvoyFilter",
        "AuthorizationPolicy",
        "PeerAuthentication",
        "RequestAuthentication",
        "Telemetry",
        "WasmPlugin",
        "TrafficExtension",
    }
)
ISTIO = "istio.io"
_COMPARED = tuple(
    field.name for field in dataclasses.fields(Service) if field.name not in ("source", "ports", "aliases")
)


@dataclass(frozen=True, slots=True)
class Changes:
    """Keys of what changed. `headless`: services among them because pods of a headless one came or went."""

    keys: frozenset[Key] = frozenset()
    headless: bool = False
    services: bool = False
    everything: bool = False  # as after a restart: each client gets all it asked for

    def __bool__(self) -> bool:
        return self.everything or bool(self.keys)

    def has(self, kind: str) -> bool:
        return any(key.kind == kind for key in self.keys)

    def only(self, keys: Iterable[Key]) -> Changes:
        return dataclasses.replace(self, keys=frozenset(keys))


EVERYTHING = Changes(everything=True)


def merged(changes: Iterable[Changes]) -> Changes:
    """Several pushes as one."""
    keys: frozenset[Key] = frozenset()
    headless = services = everything = False
    for one in changes:
        keys |= one.keys
        headless |= one.headless
        services |= one.services
        everything |= one.everything
    return Changes(keys, headless, services, everything)


def between(before: World, after: World) -> Changes:
    keys = set(_configuration(before, after))
    changed = set(_services(before, after))
    keys |= changed
    headless = False
    for key, of_headless in _instances(before, after):
        keys.add(key)
        headless |= of_headless
    everything = before.mesh is not after.mesh or before.gateways is not after.gateways
    return Changes(frozenset(keys), headless, bool(changed), everything)


def _configuration(before: World, after: World) -> Iterable[Key]:
    if before.virtual_services is not after.virtual_services:
        for ref in _rerouted(before.virtual_services.all, after.virtual_services.all):
            yield Key(ref.kind, ref.name, ref.namespace)
    yield from _objects(before.backend_policies.rules, after.backend_policies.rules)
    for kind in _CONFIG:
        one, other = before.of_kind(kind, object), after.of_kind(kind, object)
        if one is not other:
            yield from _objects(one, other)
    if before.keys is not after.keys:
        tokens = after.of_kind("RequestAuthentication", RequestAuthentication)
        for item in touched(tokens, before.keys, after.keys):
            yield Key(item.kind, item.meta.name, item.meta.namespace)


def _rerouted(before: Sequence[Routing], after: Sequence[Routing]) -> set[Ref]:
    """The VirtualServices that mean something else, also where only a delegate changed."""
    replaced = successors(before, after)
    if replaced is not None:
        return {routing.source.ref for pair in replaced.items() if not _only_marked(*pair) for routing in pair}
    old, new = ({routing.source.ref: routing for routing in side} for side in (before, after))
    return {ref for ref in old.keys() | new.keys() if not _only_marked(old.get(ref), new.get(ref))}


def _objects(before: Iterable[Object[object]], after: Iterable[Object[object]]) -> Iterable[Key]:
    old, new = ({item.ref: item for item in side} for side in (before, after))
    for ref in old.keys() | new.keys():
        one, other = old.get(ref), new.get(ref)
        if one is not other and not (one is not None and other is not None and same_configuration(one, other)):
            yield Key(ref.kind, ref.name, ref.namespace)


def _only_marked(one: Routing | None, other: Routing | None) -> bool:
    """The same for routes, whose `spec` has their delegates' too."""
    if one is other or one is None or other is None:
        return one is other
    return (
        one.source.ref == other.source.ref
        and (one.spec, one.export_to) == (other.spec, other.export_to)
        and same_configuration(one.source, other.source)
    )


def same_configuration(one: Object[object], other: Object[object]) -> bool:
    """Whether only metadata is different that is nobody's here: what a deploying tool writes is no change.

    As in istiod: an object that has any label or annotation of Istio's counts as changed, and so does one of another
    group. There the time of creation never changes; here it may, and it decides between objects.
    """
    marks = (*one.meta.labels, *one.meta.annotations, *other.meta.labels, *other.meta.annotations)
    return (
        one.group.endswith(ISTIO)
        and one.spec == other.spec
        and one.created == other.created
        and not any(ISTIO in each for each in marks)
    )


def _services(before: World, after: World) -> Iterable[Key]:
    if before.services is after.services:
        return
    old, new = before.services_by_key, after.services_by_key
    for key, services in new.items():
        known = old.get(key)
        if known is not services and (known is None or not _same_services(known, services)):
            yield Key(SERVICE, key[1], key[0])
    for key in old:
        if key not in new:
            yield Key(SERVICE, key[1], key[0])


def _same_services(old: tuple[Service, ...], new: tuple[Service, ...]) -> bool:
    """Whether nothing but the object that they come from is new."""
    return len(old) == len(new) and all(one is other or _same(one, other) for one, other in zip(old, new, strict=True))


def _same(one: Service, other: Service) -> bool:
    return (
        [(p.name, p.number, p.protocol) for p in one.ports] == [(p.name, p.number, p.protocol) for p in other.ports]
        and [a.hostname for a in one.aliases] == [a.hostname for a in other.aliases]
        and all(getattr(one, name) == getattr(other, name) for name in _COMPARED)
        and _targets(one) == _targets(other)
    )


def _targets(service: Service) -> list[object]:
    """Where a Kubernetes service's ports lead, which inbound listeners are made of."""
    spec = service.source.spec
    return [port.target_port for port in spec.ports] if isinstance(spec, kubernetes.Service) else []


def _instances(before: World, after: World) -> Iterable[tuple[Key, bool]]:
    """Services whose endpoints changed; and whether a key is there only because pods of a headless service did.

    The key says more than an assignment where endpoints are named elsewhere too: in the identities that a cluster
    accepts, in a DNS cluster, in the listeners and names of a headless service.
    """
    if before.instances is after.instances:
        return
    for key in before.instances.keys() | after.instances.keys():
        one, other = before.instances.get(key), after.instances.get(key)
        if one is other or (one is None and other is not None and not other.all):
            continue
        service = after.service(*key)
        whole = service is not None and service.is_dns
        if other is not None and other.all:
            whole = whole or before.seen_accounts.get(key) != after.seen_accounts[key]
        if service is not None and service.resolution == "Passthrough":
            if service.registry != "Kubernetes":
                whole = True  # istiod says nothing of its listeners, which hold the endpoints
            elif all(port.protocol in HTTP for port in service.ports):
                yield Key(DNS_NAME, key[1], key[0]), False
            else:
                yield Key(SERVICE, key[1], key[0]), True
        yield Key(SERVICE if whole else ENDPOINTS, key[1], key[0]), False
