"""Load reports out of band: when streams begin, end and begin again, and what a report does."""

from __future__ import annotations

from math import inf
from typing import Any

import pytest

from proxyless.governance.balancing.host import Host, HostState
from proxyless.governance.balancing.out_of_band import LoadReports, LoadStream, request
from proxyless.xds.model.cluster import ClientSideWeights, LbConfig
from proxyless.xds.wire.schema import types as pb
from tests.support.model import cluster, host, route, table
from tests.support.world import Clock, World

PLACES = ("10.0.0.1:80", "10.0.0.2:80")


def hosts(*addresses: str) -> list[Host]:
    return [Host(host(each), HostState()) for each in addresses or PLACES]


class Case:
    """Streams with a clock and draws in the test's hand."""

    def __init__(self, drawn: float = 0.5, **config: Any) -> None:
        self.clock = Clock()
        self.drawn = drawn
        self.reports = LoadReports(self.clock, lambda: self.drawn)
        self.config = ClientSideWeights(**{"out_of_band_s": 10.0, **config})
        self.hosts = hosts()
        self.reports.configure(self.config, self.hosts)

    def begun(self) -> LoadStream:
        self.clock.advance(10.0)
        return self.reports.take_due(self.clock.now)[0]


def report(**fields: Any) -> bytes:
    return pb.xds_data_orca_v3.OrcaLoadReport(**fields).SerializeToString()


def test_streams_begin_somewhere_within_the_first_period() -> None:
    case = Case(0.5)
    start = case.clock.now
    assert case.reports.next_due() == start + 5.0
    assert case.reports.take_due(start + 4.9) == []
    assert len(case.reports.take_due(start + 5.0)) == 2
    assert case.reports.next_due() == inf


def test_a_report_is_a_weight_and_gives_the_stream_more_time() -> None:
    case = Case()
    stream = case.begun()
    assert stream.silent_at == case.clock.now + 30.0
    case.clock.advance(20.0)
    assert case.reports.heard(stream, report(rps_fractional=10.0, cpu_utilization=0.5))
    assert stream.silent_at == case.clock.now + 30.0
    load = stream.host.state.load
    assert load is not None
    assert (load.weight, load.since) == (20, case.clock.now)


@pytest.mark.parametrize(
    ("message", "good"), [(b"", True), (report(cpu_utilization=0.5), True), (b"\x09\x00", False), (b"\xff", False)]
)
def test_what_says_nothing_of_the_load_is_no_weight(message: bytes, good: bool) -> None:
    case = Case()
    stream = case.begun()
    assert case.reports.heard(stream, message) == good
    assert stream.host.state.load is None


def test_the_pause_doubles_with_each_failure_and_a_report_makes_it_short() -> None:
    case = Case(0.999)
    stream = case.begun()
    pauses = []
    for _ in range(7):
        case.reports.ended(stream)
        pauses.append(round(stream.due - case.clock.now, 1))
    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    case.reports.heard(stream, report(rps_fractional=1.0))
    case.reports.ended(stream)
    assert round(stream.due - case.clock.now, 1) == 1.0


def test_an_endpoint_that_does_not_know_the_service_is_not_asked_again() -> None:
    case = Case()
    stream = case.begun()
    case.reports.ended(stream, unknown=True)
    assert (stream.due, stream.silent_at) == (inf, inf)


def test_streams_stay_with_their_endpoints() -> None:
    case = Case()
    before = dict(case.reports.streams)
    case.reports.configure(case.config, hosts("10.0.0.2:80", "10.0.0.3:80"))
    assert case.reports.streams["10.0.0.2:80"] is before["10.0.0.2:80"]
    assert before["10.0.0.1:80"].gone
    assert list(case.reports.streams) == ["10.0.0.2:80", "10.0.0.3:80"]
    case.reports.configure(ClientSideWeights(out_of_band_s=5.0), hosts("10.0.0.2:80"))
    assert before["10.0.0.2:80"].gone
    assert case.reports.period_s == 5.0
    case.reports.configure(None, hosts())
    assert not case.reports.streams
    assert case.reports.period_s == 0.0
    assert case.reports.heard(before["10.0.0.1:80"], report(rps_fractional=1.0))


@pytest.mark.parametrize("seconds", [0.5, 1.0, 10.0, 1000.25])
def test_the_request_says_how_often(seconds: float) -> None:
    found = pb.xds_service_orca_v3.OrcaLoadReportRequest.FromString(request(seconds))
    assert found.report_interval.seconds + found.report_interval.nanos / 1e9 == seconds


def test_a_cluster_that_wants_it_is_listened_to() -> None:
    weights = ClientSideWeights(out_of_band_s=10.0)
    plain = cluster("b", "10.0.1.1:80", lb=LbConfig(client_side=ClientSideWeights()))
    made = World(
        tables=[table(route("/b", "b"), route("/", "a"))],
        clusters=[cluster("a", *PLACES, lb=LbConfig(client_side=weights)), plain],
    )
    woken: list[int] = []
    made.runtime.on_reports = lambda: woken.append(1)
    made.call()
    made.call("http://shop/b")
    assert woken == [1]
    found = made.cluster().state.reports
    assert found is not None
    assert list(found.streams) == list(PLACES)
    assert made.cluster("b").state.reports is None
    made.runtime.listen(made.cluster())  # what a change of the cluster does
    assert made.cluster().state.reports is found
    assert woken == [1, 1]
