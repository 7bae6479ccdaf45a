"""What a call tells the balancer, and the cookies that come of it."""

from __future__ import annotations

from typing import Any

import pytest
from xxhash import xxh64_hexdigest, xxh64_intdigest

from proxyless.governance.balancing.extension import LoadBalancerContext
from proxyless.governance.explain import document
from proxyless.governance.forwarding import Workload
from proxyless.governance.runtime import Options
from proxyless.xds.model.cluster import HttpProtocol, LbConfig
from proxyless.xds.model.extension import Config, Extension
from proxyless.xds.model.route import HashPolicy, RetryPolicy, RouteAction, WeightedCluster
from proxyless.xds.model.subsets import SubsetConfig, SubsetSelector
from proxyless.xds.model.values import HeaderMutation, HeaderMutations
from tests.support.model import PREVIOUS_HOSTS, cluster, host, route, table
from tests.support.world import World

KEY = HashPolicy("header", "x-key")
COOKIE = HashPolicy("cookie", "c", ttl_s=0.0)
ENDPOINTS = [host(f"10.0.0.{number}:80") for number in range(1, 10)]
MINE = HeaderMutations(response_add=(HeaderMutation("x-mine", "1"),))


def world(*policies: HashPolicy, options: Options = Options(), policy: Any = "RING_HASH", **fields: Any) -> World:
    action = {name: fields.pop(name) for name in ("retry", "prefix_rewrite", "headers") if name in fields}
    return World(
        tables=[table(route("/", "a", hash_policies=policies, **action))],
        clusters=[cluster("a", *fields.pop("endpoints", ENDPOINTS), lb_policy=policy, **fields)],
        options=options,
    )


def xx(text: str) -> int:
    return xxh64_intdigest(text.encode())


def test_the_same_key_goes_to_the_same_endpoint_and_explain_says_by_what() -> None:
    fixture = world(KEY)
    calls = [fixture.call(headers=[("x-key", str(number))]) for number in range(60)]
    assert len({each.hosts[0] for each in calls}) > 6
    assert [each.hosts for each in calls] == [
        fixture.call(headers=[("x-key", str(number))]).hosts for number in range(60)
    ]
    said = document(calls[7].call, {"method": "GET", "url": "http://shop/", "headers": []})
    assert said["hash"] == str(xx("7"))
    assert f"the request hashes to {xx('7')}" in said["why"]


def test_without_the_header_there_is_no_hash_and_the_endpoint_is_drawn() -> None:
    fixture = world(KEY)
    calls = [fixture.call() for _ in range(60)]
    assert {each.call.hash for each in calls} == {None}
    assert len({each.hosts[0] for each in calls}) > 5


def test_without_any_policy_there_is_no_hash_either() -> None:
    assert world().call(headers=[("x-key", "1")]).call.hash is None


def test_a_balancer_that_does_not_go_by_a_hash_asks_for_none() -> None:
    run = world(COOKIE, policy="ROUND_ROBIN").call(headers=[("x-key", "1")])
    assert run.call.hash is None
    assert run.head is not None
    assert run.head.headers == []


def test_the_policies_of_the_balancer_come_before_those_of_the_cluster_and_these_before_the_routes() -> None:
    sent = [("x-key", "1"), ("x-a", "a"), ("x-b", "b")]
    http = HttpProtocol(hash_policies=(HashPolicy("header", "x-a"),))
    own = LbConfig(hash_policies=(HashPolicy("header", "x-b"),))
    assert world(KEY).call(headers=sent).call.hash == xx("1")
    assert world(KEY, http=http).call(headers=sent).call.hash == xx("a")
    assert world(KEY, http=http, lb=own).call(headers=sent).call.hash == xx("b")


def test_a_request_is_hashed_as_it_goes_out() -> None:
    added = HeaderMutations(request_add=(HeaderMutation("x-key", "added"),))
    assert world(KEY, headers=added).call().call.hash == xx("added")
    fixture = world(HashPolicy("header", ":path"), prefix_rewrite="/new/")
    assert fixture.call("http://shop/a").call.hash == xx("/new/a")


def test_the_source_address_is_this_workloads_own() -> None:
    policy = HashPolicy("source_ip")
    assert world(policy).call().call.hash == xx("127.0.0.1")
    assert world(policy, options=Options(workload=Workload("10.1.2.3"))).call().call.hash == xx("10.1.2.3")


def test_a_cookie_is_made_of_where_the_call_comes_from_and_where_it_goes() -> None:
    fixture = world(COOKIE, headers=MINE, options=Options(workload=Workload("10.1.2.3")))
    fixture.draws.give(0.5)
    run = fixture.call("http://10.96.0.1/")
    value = xxh64_hexdigest(f"10.1.2.3:{32768 + 28232 // 2}10.96.0.1:80".encode())
    assert run.call.hash == xx(value)
    assert run.head is not None
    assert run.head.headers == [(b"set-cookie", f'c="{value}"; HttpOnly'.encode()), (b"x-mine", b"1")]
    again = fixture.call("http://10.96.0.1/", headers=[("cookie", f'c="{value}"')])
    assert again.hosts == run.hosts
    assert again.head is not None
    assert again.head.headers == [(b"x-mine", b"1")]


def test_an_address_of_ipv6_is_dialled_in_brackets() -> None:
    call = world(COOKIE).start("http://shop/")
    call.url_host = b"[fd00::1]"
    assert call.dialled() == "[fd00::1]:80"


def test_a_cookie_comes_once_for_every_try_and_not_on_an_answer_of_the_meshs_own() -> None:
    retry = RetryPolicy(("5xx",), num_retries=2)
    run = world(COOKIE, retry=retry).call(answers=[503, 503, 200])
    assert run.head is not None
    assert [name for name, _ in run.head.headers] == [b"set-cookie"] * 3
    assert len({value for _, value in run.head.headers}) == 1
    assert len(set(run.hosts)) == 1
    failed = world(COOKIE).call(answers=["reset"])
    assert failed.reply is not None
    assert failed.reply.headers == ()


def test_a_cookie_of_the_balancers_own_policy_comes_once_behind_the_mutations_and_on_every_answer() -> None:
    retry = RetryPolicy(("5xx",), num_retries=1)
    fixture = world(retry=retry, headers=MINE, lb=LbConfig(hash_policies=(COOKIE,)))
    run = fixture.call(answers=[503, 200])
    assert run.head is not None
    assert [name for name, _ in run.head.headers] == [b"x-mine", b"set-cookie"]
    failed = fixture.call(answers=["reset", "reset"])
    assert failed.reply is not None
    assert [name for name, _ in failed.reply.headers] == [b"x-mine", b"set-cookie"]


def test_a_retry_that_avoids_hosts_looks_for_the_next_of_the_same_hash() -> None:
    retry = RetryPolicy(("5xx",), num_retries=3, host_predicates=PREVIOUS_HOSTS, host_selection_attempts=20)
    fixture = world(KEY, retry=retry)
    runs = [fixture.call(answers=[503, 503, 503, 200], headers=[("x-key", "1")]).hosts for _ in range(3)]
    assert len(set(runs[0])) == 4
    assert runs[0] == runs[1] == runs[2]


# -- subsets, and endpoints that a request names -------------------------------------------------------------------


def test_the_labels_of_the_chosen_cluster_come_before_the_routes() -> None:
    labels = [{"v": "1", "s": "x"}, {"v": "2", "s": "x"}, {"v": "2", "s": "y"}]
    pool = [host(f"10.0.0.{number}:80", metadata={"envoy.lb": each}) for number, each in enumerate(labels, 1)]
    subset = SubsetConfig((SubsetSelector(("s", "v")),))
    entry = WeightedCluster("a", 1, metadata_match={"envoy.lb": {"v": "2"}, "other": {"v": "9"}})
    action = RouteAction(weighted_clusters=(entry,), metadata_match={"envoy.lb": {"v": "1", "s": "x"}})
    fixture = World(tables=[table(route("/", action))], clusters=[cluster("a", *pool, lb=LbConfig(subset=subset))])
    assert [fixture.call().hosts for _ in range(3)] == [["10.0.0.2:80"]] * 3


def test_a_route_without_labels_wants_none() -> None:
    fixture = World(
        tables=[table(route("/", "a"))],
        clusters=[cluster("a", *ENDPOINTS, lb=LbConfig(subset=SubsetConfig((SubsetSelector(("v",)),))))],
    )
    assert fixture.call(answers=()).flags == "UH"


def naming(*headers: str, **fields: Any) -> World:
    return world(policy="ROUND_ROBIN", lb=LbConfig(override_headers=headers), **fields)


def test_a_request_names_its_endpoints_and_each_try_takes_the_next() -> None:
    retry = RetryPolicy(("5xx",), num_retries=3)
    fixture = naming("x-to", "x-or", "x-none", retry=retry)
    sent = [("x-to", "10.0.0.7:80"), ("x-or", "10.0.0.3:80")]
    run = fixture.call(answers=[503, 503, 200], headers=sent)
    assert run.hosts[:2] == ["10.0.0.7:80", "10.0.0.3:80"]
    assert fixture.call(headers=sent).hosts == ["10.0.0.7:80"]
    assert fixture.call(headers=[("x-to", "10.9.9.9:80"), *sent[1:]]).hosts == ["10.0.0.3:80"]
    assert fixture.call(headers=[("x-to", "10.9.9.9:80 , 10.0.0.4:80,10.0.0.5:80")]).hosts == ["10.0.0.4:80"]


def test_where_no_endpoint_that_is_named_exists_the_policy_chooses() -> None:
    fixture = naming("x-to")
    for headers in ((), [("x-to", "10.9.9.9:80")], [("x-to", "")], [("x-to", "10.0.0.1")]):
        seen = {fixture.call(headers=headers).hosts[0] for _ in range(9)}
        assert len(seen) == 9


def test_an_endpoint_that_is_named_is_taken_whatever_its_health() -> None:
    sick = [host("10.0.0.1:80", health="UNHEALTHY"), host("10.0.0.2:80")]
    assert naming("x-to", endpoints=sick).call(headers=[("x-to", "10.0.0.1:80")]).hosts == ["10.0.0.1:80"]


# -- balancers of other packages


class Telling:
    """Chooses the endpoint that the header `x-to` names, and keeps what it was told."""

    def __init__(self, *, hashes: bool = True) -> None:
        self.hashes = hashes
        self.seen: list[tuple[int | None, str, frozenset[str]]] = []

    def choose_host_for(self, context: LoadBalancerContext, hosts: Any, draw: Any) -> Any:
        headers = context.headers
        self.seen.append((context.hash if self.hashes else None, headers[":path"], context.attempted))
        return next(each for each in hosts if each.address == f"10.0.0.{headers['X-To']}:80")


def told_by(telling: object) -> LbConfig:
    return LbConfig(extension=Extension(Config("t", "acme.Telling"), "acme 1.0", telling))


BROUGHT: Any = "LOAD_BALANCING_POLICY_CONFIG"


def test_a_balancer_of_a_package_is_told_the_request_as_it_goes_out_and_where_it_has_been() -> None:
    telling = Telling()
    retry = RetryPolicy(("5xx",), 1)
    fixture = world(KEY, lb=told_by(telling), policy=BROUGHT, retry=retry, prefix_rewrite="/new/")
    run = fixture.call(answers=[503, 200], headers=[("x-key", "k"), ("x-to", "3")])
    assert run.hosts == ["10.0.0.3:80"] * 2
    assert telling.seen == [(xx("k"), "/new/", frozenset()), (xx("k"), "/new/", frozenset({"10.0.0.3:80"}))]


def test_a_cookie_is_made_only_where_the_balancer_asks_for_the_hash() -> None:
    made = []
    for hashes in (False, True):
        run = world(COOKIE, lb=told_by(Telling(hashes=hashes)), policy=BROUGHT).call(headers=[("x-to", "1")])
        assert run.head is not None
        made.append([name for name, _ in run.head.headers])
    assert made == [[], [b"set-cookie"]]


def test_headers_are_there_to_look_at() -> None:
    class Changing:
        def choose_host_for(self, context: Any, hosts: Any, draw: Any) -> Any:
            with pytest.raises(TypeError, match="to look at"):
                context.headers["x-key"] = "1"
            return hosts[0]

    assert world(lb=told_by(Changing()), policy=BROUGHT).call().status == 200
