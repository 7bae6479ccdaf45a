"""The headers of what the mesh answers itself: order and content as Envoy's (tests/differential holds them to it)."""

from __future__ import annotations

import pytest

from proxyless.governance.replies import LocalReply, as_grpc, reply_headers

OWN = ((b"location", b"/x"), (b"content-type", b"text/html"), (b"content-length", b"7"))
LENGTH = (b"content-length", b"4")
TEXT = (b"content-type", b"text/plain")


@pytest.mark.parametrize(
    ("status", "body", "head", "headers"),
    [
        (418, b"", False, [*OWN[:2], (b"content-length", b"0")]),
        (418, b"", True, [*OWN[:2]]),
        (204, b"", False, [*OWN[:2]]),
        (418, b"body", False, [OWN[0], LENGTH, TEXT]),
        (418, b"body", True, [OWN[0], LENGTH, TEXT]),
    ],
)
def test_what_describes_the_body_comes_last_and_is_never_a_mutations(
    status: int, body: bytes, head: bool, headers: list[tuple[bytes, bytes]]
) -> None:
    assert reply_headers(LocalReply(status, body, headers=OWN), head=head) == headers


def test_what_a_grpc_client_is_told_follows_what_the_route_adds() -> None:
    told = as_grpc(LocalReply(404, b"no such thing", headers=OWN[:2]))
    assert (told.status, told.body) == (200, b"")
    assert reply_headers(told) == [
        OWN[0],
        (b"content-type", b"application/grpc"),
        (b"grpc-status", b"12"),
        (b"grpc-message", b"no such thing"),
        (b"content-length", b"0"),
    ]
