"""Subsets: a request's metadata says which endpoints may have it (envoy source: SubsetLoadBalancer).

Every selector divides the endpoints that have all of its keys by their values; a request goes to the part whose keys
and values are exactly those of its `metadata_match`, and within it by the cluster's policy, with priorities, panic and
all. A part that has an endpoint is what the request gets, even if none of it is healthy; where there is no such part
the selector's own fallback counts, else that of the whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import final

from ...xds.model.subsets import SubsetConfig, SubsetSelector
from ...xds.model.values import Locality, MetadataValue
from .context import Pick, PickContext
from .host import Host
from .host_set import HostSet

Criteria = Mapping[str, MetadataValue]
Label = tuple[str, object]
"""A key and a value in a form that compares as protobuf compares values: true is not 1."""

Part = tuple[Label, ...] | str
"""A subset: its labels, or the name of the fallback that it is."""

Members = list[list[Host]]
"""The endpoints of a subset in each priority."""

Build = Callable[[Sequence[HostSet], Part], Pick]
"""The cluster's policy over the hosts of one subset, whose name is given too."""

NAMESPACE = "envoy.lb"
FALLBACK_LIST = "fallback_list"


@final
class Subsets:
    """The subsets of one moment. What is picked in a subset is built when somebody first asks for it."""

    __slots__ = ("_build", "_config", "_fallbacks", "_members", "_picks", "_selectors", "_sets", "_single")

    def __init__(self, sets: Sequence[HostSet], config: SubsetConfig, build: Build) -> None:
        self._sets = sets
        self._config = config
        self._build = build
        self._members: dict[tuple[Label, ...], Members] = {}
        self._single: set[tuple[Label, ...]] = set()
        self._picks: dict[Part, Pick] = {}
        self._selectors = sorted((frozenset(each.keys) for each in config.selectors), key=len, reverse=True)
        self._fallbacks = _fallbacks(config.selectors)
        for priority, each in enumerate(sets):
            self._divide(priority, each.hosts)

    def _divide(self, priority: int, hosts: Sequence[Host]) -> None:
        count = len(self._sets)
        for host in hosts:
            labels = host.endpoint.metadata.get(NAMESPACE)
            if labels is None:
                continue
            for selector in self._config.selectors:
                for key in _combinations(selector.keys, labels, self._config.list_as_any):
                    members = self._members.get(key)
                    if members is None:
                        members = self._members[key] = [[] for _ in range(count)]
                        if selector.single_host:
                            self._single.add(key)
                    own = members[priority]
                    if not own or (key not in self._single and own[-1] is not host):
                        own.append(host)

    # -- picking -------------------------------------------------------------------------------------------------

    def pick(self, context: PickContext) -> Host | None:
        """An endpoint of the subset that the request wants; with FALLBACK_LIST of the first of several that has one."""
        criteria = context.metadata_match
        if criteria is None or not self._config.fallback_list or FALLBACK_LIST not in criteria:
            return self._choose(context, criteria)
        alternatives = criteria[FALLBACK_LIST]
        rest = {key: value for key, value in criteria.items() if key != FALLBACK_LIST}
        if not isinstance(alternatives, tuple) or not alternatives:
            return self._choose(context, rest)
        for each in alternatives:
            host = self._choose(context, {**rest, **each} if isinstance(each, Mapping) else rest)
            if host is not None:
                return host
        return None

    def _choose(self, context: PickContext, criteria: Criteria | None) -> Host | None:
        if criteria:
            if self._config.allow_redundant_keys:
                criteria = self._relevant(criteria)
            names = sorted(criteria)
            key = tuple([(name, comparable(criteria[name])) for name in names])
            if key in self._members:
                return self._pick_of(key)(context)
            selector = self._fallbacks.get(tuple(names))
            if selector is not None and selector.fallback != "NOT_DEFINED":
                return self._fall_back(context, criteria, selector)
        config = self._config
        if config.fallback == "NO_FALLBACK":
            return None
        host = self._pick_of(config.fallback)(context)
        if host is None and config.panic_mode_any:
            host = self._pick_of("ANY_ENDPOINT")(context)
        return host

    def _relevant(self, criteria: Criteria) -> Criteria:
        """Those of the selector with the most keys that finds all of its keys, the first of several."""
        for keys in self._selectors:
            if keys and keys <= criteria.keys():
                return {key: value for key, value in criteria.items() if key in keys}
        return criteria

    def _fall_back(self, context: PickContext, criteria: Criteria, selector: SubsetSelector) -> Host | None:
        match selector.fallback:
            case "KEYS_SUBSET":
                kept = {key: value for key, value in criteria.items() if key in selector.fallback_keys}
                return self._choose(context, kept)
            case "NO_FALLBACK":
                return None
            case named:
                return self._pick_of(named)(context)

    # -- the parts -----------------------------------------------------------------------------------------------

    def _pick_of(self, part: Part) -> Pick:
        """How to pick in a subset."""
        pick = self._picks.get(part)
        if pick is None:
            pick = self._picks[part] = self._made(part)
        return pick

    def _made(self, part: Part) -> Pick:
        if isinstance(part, tuple) and part in self._single:
            # One endpoint, whatever its health: there is nothing to balance.
            only = next(hosts[0] for hosts in self._members[part] if hosts)
            return lambda context: only
        return self._build([self._subset(each, hosts) for each, hosts in self._hosts_of(part)], part)

    def _hosts_of(self, part: Part) -> list[tuple[HostSet, Sequence[Host]]]:
        if isinstance(part, tuple):
            return list(zip(self._sets, self._members[part], strict=True))
        if part == "ANY_ENDPOINT":
            return [(each, each.hosts) for each in self._sets]
        wanted, any_of = self._config.default_subset, self._config.list_as_any
        return [(each, [host for host in each.hosts if _has(host, wanted, any_of)]) for each in self._sets]

    def _subset(self, whole: HostSet, hosts: Sequence[Host]) -> HostSet:
        config = self._config
        if not config.locality_weight_aware:
            return whole.of(hosts, {})
        return whole.of(hosts, _scaled(whole, hosts) if config.scale_locality_weight else whole.weights)


def _fallbacks(selectors: Sequence[SubsetSelector]) -> dict[tuple[str, ...], SubsetSelector]:
    """The selector whose fallback counts, by keys.

    Envoy keeps selectors as a tree of keys and looks at a fallback only where a selector adds the node that it ends
    at: of two with the same keys the first counts, and one whose keys begin an earlier one's has none.
    """
    nodes: set[tuple[str, ...]] = set()
    found: dict[tuple[str, ...], SubsetSelector] = {}
    for selector in selectors:
        keys = selector.keys
        if keys and keys not in nodes:
            found[keys] = selector
        nodes.update(keys[:length] for length in range(1, len(keys) + 1))
    return found


def _combinations(
    keys: Sequence[str], labels: Mapping[str, MetadataValue], list_as_any: bool
) -> list[tuple[Label, ...]]:
    """The labels of an endpoint for a selector's keys; none where it lacks a key, several where lists mean any."""
    found: list[tuple[Label, ...]] = []
    for key in keys:
        if key not in labels:
            return []
        value = labels[key]
        values = value if list_as_any and isinstance(value, tuple) else (value,)
        # As in Envoy: an empty list that means any leaves its key out where it is the first.
        found = [(*each, (key, comparable(one))) for each in found or [()] for one in values]
    return found


def comparable(value: MetadataValue) -> object:
    """A value that is equal where protobuf calls values equal, and can be a key."""
    if isinstance(value, Mapping):
        return "struct", frozenset((key, comparable(each)) for key, each in value.items())
    if isinstance(value, tuple):
        return "list", tuple(comparable(each) for each in value)
    return type(value), value


def _has(host: Host, wanted: Criteria, list_as_any: bool) -> bool:
    """Whether an endpoint has all of these labels (envoy source: Metadata::metadataLabelMatch)."""
    labels = host.endpoint.metadata.get(NAMESPACE)
    if labels is None:
        return not wanted
    for key, value in wanted.items():
        if key not in labels:
            return False
        own = labels[key]
        if list_as_any and isinstance(own, tuple):
            if comparable(value) not in [comparable(each) for each in own]:
                return False
        elif comparable(own) != comparable(value):
            return False
    return True


def _scaled(whole: HostSet, hosts: Sequence[Host]) -> dict[Locality, int]:
    """Locality weights in proportion to how many of a locality's endpoints are in the subset, rounded."""
    of_all = Counter(host.locality for host in whole.hosts)
    here = Counter(host.locality for host in hosts)
    return {
        each: (2 * weight * here[each] + of_all[each]) // (2 * of_all[each])
        for each, weight in whole.weights.items()
        if of_all[each]
    }
