"""What Envoy answers itself (docs/envoy-facts.md, "What Envoy answers itself")."""

from __future__ import annotations

import pytest

from proxyless.governance.replies import (
    LocalReply,
    as_grpc,
    closed,
    no_cluster,
    no_healthy_upstream,
    no_route,
    overflow,
    per_try_timeout,
    refused,
    route_timeout,
    upstream_reset,
)

RESET = "upstream connect error or disconnect/reset before headers. "


@pytest.mark.parametrize(
    ("reply", "status", "flag", "details", "body"),
    [
        (no_route(), 404, "NR", "route_not_found", ""),
        (no_cluster(500), 500, "NC", "cluster_not_found", ""),
        (no_healthy_upstream(), 503, "UH", "no_healthy_upstream", "no healthy upstream"),
        (
            overflow(),
            503,
            "UO",
            "upstream_reset_before_response_started{overflow}",
            RESET + "reset reason: overflow",
        ),
        (route_timeout(), 504, "UT", "response_timeout", "upstream request timeout"),
        (per_try_timeout(), 504, "UT", "upstream_per_try_timeout", "upstream request timeout"),
        (
            upstream_reset("connect-timeout"),
            503,
            "UF",
            "upstream_reset_before_response_started{connection_timeout}",
            RESET + "reset reason: connection timeout",
        ),
        (
            upstream_reset("remote-reset"),
            503,
            "UR",
            "upstream_reset_before_response_started{remote_reset}",
            RESET + "reset reason: remote reset",
        ),
        (refused("why"), 503, "NR", "refused", "why"),
        (closed("why"), 503, "UF", "closed", "why"),
    ],
    ids=lambda value: value.details if isinstance(value, LocalReply) else "",
)
def test_a_reply_has_envoys_status_flag_details_and_body(
    reply: LocalReply, status: int, flag: str, details: str, body: str
) -> None:
    assert (reply.status, reply.flag, reply.details, reply.body.decode()) == (status, flag, details, body)


def test_an_overflow_says_so_in_a_header() -> None:
    assert overflow().headers == ((b"x-envoy-overloaded", b"true"),)


def test_flags_combine_as_the_access_log_prints_them() -> None:
    assert LocalReply(200).flag == "-"
    assert upstream_reset("reset").flagged("URX").flag == "URX,UC"


@pytest.mark.parametrize(
    ("status", "grpc"),
    [(400, 13), (401, 16), (403, 7), (404, 12), (429, 14), (502, 14), (503, 14), (504, 14), (418, 2), (301, 2)],
)
def test_a_status_becomes_that_of_grpc(status: int, grpc: int) -> None:
    told = as_grpc(LocalReply(status, b"", headers=((b"x", b"1"), (b"content-type", b"text/plain"))))
    assert (told.status, told.body) == (200, b"")
    assert told.headers == ((b"x", b"1"), (b"content-type", b"application/grpc"), (b"grpc-status", b"%d" % grpc))


@pytest.mark.parametrize(
    ("body", "message"), [("a b!~", "a b!~"), ("50%\n", "50%25%0A"), ("caf\xe9", "caf%C3%A9"), ('{"a"}', '{"a"}')]
)
def test_a_grpc_message_is_percent_encoded_where_it_must_be(body: str, message: str) -> None:
    assert dict(as_grpc(LocalReply(503, body.encode())).headers)[b"grpc-message"] == message.encode()
