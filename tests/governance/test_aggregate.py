"""Aggregate clusters: whose turn it is, by whose policy, and whose limits count."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from proxyless.governance.actions import Failure, Send
from proxyless.governance.balancing.context import ANY
from proxyless.governance.explain import endpoints
from proxyless.governance.tcp import choose
from proxyless.xds.model.cluster import Cluster, LbConfig, OutlierDetection, Thresholds
from proxyless.xds.model.endpoint import LocalityLbEndpoints
from proxyless.xds.model.extension import Config, Extension
from proxyless.xds.model.resource import ResourceType
from proxyless.xds.model.route import HashPolicy, RetryPolicy
from tests.support.model import PREVIOUS_HOSTS, assignment, cluster, eds, host, resource, route, table
from tests.support.world import World

from .test_hedging import Hedged

A = ["10.0.1.1:80", "10.0.1.2:80"]
B = ["10.0.2.1:80", "10.0.2.2:80"]


def joined(*names: str, **fields: Any) -> Cluster:
    return Cluster("all", type="AGGREGATE", lb_policy="CLUSTER_PROVIDED", aggregate=names, **fields)


def world(*clusters: Cluster, names: tuple[str, ...] = ("a", "b"), own: Any = None, **action: Any) -> World:
    """Everything goes to an aggregate of `a` and `b`."""
    made = clusters or (cluster("a", *A), cluster("b", *B))
    return World(tables=[table(route("/", "all", **action))], clusters=[*made, joined(*names, **(own or {}))])


def went(world: World, count: int = 20) -> Counter[str]:
    return Counter(next(iter(world.call().hosts), "-") for _ in range(count))


def sick(*addresses: str) -> list[Any]:
    return [host(each, health="UNHEALTHY") for each in addresses]


def test_the_first_cluster_that_is_well_takes_all() -> None:
    assert went(world()) == {A[0]: 10, A[1]: 10}
    assert went(world(names=("b", "a"))) == {B[0]: 10, B[1]: 10}


def test_who_is_sick_leaves_its_share_to_the_next() -> None:
    found = went(world(cluster("a", A[0], *sick(A[1])), cluster("b", *B)), 400)
    # A half of its hosts times 1.4 is 70 percent.
    assert 230 < found[A[0]] < 330
    assert found[A[1]] == 0
    assert found[B[0]] + found[B[1]] == 400 - found[A[0]]


def test_priorities_stand_in_a_row_and_empty_ones_are_left_out() -> None:
    first = LocalityLbEndpoints(tuple(sick(A[0])), priority=0)
    third = LocalityLbEndpoints(tuple(sick(A[1])), priority=2)
    made = world(cluster("a", first, third), cluster("b", *B))
    assert went(made) == {B[0]: 10, B[1]: 10}
    aggregate = made.cluster("all").aggregate
    assert aggregate is not None
    inner = made.cluster("a")
    assert [aggregate.priority(each) for each in (*inner.hosts, *made.cluster("b").hosts)] == [0, 1, 2, 2]


def test_degraded_hosts_take_what_healthy_ones_do_not() -> None:
    weak = [host(each, health="DEGRADED") for each in A]
    assert went(world(cluster("a", *weak), cluster("b", *sick(*B)))) == {A[0]: 10, A[1]: 10}


def test_a_cluster_that_is_not_there_is_left_out_and_so_is_another_aggregate() -> None:
    made = world(names=("none", "all", "b"))
    assert went(made) == {B[0]: 10, B[1]: 10}


@pytest.mark.parametrize("names", [("none",), ("empty",)])
def test_without_any_host_there_is_nobody(names: tuple[str, ...]) -> None:
    made = world(cluster("empty"), names=names)
    run = made.call(answers=[])
    assert (run.status, run.flags) == (503, "UH")
    assert made.cluster("all").choose(ANY) is None


def test_health_is_looked_at_anew() -> None:
    made = world()
    assert went(made) == {A[0]: 10, A[1]: 10}
    inner = made.cluster("a")
    for each in inner.hosts:
        each.state.failing = True
    inner.state.health_changed()
    assert went(made) == {B[0]: 10, B[1]: 10}


def test_connections_and_requests_count_for_the_cluster() -> None:
    made = world(cluster("a", A[0], limits=Thresholds(10, 10, 1, 10)), cluster("b"))
    first = made.steps()
    first.until(Send)
    assert (made.counts("a")[2], made.counts("all")[2]) == (1, 0)
    second = made.call(answers=[])
    assert (second.status, second.flags) == (503, "UO")
    first.finish()


def test_retries_count_for_the_aggregate() -> None:
    own = {"default_thresholds": Thresholds(10, 10, 10, 0)}
    made = world(own=own, retry=RetryPolicy(("5xx",), 3))
    run = made.call(answers=[503])
    assert (run.status, run.flags) == (503, "UO")
    assert made.breaker("all").overflows["retries"] == 1


def test_retries_leave_the_priorities_of_all_clusters() -> None:
    policy = RetryPolicy(("5xx",), 3, priority_update_frequency=1)
    made = world(retry=policy)
    run = made.call(answers=[503, 503, 200])
    assert [each in A for each in run.hosts[:2]] == [True, False]


def test_retries_pass_over_hosts_in_the_cluster_of_their_priority() -> None:
    policy = RetryPolicy(("5xx",), 1, host_predicates=PREVIOUS_HOSTS, host_selection_attempts=20)
    for _ in range(5):
        run = world(retry=policy).call(answers=[503, 200])
        assert sorted(run.hosts) == A


def test_a_balancer_of_a_package_in_it_is_told_where_the_request_has_been() -> None:
    class Next:
        def choose_host_for(self, context: Any, hosts: Any, draw: Any) -> Any:
            return next(each for each in hosts if each.address not in context.attempted)

    own = LbConfig(extension=Extension(Config("n", "acme.Next"), "acme 1.0", Next()))
    next_ = cluster("a", *A, lb_policy="LOAD_BALANCING_POLICY_CONFIG", lb=own)
    run = world(next_, cluster("b"), retry=RetryPolicy(("5xx",), 1)).call(answers=[503, 200])
    assert run.hosts == A


def test_a_hash_is_made_for_the_cluster_that_goes_by_one() -> None:
    ring = cluster("a", *A, lb_policy="RING_HASH", lb=LbConfig(ring_min=64))
    by = (HashPolicy(kind="header", name="x-key"),)
    made = world(ring, cluster("b", *B), hash_policies=by)
    for key in "abcdef":
        found = {made.call(headers=[("x-key", key)]).hosts[0] for _ in range(5)}
        assert len(found) == 1
    asked = made.call(headers=[("x-key", "a")])
    assert asked.call.hash is not None


def test_an_endpoint_that_is_named_is_taken() -> None:
    named = cluster("a", *A, lb=LbConfig(override_headers=("x-to",)))
    made = world(named, cluster("b", *B))
    assert {made.call(headers=[("x-to", A[1])]).hosts[0] for _ in range(5)} == {A[1]}


def test_outliers_are_those_of_the_cluster() -> None:
    watched = cluster("a", *A, outlier_detection=OutlierDetection(consecutive_5xx=1, max_ejection_percent=100))
    made = world(watched, cluster("b", *B))
    while not all(each.state.ejected for each in made.cluster("a").hosts):
        made.call(answers=[503])
    assert went(made) == {B[0]: 10, B[1]: 10}
    assert choose(made.cluster("all")) in made.cluster("b").hosts


def test_tries_beside_each_other_are_those_of_their_clusters() -> None:
    watched = cluster("a", *A, outlier_detection=OutlierDetection(consecutive_5xx=1, max_ejection_percent=100))
    policy = RetryPolicy(("5xx",), 1, per_try_timeout_s=1.0)
    made = world(watched, cluster("b", *B), retry=policy, hedge_on_per_try_timeout=True, timeout_s=None)
    run = Hedged(made, [(5.0, 200), (0.1, 503)]).run()
    assert run.call.status == 200
    assert [each.host.address in A for each in run.sent] == [True, True]


def test_what_is_joined_is_followed_to_its_endpoints_and_used() -> None:
    made = world(cluster("a", *A), eds("b"))
    steps = made.steps()
    assert made.asked[-1] == (ResourceType.CLUSTER, ("all",))
    held = resource(ResourceType.ENDPOINT, "b", assignment("b", *B))
    made.update(assignments={"b": held})
    assert made.runtime.plan.cluster("all") is not None
    steps.close()
    assert went(made) == {A[0]: 10, A[1]: 10}
    assert made.runtime.states["b"].used_at == made.clock.now
    before = made.cluster("all")
    made.update(assignments={"b": resource(ResourceType.ENDPOINT, "b", assignment("b", B[0]))})
    assert made.cluster("all") is not before


def test_the_protocol_is_that_of_all() -> None:
    assert world(cluster("a", *A, http2=True), cluster("b", *B, http2=True)).cluster("all").http2
    assert not world(cluster("a", *A, http2=True), cluster("b", *B)).cluster("all").http2


def test_explain_lists_the_endpoints_of_all() -> None:
    found = endpoints(world().cluster("all"))
    assert [each["address"] for each in found] == [*A, *B]


def test_a_failed_connection_is_told() -> None:
    made = world()
    run = made.call(answers=[Failure("connect-failure", "refused")])
    assert run.status == 503
