"""Load reports out of band, from a real gRPC server to the weights that a mesh balances by."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator
from time import sleep
from typing import Any

import pytest

from proxyless.governance.runtime import Runtime
from proxyless.governance.services.load_reports import LoadDriver, target_of
from proxyless.xds.model.cluster import ClientSideWeights, LbConfig, TransportSocket
from proxyless.xds.model.tls import UpstreamTls
from proxyless.xds.model.values import Address
from proxyless.xds.wire.schema import types as pb
from tests.support.model import cluster, snapshot
from tests.support.reporter import Reporter
from tests.support.waiting import wait_for

QUICK = ClientSideWeights(blackout_s=0.0, update_s=0.0, out_of_band_s=0.1)


@pytest.fixture
def reporter() -> Iterator[Reporter]:
    made = Reporter()
    yield made
    made.close()


@pytest.fixture
def listening(reporter: Reporter) -> Iterator[Callable[..., Runtime]]:
    drivers: list[tuple[LoadDriver, Runtime]] = []

    def begin(config: ClientSideWeights = QUICK, port: int = 0, **fields: Any) -> Runtime:
        runtime = Runtime()
        driver = LoadDriver(weakref.ref(runtime))
        runtime.on_reports = driver.wake
        drivers.append((driver, runtime))
        held = cluster("a", f"127.0.0.1:{port or reporter.port}", lb=LbConfig(client_side=config), **fields)
        runtime.publish(snapshot(clusters=[held]))
        runtime.plan.cluster("a")
        return runtime

    yield begin
    for driver, _ in drivers:
        driver.close()


def weight(runtime: Runtime) -> int:
    (host,) = runtime.states["a"].hosts.values()
    return host.load.weight if host.load is not None else 0


def test_reports_become_weights_and_change_with_the_load(reporter: Reporter, listening: Callable[..., Runtime]) -> None:
    runtime = listening()
    wait_for(lambda: weight(runtime) == 20)
    reporter.load = 0.1
    wait_for(lambda: weight(runtime) == 100)
    message = reporter.streams[0]
    asked = pb.xds_service_orca_v3.OrcaLoadReportRequest.FromString(message)
    assert (asked.report_interval.seconds, asked.report_interval.nanos) == (0, 100_000_000)


def test_a_stream_that_ends_is_begun_again(reporter: Reporter, listening: Callable[..., Runtime]) -> None:
    runtime = listening()
    wait_for(lambda: weight(runtime) == 20)
    reporter.stop.set()
    reporter.load = 0.2
    wait_for(lambda: len(reporter.streams) >= 2)
    reporter.stop.clear()
    wait_for(lambda: weight(runtime) == 50)


def test_a_silent_stream_is_given_up_and_begun_again(
    reporter: Reporter, listening: Callable[..., Runtime], monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = threading.Event()
    monkeypatch.setattr(reporter.go_on, "wait", lambda seconds: silent.wait(5.0 if not silent.is_set() else 0.02))
    runtime = listening()
    wait_for(lambda: len(reporter.streams) >= 2)
    silent.set()
    wait_for(lambda: weight(runtime) == 20)


def test_who_does_not_know_the_service_is_asked_once(reporter: Reporter, listening: Callable[..., Runtime]) -> None:
    reporter.knows = False
    runtime = listening()
    wait_for(lambda: reporter.streams)
    sleep(0.5)
    assert len(reporter.streams) == 1
    assert weight(runtime) == 0


def test_another_port_is_asked_where_the_cluster_says_so(reporter: Reporter, listening: Callable[..., Runtime]) -> None:
    config = ClientSideWeights(out_of_band_s=0.1, out_of_band_port=reporter.port, out_of_band_authority="load.test")
    runtime = listening(config, port=1)
    wait_for(lambda: weight(runtime) == 20)


def test_an_endpoint_that_needs_tls_is_not_asked_in_plaintext(
    reporter: Reporter, listening: Callable[..., Runtime]
) -> None:
    runtime = listening(transport_socket=TransportSocket("tls", UpstreamTls()))
    wait_for(lambda: runtime.states["a"].reports is not None)
    sleep(0.5)
    assert not reporter.streams


def test_a_cluster_that_is_gone_is_listened_to_no_more(reporter: Reporter, listening: Callable[..., Runtime]) -> None:
    runtime = listening()
    wait_for(lambda: weight(runtime) == 20)
    runtime.publish(snapshot(clusters=[]))
    reports = runtime.states["a"].reports
    assert reports is not None
    wait_for(lambda: not reports.streams)


def test_a_stream_that_begins_when_all_is_over_ends_at_once(reporter: Reporter) -> None:
    runtime = Runtime()
    driver = LoadDriver(weakref.ref(runtime))
    runtime.on_reports = lambda: None
    held = cluster("a", f"127.0.0.1:{reporter.port}", lb=LbConfig(client_side=QUICK))
    runtime.publish(snapshot(clusters=[held]))
    runtime.plan.cluster("a")
    reports = runtime.states["a"].reports
    assert reports is not None
    (stream,) = reports.streams.values()
    driver.close()
    following = threading.Thread(target=driver._follow, args=(reports, stream), daemon=True)
    following.start()
    following.join(10.0)
    assert not following.is_alive()
    assert weight(runtime) == 0


@pytest.mark.parametrize(
    ("address", "target"),
    [
        (Address("10.0.0.1", 80), "ipv4:10.0.0.1:80"),
        (Address("::1", 80), "ipv6:[::1]:80"),
        (Address("/run/a.sock", 0), "unix:/run/a.sock"),
        (Address("@a", 0), "unix-abstract:a"),
    ],
)
def test_addresses_are_named_as_grpc_does(address: Address, target: str) -> None:
    assert target_of(address) == target
