"""Connections by HTTP/2 to services: what goes wrong on one, who may go again, and who shares it."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
from h2.events import RequestReceived, StreamEnded
from h2.exceptions import StreamClosedError
from h2.settings import SettingCodes

from proxyless.governance.actions import Failure
from proxyless.governance.runtime import Runtime
from proxyless.governance.services import wire
from proxyless.governance.services.grpc import Services, Unary
from proxyless.governance.services.http2 import Exchange
from proxyless.governance.sweeping import leads_somewhere
from proxyless.xds.model.filters import GrpcTarget
from tests.support.http2_services import Http2Service, Peer, echo
from tests.support.model import cluster, snapshot
from tests.support.waiting import wait_for

LONG_S = 60.0
CANCEL = 8


class World:
    """A service `a` behind a cluster of that name, whose messages are bytes."""

    def __init__(self, port: int, **more: Any) -> None:
        self.runtime = Runtime()
        self.services = Services(self.runtime)
        self.runtime.publish(snapshot(clusters=[cluster("a", f"127.0.0.1:{port}", **more)]))
        self.unary: Unary[bytes, bytes] = self.services.unary(GrpcTarget("a"), "/a.A/Ask", bytes, bytes)

    def ask(self, message: bytes = b"hello", timeout_s: float = LONG_S) -> bytes | Failure:
        return self.unary.ask(message, timeout_s)

    def both(self, timeout_s: float = LONG_S) -> list[bytes | Failure]:
        """The answers to a thread, and to a task."""
        return [self.ask(b"thread", timeout_s), asyncio.run(self.unary.ask_async(b"task", timeout_s))]

    @property
    def under_way(self) -> int:
        return sum(each.normal.requests for each in self.runtime.states.values())

    def idle(self) -> bool:
        """No connection takes a request."""
        return all(link._ended for link, _ in self.services.links._links.values())

    def close(self) -> None:
        self.services.close()


@pytest.fixture
def world() -> Iterator[Callable[..., World]]:
    made: list[World] = []

    def make(service: Any, **more: Any) -> World:
        made.append(World(service.port, **more))
        return made[-1]

    yield make
    for each in made:
        each.close()
        assert each.under_way == 0


def reason(outcome: Any) -> str:
    assert isinstance(outcome, Failure), outcome
    return outcome.reason


def test_goaway_lets_end_what_is_under_way_and_what_is_untouched_goes_again(world: Any) -> None:
    together = threading.Event()

    def on(peer: Peer, event: Any) -> None:
        if peer.number:
            echo(peer, event)
        elif isinstance(event, StreamEnded) and event.stream_id == 1:
            together.set()
        elif isinstance(event, StreamEnded):
            peer.goaway(1)
            peer.answer(1, peer.bodies[1][5:])

    with Http2Service(on) as service, ThreadPoolExecutor(1) as threads:
        made = world(service)
        first = threads.submit(made.ask, b"first")
        assert together.wait(LONG_S)
        assert made.ask(b"second") == b"second"
        assert first.result(LONG_S) == b"first"
        assert [sorted(each.bodies) for each in service.peers] == [[1, 3], [1]]
        assert service.peers[0].ended.wait(LONG_S)
        assert made.both() == [b"thread", b"task"]
        assert len(service.peers) == 2


@pytest.mark.parametrize("refuse", ["goaway", "refused"])
def test_what_nobody_takes_goes_again_once(world: Any, refuse: str) -> None:
    def on(peer: Peer, event: Any) -> None:
        if isinstance(event, StreamEnded):
            if refuse == "goaway":
                peer.goaway(0)
            else:
                peer.http.reset_stream(event.stream_id, 7)

    with Http2Service(on) as service:
        made = world(service)
        assert all(refuse[:2] in reason(each).lower() or "no more requests" in reason(each) for each in made.both())
        assert sum(len(each.bodies) for each in service.peers) == 4


def test_a_request_that_is_refused_goes_again(world: Any) -> None:
    def on(peer: Peer, event: Any) -> None:
        if isinstance(event, StreamEnded) and event.stream_id % 4 == 1:
            peer.http.reset_stream(event.stream_id, 7)
        else:
            echo(peer, event)

    with Http2Service(on) as service:
        assert world(service).both() == [b"thread", b"task"]
        assert len(service.peers) == 1


def test_a_connection_ends_with_its_cluster(world: Any) -> None:
    """And with its endpoint; whoever is under way on it has his answer."""
    with Http2Service(echo) as service, Http2Service(echo) as other:
        made = world(service)
        leads = partial(leads_somewhere, made.runtime)
        assert made.both() == [b"thread", b"task"]
        made.services.links.sweep(leads)
        assert not made.idle()
        made.runtime.publish(snapshot(clusters=[cluster("a", f"127.0.0.1:{other.port}")]))
        made.runtime.plan.cluster("a")
        made.services.links.sweep(leads)
        assert not made.services.links._links
        wait_for(lambda: all(peer.ended.is_set() for peer in service.peers))
        assert made.ask(b"other") == b"other"
        made.runtime.publish(snapshot())
        made.services.links.sweep(leads)
        assert not made.services.links._links
        wait_for(lambda: all(peer.ended.is_set() for peer in other.peers))


def reset(peer: Peer, event: Any) -> None:
    peer.http.reset_stream(event.stream_id, 2)


def trailers_only(peer: Peer, event: Any) -> None:
    pairs = [(b":status", b"200"), (b"grpc-status", b"7"), (b"grpc-message", b"not%20you")]
    peer.http.send_headers(event.stream_id, pairs, end_stream=True)


def without_status(peer: Peer, event: Any) -> None:
    peer.http.config.validate_outbound_headers = False
    peer.http.send_headers(event.stream_id, [(b":status", b"many")], end_stream=True)


def numbered(peer: Peer, event: Any) -> None:
    pairs = [(b":status", b"200"), (b"grpc-status", b"9" * 5000)]
    peer.http.send_headers(event.stream_id, pairs, end_stream=True)


def gateway(peer: Peer, event: Any) -> None:
    peer.http.send_headers(event.stream_id, [(b":status", b"503")], end_stream=True)


def without_message(peer: Peer, event: Any) -> None:
    peer.http.send_headers(event.stream_id, [(b":status", b"200")])
    peer.http.send_headers(event.stream_id, [(b"grpc-status", b"0")], end_stream=True)


def cut(peer: Peer, event: Any) -> None:
    peer.http.send_headers(event.stream_id, [(b":status", b"200")])
    peer.http.send_data(event.stream_id, b"\0\0\0\0\5abc")
    peer.http.send_headers(event.stream_id, [(b"grpc-status", b"0")], end_stream=True)


@pytest.mark.parametrize(
    ("misbehave", "why"),
    [
        (reset, "it has reset the request"),
        (trailers_only, "PERMISSION_DENIED: not you"),
        (without_status, "without a proper status"),
        (numbered, "the service said no status"),
        (gateway, "UNAVAILABLE: the service answered 503"),
        (without_message, "there is no message"),
        (cut, "compressed, or cut"),
    ],
)
def test_a_bad_answer_fails_its_request_and_no_other(world: Any, misbehave: Any, why: str) -> None:
    def on(peer: Peer, event: Any) -> None:
        if isinstance(event, StreamEnded):
            if event.stream_id < 4:
                misbehave(peer, event)
            else:
                echo(peer, event)

    with Http2Service(on) as service:
        made = world(service)
        assert all(why in reason(each) for each in made.both())
        assert made.both() == [b"thread", b"task"]
        assert len(service.peers) == 1


def closing(peer: Peer, event: Any) -> None:
    peer.http.send_headers(event.stream_id, [(b":status", b"200")])
    peer.http.send_data(event.stream_id, b"\0\0\0")
    peer.flush()
    peer.close()


def oversized(peer: Peer, event: Any) -> None:
    del event
    peer.raw(b"\x40\x00\x00\0\0\0\0\0\1" + b"\0\0\x08\x07")


def nonsense(peer: Peer, event: Any) -> None:
    del event
    peer.raw(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def many_headers(peer: Peer, event: Any) -> None:
    pairs = [(b":status", b"200"), *((b"x-%d" % each, b"v" * 1000) for each in range(80))]
    peer.http.send_headers(event.stream_id, pairs, end_stream=True)


@pytest.mark.parametrize(
    ("misbehave", "why"),
    [(closing, "closed the connection"), (oversized, "a frame of"), (nonsense, "a frame of"), (many_headers, "header")],
)
def test_a_broken_connection_fails_who_waits_and_the_next_one_is_new(world: Any, misbehave: Any, why: str) -> None:
    def on(peer: Peer, event: Any) -> None:
        if not isinstance(event, StreamEnded):
            return
        if peer.number < 2:
            misbehave(peer, event)
        else:
            echo(peer, event)

    with Http2Service(on) as service:
        made = world(service)
        for each in made.both():
            assert why in reason(each).lower()
            assert f"cluster a, endpoint 127.0.0.1:{service.port}: " in reason(each)
        assert made.both() == [b"thread", b"task"]
        assert len(service.peers) == 3


def test_a_connection_that_was_closed_while_it_was_idle_is_not_used(world: Any) -> None:
    with Http2Service(echo) as service:
        made = world(service)
        for number in range(1, 4):
            assert made.ask() == b"hello"
            assert len(service.peers) == number
            service.peers[-1].close()
            wait_for(made.idle)


def test_an_answer_that_is_too_large_is_given_up_and_the_connection_goes_on(world: Any) -> None:
    def on(peer: Peer, event: Any) -> None:
        if isinstance(event, RequestReceived) and event.stream_id == 1:
            peer.http.send_headers(1, [(b":status", b"200")])
        if event.__class__.__name__ in ("StreamEnded", "WindowUpdated") and not peer.resets and 1 in peer.bodies:
            with suppress(StreamClosedError):  # its reset comes with the event
                while room := min(peer.http.local_flow_control_window(1), 16384):
                    peer.http.send_data(1, b"\0" * room)
        elif isinstance(event, StreamEnded):
            echo(peer, event)

    with Http2Service(on) as service:
        made = world(service)
        assert "more than 4194304 bytes" in reason(made.ask())
        assert made.both() == [b"thread", b"task"]
        assert service.peers[0].resets == [(1, CANCEL)]


def test_who_is_given_up_resets_its_stream_and_no_more(world: Any) -> None:
    asked = threading.Event()

    def on(peer: Peer, event: Any) -> None:
        if isinstance(event, StreamEnded) and peer.bodies[event.stream_id][5:] == b"silence":
            asked.set()
        else:
            echo(peer, event)

    async def cancelled(made: World) -> None:
        task = asyncio.create_task(made.unary.ask_async(b"silence", LONG_S))
        await asyncio.to_thread(asked.wait, LONG_S)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with Http2Service(on) as service:
        made = world(service)
        assert made.ask() == b"hello"
        assert made.ask(b"silence", 0.05) == Failure("timeout", "no answer in time")
        asyncio.run(cancelled(made))
        assert made.both() == [b"thread", b"task"]
        assert len(service.peers) == 1
        assert service.peers[0].resets == [(3, CANCEL), (5, CANCEL)]


def test_told_and_not_answered_counts_until_its_time_is_over(world: Any) -> None:
    def on(peer: Peer, event: Any) -> None:
        if isinstance(event, StreamEnded) and peer.bodies[event.stream_id][5:] != b"told":
            echo(peer, event)

    with Http2Service(on) as service:
        made = world(service)
        assert made.ask() == b"hello"
        (state,) = made.runtime.states.values()
        state.normal.limits = type(state.normal.limits)(max_requests=1)
        made.unary.tell(b"told", 0.01)
        wait_for(lambda: made.ask() == b"hello")
        assert service.peers[0].resets == [(3, CANCEL)]
        made.unary.tell(b"told", LONG_S)
        assert "as many requests as it may have" in reason(made.ask())
        made.close()
        assert made.under_way == 0


def test_many_threads_and_tasks_share_one_connection(world: Any) -> None:
    async def tasks(made: World) -> list[Any]:
        return await asyncio.gather(*(made.unary.ask_async(b"task %d" % each, LONG_S) for each in range(100)))

    few = {SettingCodes.MAX_CONCURRENT_STREAMS: 3}
    with Http2Service(echo, settings=few) as service, ThreadPoolExecutor(8) as threads:
        made = world(service)
        assert made.ask() == b"hello"
        found = [threads.submit(made.ask, b"thread %d" % each) for each in range(100)]
        assert asyncio.run(tasks(made)) == [b"task %d" % each for each in range(100)]
        assert [each.result(LONG_S) for each in found] == [b"thread %d" % each for each in range(100)]
        assert len(service.peers) == 1


def test_what_the_other_side_does_not_take_is_sent_later(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    large = os.urandom(6 << 20)
    wide = {SettingCodes.INITIAL_WINDOW_SIZE: 1 << 30}

    def on(peer: Peer, event: Any) -> None:
        if isinstance(event, RequestReceived):
            peer.http.increment_flow_control_window(1 << 30)
        elif isinstance(event, StreamEnded):
            peer.answer(event.stream_id, b"%d" % len(peer.bodies[event.stream_id]))

    reads = threading.Event()
    with Http2Service(on, settings=wide, reads=reads) as service, ThreadPoolExecutor(2) as threads:
        made = world(service)
        first = threads.submit(made.ask, large)
        wait_for(lambda: any(each.name == "proxyless-service-send" for each in threading.enumerate()))
        second = threads.submit(made.ask, b"small")
        reads.set()
        assert first.result(LONG_S) == b"%d" % (len(large) + 5)
        assert second.result(LONG_S) == b"10"
    monkeypatch.setattr(wire, "STALLED_S", 0.05)
    with Http2Service(on, settings=wide, reads=threading.Event()) as service:
        assert "endpoint" in reason(world(service).ask(large))


def ended() -> bool:
    return not any(each.name.startswith("proxyless-service") for each in threading.enumerate())


def test_no_thread_is_left_when_it_is_closed() -> None:
    wait_for(ended)
    with Http2Service(lambda peer, event: None) as service, ThreadPoolExecutor(1) as threads:
        made = World(service.port)
        asked = threads.submit(made.ask)
        wait_for(lambda: service.peers and service.peers[0].bodies)
        made.close()
        assert "no longer asked" in reason(asked.result(LONG_S))
        assert service.peers[0].ended.wait(LONG_S)
        wait_for(ended)


def test_a_child_asks_over_connections_of_its_own(world: Any) -> None:
    with Http2Service(echo) as service:
        made = world(service)
        assert made.ask() == b"hello"
        (link,) = [each for each, _ in made.services.links._links.values()]
        made.runtime.on_reset = made.services.close
        reading, writing = os.pipe()
        with link._lock:  # as the thread of the connection may hold it
            pid = os.fork()
            if pid == 0:  # pragma: no cover  # another process
                made.runtime.reset()
                link.cancel(Exchange([], b"", list))
                link.retire()
                os.write(writing, made.ask(b"child"))
                os._exit(0)
        os.close(writing)
        assert os.read(reading, 100) == b"child"
        os.close(reading)
        os.waitpid(pid, 0)
        assert made.both() == [b"thread", b"task"]
        assert [len(each.bodies) for each in service.peers] == [3, 1]


def test_without_a_thread_it_is_a_failure(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: Any, **__: Any) -> Any:
        raise RuntimeError("can't start new thread")

    with Http2Service(echo) as service:
        made = world(service)
        with monkeypatch.context() as patched:
            patched.setattr(wire, "Thread", none)
            assert "can't start new thread" in reason(made.ask())
        assert made.ask() == b"hello"


def test_when_the_numbers_of_streams_have_run_out_there_is_another_connection(world: Any) -> None:
    with Http2Service(echo) as service:
        made = world(service)
        assert made.ask() == b"hello"
        (link,) = [each for each, _ in made.services.links._links.values()]
        link._http.highest_outbound_stream_id = (1 << 31) - 1
        assert made.both() == [b"thread", b"task"]
        assert len(service.peers) == 2
