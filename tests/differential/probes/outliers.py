"""Who is ejected, by what, when it comes back, and what counts for or against a host."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

from tests.differential.custom import cluster, custom, host, route
from tests.differential.probes.retries import H2
from tests.differential.recording import Recording, Resource
from tests.differential.rig import VIP, Rig, Sent
from tests.support import rawhttp
from tests.support.behaviour import Behaviour

ALL: Resource = {"max_ejection_percent": 100}
OFTEN: Resource = {**ALL, "interval": "0.2s", "base_ejection_time": "0.3s"}
GRPC = (("content-type", "application/grpc"), ("te", "trailers"))


def addresses(count: int, of: int = 20) -> list[tuple[str, int]]:
    """So many backends; `of`: whose."""
    return [(f"127.0.{of}.{number + 1}", 80) for number in range(count)]


def table(base: Recording, detection: Resource, hosts: int = 3, **fields: Any) -> Recording:
    """One cluster `a`."""
    return tables(base, {"a": (detection, addresses(hosts), fields)})


def tables(base: Recording, made: Mapping[str, tuple[Resource, list[tuple[str, int]], Resource]]) -> Recording:
    """Clusters by name, each behind a path of its name: detection, backends, more fields.

    Envoy's balancer sees changes of health at once, and there is no panic.
    """
    lb = {"update_merge_window": "0s", "healthy_panic_threshold": {"value": 0}}
    common = {"lb_policy": "ROUND_ROBIN", "common_lb_config": lb}
    clusters = [
        cluster(name, *hosts, outlier_detection=detection, **common, **fields)
        for name, (detection, hosts, fields) in made.items()
    ]
    routes = [route({"prefix": f"/{name}/"}, {"cluster": name, "timeout": "0.5s"}) for name in made]
    return custom(base, [host(*routes)], clusters)


def health(rig: Rig, name: str = "a") -> list[list[str]]:
    """The flags of each host, as the admin interface shows them."""
    document = json.loads(rig.envoy.admin(f"/clusters?format=json&filter={name}"))
    (found,) = [each for each in document["cluster_statuses"] if each["name"] == name]
    return [[name for name in each["health_status"] if name != "eds_health_status"] for each in found["host_statuses"]]


def ejected(rig: Rig) -> str:
    """The numbers of the hosts that are out."""
    return "".join(str(number + 1) for number, each in enumerate(health(rig)) if "failed_outlier_check" in each)


def counts(rig: Rig, name: str = "a") -> dict[str, int]:
    """The counters that are not zero."""
    found = rig.envoy.stats(f"cluster.{name}.outlier_detection")
    return {name.partition("outlier_detection.ejections_")[2]: value for name, value in found.items() if value}


def send(
    rig: Rig, count: int, *headers: tuple[str, str], method: str = "GET", body: bytes = b"", to: str = "a"
) -> list[int]:
    """Requests one after the other; their statuses."""
    data = rawhttp.request(method, f"/{to}/", (("host", "x"), *headers), body)
    return [each.response.status for each in rig.run([Sent(data, VIP)] * count)]


def run(base: Recording) -> Iterator[str]:
    """The answers."""
    for detection in (
        {},
        {"always_eject_one_host": True},
        {"max_ejection_percent": 33},
        {"max_ejection_percent": 34},
    ):
        with Rig(table(base, detection)) as rig:
            send(rig, 15, ("x-backend", "status=500"))
            yield f"3 hosts, {detection}: all fail: ejected {ejected(rig)!r} {counts(rig)}"
    for what, asked in {
        "503": "status=503",
        "reset": "fault=reset",
        "close": "fault=close",
        "cut body": "fault=cut",
        "cut and reset": "fault=cut-reset",
        "route timeout": "delay=5",
        "route timeout in the body": "body-delay=5",
        "599": "status=599",
        "600": "status=600",
    }.items():
        for split in (False, True):
            with Rig(table(base, {**ALL, "split_external_local_origin_errors": split}, 1)) as rig:
                send(rig, 5, ("x-backend", asked))
                yield f"{what}, split {split}: ejected {ejected(rig)!r} {counts(rig)}"
    for split in (False, True):
        with Rig(table(base, {**ALL, "split_external_local_origin_errors": split}, 1)) as rig:
            rig.backends.refuse(addresses(1)[0])
            send(rig, 5)
            yield f"refused, split {split}: ejected {ejected(rig)!r} {counts(rig)}"
        with Rig(table(base, {**ALL, "split_external_local_origin_errors": split}, 1, connect_timeout="0.1s")) as rig:
            rig.backends.stall(addresses(1)[0])
            send(rig, 5)
            yield f"connect timeout, split {split}: ejected {ejected(rig)!r} {counts(rig)}"
        with Rig(table(base, {**ALL, "split_external_local_origin_errors": split}, 1, connect_timeout="9s")) as rig:
            rig.backends.stall(addresses(1)[0])
            send(rig, 5)
            yield f"route timeout while connecting, split {split}: ejected {ejected(rig)!r} {counts(rig)}"
    with Rig(table(base, ALL, 1, **H2)) as rig:
        send(rig, 5, *GRPC, ("x-backend", "grpc-status=14"), method="POST", body=b"x")
        yield f"grpc-status 14 in headers: ejected {ejected(rig)!r} {counts(rig)}"
    rates = {**OFTEN, "consecutive_5xx": 0, "success_rate_minimum_hosts": 3, "success_rate_request_volume": 5}
    rates |= {"success_rate_stdev_factor": 500, "failure_percentage_minimum_hosts": 3}
    rates |= {"failure_percentage_request_volume": 5, "enforcing_failure_percentage": 100, "base_ejection_time": "0.5s"}
    with Rig(table(base, rates)) as rig:
        rig.backends.behave(addresses(1)[0], Behaviour(status=500))
        send(rig, 45)
        begun = time.monotonic()
        seen = ""
        while time.monotonic() - begun < 1.5:
            now = ejected(rig), counts(rig).get("active", 0)
            if str(now) != seen:
                seen = str(now)
                yield f"both kinds of rates, after {time.monotonic() - begun:.1f} s: ejected, active {seen}"
            time.sleep(0.02)
        yield f"both kinds of rates: {counts(rig)}"
    yield from degraded(base)
    yield from lengths(base)


def degraded(base: Recording) -> Iterator[str]:
    """detect_degraded_hosts."""
    for asked in ("x-envoy-degraded=true", "status=503;x-envoy-degraded=true"):
        detection = {**OFTEN, "detect_degraded_hosts": True, "base_ejection_time": "0.5s"}
        with Rig(table(base, detection)) as rig:
            said = dict(part.split("=") for part in asked.split(";") if part.startswith("x-"))
            rig.backends.behave(
                addresses(1)[0], Behaviour(status=503 if "503" in asked else 200, headers=tuple(said.items()))
            )
            send(rig, 3)
            yield f"degraded by {asked} once: {health(rig)} {counts(rig)}"
            begun = time.monotonic()
            rig.backends.behave(addresses(1)[0], Behaviour())
            seen = ""
            while time.monotonic() - begun < 1.5:
                if str(health(rig)) != seen:
                    seen = str(health(rig))
                    yield f"  after {time.monotonic() - begun:.2f} s: {seen}"
                time.sleep(0.02)
            rig.backends.behave(
                addresses(1)[0], Behaviour(status=503 if "503" in asked else 200, headers=tuple(said.items()))
            )
            send(rig, 20)
            yield f"  again, 20 requests: {health(rig)} {counts(rig)}"


def lengths(base: Recording) -> Iterator[str]:
    """How long ejections last, and how the memory of them fades."""
    with Rig(table(base, {**OFTEN, "consecutive_5xx": 2})) as rig:
        for pause_s in (0.0, 0.0, 0.0, 0.5, 2.0):
            time.sleep(pause_s)
            rig.backends.behave(addresses(1)[0], Behaviour(status=500))
            while not ejected(rig):
                send(rig, 1)
            begun = time.monotonic()
            rig.backends.behave(addresses(1)[0], Behaviour())
            while ejected(rig):
                time.sleep(0.005)
            yield f"ejected for {time.monotonic() - begun:.2f} s after a pause of {pause_s} s"
