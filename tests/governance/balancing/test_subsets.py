"""Which endpoints a request's metadata leaves, and what is done where it leaves none."""

from __future__ import annotations

from typing import Any

import pytest

from proxyless.governance.balancing.build import build_picker
from proxyless.governance.balancing.context import PickContext
from proxyless.governance.balancing.host import Host, HostState
from proxyless.governance.balancing.host_set import HostSet, host_sets
from proxyless.governance.balancing.setting import Memory, Setting
from proxyless.governance.balancing.subsets import Subsets, comparable
from proxyless.xds.model.cluster import Cluster, LbConfig
from proxyless.xds.model.endpoint import ClusterLoadAssignment, LocalityLbEndpoints
from proxyless.xds.model.subsets import SubsetConfig, SubsetSelector
from proxyless.xds.model.values import Locality
from tests.support.model import host

V1, V2, CANARY = {"version": "1"}, {"version": "2"}, {"version": "2", "stage": "canary"}
POOL: list[dict[str, Any] | None] = [V1, V1, V2, CANARY, {"stage": "canary"}, None]


def endpoints(*labels: dict[str, Any] | None, sick: str = "") -> list[Host]:
    """10.0.0.1 and so on; `sick`: the numbers of those that are not healthy."""
    return [
        Host(
            host(
                f"10.0.0.{number}:80",
                metadata={} if each is None else {"envoy.lb": each},
                health="UNHEALTHY" if str(number) in sick else "UNKNOWN",
            ),
            HostState(),
        )
        for number, each in enumerate(labels, 1)
    ]


def taken(config: SubsetConfig, criteria: Any, *labels: dict[str, Any] | None, sick: str = "", **lb: Any) -> str:
    """The last numbers of the endpoints that requests with these criteria get, `-` for none."""
    cluster = Cluster("a", lb_policy=lb.pop("policy", "ROUND_ROBIN"), lb=LbConfig(subset=config, **lb))
    setting = Setting(lambda n: 0)
    pick = build_picker(cluster, [HostSet(endpoints(*(labels or POOL), sick=sick))], setting, Memory(setting))
    seen = [pick(PickContext(metadata_match=criteria)) for _ in range(24)]
    return "".join(sorted({"-" if each is None else each.address.split(".")[3][0] for each in seen}))


def by(*keys: str, **fields: Any) -> SubsetSelector:
    return SubsetSelector(tuple(sorted(keys)), **fields)


BY_VERSION = SubsetConfig((by("version"),))
BY_BOTH = SubsetConfig((by("version", "stage"), by("stage")))


@pytest.mark.parametrize(
    ("config", "criteria", "hosts"),
    [
        (BY_VERSION, {"version": "1"}, "12"),
        (BY_VERSION, {"version": "2"}, "34"),
        (BY_VERSION, {"version": "3"}, "-"),
        (BY_VERSION, {"version": 1.0}, "-"),
        (BY_VERSION, {"stage": "canary"}, "-"),
        (BY_VERSION, {"version": "2", "stage": "canary"}, "-"),
        (BY_VERSION, None, "-"),
        (BY_VERSION, {}, "-"),
        (BY_BOTH, {"version": "2", "stage": "canary"}, "4"),
        (BY_BOTH, {"stage": "canary", "version": "2"}, "4"),
        (BY_BOTH, {"stage": "canary"}, "45"),
        (BY_BOTH, {"version": "2"}, "-"),
    ],
)
def test_a_request_gets_the_endpoints_with_exactly_its_labels(config: SubsetConfig, criteria: Any, hosts: str) -> None:
    assert taken(config, criteria) == hosts


@pytest.mark.parametrize(
    ("fallback", "default", "hosts"),
    [
        ("NO_FALLBACK", {}, "-"),
        ("ANY_ENDPOINT", {}, "123456"),
        ("DEFAULT_SUBSET", V2, "34"),
        ("DEFAULT_SUBSET", {}, "123456"),
    ],
)
@pytest.mark.parametrize("criteria", [None, {"version": "9"}, {"other": "1"}])
def test_the_fallback_of_the_whole(fallback: Any, default: Any, hosts: str, criteria: Any) -> None:
    config = SubsetConfig((by("version"),), fallback, default)
    assert taken(config, criteria) == hosts
    assert taken(config, {"version": "1"}) == "12"


@pytest.mark.parametrize(
    ("default", "list_as_any", "hosts"),
    [
        ({"zone": "a"}, False, "-"),
        ({"zone": "a"}, True, "1"),
        ({"zone": ("a", "b")}, False, "1"),
        ({"zone": "b", "x": 1.0}, True, "1"),
        ({"zone": "b", "y": 1.0}, True, "-"),
        ({"zone": "d"}, True, "-"),
        ({"zone": "a", "x": 2.0}, True, "-"),
    ],
)
def test_the_default_subset_needs_all_of_its_labels(default: Any, list_as_any: bool, hosts: str) -> None:
    config = SubsetConfig((by("a"),), "DEFAULT_SUBSET", default, list_as_any=list_as_any)
    assert taken(config, None, {"zone": ("a", "b"), "x": 1.0}, {"zone": "c"}, None) == hosts


@pytest.mark.parametrize(
    ("fields", "hosts"),
    [
        ({}, "123456"),
        ({"fallback": "NO_FALLBACK"}, "-"),
        ({"fallback": "ANY_ENDPOINT"}, "123456"),
        ({"fallback": "DEFAULT_SUBSET"}, "12"),
        ({"fallback": "KEYS_SUBSET", "fallback_keys": frozenset({"version"})}, "34"),
    ],
)
def test_a_selectors_own_fallback_comes_first(fields: Any, hosts: str) -> None:
    config = SubsetConfig((by("version", "stage", **fields), by("version")), "ANY_ENDPOINT", V1)
    assert taken(config, {"version": "2", "stage": "none"}) == hosts


def test_keys_that_lead_nowhere_go_on_to_the_fallback_of_what_is_left() -> None:
    selector = by("version", "stage", fallback="KEYS_SUBSET", fallback_keys=frozenset({"stage"}))
    config = SubsetConfig((selector,), "DEFAULT_SUBSET", V1)
    assert taken(config, {"version": "2", "stage": "none"}) == "12"


def test_a_fallback_counts_only_where_its_selector_is_the_first_to_end_there() -> None:
    first, second = by("a", "b"), by("a", fallback="NO_FALLBACK")
    labels = {"a": "1", "b": "1"}
    assert taken(SubsetConfig((second, first), "ANY_ENDPOINT"), {"a": "2"}, labels) == "-"
    assert taken(SubsetConfig((first, second), "ANY_ENDPOINT"), {"a": "2"}, labels) == "1"
    twice = (by("a"), by("a", fallback="NO_FALLBACK"), by())
    assert taken(SubsetConfig(twice, "ANY_ENDPOINT"), {"a": "2"}, labels) == "1"


def test_a_subset_without_a_healthy_endpoint_is_still_the_one() -> None:
    config = SubsetConfig((by("version"),), "ANY_ENDPOINT")
    assert taken(config, {"version": "1"}, sick="12", panic_threshold=0.0) == "-"
    assert taken(config, {"version": "1"}, sick="1", panic_threshold=0.0) == "2"
    assert taken(config, {"version": "1"}, sick="12") == "12"


def test_in_a_panic_of_the_fallback_any_endpoint_may_do() -> None:
    config = SubsetConfig((by("x"),), "DEFAULT_SUBSET", V1, panic_mode_any=True)
    assert taken(config, None, sick="12", panic_threshold=0.0) == "3456"
    calm = SubsetConfig((by("x"),), "DEFAULT_SUBSET", V1)
    assert taken(calm, None, sick="12", panic_threshold=0.0) == "-"


def test_one_endpoint_for_each_subset_whatever_its_health() -> None:
    config = SubsetConfig((by("id", single_host=True),))
    labels = [{"id": "a"}, {"id": "a"}, {"id": "b"}]
    assert taken(config, {"id": "a"}, *labels, sick="1", panic_threshold=0.0) == "1"
    assert taken(config, {"id": "b"}, *labels) == "3"
    assert taken(config, {"id": "c"}, *labels) == "-"


def test_lists_are_values_or_alternatives() -> None:
    labels: list[dict[str, Any]] = [{"v": ("1", "2")}, {"v": "2"}, {"v": ()}, {"v": ("1", "2"), "w": ("x", "y")}]
    selectors = (by("v"), by("v", "w"))
    assert taken(SubsetConfig(selectors), {"v": ("1", "2")}, *labels) == "14"
    assert taken(SubsetConfig(selectors), {"v": "2"}, *labels) == "2"
    any_of = SubsetConfig(selectors, list_as_any=True)
    assert taken(any_of, {"v": "1"}, *labels) == "14"
    assert taken(any_of, {"v": "2"}, *labels) == "124"
    assert taken(any_of, {"v": "2", "w": "y"}, *labels) == "4"
    assert taken(any_of, {"v": ("1", "2")}, *labels) == "-"


def test_redundant_keys_are_left_out_where_that_is_allowed() -> None:
    criteria = {"version": "2", "stage": "canary", "other": "1"}
    strict = SubsetConfig((by("version"), by("stage")))
    assert taken(strict, criteria) == "-"
    loose = SubsetConfig((by(), by("version"), by("stage")), allow_redundant_keys=True)
    assert taken(loose, criteria) == "34"
    assert taken(loose, {"stage": "canary", "other": "1"}) == "45"
    assert taken(loose, {"other": "1"}) == "-"
    longest = SubsetConfig((by("version"), by("version", "stage")), allow_redundant_keys=True)
    assert taken(longest, criteria) == "4"


def test_a_list_of_fallbacks_is_tried_in_turn() -> None:
    config = SubsetConfig((by("version"), by("stage")), fallback_list=True)
    alternatives = ({"version": "9"}, "no struct", {"version": "2"})
    assert taken(config, {"fallback_list": alternatives}) == "34"
    assert taken(config, {"stage": "x", "fallback_list": alternatives}) == "-"
    assert taken(config, {"version": "1", "fallback_list": ()}) == "12"
    assert taken(config, {"version": "1", "fallback_list": "text"}) == "12"
    assert taken(config, {"version": "1"}) == "12"
    deaf = SubsetConfig((by("version"),))
    assert taken(deaf, {"version": "1", "fallback_list": alternatives}) == "-"


def test_values_are_equal_where_protobuf_calls_them_equal() -> None:
    for value in ("1", 1.0, True, None, ("1", 1.0), {"a": ("b",), "c": None}):
        assert comparable(value) == comparable(value)
    different = [comparable(each) for each in ("1", 1.0, True, None, (), {}, ("1",), {"a": "1"})]
    assert len(set(different)) == len(different)


@pytest.mark.parametrize("policy", ["RANDOM", "LEAST_REQUEST", "RING_HASH", "MAGLEV"])
def test_within_a_subset_the_policy_goes_on(policy: str) -> None:
    assert taken(BY_VERSION, {"version": "1"}, policy=policy) in ("1", "2", "12")


# -- localities ----------------------------------------------------------------------------------------------------

NEAR, FAR = Locality("a"), Locality("b")


def shares(config: SubsetConfig, criteria: Any, *, weighted: bool = True) -> dict[str, int]:
    """How 120 requests are spread over localities of weight 30 and 10."""
    localities = (
        LocalityLbEndpoints(tuple(each.endpoint for each in endpoints(V1, V1, V2)), NEAR, weight=30),
        LocalityLbEndpoints(tuple(each.endpoint for each in endpoints(None, None, None, V1)[3:]), FAR, weight=10),
    )
    hosts = [Host(each, HostState(), group.locality) for group in localities for each in group.endpoints]
    cluster = Cluster("a", lb=LbConfig(subset=config, locality_weighted=weighted))
    setting = Setting(lambda n: 0)
    sets = host_sets(hosts, ClusterLoadAssignment("a", localities))
    pick = build_picker(cluster, sets, setting, Memory(setting))
    seen = [pick(PickContext(metadata_match=criteria)) for _ in range(120)]
    near = sum(each is not None and each.locality == NEAR for each in seen)
    return {"near": near, "far": 120 - near}


@pytest.mark.parametrize(
    ("fields", "near"),
    [
        ({}, 80),  # three endpoints that count alike
        ({"locality_weight_aware": True}, 90),
        ({"locality_weight_aware": True, "scale_locality_weight": True}, 80),  # two of three: 20 to 10
    ],
)
def test_locality_weights_count_in_a_subset_if_asked_for_and_as_far_as_its_endpoints_go(fields: Any, near: int) -> None:
    config = SubsetConfig((by("version"),), "ANY_ENDPOINT", **fields)
    assert shares(config, {"version": "1"})["near"] == pytest.approx(near, abs=1)
    assert shares(config, {"version": "2"}) == {"near": 120, "far": 0}


def test_a_subset_knows_the_localities_that_it_has_nothing_of() -> None:
    hosts = [Host(host(f"10.0.0.{number}:80"), HostState(), each) for number, each in enumerate((NEAR, FAR, FAR), 1)]
    whole = HostSet(hosts, weights={NEAR: 3, FAR: 1})
    part = whole.of(hosts[1:], whole.weights)
    assert [(each.locality, len(each.hosts), each.weight) for each in part.localities] == [(NEAR, 0, 3), (FAR, 2, 1)]


def test_every_subset_is_built_once() -> None:
    built: list[object] = []

    def build(sets: Any, name: object) -> Any:
        built.append(name)
        return lambda context: sets[0].hosts[0]

    subsets = Subsets([HostSet(endpoints(*POOL))], SubsetConfig((by("version"),), "ANY_ENDPOINT"), build)
    for _ in range(3):
        subsets.pick(PickContext(metadata_match={"version": "1"}))
        subsets.pick(PickContext())
    assert built == [(("version", (str, "1")),), "ANY_ENDPOINT"]


def test_the_turns_of_a_subset_go_on_when_hosts_change_their_health() -> None:
    cluster = Cluster("a", lb=LbConfig(subset=BY_VERSION))
    setting = Setting(lambda n: 0)
    memory = Memory(setting)
    hosts = endpoints(V1, V1, V1, V2)
    seen = []
    for _ in range(3):
        pick = build_picker(cluster, [HostSet(hosts)], setting, memory)
        picked = pick(PickContext(metadata_match={"version": "1"}))
        seen.append(picked.address if picked is not None else "")
    assert seen == ["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"]
