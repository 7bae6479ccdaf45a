"""Fault injection: who is hit, by what, and how many at a time."""

from __future__ import annotations

from typing import Any

import pytest

from proxyless.governance.actions import Sleep
from proxyless.governance.filters.fault import FaultFilter
from proxyless.governance.replies import as_grpc
from proxyless.governance.request import RequestView
from proxyless.governance.routing import Target
from proxyless.governance.runtime import Runtime
from proxyless.xds.model.filters import Fault
from proxyless.xds.model.matchers import HeaderMatcher
from proxyless.xds.model.values import Fraction
from tests.support.streams import FakeStream, run
from tests.support.world import Clock, Draws

from .places import target

ALWAYS = Fraction(100)
TEAPOT = Fault(abort=ALWAYS, abort_status=418)


def stream(*headers: tuple[bytes, bytes], draws: tuple[float, ...] = (), to: Target | None = None) -> FakeStream:
    view = RequestView(b"GET", b"http", b"shop", b"/", headers)
    return FakeStream(view, target=to, runtime=Runtime(clock=Clock(), rng=Draws(*draws)))


def outcome(fault: Fault, *headers: tuple[bytes, bytes], **where: Any) -> tuple[float, int, int | None]:
    """(delay, status, gRPC status) of one request."""
    ran = run(FaultFilter("fault", fault), stream(*headers, **where))
    slept = sum(each.seconds for each in ran.actions if isinstance(each, Sleep))
    return (slept, 0, None) if ran.reply is None else (slept, ran.reply.status, ran.reply.grpc_status)


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault(), (0.0, 0, None)),
        (TEAPOT, (0.0, 418, None)),
        (Fault(abort=ALWAYS, abort_grpc_status=7), (0.0, 200, 7)),
        (Fault(abort=Fraction(0), abort_status=418), (0.0, 0, None)),
        (Fault(delay=ALWAYS, delay_s=2.5), (2.5, 0, None)),
        (Fault(delay=Fraction(0), delay_s=2.5), (0.0, 0, None)),
        (Fault(delay=ALWAYS), (0.0, 0, None)),
        (Fault(delay=ALWAYS, delay_s=2.5, abort=ALWAYS, abort_status=503), (2.5, 503, None)),
    ],
)
def test_a_fault_delays_and_then_aborts(fault: Fault, expected: tuple[float, int, int | None]) -> None:
    assert outcome(fault) == expected


def test_flags_say_what_was_injected() -> None:
    here = stream()
    reply = run(FaultFilter("fault", Fault(ALWAYS, 1.0, False, ALWAYS, 418)), here).reply
    assert reply is not None
    assert (here.flags, reply.flags, reply.details) == (("DI",), ("FI",), "fault_filter_abort")
    assert reply.body == b"fault filter abort"


def test_a_grpc_status_is_what_a_grpc_client_is_told() -> None:
    reply = run(FaultFilter("fault", Fault(abort=ALWAYS, abort_grpc_status=7)), stream()).reply
    assert reply is not None
    assert (b"grpc-status", b"7") in as_grpc(reply).headers


def test_shares_are_drawn_apart() -> None:
    fault = Fault(Fraction(10), 1.0, False, Fraction(10), 418)
    assert outcome(fault, draws=(0.05, 0.05)) == (1.0, 418, None)
    assert outcome(fault, draws=(0.05, 0.15)) == (1.0, 0, None)
    assert outcome(fault, draws=(0.15, 0.05)) == (0.0, 418, None)
    assert outcome(fault, draws=(0.15, 0.15)) == (0.0, 0, None)


BY_HEADER = Fault(abort=Fraction(50), abort_by_header=True)
SAYS = b"x-envoy-fault-abort-request"
SAYS_GRPC = b"x-envoy-fault-abort-grpc-request"
SHARE = b"x-envoy-fault-abort-request-percentage"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], (0.0, 0, None)),
        ([(SAYS, b"418")], (0.0, 418, None)),
        ([(SAYS, b"199")], (0.0, 0, None)),
        ([(SAYS, b"600"), (SAYS_GRPC, b"3")], (0.0, 200, 3)),
        ([(SAYS, b"418"), (SAYS_GRPC, b"3")], (0.0, 418, 3)),
        ([(SAYS_GRPC, b"-1")], (0.0, 0, None)),
        ([(SAYS, b"418"), (SHARE, b"0")], (0.0, 0, None)),
        ([(SAYS, b"418"), (SHARE, b"100")], (0.0, 418, None)),
        ([(SAYS, b"418"), (SHARE, b"x")], (0.0, 418, None)),
    ],
)
def test_a_request_says_its_own_abort(headers: list[tuple[bytes, bytes]], expected: tuple[float, int, None]) -> None:
    status = outcome(BY_HEADER, *headers, draws=(0.45,))
    assert status[:2] == expected[:2]
    assert status[1] != 200 or status[2] == expected[2]


def test_a_request_lowers_a_share_and_does_not_raise_it() -> None:
    assert outcome(BY_HEADER, (SAYS, b"418"), (SHARE, b"100"), draws=(0.55,)) == (0.0, 0, None)
    assert outcome(BY_HEADER, (SAYS, b"418"), (SHARE, b"40"), draws=(0.45,)) == (0.0, 0, None)


@pytest.mark.parametrize(("value", "delay_s"), [(b"1500", 1.5), (b"0", 0.0), (b"x", 0.0)])
def test_a_request_says_its_own_delay(value: bytes, delay_s: float) -> None:
    fault = Fault(delay=ALWAYS, delay_by_header=True)
    assert outcome(fault, (b"x-envoy-fault-delay-request", value))[0] == delay_s
    assert outcome(fault)[0] == 0.0


NODE = b"x-envoy-downstream-service-node"
ONLY_X = Fault(abort=ALWAYS, abort_status=418, headers=(HeaderMatcher("x", True),))


@pytest.mark.parametrize(
    ("fault", "hit", "missed"),
    [
        (ONLY_X, [(b"x", b"1")], [(b"y", b"1")]),
        (Fault(abort=ALWAYS, abort_status=418, downstream_nodes=frozenset("n")), [(NODE, b"n")], [(NODE, b"m")]),
        (Fault(abort=ALWAYS, abort_status=418, downstream_nodes=frozenset("n")), [(NODE, b"n")], []),
    ],
)
def test_only_what_it_is_about_is_hit(
    fault: Fault, hit: list[tuple[bytes, bytes]], missed: list[tuple[bytes, bytes]]
) -> None:
    assert outcome(fault, *hit)[1] == 418
    assert outcome(fault, *missed)[1] == 0


def test_a_fault_of_a_cluster_hits_what_goes_there() -> None:
    fault = Fault(abort=ALWAYS, abort_status=418, upstream_cluster="a")
    assert outcome(fault, to=target("a"))[1] == 418
    assert outcome(fault, to=target("b"))[1] == 0
    assert outcome(fault)[1] == 0
    assert outcome(fault, (b"to", b"a"), to=target(header="to"))[1] == 418
    assert outcome(fault, to=target(header="to"))[1] == 0


def test_matchers_are_compiled_once() -> None:
    filter_ = FaultFilter("fault", ONLY_X)
    for _ in range(2):
        assert run(filter_, stream((b"x", b"1"))).reply is not None


def test_a_route_s_own_fault_takes_the_place_of_the_chain_s() -> None:
    filter_ = FaultFilter("fault", TEAPOT)
    own = Fault(abort=ALWAYS, abort_status=404)
    assert filter_.applies(None)
    reply = run(filter_, stream(to=target("a", fault=own))).reply
    assert reply is not None
    assert reply.status == 404
    assert run(filter_, stream(to=target("a", fault=Fault()))).reply is None
    assert run(FaultFilter("fault", None), stream()).reply is None


def test_so_many_at_a_time_and_no_more() -> None:
    filter_ = FaultFilter("fault", Fault(abort=ALWAYS, abort_status=418, delay=ALWAYS, delay_s=1.0, max_active=2))
    streams = [stream() for _ in range(3)]
    statuses = [ran.reply.status if (ran := run(filter_, each)).reply else 0 for each in streams]
    assert statuses == [418, 418, 0]
    for each in streams:
        filter_.on_end(each)
    assert run(filter_, stream()).reply is not None
