"""What a retry policy wants (docs/envoy-facts.md, "Retries"): each condition against each outcome."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxyless.governance.retry import CompiledRetry, compile_retry
from proxyless.xds.model.matchers import HeaderMatcher, StringMatcher
from proxyless.xds.model.route import BackOff, RateLimitedBackOff, ResetHeader, RetryPolicy
from tests.support.model import PREVIOUS_HOSTS

RESETS = (
    "reset",
    "remote-reset",
    "connect-failure",
    "connect-timeout",
    "per-try-timeout",
    "refused-stream",
    "max-stream-duration",
)
STATUSES = (200, 404, 408, 409, 429, 499, 500, 501, 502, 503, 504, 505, 599, 600)

FIVES = {status for status in STATUSES if 500 <= status < 600}
CONNECT = {"connect-failure", "connect-timeout"}

TABLE: dict[str, tuple[set[int], set[str]]] = {
    "5xx": (FIVES, set(RESETS)),
    "gateway-error": ({502, 503, 504}, set(RESETS)),
    "reset": (set(), set(RESETS)),
    "connect-failure": (set(), CONNECT),
    "reset-before-request": (set(), CONNECT),
    "refused-stream": (set(), {"refused-stream"}),
    "retriable-4xx": ({409}, set()),
    "retriable-status-codes": ({429, 501}, set()),
    "retriable-headers": (set(), set()),
    "envoy-ratelimited": (set(), set()),
    "unavailable": (set(), set()),
    "http3-post-connect-failure": (set(), set()),
}


def compiled(*conditions: str, **fields: object) -> CompiledRetry:
    policy = RetryPolicy(conditions, retriable_status_codes=(429, 501), **fields)  # type: ignore[arg-type]
    found = compile_retry(policy)
    assert found is not None
    return found


def pause(wanted: bool) -> str:
    return "pause" if wanted else ""


@pytest.mark.parametrize("condition", TABLE)
@pytest.mark.parametrize("status", STATUSES)
def test_a_condition_retries_the_statuses_of_the_facts(condition: str, status: int) -> None:
    assert compiled(condition).wants_response(status, []) == pause(status in TABLE[condition][0])


@pytest.mark.parametrize("condition", TABLE)
@pytest.mark.parametrize("kind", RESETS)
def test_a_condition_retries_the_resets_of_the_facts(condition: str, kind: str) -> None:
    assert compiled(condition).wants_reset(kind) == (kind in TABLE[condition][1])


@pytest.mark.parametrize("condition", TABLE)
def test_no_condition_retries_an_overflow(condition: str) -> None:
    assert not compiled(condition).wants_reset("overflow")


def test_several_conditions_add_up() -> None:
    both = compiled("connect-failure", "retriable-4xx")
    assert both.wants_reset("connect-timeout")
    assert both.wants_response(409, [])
    assert not both.wants_response(503, [])


ISTIO = ("connect-failure", "refused-stream", "unavailable", "cancelled", "retriable-status-codes")


def test_istios_default_retries_neither_503_nor_a_reset_nor_a_timeout() -> None:
    policy = compile_retry(RetryPolicy(ISTIO, 2))
    assert policy is not None
    assert not any(policy.wants_response(status, []) for status in STATUSES)
    assert {kind for kind in RESETS if policy.wants_reset(kind)} == CONNECT | {"refused-stream"}


GRPC = {"cancelled": 1, "deadline-exceeded": 4, "internal": 13, "resource-exhausted": 8, "unavailable": 14}


@pytest.mark.parametrize("condition", GRPC)
@pytest.mark.parametrize("status", range(17))
def test_a_grpc_condition_looks_at_grpc_status_in_the_headers(condition: str, status: int) -> None:
    headers = [(b"content-type", b"text/plain"), (b"Grpc-Status", b"%d" % status), (b"grpc-status", b"99")]
    assert compiled(condition).wants_response(200, headers) == pause(status == GRPC[condition])


def test_without_a_grpc_status_there_is_nothing_to_look_at() -> None:
    assert not compiled("unavailable").wants_response(200, [(b"x-status", b"14")])


@pytest.mark.parametrize(
    ("matcher", "headers", "wanted"),
    [
        (HeaderMatcher("X-Retry"), [(b"x-retry", b"")], True),
        (HeaderMatcher("x-retry"), [], False),
        (HeaderMatcher("x-retry", StringMatcher("exact", "yes")), [(b"x-retry", b"no"), (b"x-retry", b"yes")], True),
        (HeaderMatcher("x-retry", StringMatcher("exact", "yes")), [(b"x-retry", b"no")], False),
        (HeaderMatcher(":status", StringMatcher("exact", "418")), [], True),
        (HeaderMatcher(":status", StringMatcher("exact", "200")), [], False),
    ],
)
def test_retriable_headers_match_the_headers_of_the_response(
    matcher: HeaderMatcher, headers: list[tuple[bytes, bytes]], wanted: bool
) -> None:
    assert compiled("retriable-headers", retriable_headers=(matcher,)).wants_response(418, headers) == pause(wanted)


def test_codes_and_headers_mean_nothing_without_their_conditions() -> None:
    policy = compiled("connect-failure", retriable_headers=(HeaderMatcher("x-retry"),))
    assert not policy.wants_response(429, [(b"x-retry", b"1")])


@pytest.mark.parametrize("condition", ["5xx", "gateway-error", "retriable-status-codes", "retriable-headers"])
def test_a_response_that_says_rate_limited_is_not_retried(condition: str) -> None:
    policy = compile_retry(
        RetryPolicy((condition,), retriable_status_codes=(503,), retriable_headers=(HeaderMatcher("x-retry"),))
    )
    assert policy is not None
    headers = [(b"x-retry", b"1")]
    assert policy.wants_response(503, headers)
    assert not policy.wants_response(503, [*headers, (b"X-Envoy-Ratelimited", b"true")])


def test_only_envoy_ratelimited_retries_a_response_that_says_rate_limited() -> None:
    policy = compiled("envoy-ratelimited")
    assert policy.wants_response(429, [(b"x-envoy-ratelimited", b"true")])
    assert policy.wants_response(200, [(b"x-envoy-ratelimited", b"")])
    assert not policy.wants_response(503, [(b"x-other", b"")])


@pytest.mark.parametrize("policy", [None, RetryPolicy(()), RetryPolicy((), 5), RetryPolicy(("no-such-word",))])
def test_without_a_condition_nothing_is_retried(policy: RetryPolicy | None) -> None:
    assert compile_retry(policy) is None


@pytest.mark.parametrize(("predicates", "avoids"), [((), False), (("other",), False), (PREVIOUS_HOSTS, True)])
def test_previous_hosts_are_avoided_where_the_policy_says_so(predicates: tuple[str, ...], avoids: bool) -> None:
    policy = compiled("5xx", host_predicates=predicates, host_selection_attempts=5)
    assert (policy.avoid_previous_hosts, policy.host_attempts) == (avoids, 5)


def test_a_per_try_timeout_of_zero_is_none() -> None:
    assert compiled("5xx", per_try_timeout_s=0.0).per_try_timeout_s is None
    assert compiled("5xx", per_try_timeout_s=2.0).per_try_timeout_s == 2.0


def test_without_a_condition_the_times_of_a_try_still_count() -> None:
    policy = compile_retry(RetryPolicy(per_try_idle_timeout_s=2.0))
    assert policy is not None
    assert (policy.wants, policy.gated, policy.per_try_idle_timeout_s) == (False, True, 2.0)


@pytest.mark.parametrize(("early", "again"), [(False, "at once"), (True, "")])
def test_a_425_is_retried_without_a_pause_unless_the_request_itself_came_early(early: bool, again: str) -> None:
    policy = compile_retry(RetryPolicy(("retriable-status-codes",), retriable_status_codes=(425,)))
    assert policy is not None
    assert policy.wants_response(425, [], early=early) == again


def test_an_early_425_may_still_be_retried_for_another_reason() -> None:
    policy = compile_retry(
        RetryPolicy(
            ("retriable-status-codes", "retriable-headers"),
            retriable_status_codes=(425,),
            retriable_headers=(HeaderMatcher("x-retry"),),
        )
    )
    assert policy is not None
    assert policy.wants_response(425, [(b"x-retry", b"")], early=True) == "pause"


ALMOST_ONE = 1.0 - 2**-53


def pauses_ms(policy: CompiledRetry, draw: float, count: int) -> list[int]:
    back_off = policy.back_off()
    return [round(back_off.pause_s(lambda: draw) * 1000) for _ in range(count)]


def test_the_pause_is_a_random_share_of_a_doubling_interval_in_whole_milliseconds() -> None:
    policy = compiled("5xx")
    assert pauses_ms(policy, 0.0, 5) == [0] * 5
    assert pauses_ms(policy, 0.5, 6) == [12, 25, 50, 100, 125, 125]
    assert pauses_ms(policy, ALMOST_ONE, 6) == [24, 49, 99, 199, 249, 249]


def test_an_interval_that_cannot_be_doubled_below_the_longest_is_the_longest() -> None:
    assert pauses_ms(compiled("5xx", back_off=BackOff(1.0, 3.0)), ALMOST_ONE, 3) == [999, 1999, 2999]
    assert pauses_ms(compiled("5xx", back_off=BackOff(0.001, 0.003)), ALMOST_ONE, 3) == [0, 2, 2]
    assert pauses_ms(compiled("5xx", back_off=BackOff(0.1, 0.2)), ALMOST_ONE, 3) == [99, 199, 199]


@given(st.integers(1, 10**6), st.integers(1, 1000), st.floats(0, 1, exclude_max=True), st.integers(1, 40))
def test_no_pause_is_longer_than_the_longest_interval(base: int, factor: int, draw: float, count: int) -> None:
    policy = compiled("5xx", back_off=BackOff(base / 1000, base * factor / 1000))
    found = pauses_ms(policy, draw, count)
    assert all(0 <= each < base * factor for each in found)
    assert found[0] < base


LIMITED = RateLimitedBackOff((ResetHeader("Retry-After"), ResetHeader("X-RateLimit-Reset", True)), 60.0)


@pytest.mark.parametrize(
    ("headers", "asked_ms"),
    [
        ([], None),
        ([(b"retry-after", b"3")], 3000),
        ([(b"Retry-After", b" +3 ")], 3000),
        ([(b"retry-after", b"3"), (b"retry-after", b"4")], 3000),
        ([(b"retry-after", b"Fri, 31 Dec 1999 23:59:59 GMT")], None),
        ([(b"retry-after", b"-1")], None),
        ([(b"retry-after", b"60")], 60_000),
        ([(b"retry-after", b"61")], None),
        ([(b"retry-after", b"61"), (b"x-ratelimit-reset", b"1005")], 5000),
        ([(b"retry-after", b"x"), (b"x-ratelimit-reset", b"1000")], 0),
        ([(b"x-ratelimit-reset", b"999")], None),
        ([(b"x-ratelimit-reset", b"1061")], None),
    ],
)
def test_the_first_header_that_asks_for_a_bearable_pause_counts(
    headers: list[tuple[bytes, bytes]], asked_ms: int | None
) -> None:
    assert compiled("5xx", rate_limited=LIMITED).asked_pause_ms(headers, 1000.9) == asked_ms


def test_a_pause_that_is_asked_for_gets_up_to_half_as_much_again_and_does_not_double_the_interval() -> None:
    back_off = compiled("5xx").back_off()
    assert back_off.pause_s(lambda: 0.0, 3000) == 3.0
    assert back_off.pause_s(lambda: ALMOST_ONE, 3000) == 4.499
    assert back_off.pause_s(lambda: 0.5, 0) == 0.012  # nothing is asked for
    assert back_off.pause_s(lambda: 0.5, 1) == 0.025  # too little to be divided
