"""The commands of formats, filled in as by Envoy 1.40 (docs/envoy-facts.md, "Formats")."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from proxyless.governance.balancing.host import Host, HostState
from proxyless.governance.client_cert import encoded
from proxyless.governance.commands import PLAIN, REFUSED, UNKNOWN_HERE, WITH_PARAMETERS
from proxyless.governance.descriptors import LimitPolicy
from proxyless.governance.formatter import compile_value
from proxyless.governance.forwarding import Workload
from proxyless.governance.moments import clock_format
from proxyless.governance.peer import Peer
from proxyless.governance.plain import plain_text, shortest, written
from proxyless.governance.request import RequestView
from proxyless.governance.routing import CompiledRoute
from proxyless.governance.subject import Subject
from proxyless.xds.model.cluster import Cluster
from proxyless.xds.model.endpoint import LbEndpoint
from proxyless.xds.model.matchers import PathMatcher
from proxyless.xds.model.route import Route, RouteAction, RouteConfiguration, RouteMatch, VirtualHost
from proxyless.xds.model.values import Address, FilterMetadata
from proxyless.xds.wire.decode import formats

NOW = 1_700_000_000.25
METADATA: FilterMetadata = {"m": {"a": "word", "s": {"t": "u", "n": 1.0}, "l": (1.0, "a", None, 0.5), "b": True}}
GRPC = (b"content-type", b"application/grpc")


def subject(*headers: tuple[bytes, bytes], authority: bytes = b"shop:80") -> Subject:
    """A request that has come as far as its response."""
    request = RequestView(b"GET", b"http", authority, b"/a/b?q=1&r", [(b"x-a", b"1"), *headers], "10.0.0.9")
    route = Route(RouteMatch(PathMatcher("prefix", "/")), RouteAction("c"), name="its-name", metadata=METADATA)
    vhost = VirtualHost("v", ("*",), (route,), metadata={"m": {"a": "of the host"}})
    compiled = CompiledRoute(0, route, vhost, RouteConfiguration("t"), LimitPolicy(()))
    endpoint = LbEndpoint(Address("10.1.1.1", 8080), metadata={"m": {"a": "of the endpoint"}})
    return Subject(
        request,
        response=[(b"Content-Type", b"text/html"), (b"x-b", b"2")],
        status=200,
        flags=("UF", "URX"),
        details="via_upstream",
        body=b"own",
        vhost=vhost,
        route=compiled,
        cluster=Cluster("c", "STATIC", alt_stat_name="alt", metadata={"m": {"a": "of the cluster"}}),
        host=Host(endpoint, HostState()),
        tried=("10.1.1.2:8080", "10.1.1.1:8080"),
        attempts=2,
        started=NOW - 1.5,
        now=NOW,
        local="10.96.1.2:80",
        listener="0.0.0.0_80",
        chain="chain",
        workload=Workload(host="machine"),
        dynamic={"f": {"k": "v"}},
        new_id=lambda: b"id",
    )


def filled(command: str, what: Subject | None = None) -> str:
    formatter = compile_value(f"%{command}%")
    if isinstance(formatter, bytes):
        return formatter.decode()
    return formatter(what if what is not None else subject()).decode()


@pytest.mark.parametrize(
    ("command", "value"),
    [
        ("ACCESS_LOG_TYPE", "NotSet"),
        ("BYTES_SENT", "0"),
        ("CLUSTER_METADATA(m:a)", "of the cluster"),
        ("COMMON_DURATION(DS_RX_BEG:DS_RX_END:ms)", "0"),
        ("REQ()", ""),
        ("COMMON_DURATION(DS_RX_BEG:US_RX_BEG:ms)", "1500"),
        ("COMMON_DURATION(DS_RX_BEG:US_RX_BEG:us)", "1500000"),
        ("COMMON_DURATION(DS_RX_BEG:US_TX_BEG:ms)", ""),
        ("DOWNSTREAM_LOCAL_ADDRESS", "10.96.1.2:80"),
        ("DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT", "10.96.1.2"),
        ("DOWNSTREAM_DIRECT_LOCAL_PORT", "80"),
        ("DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT", "10.0.0.9"),
        ("DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT(16)", "10.0.0.0/16"),
        ("DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT(99)", "10.0.0.9"),
        ("DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT(x)", "10.0.0.9"),
        ("DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT", "10.0.0.9"),
        ("DURATION", "1500"),
        ("DYNAMIC_METADATA(f:k)", "v"),
        ("EMIT_TIME", "2023-11-14T22:13:20.250Z"),
        ("FILTER_CHAIN_NAME", "chain"),
        ("FILTER_STATE(a)", ""),
        ("GRPC_STATUS", ""),
        ("HOSTNAME", "machine"),
        ("LISTENER_NAME", "0.0.0.0_80"),
        ("LOCAL_REPLY_BODY", "own"),
        ("METADATA(ROUTE:m:a)", "word"),
        ("METADATA(ROUTE:m:a):2", "wo"),
        ("METADATA(ROUTE:m:l)", '[1,"a",null,0.5]'),
        ("METADATA(ROUTE:m:s)", '{"n":1,"t":"u"}'),
        ("METADATA(ROUTE:m:b)", "true"),
        ("METADATA(ROUTE:m:s:t)", "u"),
        ("METADATA(ROUTE:m:a:t)", ""),
        ("METADATA(ROUTE:n)", ""),
        ("METADATA(UPSTREAM_HOST:m:a)", "of the endpoint"),
        ("METADATA(VIRTUAL_HOST:m:a)", "of the host"),
        ("PATH", "/a/b?q=1&r"),
        ("PATH(NQ)", "/a/b"),
        ("PATH(WQ:ORIG)", ""),
        ("PATH(NQ:PATH)", "/a/b"),
        ("QUERY_PARAM(q)", "1"),
        ("QUERY_PARAM(z)", ""),
        ("QUERY_PARAMS", "q=1&r"),
        ("REQUESTED_SERVER_NAME", ""),
        ("REQUESTED_SERVER_NAME(SNI_FIRST)", "shop"),
        ("REQUEST_DURATION", "0"),
        ("REQUEST_HEADERS_BYTES", "57"),
        ("REQ_WITHOUT_QUERY(:path)", "/a/b"),
        ("REQ_WITHOUT_QUERY(x)", ""),
        ("RESP(:status)", "200"),
        ("RESP(content-type):4", "text"),
        ("RESP(x-none?x-b)", "2"),
        ("RESPONSE_CODE", "200"),
        ("RESPONSE_CODE_DETAILS", "via_upstream"),
        ("RESPONSE_DURATION", "1500"),
        ("RESPONSE_FLAGS", "UF,URX"),
        ("RESPONSE_FLAGS_LONG", "UpstreamConnectionFailure,UpstreamRetryLimitExceeded"),
        ("RESPONSE_HEADERS_BYTES", "35"),
        ("ROUTE_NAME", "its-name"),
        ("START_TIME", "2023-11-14T22:13:18.750Z"),
        ("START_TIME(%s)", "1699999998"),
        ("STREAM_ID", ""),
        ("TRAILER(x)", ""),
        ("UNIQUE_ID", "id"),
        ("UPSTREAM_CLUSTER", "alt"),
        ("UPSTREAM_CLUSTER_RAW", "c"),
        ("UPSTREAM_HOST", "10.1.1.1:8080"),
        ("UPSTREAM_HOSTS_ATTEMPTED", "10.1.1.2:8080,10.1.1.1:8080"),
        ("UPSTREAM_HOSTS_ATTEMPTED_WITHOUT_PORT", "10.1.1.2,10.1.1.1"),
        ("UPSTREAM_HOST_NAME", "10.1.1.1:8080"),
        ("UPSTREAM_HOST_NAME_WITHOUT_PORT", "10.1.1.1"),
        ("UPSTREAM_PROTOCOL", "HTTP/1.1"),
        ("UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT", "10.1.1.1"),
        ("UPSTREAM_REMOTE_PORT", "8080"),
        ("UPSTREAM_REQUEST_ATTEMPT_COUNT", "2"),
        ("UPSTREAM_TLS_VERSION", ""),
        ("TLS_JA3_FINGERPRINT", ""),
        ("CONNECTION_ID", ""),
    ],
)
def test_a_command_says_what_is_known(command: str, value: str) -> None:
    assert filled(command) == value


ALL = (
    *sorted(PLAIN),
    *(f"{each}(x:y)" for each in sorted(WITH_PARAMETERS) if each not in ("PATH", "METADATA")),
    *("METADATA(ROUTE:a)", "METADATA(VIRTUAL_HOST:a)", "PATH"),
)
ABSENT = ("UPSTREAM_HOST", "UPSTREAM_PROTOCOL", "RESP(:status)", "RESPONSE_DURATION", "ROUTE_NAME", "QUERY_PARAMS")


@pytest.mark.parametrize("command", ALL)
def test_every_command_says_something_of_a_request_that_has_just_come(command: str) -> None:
    bare = Subject(RequestView(b"GET", b"http", b"shop", b"/"))
    assert isinstance(filled(command, bare), str)


def test_the_other_side_of_a_connection_by_tls() -> None:
    request = RequestView(b"GET", b"http", b"shop", b"/")
    peer = Peer(
        b"leaf", True, ("spiffe://a/b", "x"), ("a", "b"), "CN=a", version="TLSv1.3", cipher="C", ip_sans=("1.2.3.4",)
    )
    peer = replace(peer, local_uri_sans=("me",), local_dns_sans=("my", "own"), local_ip_sans=("::1",), session_id="ab")
    peer = replace(
        peer,
        email_sans=("a@b",),
        local_email_sans=("c@d",),
        local_subject="CN=me",
        chain=(b"leaf", b"root"),
        begins=1.5,
    )
    peer = replace(peer, issuer="CN=ca", serial="0a", chain_serials=("0a", "01"), ends=86400.0)
    leaf, root = (hashlib.sha256(each).hexdigest() for each in (b"leaf", b"root"))
    both = {
        "PEER_URI_SAN": "spiffe://a/b,x",
        "PEER_DNS_SAN": "a,b",
        "PEER_IP_SAN": "1.2.3.4",
        "PEER_SUBJECT": "CN=a",
        "PEER_ISSUER": "CN=ca",
        "PEER_CERT": encoded(b"leaf"),
        "PEER_CERT_V_START": "1970-01-01T00:00:01.500Z",
        "PEER_CERT_V_END(%s)": "86400",
        "LOCAL_URI_SAN": "me",
        "LOCAL_DNS_SAN": "my,own",
        "LOCAL_IP_SAN": "::1",
        "TLS_VERSION": "TLSv1.3",
        "TLS_CIPHER": "C",
        "TLS_SESSION_ID": "ab",
    }
    clients = {
        "PEER_SERIAL": "0a",
        "PEER_CHAIN_SERIALS": "0a,01",
        "PEER_FINGERPRINT_256": leaf,
        "PEER_FINGERPRINT_1": hashlib.sha1(b"leaf", usedforsecurity=False).hexdigest(),
        "PEER_CHAIN_FINGERPRINTS_256": f"{leaf},{root}",
        "PEER_EMAIL_SAN": "a@b",
        "LOCAL_EMAIL_SAN": "c@d",
        "LOCAL_SUBJECT": "CN=me",
    }
    known = Subject(request, peer=peer, upstream=lambda: peer)
    unknown = Subject(request, peer=Peer(), upstream=lambda: None)
    for command, value in {
        **{f"DOWNSTREAM_{name}": value for name, value in (*both.items(), *clients.items())},
        **{f"UPSTREAM_{name}": value for name, value in both.items()},
    }.items():
        assert filled(command, known) == value, command
        assert filled(command, unknown) == filled(command, Subject(request)) == "", command
    failed = Subject(request, transport="not who was asked for")
    assert filled("UPSTREAM_TRANSPORT_FAILURE_REASON", failed) == "not_who_was_asked_for"


def test_what_is_not_known_yet_is_nothing() -> None:
    bare = Subject(RequestView(b"GET", b"http", b"shop", b"/"))
    for command in (
        "UPSTREAM_HOST",
        "UPSTREAM_PROTOCOL",
        "RESP(:status)",
        "RESPONSE_DURATION",
        "ROUTE_NAME",
        "QUERY_PARAMS",
    ):
        assert filled(command, bare) == ""
    assert (filled("RESPONSE_CODE", bare), filled("RESPONSE_FLAGS", bare)) == ("0", "-")
    assert filled("COMMON_DURATION(DS_RX_BEG:US_RX_BEG:ms)", bare) == ""
    assert filled("COMMON_DURATION(DS_RX_BEG:US_RX_END:ms)", bare) == ""
    bare.response, bare.local_status = [], 503
    assert (filled("RESP(:status)", bare), filled("RESPONSE_CODE", bare)) == ("503", "0")
    bare.local_status = 0
    assert filled("RESP(:status)", bare) == ""
    bare.http2, bare.host = True, subject().host
    assert filled("UPSTREAM_PROTOCOL", bare) == "HTTP/2"


@pytest.mark.parametrize(
    ("headers", "status", "command", "value"),
    [
        ([], 200, "GRPC_STATUS", "Unknown"),
        ([], 503, "GRPC_STATUS", "Unavailable"),
        ([], 503, "GRPC_STATUS(SNAKE_STRING)", "UNAVAILABLE"),
        ([], 503, "GRPC_STATUS(NUMBER)", "14"),
        ([], 0, "GRPC_STATUS", ""),
        ([(b"grpc-status", b"5")], 200, "GRPC_STATUS", "NotFound"),
        ([(b"grpc-status", b"99")], 200, "GRPC_STATUS", "99"),
        ([(b"grpc-status", b"9" * 5000)], 200, "GRPC_STATUS", "Unknown"),
        ([(b"grpc-status", b"5")], 200, "GRPC_STATUS_NUMBER", "5"),
    ],
)
def test_the_status_of_grpc(headers: list[tuple[bytes, bytes]], status: int, command: str, value: str) -> None:
    asked = subject(GRPC)
    asked.response, asked.status = headers, status
    assert filled(command, asked) == value


def test_the_path_that_was_sent_is_remembered_by_its_header() -> None:
    rewritten = subject((b"x-envoy-original-path", b"/old?z"))
    assert [filled(f"PATH({each})", rewritten) for each in ("", "WQ:ORIG", "NQ:ORIG", "NQ:PATH")] == [
        *("/old?z", "/old?z", "/old", "/a/b"),
    ]


@pytest.mark.parametrize(("authority", "name"), [(b"shop", "shop"), (b"[::1]:80", "[::1]"), (b"[::1]", "[::1]")])
def test_the_host_stands_for_a_server_name(authority: bytes, name: str) -> None:
    assert filled("REQUESTED_SERVER_NAME(HOST_FIRST)", subject(authority=authority)) == name


def test_a_client_behind_others_is_the_remote_address() -> None:
    asked = subject()
    asked.request.remote = "8.8.8.8"
    assert filled("DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT", asked) == "8.8.8.8"
    assert filled("DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT", asked) == "10.0.0.9"


def test_every_command_that_envoy_knows_is_filled_in_or_known_not_to_be() -> None:
    known = formats.PLAIN | formats.REQUIRED | formats.WITHOUT_LENGTH | formats.OTHERS
    filled_in = set(PLAIN) | set(WITH_PARAMETERS)
    assert known | {"XFCC_VALUE"} >= UNKNOWN_HERE | REFUSED
    left = known - filled_in - UNKNOWN_HERE - REFUSED
    about = ("CERT", "TLS", "SAN", "PEER", "SUBJECT", "SERIAL", "TRANSPORT", "DETAILS", "CLOSE", "ENDPOINT", "DURATION")
    others = {"TRAILER", "RESPONSE_TRAILER", "UPSTREAM_SERVER_NAME"}
    states = {"FILTER_STATE", "UPSTREAM_FILTER_STATE", "VIRTUAL_CLUSTER_NAME"}
    assert {each for each in left if not any(word in each for word in about)} == others | states


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", "2023-11-14T22:13:20.250Z"),
        ("%Y", "2023"),
        ("%s.%3f", "1700000000.250"),
        ("%f", "250000000"),
        ("%E3S", "20.250"),
        ("%E0S", "20"),
        ("%E4Y%Ez", "2023+0000"),
        ("%%Y", "%Y"),
    ],
)
def test_a_moment_is_spelled_as_asked(text: str, value: str) -> None:
    assert clock_format(text, utc=True)(NOW).decode() == value


def test_moments_of_one_second_differ_by_their_fractions() -> None:
    spelled = clock_format("%S.%1f", utc=True)
    assert [spelled(NOW + later) for later in (0.0, 0.5, 1.0, 0.0)] == [b"20.2", b"20.7", b"21.2", b"20.2"]


def test_a_local_moment_says_its_zone() -> None:
    assert clock_format("", utc=False)(NOW)[-5:-4] in b"+-"


def test_text_stays_as_it_is() -> None:
    assert plain_text("é") == "é".encode()
    assert plain_text({"b": 2.0, "a": None}) == b'{"a":null,"b":2}'


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (100000, "1e+05"),
        (123456, "123456"),
        (1200000, "1200000"),
        (1e30, "1e+30"),
        (12345678901234567890, "12345678901234567168"),
        (0.0001, "1e-04"),
        (1234.5678, "1234.5678"),
        (0.1, "0.1"),
        (0.05, "0.05"),
        (-2.5e10, "-2.5e+10"),
        (0, "0"),
        (-0.0, "-0"),
    ],
)
def test_a_number_is_written_in_the_shorter_way(value: float, text: str) -> None:
    assert shortest(float(value)) == text


def test_json_has_its_keys_in_order_and_no_spaces() -> None:
    assert written({"b": (1, None, True, False), "B": '\t"é'}) == '{"B":"\\t\\"é","b":[1,null,true,false]}'.encode()
    with pytest.raises(TypeError):
        written(object())


def test_an_endpoint_that_was_not_reached_has_a_name_only() -> None:
    what = subject()
    what.connected = False
    assert (filled("UPSTREAM_HOST", what), filled("UPSTREAM_REMOTE_PORT", what)) == ("10.1.1.1:8080", "")
    assert filled("UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT", what) == filled("UPSTREAM_PROTOCOL", what) == ""
    assert filled("UPSTREAM_REMOTE_ADDRESS", what) == ""


def test_times_of_what_is_over_are_known_by_logs_alone() -> None:
    made = subject()
    made.headed_ms = 400
    asked = ("DS_RX_BEG:DS_TX_END", "US_RX_BEG:US_RX_END", "DS_TX_BEG:DS_TX_END", "US_TX_END:US_RX_BEG")
    commands = [*(f"COMMON_DURATION({each}:ms)" for each in asked), "RESPONSE_TX_DURATION"]
    assert [filled(each, made) for each in commands] == [""] * 5
    made.log_type = "DownstreamEnd"
    assert [filled(each, made) for each in commands] == ["1500", "1100", "1100", "", "1100"]
