"""Policies that want to see a request's body, whatever library sends it, and wherever it goes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from proxyless import Mesh, Node
from proxyless.policies import MESH, Request
from tests.governance.suites.conformance.adapter import Adapter
from tests.governance.suites.conftest import PLAIN
from tests.support.backends import Backends


class Reads:
    """Keeps what it sees."""

    def __init__(self, most: int) -> None:
        self.max_request_bytes = most
        self.seen: list[bytes | None] = []

    def on_request(self, request: Request) -> None:
        self.seen.append(request.body)


def parts() -> Iterator[bytes]:
    yield b"bo"
    yield b"dy"


@pytest.mark.parametrize("governed", [True, False])
@pytest.mark.parametrize("streamed", [True, False])
def test_a_body_is_seen_and_sent(
    suite: type[Adapter], more: Path, backends: Backends, governed: bool, streamed: bool
) -> None:
    first, last = Reads(10), Reads(20)
    node = Node(app="me", namespace="shop", ip="127.0.0.9")
    url = "http://retry.example.com/" if governed else f"http://{PLAIN[0]}:{backends.ports[PLAIN]}/"
    backend = "status=503,status=200" if governed else ""
    with Mesh.from_config(more, node=node, registry=False, policies=[first, MESH, last]) as mesh, suite(mesh) as client:
        body: bytes | Iterable[bytes] = parts() if streamed else b"body"
        assert client.call("POST", url, backend, body=body).status == 200
        assert client.call("GET", url).status == 200
        assert [each.body for each in backends.take()] == [*[b"body"] * (2 if governed else 1), b""]
        assert (first.seen, last.seen) == ([b"body", b""], [b"body", b""])


@pytest.mark.parametrize("streamed", [True, False])
def test_one_that_is_too_long_is_answered(suite: type[Adapter], more: Path, backends: Backends, streamed: bool) -> None:
    reads = Reads(3)
    node = Node(app="me", namespace="shop", ip="127.0.0.9")
    with Mesh.from_config(more, node=node, registry=False, policies=[reads]) as mesh, suite(mesh) as client:
        body: bytes | Iterable[bytes] = parts() if streamed else b"body"
        answer = client.call("POST", "http://one.example.com/", body=body)
        assert (answer.status, answer.body, reads.seen) == (413, b"Payload Too Large", [])
    assert backends.take() == []
