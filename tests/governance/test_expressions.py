"""Expressions in filters of logs, of what only incoming requests and TLS know; the others are in tests/differential."""

from __future__ import annotations

import sys
from hashlib import sha256
from typing import Any

import pytest

from proxyless.governance.access_logs import Log
from proxyless.governance.balancing.host import Host, HostState
from proxyless.governance.client_cert import encoded
from proxyless.governance.expressions import FLAGS, ExpressionError, expression_test
from proxyless.governance.peer import Peer
from proxyless.governance.replies import LocalReply
from proxyless.governance.request import RequestView
from proxyless.governance.rewriting import Rewriting
from proxyless.governance.subject import Subject
from proxyless.xds.model.access_log import AccessLog
from proxyless.xds.model.cluster import Cluster
from proxyless.xds.model.endpoint import LbEndpoint
from proxyless.xds.model.local_reply import Expression, Joined, LocalReplyConfig, ResponseMapper
from proxyless.xds.model.values import Address, Locality

DER = b"\x30\x03\x02\x01\x05"
PEER = Peer(
    certificate=DER,
    uri_sans=("spiffe://a/ns/b/sa/c", "spiffe://d"),
    dns_sans=("a.example",),
    subject="CN=a",
    server_name="outbound_.80_._.web",
    version="TLSv1.3",
    local_uri_sans=("spiffe://own",),
    local_dns_sans=("own.example",),
    local_subject="CN=own",
)


def true(text: str, *headers: tuple[bytes, bytes], path: bytes = b"/", **known: Any) -> bool:
    request = RequestView(b"GET", b"http", b"shop", path, list(headers), "10.0.0.9")
    return expression_test(Expression(text))(Subject(request, **{"log_type": "DownstreamEnd", **known}))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tls_version", "TLSv1.3"),
        ("subject_local_certificate", "CN=own"),
        ("subject_peer_certificate", "CN=a"),
        ("uri_san_local_certificate", "spiffe://own"),
        ("uri_san_peer_certificate", "spiffe://a/ns/b/sa/c"),
        ("dns_san_local_certificate", "own.example"),
        ("dns_san_peer_certificate", "a.example"),
        ("sha256_peer_certificate_digest", sha256(DER).hexdigest()),
        ("peer_certificate", encoded(DER)),
    ],
)
def test_both_sides_of_tls(name: str, value: str) -> None:
    assert true(f"connection.{name} == '{value}'", peer=PEER)
    assert true(f"upstream.{name} == '{value}'", upstream=lambda: PEER)
    for text in (f"has(connection.{name})", f"has(upstream.{name})"):
        assert not true(text)


def test_who_shows_no_certificate() -> None:
    silent = Peer(version="TLSv1.3")
    assert true("!connection.mtls && has(connection.tls_version) && !has(connection.peer_certificate)", peer=silent)
    assert true("!has(connection.sha256_peer_certificate_digest)", peer=silent)
    assert true("connection.mtls && connection.requested_server_name.endsWith('web')", peer=PEER)


def test_where_a_request_came_from_and_went() -> None:
    assert true("source.address == '10.0.0.9:41000' && source.port == 41000", source_port=41_000)
    assert true("!has(source.port) && !has(source.address)", log_type="")
    assert true("destination.address == '10.0.0.1:8080' && destination.port == 8080", local="10.0.0.1:8080")
    assert true("!has(destination.address) && !has(destination.port)")
    host = Host(LbEndpoint(Address("10.0.0.2", 8000)), HostState(), Locality("r", "z", "s"))
    place = "upstream.locality.region == 'r' && upstream.locality.zone == 'z' && upstream.locality.sub_zone == 's'"
    assert true(f"upstream.address == '10.0.0.2:8000' && upstream.port == 8000 && {place}", host=host)


def test_headers_of_the_same_name_are_one_value() -> None:
    twice = ((b"X-A", b"1"), (b"x-a", b"2"))
    assert true("request.headers['x-a'] == '1,2' && request.headers['X-A'] == '1,2'", *twice)
    assert true("response.headers['x-a'] == '1,2'", response=[*twice])


@pytest.mark.parametrize(
    ("header", "text"), [((), "== 7"), (((b"content-length", b"12"),), "== 12"), (((b"content-length", b"x"),), "")]
)
def test_the_size_of_a_request(header: tuple[tuple[bytes, bytes], ...], text: str) -> None:
    assert true(f"request.size {text}" if text else "!has(request.size)", *header, received=7)


def test_a_query_ends_before_a_fragment() -> None:
    assert true("request.query == 'q=1' && request.url_path == '/a'", path=b"/a?q=1#f")


def test_flags_are_bits() -> None:
    assert true("response.flags == 0x4020", flags=("UF", "DC", "DC", "none"))
    assert FLAGS.index("UPE") == 23


def test_metadata_are_maps_and_lists() -> None:
    cluster = Cluster("web", metadata={"istio": {"services": ({"host": "web"},), "n": 1.0}})
    known: dict[str, Any] = {"cluster": cluster, "dynamic": {"a": {"b": "c"}}}
    text = "xds.cluster_metadata.filter_metadata.istio.services[0].host == 'web' && xds.cluster_name == 'web'"
    assert true(text, **known)
    assert true("metadata.filter_metadata.a.b == 'c'", **known)
    assert not true("has(xds.cluster_metadata)")


def test_times() -> None:
    known: dict[str, Any] = {"started": 1_700_000_000.25, "now": 1_700_000_001.0, "headed_ms": 500}
    assert true("request.time == timestamp('2023-11-14T22:13:20.250Z')", **known)
    assert true("response.backend_latency == duration('0.75s') && request.duration == duration('0.75s')", **known)
    assert not true("has(response.backend_latency)", started=1.0, now=2.0)


FALSE = Expression("response.code >= 400")
CANNOT = Expression("re.extract(request.path, 'a', 'b') == 'a'")


def test_what_cannot_be_evaluated_here_writes_nothing_and_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for wanted in (CANNOT, Joined("any", (CANNOT,))):
        log = Log(AccessLog("/dev/stdout", filter=wanted), "listener a", lambda: 0.0)
        assert [each.reason for each in log.notes] == [
            "not written: the expression calls re.extract, which is not known here"
        ]
        log.write(Subject(RequestView(b"GET", b"http", b"shop", b"/")), lambda path, line: pytest.fail("written"))
    monkeypatch.setitem(sys.modules, "cel_expr_python", None)
    with pytest.raises(ExpressionError, match=r"pip install 'proxyless\[cel\]'"):
        expression_test(FALSE)
    mapping = Rewriting(LocalReplyConfig((ResponseMapper(FALSE, 418),)), "listener a", lambda: 0.0)
    (note,) = mapping.notes
    refused = LocalReply(503, flags=("NR",))
    assert mapping(refused, Subject(RequestView(b"GET", b"http", b"shop", b"/"))).status == 503
    assert note.reason.startswith("a mapper takes nothing: expressions are evaluated by cel-expr-python")
