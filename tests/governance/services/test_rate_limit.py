"""A rate limit service behind a cluster, asked for real."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from proxyless.governance.actions import Failure
from proxyless.governance.runtime import Runtime
from proxyless.governance.services.grpc import Services, Unary
from proxyless.governance.services.rate_limit import rate_limiter
from proxyless.xds.model.cluster import TransportSocket
from proxyless.xds.model.filters import GrpcTarget
from proxyless.xds.model.rate_limit_service import (
    DescriptorStatus,
    LimitedDescriptor,
    RateLimitAnswer,
    RateLimitQuery,
)
from proxyless.xds.model.tls import UpstreamTls
from tests.support.model import assignment, cluster, eds, snapshot
from tests.support.rate_limits import Answer, RateLimits
from tests.support.waiting import wait_for

QUERY = RateLimitQuery("shop", (LimitedDescriptor((("user", "alice"),)), LimitedDescriptor((("a", "b"),), 3, True)))
TARGET = GrpcTarget("rls", "limits", (("x-token", "t"),))


@pytest.fixture
def service() -> Iterator[RateLimits]:
    with RateLimits() as running:
        yield running


@pytest.fixture
def runtime(service: RateLimits) -> Iterator[Runtime]:
    made = Runtime()
    made.publish(snapshot(clusters=[cluster("rls", f"127.0.0.1:{service.port}"), cluster("empty")]))
    yield made
    made.close()


@pytest.fixture
def services(runtime: Runtime) -> Iterator[Services]:
    made = Services(runtime)
    yield made
    made.close()


def both_ways(unary: Unary[Any, Any], timeout_s: float = 5.0) -> list[Any]:
    return [unary.ask(QUERY, timeout_s), asyncio.run(unary.ask_async(QUERY, timeout_s))]


def test_threads_and_tasks_ask_and_are_answered(services: Services, service: RateLimits) -> None:
    limit = Answer.RateLimit(requests_per_unit=3, unit=1, name="n")
    status = Answer.DescriptorStatus(code=2, current_limit=limit, limit_remaining=1)
    service.answer = lambda query: Answer(overall_code=2, statuses=[status, Answer.DescriptorStatus()], raw_body=b"b")
    expected = RateLimitAnswer(
        "OVER_LIMIT", (DescriptorStatus("OVER_LIMIT", 3, 1, "n", 1), DescriptorStatus("UNKNOWN")), body=b"b"
    )
    assert both_ways(rate_limiter(services, TARGET)) == [expected, expected]
    entries = (((("user", "alice"),), None, False), ((("a", "b"),), 3, True))
    assert service.asked == [("shop", entries)] * 2
    assert service.metadata[0]["x-token"] == "t"


def counts(runtime: Runtime) -> dict[str, tuple[int, int]]:
    """(answers, failures) by cluster."""
    return {cluster: (each.answers, each.failures) for (cluster, _), each in runtime.asked.items()}


def test_it_may_be_told_something(services: Services, service: RateLimits, runtime: Runtime) -> None:
    rate_limiter(services, TARGET).tell(QUERY, 5.0)
    rate_limiter(services, GrpcTarget("nowhere")).tell(QUERY, 5.0)
    wait_for(lambda: service.asked and counts(runtime) == {"rls": (1, 0), "nowhere": (0, 1)}, 10)


@pytest.mark.parametrize("name", ["nowhere", "empty"])
def test_what_is_not_there_is_a_failure(services: Services, runtime: Runtime, name: str) -> None:
    assert all(isinstance(each, Failure) for each in both_ways(rate_limiter(services, GrpcTarget(name))))
    assert counts(runtime) == {name: (0, 2)}
    (asked,) = runtime.asked.values()
    assert name in (asked.last_failure or "")


def test_what_comes_too_late_or_is_an_error_is_a_failure(services: Services, service: RateLimits) -> None:
    service.answer = lambda query: grpc.StatusCode.UNAVAILABLE
    assert all(isinstance(each, Failure) for each in both_ways(rate_limiter(services, TARGET)))
    service.answer = lambda query: time.sleep(0.5)
    started = time.monotonic()
    assert all(isinstance(each, Failure) for each in both_ways(rate_limiter(services, TARGET), 0.05))
    assert time.monotonic() - started < 5


def test_an_endpoint_that_wants_mtls_is_not_spoken_to_in_the_clear(services: Services, runtime: Runtime) -> None:
    secure = cluster("rls", "127.0.0.1:1", transport_socket=TransportSocket("tls", UpstreamTls()))
    runtime.publish(snapshot(clusters=[secure]))
    assert all(isinstance(each, Failure) for each in both_ways(rate_limiter(services, TARGET)))


def test_endpoints_that_are_on_their_way_are_waited_for(
    services: Services, runtime: Runtime, service: RateLimits
) -> None:
    here = snapshot(clusters=[eds("rls")])
    runtime.publish(here)
    there = snapshot(clusters=[eds("rls")], assignments=[assignment("rls", f"127.0.0.1:{service.port}")])
    for asynchronous in (False, True):
        runtime.publish(here)
        threading.Timer(0.2, runtime.publish, [there]).start()
        unary = rate_limiter(services, TARGET)
        answer = asyncio.run(unary.ask_async(QUERY, 5.0)) if asynchronous else unary.ask(QUERY, 5.0)
        assert isinstance(answer, RateLimitAnswer)


def test_a_task_that_is_cancelled_asks_no_longer(services: Services, service: RateLimits) -> None:
    service.answer = lambda query: time.sleep(1)

    async def run() -> None:
        task = asyncio.create_task(rate_limiter(services, TARGET).ask_async(QUERY, 30.0))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())


def test_channels_of_endpoints_that_went_are_closed(services: Services, runtime: Runtime, service: RateLimits) -> None:
    gone = cluster("rls", "127.0.0.1:1")
    runtime.publish(snapshot(clusters=[gone]))
    assert isinstance(rate_limiter(services, TARGET).ask(QUERY, 0.2), Failure)
    runtime.publish(snapshot(clusters=[cluster("rls", f"127.0.0.1:{service.port}")]))
    assert isinstance(rate_limiter(services, TARGET).ask(QUERY, 5.0), RateLimitAnswer)
    assert len(services.links._links) == 1
