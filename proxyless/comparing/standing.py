"""Which kinds of clients are told the same: what of a client decides what it is told, on each side.

A key holds everything that resources are made of, by identity where that can be, so two clients of one key are told the
same, and a client whose keys are equal on both sides sees no difference. What is selected by labels counts by what was
selected, not by the labels: a thousand workloads that no rule tells apart are one.

Outgoing and incoming are two questions: few things tell callers apart, and many tell apart who serves.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import cached_property

from ..errors import ConfigurationError
from ..xds.controlplane.api.destination_rule import DestinationRule
from ..xds.controlplane.api.virtual_service import VirtualService
from ..xds.controlplane.discovery.resources import Resources
from ..xds.controlplane.discovery.session import struct
from ..xds.controlplane.emit.view import View
from ..xds.controlplane.registry.authn import selects
from ..xds.controlplane.registry.instances import NOWHERE
from ..xds.controlplane.registry.node import NodeError, parse_node
from ..xds.controlplane.registry.proxy import place
from ..xds.controlplane.registry.world import World
from ..xds.identity.bootstrap import Node
from ..xds.wire import envelope


class Ground:
    """One side's world, and what in it asks who a caller is."""

    def __init__(self, world: World, resources: Resources) -> None:
        self.world = world
        self._resources = resources

    def view(self, node: Node) -> View:
        """What a client sees.

        Raises:
            ConfigurationError: it cannot be served.
        """
        message = envelope.node_message(node.message())
        at = message.locality
        try:
            parsed = parse_node(
                message.id,
                struct(message.metadata),
                message.cluster,
                (at.region, at.zone, at.sub_zone),
                message.user_agent_name,
            )
        except NodeError as error:
            raise ConfigurationError(str(error)) from error
        return self._resources.view(self.world, place(parsed, self.world))

    def outgoing(self, view: View) -> Outgoing:
        """What decides what a client is told of calls."""
        proxy, scope = view.proxy, view.scope
        mine = proxy.node.addresses[0]
        asked = (
            tuple(selects(each, proxy.labels) for each in self._selectors),
            tuple(proxy.labels.get(each) for each in self._failover),
            proxy.locality,
            proxy.node_name if self._tells_machines_apart else "",
            proxy.reach,
            proxy.standpoint,
        )
        tables = (
            proxy.namespace,
            _id(scope.sidecar),
            asked[0],
            self._settings(view),
            mine if mine in self._headless else "",
        )
        return Outgoing(tables, (tables, asked))

    def incoming(self, view: View) -> Hashable:
        """What decides what a client is told of its own ports."""
        proxy = view.proxy
        peers = view.peer_policy
        return (
            _id(self.world.mesh),
            _id(view.scope.sidecar),
            tuple((_id(each.service), each.port, each.target) for each in proxy.targets),
            tuple(map(_ids, (view.applied.custom, view.applied.audit, view.applied.deny, view.applied.allow))),
            _id(self.world.by_host) if view.applied.custom else 0,
            (peers.mode, tuple(sorted(peers.ports.items()))),
            _ids(self.world.policies.tokens_of_workload(proxy.namespace, proxy.labels)),
            self._settings(view),
            proxy.public_address if view.scope.ingress else "",
        )

    def _settings(self, view: View) -> Hashable:
        """What decides on both: patches, telemetry, extensions, and how the client runs."""
        proxy = view.proxy
        return (
            _patches(view),
            _ids(self.world.telemetries.of_workload(proxy.namespace, proxy.labels)),
            _ids(self.world.extensions.of_workload(proxy.namespace, proxy.labels)),
            repr(proxy.config),
            proxy.reach,
            proxy.interception,
        )

    @cached_property
    def _selectors(self) -> tuple[Mapping[str, str], ...]:
        """Labels of callers that rules and routes ask for."""
        rules = (each.spec.workload_selector for each in self.world.of_kind("DestinationRule", DestinationRule))
        found: list[Mapping[str, str]] = [each.match_labels for each in rules if each is not None]
        for routing in self.world.virtual_services.all:
            found += _sources(routing.spec)
        return tuple({tuple(sorted(each.items())): each for each in found}.values())

    @cached_property
    def _failover(self) -> tuple[str, ...]:
        """Labels of callers that order endpoints."""
        found = set(_names_in(self.world.mesh.locality_lb_setting))
        for rule in self.world.of_kind("DestinationRule", DestinationRule):
            found |= set(_names_in(rule.spec))
        return tuple(sorted(found))

    @cached_property
    def _tells_machines_apart(self) -> bool:
        """Whether a service is called on the caller's own machine alone, or there first."""
        return any(each.node_local or each.traffic_distribution != "Any" for each in self.world.services)

    @cached_property
    def _headless(self) -> frozenset[str]:
        """Addresses of endpoints that are called one by one: nobody calls itself."""
        return frozenset(
            endpoint.address
            for service in self.world.services
            if service.resolution == "Passthrough"
            for endpoint in self.world.instances.get(service.key, NOWHERE).all
        )


@dataclass(frozen=True, slots=True)
class Outgoing:
    """`tables`: what listeners, routes and names are made of; `whole`: endpoints, too."""

    tables: Hashable
    whole: Hashable


def _names_in(value: object) -> Iterator[str]:
    """Labels of `failoverPriority`, wherever it stands."""
    if is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            inner = getattr(value, field.name)
            if field.name == "failover_priority":
                yield from (str(each).partition("=")[0] for each in inner)
            else:
                yield from _names_in(inner)
    elif isinstance(value, tuple):
        for each in value:
            yield from _names_in(each)


def _sources(spec: VirtualService) -> Iterable[Mapping[str, str]]:
    for routes in (spec.http, spec.tls, spec.tcp):
        for route in routes:
            for match in route.match:
                if match.source_labels:
                    yield match.source_labels


def _patches(view: View) -> Hashable:
    return tuple((kind, _ids(patches)) for kind, patches in sorted(view.patches.items()))


def _ids(items: Iterable[object]) -> tuple[int, ...]:
    """By identity: what is compared lives as long as the worlds that it is of."""
    return tuple(map(id, items))


def _id(item: object) -> int:
    return 0 if item is None else id(item)
