"""Admission control and adaptive concurrency beside Envoy: how much is refused, and what it is told."""

from __future__ import annotations

import asyncio
import copy
import math
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

import proxyless.httpx
from proxyless.governance.filters.admission_control import rejection
from proxyless.mesh import Mesh
from proxyless.xds.model.overload import AdmissionControl
from tests.differential.custom import cluster, custom, host, route
from tests.differential.governed import call_of, governed
from tests.differential.ours import mesh_on
from tests.differential.recording import Recording, Resource
from tests.differential.requests import Request
from tests.differential.rig import VIP, Rig, Sent
from tests.support import envoy, rawhttp
from tests.support.backends import Backends

pytestmark = pytest.mark.envoy

A = ("127.0.20.1", 80)
HTTP = "type.googleapis.com/envoy.extensions.filters.http."
DEVIATIONS = 4.5
"""One run in 150,000 is further off by chance."""

HELD_S = 1.5
WAIT_S = 20.0


def behind(base: Recording, name: str, kind: str, config: Resource) -> Recording:
    """A route to one backend behind a filter, put first in the outbound chain."""
    to = {"cluster": "a", "timeout": "0s", "retry_policy": {"num_retries": 0}}
    recording = custom(copy.deepcopy(base), [host(route({"prefix": "/"}, to))], [cluster("a", A)])
    for chain in recording.listeners["0.0.0.0_80"]["filter_chains"]:
        for network in chain["filters"]:
            filters = network["typed_config"]["http_filters"]
            filters.insert(0, {"name": name, "typed_config": {"@type": HTTP + kind, **config}})
    return recording


ADMISSION = AdmissionControl(window_s=600, aggression=2.0, success_threshold=0.8, max_rejection=0.9)
ADMISSION_FIELDS: Resource = {
    "success_criteria": {},
    "sampling_window": "600s",
    "aggression": {"default_value": 2.0, "runtime_key": "a"},
    "sr_threshold": {"default_value": {"value": 80}, "runtime_key": "b"},
    "max_rejection_probability": {"default_value": {"value": 90}, "runtime_key": "c"},
}
WISHES = (200, 200, 500, 200, 404, 500, 500, 200, 503, 200) * 30
"""Three of five succeed: about half of all is refused once the rate is known."""


def deviation(wished: Sequence[int], refused: Sequence[bool]) -> float:
    """By how many standard deviations the refusals differ from what the rule says after each request."""
    requests = successes = 0
    expected = variance = 0.0
    for status, was_refused in zip(wished, refused, strict=True):
        chance = rejection(ADMISSION, requests, successes)
        expected += chance
        variance += chance * (1 - chance)
        if not was_refused:
            requests += 1
            successes += status < 500
    assert 30 < expected < len(wished) - 30, "the case shows nothing"
    return (sum(refused) - expected) / math.sqrt(variance)


def test_admission_control_refuses_the_share_that_the_rule_says(frontend: Recording) -> None:
    envoy.require()
    recording = behind(
        frontend,
        "envoy.filters.http.admission_control",
        "admission_control.v3.AdmissionControl",
        ADMISSION_FIELDS,
    )
    with Rig(recording) as rig, mesh_on(rig.recording) as mesh, governed(mesh, rig.backends) as client:
        sent = [
            Sent(rawhttp.request("GET", "/", (("host", "catalog"), ("x-backend", f"status={each}")))) for each in WISHES
        ]
        seen = rig.run(sent)
        theirs = [not each.arrivals for each in seen]
        told = {
            (each.response.status, each.response.body, each.flags, each.details) for each in seen if not each.arrivals
        }
        assert told == {(503, b"", "-", "denied_by_admission_control")}
        assert abs(deviation(WISHES, theirs)) < DEVIATIONS
        ours = []
        for wish in WISHES:
            response, arrivals = client.send(Request("GET", "http://catalog/", (("x-backend", f"status={wish}"),)))
            ours.append(not arrivals)
            if not arrivals:
                call = call_of(response)
                assert call.reply is not None
                assert (response.status_code, response.content) == (503, b"")
                assert (call.flags, call.reply.details) == ((), "denied_by_admission_control")
        assert abs(deviation(WISHES, ours)) < DEVIATIONS


def gradient(rtt: Resource, **fields: object) -> Resource:
    return {
        "gradient_controller_config": {
            "concurrency_limit_params": {"concurrency_update_interval": "0.1s"},
            "min_rtt_calc_params": {"interval": "600s", "min_concurrency": 3, **rtt},
        },
        **fields,
    }


BURSTS: dict[str, tuple[Resource, int, int]] = {
    "while the minimum is measured": (gradient({}), 0, 3),
    "with a status of its own": (gradient({}, concurrency_limit_exceeded_status={"code": "TooManyRequests"}), 0, 3),
    "a status that is none for it": (gradient({}, concurrency_limit_exceeded_status={"code": "OK"}), 0, 3),
    "after an interval that was fast": (gradient({"fixed_value": "60s"}), 1, 8),
    "switched off": (gradient({}, enabled={"default_value": False, "runtime_key": "k"}), 0, 12),
}
"""Configuration, quick requests before the burst, how many of it pass."""

BURST = 12
Answers = Counter[tuple[int, bytes]]


def arrived(backends: Backends, count: int) -> int:
    """Wait until `count` requests are at the backends."""
    seen, deadline = 0, time.monotonic() + WAIT_S
    while seen < count:
        seen += len(backends.take())
        assert time.monotonic() < deadline, f"{seen} of {count} arrived"
        time.sleep(0.005)
    return seen


def by_envoy(rig: Rig, before: int, passing: int) -> Answers:
    def send(held_s: float) -> rawhttp.Response:
        data = rawhttp.request("GET", "/", (("host", "x"), ("x-backend", f"delay={held_s}")))
        return rawhttp.exchange(rig.port, data, destination=VIP, timeout_s=60.0)

    for _ in range(before):
        assert send(0).status == 200
        time.sleep(0.4)
    rig.backends.take()
    with ThreadPoolExecutor(BURST) as threads:
        begun = [threads.submit(send, HELD_S) for _ in range(passing)]
        arrived(rig.backends, passing)
        rest = list(threads.map(send, [HELD_S] * (BURST - passing)))
        got = [*rest, *(each.result() for each in begun)]
    return Counter((each.status, b"" if each.status == 200 else each.body) for each in got)


def by_proxyless(mesh: Mesh, backends: Backends, before: int, passing: int) -> Answers:
    async def run() -> list[httpx.Response]:
        async with httpx.AsyncClient(transport=proxyless.httpx.AsyncTransport(mesh), timeout=60.0) as client:

            async def send(held_s: float) -> httpx.Response:
                return await client.get("http://x/", headers={"x-backend": f"delay={held_s}"})

            for _ in range(before):
                assert (await send(0)).status_code == 200
                await asyncio.sleep(0.4)
            backends.take()
            begun = [asyncio.create_task(send(HELD_S)) for _ in range(passing)]
            await asyncio.to_thread(arrived, backends, passing)
            rest = await asyncio.gather(*(send(HELD_S) for _ in range(BURST - passing)))
            return [*rest, *(await asyncio.gather(*begun))]

    got = asyncio.run(run())
    assert {call_of(each).flags for each in got} == {()}
    return Counter((each.status_code, b"" if each.status_code == 200 else each.content) for each in got)


@pytest.mark.parametrize("label", BURSTS)
def test_no_more_than_the_limit_goes_through_at_a_time(frontend: Recording, label: str) -> None:
    envoy.require()
    config, before, passing = BURSTS[label]
    recording = behind(
        frontend,
        "envoy.filters.http.adaptive_concurrency",
        "adaptive_concurrency.v3.AdaptiveConcurrency",
        config,
    )
    with Rig(recording) as rig, mesh_on(rig.recording) as mesh:
        theirs = by_envoy(rig, before, passing)
        assert theirs[(200, b"")] == passing
        assert by_proxyless(mesh, rig.backends, before, passing) == theirs
