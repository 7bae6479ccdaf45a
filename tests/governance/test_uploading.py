"""While a request has not been sent whole no timeout runs; then all of them begin."""

from __future__ import annotations

import pytest

from proxyless.governance.actions import Deliver, Send
from proxyless.xds.model.route import RetryPolicy
from tests.support.model import cluster, route, table
from tests.support.world import Steps, World


def uploading(timeout_s: float | None, per_try_timeout_s: float | None = None, *, retries: bool = True) -> Steps:
    retry = RetryPolicy(("5xx",), 1, per_try_timeout_s=per_try_timeout_s) if retries else None
    world = World(
        tables=[table(route("/", "a", timeout_s=timeout_s, retry=retry))], clusters=[cluster("a", "10.0.0.1:80")]
    )
    call = world.start(method="POST", headers=[("content-length", "3")])
    call.uploading = True
    steps = Steps(world, call)
    steps.until(Send)
    assert steps.wants(Send).deadline is None
    world.clock.advance(60.0)
    return steps


@pytest.mark.parametrize(
    ("timeout_s", "per_try_timeout_s", "after_s"),
    [(5.0, None, 5.0), (5.0, 2.0, 2.0), (2.0, 5.0, 2.0), (None, 3.0, 3.0), (None, None, None)],
)
def test_timeouts_begin_when_the_body_has_been_sent(
    timeout_s: float | None, per_try_timeout_s: float | None, after_s: float | None
) -> None:
    steps = uploading(timeout_s, per_try_timeout_s)
    now = steps.world.clock()
    assert steps.call.uploaded() == (None if after_s is None else now + after_s)


def test_the_response_gets_the_whole_timeout() -> None:
    steps = uploading(5.0, retries=False)
    now = steps.world.clock()
    assert steps.call.uploaded() == now + 5.0
    steps.until(Deliver, answers=[200])
    assert steps.wants(Deliver).deadline == now + 5.0


def test_a_response_that_comes_before_the_end_of_the_request_has_no_bound() -> None:
    steps = uploading(5.0)
    steps.until(Deliver, answers=[200])
    assert steps.wants(Deliver).deadline is None
