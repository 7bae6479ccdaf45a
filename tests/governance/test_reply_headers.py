"""The headers of what the mesh answers itself: order and content as Envoy's (tests/differential holds them to it)."""

from __future__ import annotations

import pytest

from proxyless.governance.replies import LocalReply, reply_headers

OWN = ((b"location", b"/x"), (b"content-type", b"text/html"), (b"content-length", b"7"))
LENGTH = (b"content-length", b"4")
TEXT = (b"content-type", b"text/plain")


@pytest.mark.parametrize(
    ("body", "head", "headers"),
    [
        (b"", False, [*OWN[:2], (b"content-length", b"0")]),
        (b"", True, [*OWN[:2]]),
        (b"body", False, [OWN[0], LENGTH, TEXT]),
        (b"body", True, [OWN[0], LENGTH, TEXT]),
    ],
)
def test_what_describes_the_body_comes_last_and_is_never_a_mutations(
    body: bytes, head: bool, headers: list[tuple[bytes, bytes]]
) -> None:
    assert reply_headers(LocalReply(418, body, headers=OWN), head=head) == headers
