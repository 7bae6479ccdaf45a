"""docs/envoy-facts.md, "Local rate limit", with a clock that a test moves and with real threads."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Barrier, Thread
from time import monotonic
from typing import Any

import pytest

from proxyless.governance.filters.local_ratelimit import Bucket, Limiter, Limiters, LocalRateLimitFilter
from proxyless.governance.replies import LocalReply
from proxyless.governance.request import RequestView
from proxyless.governance.route_table import RouteTable
from proxyless.governance.routing import CompiledRoute
from proxyless.xds.model.filters import DisabledFilter, LimitDescriptor, LocalRateLimit, TokenBucket
from proxyless.xds.model.route import RateLimit, RateLimitAction, RouteAction, WeightedCluster
from proxyless.xds.model.values import Fraction, HeaderMutation
from tests.support.model import route, table, vhost
from tests.support.streams import FakeStream
from tests.support.world import Clock, Draws

ALWAYS, NEVER = Fraction(100), Fraction(0)
NAME = "envoy.filters.http.local_ratelimit"


def bucket(tokens: int = 1, per_fill: int = 1, every_s: float = 60.0) -> TokenBucket:
    return TokenBucket(tokens, per_fill, every_s)


def limit(default: TokenBucket | None = bucket(), **fields: Any) -> LocalRateLimit:
    return LocalRateLimit("test", default, **{"enabled": ALWAYS, "enforced": ALWAYS, **fields})


def request(path: str = "/", *headers: tuple[str, str], source: str = "") -> RequestView:
    raw = [(name.encode(), value.encode()) for name, value in headers]
    return RequestView(b"GET", b"http", b"shop", path.encode(), raw, source)


class Bench:
    """One filter in a chain, and the routes that requests take."""

    def __init__(
        self, config: LocalRateLimit | None, *routes: Any, draws: Sequence[float] = (), **of_vhost: Any
    ) -> None:
        self.clock = Clock()
        self.draws = Draws(*draws)
        self.limiters = Limiters(self.clock, self.draws.random)
        self.filter = LocalRateLimitFilter(NAME, config, "chain", self.limiters)
        self.table = RouteTable(table(vhost(*(routes or (route("/"),)), **of_vhost)))
        self.added: list[tuple[bytes, bytes]] = []

    def ask(self, sent: RequestView | None = None) -> LocalReply | None:
        sent = sent if sent is not None else request()
        found = self.table.find(sent.authority)
        taken: CompiledRoute | None = found.match(sent, self.draws.random) if found is not None else None
        target = taken.draw(sent, self.draws.random) if taken is not None and taken.action is not None else None
        stream = FakeStream(sent, taken, target)
        self.added = stream.response_headers
        return self.filter.on_request(stream)

    def passes(self, count: int, sent: RequestView | None = None) -> int:
        """How many of so many requests pass."""
        return sum(self.ask(sent) is None for _ in range(count))


def test_a_bucket_begins_full_and_is_refilled_as_time_passes() -> None:
    clock = Clock()
    one = Bucket(bucket(tokens=3, per_fill=2, every_s=1.0), clock)
    assert [one.consume() for _ in range(4)] == [True, True, True, False]
    clock.advance(0.5)
    assert [one.consume(), one.consume()] == [True, False]
    clock.advance(100.0)
    assert one.remaining() == 3
    assert [one.consume() for _ in range(4)] == [True, True, True, False]


def test_sixty_a_minute_are_not_sixty_a_second() -> None:
    """peers.md, kitex: `fill_interval` was ignored."""
    clock = Clock()
    one = Bucket(bucket(tokens=60, per_fill=60, every_s=60.0), clock)
    assert sum(one.consume() for _ in range(100)) == 60
    clock.advance(1.0)
    assert sum(one.consume() for _ in range(100)) == 1
    clock.advance(60.0)
    assert sum(one.consume() for _ in range(100)) == 60


def test_a_refused_request_takes_no_part_of_a_token() -> None:
    clock = Clock()
    one = Bucket(bucket(tokens=1, per_fill=1, every_s=1.0), clock)
    assert one.consume()
    for _ in range(9):
        clock.advance(0.1)
        assert not one.consume()
    clock.advance(0.11)
    assert one.consume()


@pytest.mark.parametrize(("passed_s", "reset_s"), [(0.0, 60), (0.5, 60), (1.0, 59), (59.5, 1), (60.0, 0), (90.0, 0)])
def test_a_bucket_says_in_whole_seconds_when_the_next_token_comes(passed_s: float, reset_s: int) -> None:
    clock = Clock()
    one = Bucket(bucket(), clock)
    assert one.consume()
    clock.advance(passed_s)
    assert one.reset_s() == reset_s


def test_a_bucket_that_is_never_refilled_stays_empty_and_promises_nothing() -> None:
    clock = Clock()
    one = Bucket(bucket(every_s=0.0), clock)
    assert one.consume()
    clock.advance(1e9)
    assert not one.consume()
    assert one.reset_s() == 0


def test_however_many_threads_ask_there_are_no_more_tokens_than_there_are() -> None:
    limiter = Limiter(limit(bucket(tokens=500, every_s=1e9)), monotonic)
    together = Barrier(8)
    passed: list[int] = []

    def ask() -> None:
        together.wait()
        passed.append(sum(limiter.allow(())[0] for _ in range(200)))

    threads = [Thread(target=ask) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sum(passed) == 500


# Whether the filter looks at a request at all.


@pytest.mark.parametrize(
    ("config", "refused"),
    [
        (limit(), 2),
        (limit(None), 0),
        (limit(enabled=None), 0),
        (limit(enabled=NEVER), 0),
        (limit(enforced=None), 0),
        (limit(enforced=NEVER), 0),
        (limit(bucket(0)), 3),
        (None, 0),
    ],
    ids=["on", "no bucket", "enabled unset", "enabled 0", "enforced unset", "enforced 0", "no tokens", "no config"],
)
def test_only_what_is_enabled_and_enforced_is_limited(config: LocalRateLimit | None, refused: int) -> None:
    assert 3 - Bench(config).passes(3) == refused


def test_fractions_are_drawn_for_each_request() -> None:
    half = Fraction(50)
    enabled = Bench(limit(bucket(0), enabled=half), draws=[0.49, 0.99, 0.5])
    assert [enabled.ask() is None for _ in range(2)] == [False, True]
    enforced = Bench(limit(bucket(0), enforced=half), draws=[0.49, 0.5])
    assert [enforced.ask() is None for _ in range(2)] == [False, True]


def test_one_that_is_counted_but_let_through_is_marked_for_the_upstream() -> None:
    mark = HeaderMutation("x-over", "yes")
    bench = Bench(limit(enforced=NEVER, request_headers_when_not_enforced=(mark,)))
    within, over = request("/", ("a", "b")), request("/", ("a", "b"))
    assert (bench.ask(within), bench.ask(over)) == (None, None)
    assert list(within.raw_headers) == [(b"a", b"b")]
    assert list(over.raw_headers) == [(b"a", b"b"), (b"x-over", b"yes")]


def test_a_refusal_says_so() -> None:
    more = (HeaderMutation("x-local-rate-limit", "true"),)
    refused = Bench(limit(bucket(0), response_headers=more)).ask()
    assert refused == LocalReply(
        429,
        b"local_rate_limited",
        ("RL",),
        ((b"x-local-rate-limit", b"true"),),
        "local_rate_limited",
    )
    other = Bench(limit(bucket(0), status=503)).ask()
    assert other is not None
    assert other.status == 503


def test_the_x_ratelimit_headers_tell_of_the_bucket() -> None:
    bench = Bench(limit(bucket(2), x_ratelimit_headers=True))
    told = []
    for _ in range(3):
        bench.ask()
        told.append({name.decode().rpartition("-")[2]: int(value) for name, value in bench.added})
    assert told == [
        {"limit": 2, "remaining": 1, "reset": 0},
        {"limit": 2, "remaining": 0, "reset": 60},
        {"limit": 2, "remaining": 0, "reset": 60},
    ]
    silent = Bench(limit(bucket(0), x_ratelimit_headers=True))
    silent.ask()
    assert silent.added == []


# Descriptors: buckets for some requests beside the one for all.

BY_USER = RateLimit((RateLimitAction("request_headers", key="user", header="x-user"),))
BY_PATH = RateLimit((RateLimitAction("request_headers", key="path", header=":path"),))


def of(user: str, path: str = "/") -> RequestView:
    return request(path, ("x-user", user))


def described(*entries: tuple[str, str], tokens: int = 1, per_fill: int = 1) -> LimitDescriptor:
    return LimitDescriptor(entries, bucket(tokens, per_fill))


def test_a_descriptors_bucket_and_the_default_one_must_both_have_a_token() -> None:
    config = limit(bucket(3), descriptors=(described(("user", "alice"), tokens=1),))
    bench = Bench(config, route("/", rate_limits=(BY_USER,)))
    assert bench.passes(3, of("alice")) == 1
    # What alice's own bucket refused took nothing from the default one.
    assert bench.passes(5, of("bob")) == 2
    assert bench.passes(1, of("alice")) == 0


def test_the_default_bucket_is_left_alone_where_the_configuration_says_so() -> None:
    config = limit(bucket(1), descriptors=(described(("user", "alice"), tokens=2),), always_consume_default=False)
    bench = Bench(config, route("/", rate_limits=(BY_USER,)))
    assert bench.passes(5, of("alice")) == 2
    assert bench.passes(5, of("bob")) == 1


def test_without_a_default_bucket_only_descriptors_limit() -> None:
    config = limit(None, descriptors=(described(("user", "alice"), tokens=2),), x_ratelimit_headers=True)
    bench = Bench(config, route("/", rate_limits=(BY_USER,)))
    assert bench.passes(5, of("bob")) == 5
    assert bench.added == []
    assert bench.ask(of("alice")) is None
    assert bench.added[0] == (b"x-ratelimit-limit", b"2")
    assert bench.passes(5, of("alice")) == 1


def test_an_entry_without_a_value_has_a_bucket_for_each_value_seen() -> None:
    bench = Bench(limit(None, descriptors=(described(("user", "")),)), route("/", rate_limits=(BY_USER,)))
    assert [bench.passes(3, of(user)) for user in ("alice", "bob", "alice")] == [1, 1, 0]


def test_buckets_for_values_seen_are_limited_in_number_and_the_one_not_used_for_longest_goes() -> None:
    config = limit(None, descriptors=(described(("user", "")),), max_dynamic_descriptors=2)
    bench = Bench(config, route("/", rate_limits=(BY_USER,)))
    assert [bench.passes(1, of(user)) for user in ("a", "b", "a", "c")] == [1, 1, 0, 1]
    assert [bench.passes(1, of(user)) for user in ("a", "b")] == [0, 1]


def test_an_exact_value_comes_before_any_value() -> None:
    config = limit(None, descriptors=(described(("user", ""), tokens=1), described(("user", "alice"), tokens=2)))
    bench = Bench(config, route("/", rate_limits=(BY_USER,)))
    assert [bench.passes(5, of(user)) for user in ("alice", "bob")] == [2, 1]


@pytest.mark.parametrize(
    "entries", [(("user", ""), ("more", "")), (("other", ""),), (("path", ""), ("user", "bob"))], ids=str
)
def test_a_descriptor_must_match_entry_by_entry(entries: tuple[tuple[str, str], ...]) -> None:
    actions = (RateLimitAction("request_headers", key="user", header="x-user"),)
    bench = Bench(
        limit(None, descriptors=(LimitDescriptor(entries, bucket(0)),)), route("/", rate_limits=(RateLimit(actions),))
    )
    assert bench.passes(3, of("alice")) == 3


def test_of_several_descriptors_the_slowest_is_paid_first() -> None:
    config = limit(
        None,
        descriptors=(described(("path", "/"), tokens=1, per_fill=60), described(("user", "alice"), tokens=3)),
        x_ratelimit_headers=True,
    )
    bench = Bench(config, route("/", rate_limits=(BY_PATH, BY_USER)))
    assert bench.ask(of("alice")) is None
    assert dict(bench.added)[b"x-ratelimit-limit"] == b"3"
    assert bench.ask(of("alice")) is not None
    assert dict(bench.added)[b"x-ratelimit-limit"] == b"1"
    # The slow one has paid for the second request too.
    assert dict(bench.added)[b"x-ratelimit-remaining"] == b"0"
    bench.clock.advance(1.0)
    assert bench.ask(of("alice")) is None
    bench.clock.advance(1.0)
    assert bench.ask(of("alice")) is not None
    assert dict(bench.added)[b"x-ratelimit-limit"] == b"3"


def test_a_bucket_for_any_value_is_met_only_by_the_other_values_it_names() -> None:
    both = RateLimit((*BY_PATH.actions, *BY_USER.actions))
    config = limit(None, descriptors=(described(("path", "/a"), ("user", ""), tokens=0),))
    for path, passed in [("/a", 0), ("/b", 3)]:
        bench = Bench(config, route("/", rate_limits=(both,)))
        assert bench.passes(3, of("alice", path)) == passed


def test_an_action_that_yields_nothing_leaves_the_default_bucket() -> None:
    config = limit(bucket(2), descriptors=(described(("user", "alice"), tokens=0),))
    assert Bench(config, route("/", rate_limits=(BY_USER,))).passes(5, request()) == 2


def test_routes_that_are_asked_in_turn_have_each_its_own() -> None:
    by_user = limit(None, descriptors=(described(("user", "alice"), tokens=2),))
    of_its_own = route("/c", filters={NAME: limit(bucket(1))})
    bench = Bench(by_user, route("/a", rate_limits=(BY_USER,)), route("/b"), of_its_own)
    passed = [[bench.ask(of("alice", path)) is None for path in ("/a", "/b", "/c", "/none")] for _ in range(3)]
    assert passed == [[True, True, True, True], [True, True, False, True], [False, True, False, True]]


def test_what_is_worked_out_for_routes_is_not_kept_without_end() -> None:
    config = limit(None, descriptors=(described(("user", "alice"), tokens=1100),))
    bench = Bench(config, *(route(f"/{index}/", rate_limits=(BY_USER,)) for index in range(1100)))
    sent = of("alice")
    for index in range(1100):
        sent.replace_path(f"/{index}/".encode())
        assert bench.ask(sent) is None
    assert bench.filter._base is not None
    assert len(bench.filter._base._by_route) < 1100
    assert bench.ask(sent) is not None


def test_limits_of_another_stage_are_not_looked_at() -> None:
    staged = RateLimit(BY_USER.actions, stage=1)
    descriptors = (described(("user", "alice"), tokens=0),)
    for stage, passed in [(0, 3), (1, 0)]:
        bench = Bench(limit(None, descriptors=descriptors, stage=stage), route("/", rate_limits=(staged,)))
        assert bench.passes(3, of("alice")) == passed


@pytest.mark.parametrize(
    ("mode", "own", "include", "by_user"),
    [
        ("OVERRIDE", False, False, True),
        ("OVERRIDE", True, False, False),
        ("OVERRIDE", True, True, True),
        ("INCLUDE", True, False, True),
        ("IGNORE", False, False, False),
        ("IGNORE", True, True, True),
    ],
)
def test_the_virtual_hosts_limits_join_those_of_the_route_as_configured(
    mode: Any, own: bool, include: bool, by_user: bool
) -> None:
    config = limit(None, descriptors=(described(("user", "alice"), tokens=0),), vh_rate_limits=mode)
    one = route("/", rate_limits=(BY_PATH,) if own else (), include_vh_rate_limits=include)
    bench = Bench(config, one, rate_limits=(BY_USER,))
    assert (bench.ask(of("alice")) is not None) == by_user


def test_a_configuration_may_bring_its_own_actions() -> None:
    config = limit(None, descriptors=(described(("user", "alice"), tokens=0),), rate_limits=(BY_USER,))
    assert Bench(config, route("/", rate_limits=(BY_PATH,))).ask(of("alice")) is not None


def test_a_request_without_a_route_has_the_default_bucket_only() -> None:
    config = limit(bucket(1), descriptors=(described(("user", "alice"), tokens=0),))
    bench = Bench(config, route("/other"), rate_limits=(BY_USER,))
    assert bench.passes(3, of("alice")) == 1


# Which configuration applies.


def test_a_route_may_bring_its_own_limit_and_may_have_none() -> None:
    own = route("/own", filters={NAME: limit(bucket(2))})
    off = route("/off", filters={NAME: DisabledFilter()})
    bench = Bench(limit(bucket(1)), own, off, route("/"))
    assert [bench.passes(5, request(path)) for path in ("/own", "/off", "/")] == [2, 5, 1]


def test_without_a_limit_of_its_own_the_filter_serves_those_of_its_routes() -> None:
    bench = Bench(None, route("/own", filters={NAME: limit()}), route("/"))
    assert [bench.passes(3, request(path)) for path in ("/own", "/")] == [1, 3]


def test_two_routes_with_equal_limits_have_a_bucket_each() -> None:
    bench = Bench(None, *(route(path, filters={NAME: limit()}) for path in ("/a", "/b")))
    assert [bench.passes(3, request(path)) for path in ("/a", "/b", "/a")] == [1, 1, 0]


def test_the_routes_of_a_virtual_host_share_its_bucket() -> None:
    bench = Bench(None, route("/a"), route("/b"), filters={NAME: limit(bucket(2))})
    assert [bench.passes(3, request(path)) for path in ("/a", "/b")] == [2, 0]


def test_a_virtual_hosts_bucket_stays_as_it_is_when_all_is_compiled_anew() -> None:
    bench = Bench(None, route("/a"), route("/b"), filters={NAME: limit(bucket(1))})
    assert bench.passes(3, request("/a")) == 1
    bench.filter = LocalRateLimitFilter(NAME, None, "chain", bench.limiters)
    assert bench.passes(3, request("/b")) == 0


def test_a_weighted_cluster_may_bring_its_own_limit() -> None:
    both = RouteAction(
        weighted_clusters=tuple(WeightedCluster(name, 1, filters={NAME: limit()}) for name in ("a", "b"))
    )
    bench = Bench(None, route("/", both), draws=[0.1, 0.9, 0.1, 0.0])
    assert [bench.ask() is None for _ in range(3)] == [True, True, False]


def test_a_table_may_bring_a_limit_for_all_its_routes() -> None:
    bench = Bench(None)
    bench.table = RouteTable(table(vhost(route("/a"), route("/b")), filters={NAME: limit(bucket(2))}))
    assert [bench.passes(3, request(path)) for path in ("/a", "/b")] == [2, 0]


def test_a_bucket_keeps_its_level_while_its_configuration_stays_the_same() -> None:
    bench = Bench(limit(bucket(2)))
    assert bench.passes(1) == 1
    bench.filter = LocalRateLimitFilter(NAME, limit(bucket(2)), "chain", bench.limiters)
    assert bench.passes(5) == 1
    bench.filter = LocalRateLimitFilter(NAME, limit(bucket(3)), "chain", bench.limiters)
    assert bench.passes(5) == 3


def test_chains_have_buckets_of_their_own() -> None:
    bench = Bench(limit())
    assert bench.passes(2) == 1
    bench.filter = LocalRateLimitFilter(NAME, limit(), "another chain", bench.limiters)
    assert bench.passes(2) == 1


def test_what_a_filter_remembers_of_routes_does_not_grow_without_end() -> None:
    bench = Bench(None)
    for _ in range(1100):
        bench.table = RouteTable(table(route("/", filters={NAME: limit(bucket(1))})))
        bench.ask()
    assert bench.passes(1) == 0
