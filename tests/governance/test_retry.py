"""What a retry policy wants (docs/envoy-facts.md, "Retries"): each condition against each outcome."""

from __future__ import annotations

import pytest

from proxyless.governance.retry import DEFAULT_BASE_S, CompiledRetry, compile_retry
from proxyless.xds.model.matchers import HeaderMatcher, StringMatcher
from proxyless.xds.model.route import BackOff, RetryPolicy
from tests.support.model import PREVIOUS_HOSTS

RESETS = ("reset", "remote-reset", "connect-failure", "connect-timeout", "per-try-timeout", "refused-stream")
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
    "no-such-word": (set(), set()),
}


def compiled(*conditions: str, **fields: object) -> CompiledRetry:
    policy = RetryPolicy(conditions, retriable_status_codes=(429, 501), **fields)  # type: ignore[arg-type]
    found = compile_retry(policy)
    assert found is not None
    return found


@pytest.mark.parametrize("condition", TABLE)
@pytest.mark.parametrize("status", STATUSES)
def test_a_condition_retries_the_statuses_of_the_facts(condition: str, status: int) -> None:
    assert compiled(condition).wants_response(status, []) == (status in TABLE[condition][0])


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
    assert compiled(condition).wants_response(200, headers) == (status == GRPC[condition])


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
    assert compiled("retriable-headers", retriable_headers=(matcher,)).wants_response(418, headers) == wanted


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


@pytest.mark.parametrize("policy", [None, RetryPolicy(()), RetryPolicy((), 5)])
def test_without_a_condition_nothing_is_retried(policy: RetryPolicy | None) -> None:
    assert compile_retry(policy) is None


@pytest.mark.parametrize(
    ("attempt", "longest_s"), [(1, 0.025), (2, 0.05), (3, 0.1), (4, 0.2), (5, 0.25), (9, 0.25), (5000, 0.25)]
)
def test_the_back_off_is_a_random_share_of_a_doubling_interval(attempt: int, longest_s: float) -> None:
    policy = compiled("5xx")
    assert policy.back_off_s(attempt, lambda: 0.0) == 0.0
    assert policy.back_off_s(attempt, lambda: 0.5) == pytest.approx(longest_s / 2)
    assert policy.back_off_s(attempt, lambda: 1.0 - 2**-53) < longest_s + 1e-12


def test_the_back_off_is_at_most_ten_times_its_base_unless_configured() -> None:
    assert (compiled("5xx").base_s, compiled("5xx").max_s) == (DEFAULT_BASE_S, 10 * DEFAULT_BASE_S)
    own = compiled("5xx", back_off=BackOff(1.0, 3.0))
    assert [own.back_off_s(attempt, lambda: 1.0) for attempt in (1, 2, 3)] == [1.0, 2.0, 3.0]


@pytest.mark.parametrize(("predicates", "avoids"), [((), False), (("other",), False), (PREVIOUS_HOSTS, True)])
def test_previous_hosts_are_avoided_where_the_policy_says_so(predicates: tuple[str, ...], avoids: bool) -> None:
    policy = compiled("5xx", host_predicates=predicates, host_selection_attempts=5)
    assert (policy.avoid_previous_hosts, policy.host_attempts) == (avoids, 5)


def test_a_per_try_timeout_of_zero_is_none() -> None:
    assert compiled("5xx", per_try_timeout_s=0.0).per_try_timeout_s is None
    assert compiled("5xx", per_try_timeout_s=2.0).per_try_timeout_s == 2.0
