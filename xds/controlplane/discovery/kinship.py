"""Which clients are told the same: everything of a client that resources are made of, as a key.

Pods of one Deployment are kin: they differ by name, address and machine, which tell them apart only where something in
the mesh asks. What it can ask is known: labels and metadata that objects name, services that prefer or want the
caller's own machine, headless services that a client itself is part of, a Sidecar's own ports, names of traces. What is
not listed here as personal is always part of the key, so what emitters come to read of a client later is, too.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import cache

from ..api.extension_providers import ExtensionProvider
from ..objects import Object
from ..registry import endpoints as eps
from ..registry.instances import NOWHERE
from ..registry.node import Node
from ..registry.proxy import Proxy
from ..registry.scope import Scope
from ..registry.world import World

PERSONAL = frozenset({"NAME", "INSTANCE_IPS", "NODE_NAME", "POD_NAME", "LABELS", "STATIC_LABELS", "POD_PORTS"})
"""Metadata that counts by what was made of it (labels, addresses, ports), and by itself where an object asks for it."""

LABELS = frozenset(
    {
        eps.HOSTNAME,
        "statefulset.kubernetes.io/pod-name",
        "apps.kubernetes.io/pod-index",
        "batch.kubernetes.io/job-completion-index",
        "batch.kubernetes.io/controller-uid",
        "batch.kubernetes.io/job-name",
        "controller-uid",
        "job-name",
    }
)
"""Labels of a single Pod or its machine; they count where an object asks for them."""

_PLAIN = frozenset({str, int, float, bool, type(None)})
_PLACES = ("topology.", "failure-domain.")
"""Labels by which endpoints are put in order without being named."""
_ASK_NOBODY = frozenset(
    {
        "Namespace",
        "Node",
        "Pod",
        "Service",
        "Endpoints",
        "EndpointSlice",
        "Deployment",
        "ServiceEntry",
        "WorkloadEntry",
        "WorkloadGroup",
    }
)
"""Kinds whose labels and selectors are no questions to a client, or count by the ports that it serves."""


@dataclass(frozen=True, slots=True)
class Traits:
    """What of a Node decides by itself, and what does only where it is asked for."""

    common: str
    personal: Mapping[str, str]


def traits(node: Node) -> Traits:
    common = {key: value for key, value in node.metadata.items() if key not in PERSONAL}
    personal = {key: repr(value) for key, value in node.metadata.items() if key in PERSONAL}
    said = [node.type, node.domain, node.cluster, node.agent, common]
    return Traits(json.dumps(said, sort_keys=True, default=repr), personal)


class Kinship:
    """What the objects of one world ask of its clients. Not for several threads."""

    def __init__(self) -> None:
        self._world: World | None = None
        self._of_object: dict[int, tuple[Object[object], frozenset[str]]] = {}
        self._of_mesh: frozenset[str] = frozenset()
        self._asked: frozenset[str] = frozenset()
        self._own_machine = self._by_name = False
        self._headless: frozenset[str] = frozenset()

    def enter(self, world: World) -> None:
        """From now on keys are those of that world."""
        if world is self._world:
            return
        before, self._world = self._world, world
        known, self._of_object = self._of_object, {}
        if before is None or before.mesh is not world.mesh:
            self._of_mesh = frozenset(_names(world.mesh))
            self._by_name = any(_traces_by_name(each) for each in world.mesh.extension_providers)
        asked = set(self._of_mesh)
        for kind, items in world.memory.lists.items():
            if kind not in _ASK_NOBODY:
                for item in items:
                    entry = known.get(id(item))
                    if entry is None:
                        entry = (item, frozenset(_names(item.spec)))
                    self._of_object[id(item)] = entry
                    asked |= entry[1]
        if before is None or before.services is not world.services:
            self._own_machine = any(
                each.node_local or each.traffic_distribution == "PreferSameNode" for each in world.services
            )
        if self._own_machine:
            asked.add(eps.HOSTNAME)
        self._asked = frozenset(asked)
        self._headless = frozenset(_headless(world))

    def as_caller(self, proxy: Proxy) -> Hashable:
        """What of a proxy decides how it sees others: labels count where an object names them, its machine where a
        service does.
        """
        labels = ((name, value) for name, value in proxy.labels.items() if self._counts(name))
        return (
            proxy.locality,
            tuple(sorted(labels)),
            proxy.node_name if self._own_machine else "",
            proxy.reach,
            proxy.standpoint,
        )

    def _counts(self, label: str) -> bool:
        return label in self._asked or label.startswith(_PLACES)

    def key(self, scope: Scope, proxy: Proxy, of: Traits) -> Hashable:
        """Equal for two clients of the scope that are told the same. Holds what it is made of."""
        node, asked = proxy.node, self._asked
        own = node.addresses[0]
        return (
            of.common,
            tuple((name, of.personal.get(name)) for name in sorted(asked & PERSONAL)),
            frozenset(item for item in proxy.labels.items() if item[0] in asked or item[0] not in LABELS),
            proxy.locality,
            tuple((target.service, target.port, target.target) for target in proxy.targets),
            tuple(":" in address for address in node.addresses),
            "" if proxy.config is scope.world.mesh.default_config else repr(proxy.config),
            proxy.reach,
            proxy.node_name if self._own_machine else "",
            node.addresses if scope.ingress else own if own in self._headless else "",
            node.name if self._by_name else "",
        )


def _names(value: object) -> set[str]:
    """Keys of maps, and what endpoints are put in order by: whatever could be the name of a label."""
    found: set[str] = set()
    _collect(value, found)
    return found


def _collect(value: object, found: set[str]) -> None:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            found.add(str(key))
            if type(inner) not in _PLAIN:
                _collect(inner, found)
    elif isinstance(value, tuple | list):
        for each in value:
            if type(each) not in _PLAIN:
                _collect(each, found)
    elif is_dataclass(value) and not isinstance(value, type):
        for name in _fields(type(value)):
            inner = getattr(value, name)
            if name == "failover_priority":
                found.update(str(each).partition("=")[0] for each in inner or ())
            elif inner is not None and inner != () and type(inner) not in _PLAIN:
                _collect(inner, found)


@cache
def _fields(of: type) -> tuple[str, ...]:
    return tuple(each.name for each in fields(of))


def _traces_by_name(provider: ExtensionProvider) -> bool:
    """Whether a provider of traces calls a workload by its Pod where nothing else names it."""
    traces = provider.opentelemetry
    return traces is not None and traces.service_attribute_enrichment == "OTEL_SEMANTIC_CONVENTIONS"


def _headless(world: World) -> Iterable[str]:
    """Addresses of endpoints that are called one by one: nobody calls itself."""
    for service in world.services:
        if service.resolution == "Passthrough":
            for endpoint in world.instances.get(service.key, NOWHERE).all:
                yield endpoint.address
