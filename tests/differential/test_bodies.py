"""How long a body may be to be sent again, as virtual host, route and listener say it."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from tests.differential.beside import both
from tests.differential.case import Case
from tests.differential.custom import host, route
from tests.differential.probes.bodies import LEVELS, RETRY
from tests.differential.recording import Recording
from tests.differential.requests import Request

pytestmark = pytest.mark.envoy

FAILS = (("x-backend", "status=503"),)
SAID = ("-", "request 3000", "per 2000", "both", "per 9000")


def cases() -> list[Case]:
    """All levels with each other."""
    made = []
    for general, own in product(SAID, SAID):
        action = {"cluster": "a", "retry_policy": RETRY, "timeout": "0s"}
        rule = route({"prefix": "/"}, action, **LEVELS[own])
        sizes = (2000, 2001, 3000, 3001, 5000, 5001, 9000, 9001)
        sent = tuple(Request("POST", "http://any.test/", FAILS, b"x" * size) for size in sizes)
        made.append(Case((host(rule, **LEVELS[general]),), sent))
    return made


@pytest.mark.parametrize("streamed", [False, True], ids=["at hand", "streamed"])
def test_a_body_that_is_too_long_is_sent_once(frontend: Recording, streamed: bool) -> None:
    made = cases()[1::2] if streamed else cases()[::2]
    both(frontend, made, streamed=streamed, per_connection_buffer_limit_bytes=5000)


def test_a_connection_may_have_no_limit(frontend: Recording) -> None:
    long = Request("POST", "http://any.test/", FAILS, b"x" * 1_048_577)
    made = [replace(cases()[0], requests=(long,)), cases()[2]]
    both(frontend, made, per_connection_buffer_limit_bytes=0)


def test_one_that_is_too_long_follows_no_redirect(frontend: Recording) -> None:
    rule = route(
        {"prefix": "/"},
        {"cluster": "a", "internal_redirect_policy": {}, "timeout": "0s"},
        request_body_buffer_limit="3000",
    )
    away = (("x-backend", "status=302;location=http://any.test/new"),)
    sent = tuple(Request("POST", "http://any.test/", away, b"x" * size) for size in (3000, 3001))
    both(frontend, [Case((host(rule),), sent)])


@pytest.mark.parametrize("streamed", [False, True], ids=["at hand", "streamed"])
def test_one_that_is_too_long_is_not_sent_beside_itself(frontend: Recording, streamed: bool) -> None:
    times = {"retry_on": "5xx", "num_retries": 1, "per_try_timeout": "0.4s"}
    hedged = {"retry_policy": times, "hedge_policy": {"hedge_on_per_try_timeout": True}}
    rule = route({"prefix": "/"}, {"cluster": "a", "timeout": "0s", **hedged}, request_body_buffer_limit="3000")
    sent = [
        Request(
            "POST",
            "http://any.test/",
            (("x-request-id", str(size)), ("x-backend", "status=200;delay=0.9,status=201")),
            b"x" * size,
        )
        for size in (3000, 3001)
    ]
    both(frontend, [Case((host(rule),), tuple(sent))], streamed=streamed)
