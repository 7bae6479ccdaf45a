"""Clients that do not read cost the others nothing, and are sent one push for all that they missed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from queue import Queue
from typing import Any

import grpc
import pytest

from proxyless.xds.controlplane import FolderSource, Plane
from proxyless.xds.controlplane.discovery import rules
from proxyless.xds.controlplane.local import LocalStream
from proxyless.xds.controlplane.plane import Debounce
from proxyless.xds.controlplane.server import SERVICE, Server, serve
from proxyless.xds.wire.schema import types as pb
from tests.support.waiting import wait_for
from tests.xds.controlplane.support import endpoints, service

A = "outbound|80||a.shop.svc.cluster.local"
NODE = pb.core_v3.Node(id="sidecar~10.9.9.9~x.shop~shop.svc.cluster.local")
ASK = pb.discovery_v3.DiscoveryRequest(type_url=rules.ENDPOINT.url, node=NODE, resource_names=[A])


def write(folder: Path, last: int) -> None:
    """At once: a plane that waits for nothing would read a file that is half written."""
    draft = folder / "a.draft"
    draft.write_text(service("a", "http:80") + endpoints("a", "http:80", f"10.0.0.{last}"))
    draft.replace(folder / "a.yaml")


def address(raw: bytes) -> str:
    response = pb.discovery_v3.DiscoveryResponse.FromString(raw)
    assignment = pb.endpoint_v3.ClusterLoadAssignment.FromString(response.resources[0].value)
    return assignment.endpoints[0].lb_endpoints[0].endpoint.address.socket_address.address


def made(folder: Path, debounce: Debounce) -> Iterator[Plane]:
    write(folder, 1)
    plane = Plane(FolderSource(folder), debounce=debounce)
    yield plane
    plane.close()


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[Plane]:
    yield from made(tmp_path, Debounce(0.0, 0.0))


@pytest.fixture
def server(plane: Plane) -> Iterator[Server]:
    running = serve(plane, "127.0.0.1:0")
    yield running
    running.stop()


def test_changes_wait_for_what_is_being_written_and_are_then_one_push(plane: Plane, tmp_path: Path) -> None:
    got: Queue[bytes] = Queue()
    stream = LocalStream(plane, got.put, paced=True)
    stream.send(ASK.SerializeToString())
    assert address(got.get(timeout=5)) == "10.0.0.1"
    for last in (2, 3):
        number = plane.state.number
        write(tmp_path, last)
        wait_for(lambda: plane.state.number == number + 1)  # noqa: B023
    stream.answered().result(5)
    assert got.empty()
    assert stream.waiting == 0
    stream.written()
    assert address(got.get(timeout=5)) == "10.0.0.3"
    stream.written()
    stream.answered().result(5)
    assert got.empty()


def call(channel: grpc.Channel, requests: Iterator[bytes]) -> Any:
    return channel.stream_stream(f"/{SERVICE}/StreamAggregatedResources")(requests)  # type: ignore[call-arg]


def once(request: bytes, end: Queue[None]) -> Iterator[bytes]:
    yield request
    end.get()


def test_one_that_does_not_read_does_not_hold_up_others(server: Server, plane: Plane, tmp_path: Path) -> None:
    end: Queue[None] = Queue()
    with grpc.insecure_channel(server.address) as one, grpc.insecure_channel(server.address) as other:
        slow, quick = (call(each, once(ASK.SerializeToString(), end)) for each in (one, other))
        assert address(next(quick)) == "10.0.0.1"
        wait_for(lambda: len(plane.status().clients) == 2)
        for last in range(2, 12):
            write(tmp_path, last)
            while address(next(quick)) != f"10.0.0.{last}":
                pass
        found = [address(next(slow))]
        while found[-1] != "10.0.0.11":
            found.append(address(next(slow)))
        slow.cancel()
        quick.cancel()
    end.put(None)
    end.put(None)


def test_a_refused_request_ends_the_stream_with_its_status(server: Server) -> None:
    end: Queue[None] = Queue()
    request = pb.discovery_v3.DiscoveryRequest(type_url="istio.io/debug/syncz", node=NODE)
    with grpc.insecure_channel(server.address) as channel:
        answers = call(channel, once(request.SerializeToString(), end))
        with pytest.raises(grpc.RpcError) as caught:
            next(answers)
        assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
    end.put(None)


def test_many_requests_at_once_are_all_answered(server: Server) -> None:
    """More than are taken in before the first is answered."""

    def asks() -> Iterator[bytes]:
        for _ in range(300):
            yield ASK.SerializeToString()
        end.get()

    end: Queue[None] = Queue()
    with grpc.insecure_channel(server.address) as channel:
        answers = call(channel, asks())
        assert [address(next(answers)) for _ in range(300)] == ["10.0.0.1"] * 300
        answers.cancel()
    end.put(None)


def test_a_change_counts_when_the_folder_has_been_quiet(tmp_path: Path) -> None:
    for plane in made(tmp_path, Debounce(0.25, 10)):
        got: Queue[bytes] = Queue()
        stream = LocalStream(plane, got.put)
        stream.send(ASK.SerializeToString())
        got.get(timeout=5)
        for last in range(2, 6):
            write(tmp_path, last)
            time.sleep(0.05)
        assert address(got.get(timeout=5)) == "10.0.0.5"
        assert got.empty()


def test_but_is_not_put_off_for_ever(tmp_path: Path) -> None:
    for plane in made(tmp_path, Debounce(5, 0.1)):
        got: Queue[bytes] = Queue()
        stream = LocalStream(plane, got.put)
        stream.send(ASK.SerializeToString())
        got.get(timeout=5)
        write(tmp_path, 2)
        assert address(got.get(timeout=3)) == "10.0.0.2"
