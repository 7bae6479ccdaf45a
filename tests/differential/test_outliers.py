"""The same failures behind Envoy and behind proxyless: who is found, who is ejected, who comes back and when."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Protocol

import httpx
import pytest

import proxyless.httpx
from proxyless.governance.cluster import ClusterRuntime
from proxyless.governance.outliers.detector import Detector
from proxyless.mesh import Mesh
from tests.differential.ours import mesh_on
from tests.differential.probes import outliers as envoys
from tests.differential.probes.outliers import ALL, GRPC, OFTEN, addresses, tables
from tests.differential.probes.retries import H2
from tests.differential.recording import Recording, Resource
from tests.differential.rig import Rig
from tests.support import envoy
from tests.support.backends import Backends
from tests.support.behaviour import Address, Behaviour, Headers
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.envoy, pytest.mark.punctual]

INTERVAL_S = 0.2
NAMES = {
    "consecutive_5xx": "CONSECUTIVE_5XX",
    "consecutive_gateway_failure": "CONSECUTIVE_GATEWAY_FAILURE",
    "consecutive_local_origin_failure": "CONSECUTIVE_LOCAL_ORIGIN_FAILURE",
    "success_rate": "SUCCESS_RATE",
    "local_origin_success_rate": "SUCCESS_RATE_LOCAL_ORIGIN",
    "failure_percentage": "FAILURE_PERCENTAGE",
    "local_origin_failure_percentage": "FAILURE_PERCENTAGE_LOCAL_ORIGIN",
}


class Side(Protocol):
    """Envoy or proxyless, in front of the backends of one cluster."""

    backends: Backends
    hosts: list[Address]

    def send(self, count: int = 1, asked: str = "", *, grpc: bool = False) -> None:
        """Requests one after the other; `asked`: what the backend shall do."""

    def out(self) -> str:
        """The numbers of the hosts that are ejected; in brackets those that are degraded."""

    def counts(self) -> dict[str, int]:
        """What was found and done so far: the counters that are not zero, and how many are out."""


def _headers(asked: str, *, grpc: bool) -> Headers:
    return (*((("x-backend", asked),) if asked else ()), *(GRPC if grpc else ()))


class ByEnvoy:
    """Envoy."""

    def __init__(self, rig: Rig, name: str, hosts: list[Address]) -> None:
        self.rig = rig
        self.backends = rig.backends
        self.name = name
        self.hosts = hosts

    def send(self, count: int = 1, asked: str = "", *, grpc: bool = False) -> None:
        body = {"method": "POST", "body": b"x"} if grpc else {}
        envoys.send(self.rig, count, *_headers(asked, grpc=grpc), to=self.name, **body)  # type: ignore[arg-type]

    def out(self) -> str:
        found = envoys.health(self.rig, self.name)
        out = [str(number + 1) for number, each in enumerate(found) if "failed_outlier_check" in each]
        degraded = [str(number + 1) for number, each in enumerate(found) if "failed_degraded_outlier_detection" in each]
        return "".join(out) + (f"({''.join(degraded)})" if degraded else "")

    def counts(self) -> dict[str, int]:
        found = envoys.counts(self.rig, self.name)
        known = {
            f"{done} {NAMES[name]}": found[f"{done}_{name}"]
            for done in ("detected", "enforced")
            for name in NAMES
            if f"{done}_{name}" in found
        }
        known |= {name: found[name] for name in ("active", "overflow") if name in found}
        if "detected_degradation" in found:
            known["detected DEGRADED"] = found["detected_degradation"]
        return known


class ByProxyless:
    """httpx, governed."""

    def __init__(self, mesh: Mesh, backends: Backends, name: str, hosts: list[Address]) -> None:
        self.mesh = mesh
        self.backends = backends
        self.name = name
        self.hosts = hosts
        self.client = httpx.Client(transport=proxyless.httpx.Transport(mesh), timeout=10.0)

    def send(self, count: int = 1, asked: str = "", *, grpc: bool = False) -> None:
        headers = dict(_headers(asked, grpc=grpc))
        for _ in range(count):
            with suppress(httpx.RemoteProtocolError, httpx.ReadTimeout, httpx.ReadError):  # a response that is cut
                if grpc:
                    self.client.post(f"http://x/{self.name}/", headers=headers, content=b"x")
                else:
                    self.client.get(f"http://x/{self.name}/", headers=headers)

    @property
    def cluster(self) -> ClusterRuntime:
        found = self.mesh.runtime.plan.cluster(self.name)
        assert isinstance(found, ClusterRuntime)
        return found

    def look(self) -> Detector:
        found = self.cluster.state.detector
        assert found is not None
        found.look(self.mesh.runtime.clock())
        return found

    def out(self) -> str:
        self.look()
        hosts = list(enumerate(self.cluster.hosts))
        out = [str(number + 1) for number, host in hosts if host.state.ejected]
        degraded = [str(number + 1) for number, host in hosts if host.state.self_degraded]
        return "".join(out) + (f"({''.join(degraded)})" if degraded else "")

    def counts(self) -> dict[str, int]:
        detector = self.look()
        known = {f"detected {name}": count for name, count in detector.detected.items()}
        known |= {f"enforced {name}": count for name, count in detector.enforced.items()}
        known |= {"active": detector.active, "overflow": detector.overflows}
        return {name: count for name, count in known.items() if count}


Play = Callable[[Side], list[object]]


def failing(asked: str, *, each: int = 5, grpc: bool = False) -> Play:
    """One host, failure by failure."""

    def play(side: Side) -> list[object]:
        seen: list[object] = []
        for _ in range(each):
            side.send(1, asked, grpc=grpc)
            seen.append(side.out())
        return [*seen, side.counts()]

    return play


def interrupted(side: Side) -> list[object]:
    """A row of failures that a success ends, and one that goes on."""
    side.send(4, "status=500")
    side.send(1)
    side.send(4, "status=500")
    seen: list[object] = [side.out()]
    side.send(1, "status=500")
    return [*seen, side.out(), side.counts()]


def refused(side: Side) -> list[object]:
    side.backends.refuse(side.hosts[0])
    try:
        return failing("")(side)
    finally:
        side.backends.accept(side.hosts[0])


def everybody(side: Side) -> list[object]:
    """All hosts fail: how many are out, not which."""
    side.send(18, "status=500")
    return [len(side.out()), side.counts()]


def rated(side: Side) -> list[object]:
    """The first host fails, the others do not; until the interval is over and somebody is found, or for long enough."""
    side.backends.behave(side.hosts[0], Behaviour(status=500))
    begun = time.monotonic()
    while not side.counts() and time.monotonic() - begun < 1.0:
        side.send(15)
    found: list[object] = [side.out(), side.counts()]
    side.backends.behave(side.hosts[0], Behaviour())
    wait_for(lambda: side.out() == "")
    return found


def degraded(side: Side) -> list[object]:
    side.send(1, "status=503;x-envoy-degraded=1")
    seen: list[object] = [side.out()]
    side.send(2, "status=404;x-envoy-degraded=1")
    seen.append(side.out())
    wait_for(lambda: side.out() == "")
    return [*seen, side.counts()]


ROWS: dict[str, tuple[Resource, int, Play, dict[str, Any]]] = {
    "server errors": (ALL, 1, failing("status=500"), {}),
    "gateway failures": ({**ALL, "enforcing_consecutive_gateway_failure": 100}, 1, failing("status=503"), {}),
    "not enforced": ({**ALL, "enforcing_consecutive_5xx": 0}, 1, failing("status=500", each=11), {}),
    "a row ends": (ALL, 1, interrupted, {}),
    "no server error": (ALL, 1, failing("status=499", each=6), {}),
    "resets": (ALL, 1, failing("fault=reset"), {}),
    "resets, split": ({**ALL, "split_external_local_origin_errors": True}, 1, failing("fault=reset"), {}),
    "closed": (ALL, 1, failing("fault=close"), {}),
    "cut": ({**ALL, "consecutive_5xx": 1}, 1, failing("fault=cut", each=1), {}),
    "cut, split": (
        {**ALL, "split_external_local_origin_errors": True, "consecutive_local_origin_failure": 1},
        1,
        failing("fault=cut", each=1),
        {},
    ),
    "timeout": ({**ALL, "consecutive_5xx": 1}, 1, failing("delay=3", each=1), {}),
    "timeout in the body": ({**ALL, "consecutive_5xx": 1}, 1, failing("body-delay=3", each=1), {}),
    "refused": (ALL, 1, refused, {}),
    "refused, split": ({**ALL, "split_external_local_origin_errors": True}, 1, refused, {}),
    "gRPC": (ALL, 1, failing("grpc-status=14", grpc=True), H2),
    "gRPC, good": (ALL, 1, failing("grpc-status=5", grpc=True), H2),
    "percentage reached": ({"max_ejection_percent": 34}, 3, everybody, {}),
    "percentage too small": ({"max_ejection_percent": 33}, 3, everybody, {}),
    "one always": ({"always_eject_one_host": True}, 3, everybody, {}),
    "degraded": ({**OFTEN, "detect_degraded_hosts": True}, 1, degraded, {}),
}


RATES = {**OFTEN, "consecutive_5xx": 0, "consecutive_gateway_failure": 0, "base_ejection_time": "0.5s"}
SUCCESS = {"success_rate_minimum_hosts": 3, "success_rate_request_volume": 3, "success_rate_stdev_factor": 500}
PERCENTAGE = {"failure_percentage_minimum_hosts": 3, "failure_percentage_request_volume": 3}
SHARES = {
    "success rate": {**RATES, **SUCCESS, "failure_percentage_minimum_hosts": 9},
    "failure percentage": {
        **RATES,
        **PERCENTAGE,
        "enforcing_failure_percentage": 100,
        "success_rate_minimum_hosts": 9,
    },
    "both at once": {**RATES, **SUCCESS, **PERCENTAGE, "enforcing_failure_percentage": 100},
    "neither, for want of hosts": {**RATES, "success_rate_request_volume": 3, "failure_percentage_request_volume": 3},
}


LENGTHS = {**OFTEN, "consecutive_5xx": 2, "consecutive_gateway_failure": 0}
WHOLE: dict[str, tuple[Resource, int, Play, dict[str, Any]]] = {
    **ROWS,
    **{label: (detection, 3, rated, {}) for label, detection in SHARES.items()},
}
CLUSTERS = {label: f"c{number}" for number, label in enumerate([*WHOLE, "lengths"])}


@pytest.fixture(scope="module")
def sides(frontend: Recording) -> Iterator[Callable[[str], tuple[Side, Side]]]:
    """Both sides in front of the backends of a case; one after the other uses them."""
    envoy.require()
    cases = {**{label: (case[0], case[1], case[3]) for label, case in WHOLE.items()}, "lengths": (LENGTHS, 1, {})}
    hosts = {label: addresses(case[1], 30 + number) for number, (label, case) in enumerate(cases.items())}
    made = tables(frontend, {CLUSTERS[label]: (case[0], hosts[label], case[2]) for label, case in cases.items()})
    with Rig(made) as rig, mesh_on(rig.recording) as mesh:

        def of(label: str) -> tuple[Side, Side]:
            name = CLUSTERS[label]
            return ByEnvoy(rig, name, hosts[label]), ByProxyless(mesh, rig.backends, name, hosts[label])

        yield of


Sides = Callable[[str], tuple[Side, Side]]


@pytest.mark.parametrize("label", WHOLE)
def test_what_counts_and_who_is_ejected(sides: Sides, label: str) -> None:
    theirs, ours = sides(label)
    play = WHOLE[label][2]
    expected = play(theirs)
    assert play(ours) == expected


def away(side: Side, pauses: list[float]) -> list[float]:
    """How long the host is away each time, in seconds; before each a pause in which it is well."""
    lasted = []
    for pause_s in pauses:
        time.sleep(pause_s)
        side.send(2, "status=500")
        begun = time.monotonic()
        assert side.out() == "1"
        wait_for(lambda: side.out() == "")
        lasted.append(time.monotonic() - begun)
    return lasted


def test_the_second_time_is_longer_and_after_a_while_it_is_not(sides: Sides) -> None:
    for side in sides("lengths"):
        for lasted, base_s in zip(away(side, [0.0, 0.0, 0.7]), (0.3, 0.6, 0.3), strict=True):
            # It ends with an interval; Envoy's timers are late by some milliseconds.
            assert base_s - 0.02 <= lasted <= base_s + INTERVAL_S + 0.15, (side, lasted)
