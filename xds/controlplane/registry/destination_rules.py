"""DestinationRules: merged per host, found for a service as seen from a namespace."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from ..api.destination_rule import DestinationRule, PortTrafficPolicy, TrafficPolicy
from ..hosts import fully_qualified, is_wildcard, most_specific
from ..mesh import MeshConfig
from ..objects import Object
from .backend_policies import of_policy

RuleObject = Object[DestinationRule]


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """One rule in force for a host: of the first object, with the subsets of later objects for the same host."""

    source: RuleObject
    spec: DestinationRule
    sources: tuple[RuleObject, ...]
    export_to: frozenset[str]

    @property
    def selector(self) -> dict[str, str] | None:
        selector = self.spec.workload_selector
        return None if selector is None else selector.match_labels


Rules = dict[str, list[Rule]]


@dataclass(slots=True)
class _Hosts:
    exact: Rules = field(default_factory=dict)
    wildcard: Rules = field(default_factory=dict)

    def find(self, host: str) -> list[Rule] | None:
        return most_specific(host, self.exact, self.wildcard)


def selector_of(spec: DestinationRule) -> dict[str, str] | None:
    return None if spec.workload_selector is None else spec.workload_selector.match_labels


class DestinationRules:
    """All rules of a mesh. Rules with a selector come first, then what policies stand for, then the oldest.

    `kept` are the merged rules of the world before, by their sources: the same sources give the same `Rule`.
    """

    def __init__(
        self, objects: Iterable[RuleObject], mesh: MeshConfig, kept: dict[tuple[object, ...], Rule] | None = None
    ) -> None:
        self._mesh = mesh
        self._kept = kept or {}
        self.made: dict[tuple[object, ...], Rule] = {}
        self._local: dict[str, _Hosts] = {}
        self._exported: dict[str, _Hosts] = {}
        self._root_private = _Hosts()
        for source in sorted(objects, key=_rank):
            self._add(source)

    def _add(self, source: RuleObject) -> None:
        namespace = source.meta.namespace
        selected = source.spec.workload_selector is not None
        export_to = frozenset({"."}) if selected else frozenset(source.spec.export_to)
        if not export_to or export_to & {"*", ".", namespace}:
            self._merge(self._local.setdefault(namespace, _Hosts()), source, export_to)
        if export_to:
            private = len(export_to) == 1 and bool(export_to & {".", namespace})
        else:
            private = "." in self._mesh.default_destination_rule_export_to
        if not private:
            self._merge(self._exported.setdefault(namespace, _Hosts()), source, export_to)
        elif namespace == self._mesh.root_namespace:
            self._merge(self._root_private, source, export_to)

    def _merge(self, hosts: _Hosts, source: RuleObject, export_to: frozenset[str]) -> None:
        host = fully_qualified(source.spec.host, source.meta.namespace, self._mesh.domain_suffix)
        rules = (hosts.wildcard if is_wildcard(host) else hosts.exact).setdefault(host, [])
        separate = True
        for index, rule in enumerate(rules):
            if export_to == rule.export_to:
                separate = False
            elif rule.export_to and export_to >= rule.export_to:
                separate = True
            else:
                separate = True
                continue
            mine, theirs = selector_of(source.spec), selector_of(rule.spec)
            if mine is not None and theirs is not None and mine != theirs:
                separate = True
                continue
            if (mine is None) == (theirs is None):
                separate = False
            rules[index] = self._rule((*rule.sources, source), rule.export_to)
        if separate:
            rules.append(self._rule((source,), export_to))

    def _rule(self, sources: tuple[RuleObject, ...], export_to: frozenset[str]) -> Rule:
        key = (export_to, *sources)
        made = self.made.get(key) or self._kept.get(key) or _joined(sources, export_to)
        self.made[key] = made
        return made

    def find(self, proxy_namespace: str, host: str, service_namespace: str) -> list[Rule]:
        """The rules for a service: of the caller's namespace, else of the service's, else of the root namespace."""
        if proxy_namespace != self._mesh.root_namespace:
            own = self._local.get(proxy_namespace)
            found = own.find(host) if own else None
        else:
            found = self._root_private.find(host)
        if found:
            return found
        for namespace in (service_namespace, self._mesh.root_namespace):
            exported = self._exported.get(namespace)
            rules = exported.find(host) if exported else None
            visible = [rule for rule in rules or () if not rule.export_to or rule.export_to & {"*", proxy_namespace}]
            if visible:
                return visible
        return []


def _rank(source: RuleObject) -> tuple[bool, tuple[str, str, str]]:
    return source.spec.workload_selector is None, source.age


def _joined(sources: tuple[RuleObject, ...], export_to: frozenset[str]) -> Rule:
    """The first rule counts; later ones add the subsets it lacks, and their policy if it has none.

    Where one of the two is a policy of the Gateway API, the other's settings go before.
    """
    spec, policy = sources[0].spec, of_policy(sources[0])
    for source in sources[1:]:
        names = {subset.name for subset in spec.subsets}
        added = tuple(subset for subset in source.spec.subsets if subset.name not in names)
        if policy == of_policy(source):
            made = spec.traffic_policy or source.spec.traffic_policy
        elif policy:
            made = _filled(source.spec.traffic_policy, spec.traffic_policy)
        else:
            made = _filled(spec.traffic_policy, source.spec.traffic_policy)
        spec = replace(spec, subsets=spec.subsets + added, traffic_policy=made)
    return Rule(sources[0], spec, sources, export_to)


def _filled(said: TrafficPolicy | None, policy: TrafficPolicy | None) -> TrafficPolicy | None:
    """What somebody wrote, with a policy's settings where that says nothing."""
    if said is None or policy is None:
        return said or policy
    ports = list(said.port_level_settings)
    for other in policy.port_level_settings:
        at = next((index for index, own in enumerate(ports) if _number(own) == _number(other)), None)
        if at is None:
            ports.append(other)
        else:
            ports[at] = replace(ports[at], tls=ports[at].tls or other.tls)
    return replace(said, tls=said.tls or policy.tls, port_level_settings=tuple(ports))


def _number(settings: PortTrafficPolicy) -> int:
    return settings.port.number if settings.port is not None else 0
