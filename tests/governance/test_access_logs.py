"""Lines of access logs: which requests have one, and what it says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from proxyless.governance import describing
from proxyless.governance.inbound import InboundRequest
from proxyless.governance.peer import Peer
from proxyless.governance.request import RequestView
from proxyless.xds.model.access_log import AccessLog
from proxyless.xds.model.cluster import Cluster
from proxyless.xds.model.listener import TcpProxy
from proxyless.xds.model.local_reply import BodyFormat, Comparison
from proxyless.xds.model.route import BackOff, DirectResponseAction, RetryPolicy
from proxyless.xds.model.tracing import Tracer, Tracing
from tests.support.model import chain, cluster, http_filter, listener, manager, route, snapshot, table, vhost
from tests.support.spans import FakeSpans
from tests.support.world import World

TEXT = AccessLog("/dev/stdout", BodyFormat("%REQ(:METHOD)% %PROTOCOL% %RESPONSE_CODE% %RESPONSE_CODE_DETAILS%"))


def saying(text: str) -> AccessLog:
    """A log of one command or more."""
    return AccessLog("/dev/stdout", BodyFormat(text))


def logged(*logs: AccessLog, to: Any = "a", tcp: bool = False, **fields: Any) -> tuple[World, list[tuple[str, str]]]:
    """A world whose requests are logged, and its lines."""
    routes = table(vhost(route("/", to)))
    outgoing = TcpProxy("a", access_logs=logs) if tcp else manager("80", access_logs=logs, **fields)
    incoming = TcpProxy("a", access_logs=logs) if tcp else manager(routes, access_logs=logs, **fields)
    made = World(
        tables=[routes],
        listeners=[listener("0.0.0.0_80", chain(outgoing)), listener("virtualInbound", chain(incoming, "app"))],
        clusters=[cluster("a", "10.0.0.1:80")],
    )
    lines: list[tuple[str, str]] = []
    made.runtime.access_log = lambda path, line: lines.append((path, line.decode()))
    return made, lines


def received(made: World, *headers: tuple[str, str], peer: Peer | None = None, source: str = "10.0.0.9") -> Any:
    raw = [(name.encode(), value.encode()) for name, value in headers]
    view = RequestView(b"GET", b"http", b"app", b"/x", raw, source)
    request = InboundRequest(made.runtime, view, 8080, source_port=4321, peer=peer)
    request.decide()
    return request


def test_a_call_that_is_over_is_a_line() -> None:
    made, lines = logged(TEXT, saying("%BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(x-envoy-upstream-service-time)%"))
    run = made.steps()
    run.until(answers=[200])
    assert lines == [("/dev/stdout", "GET HTTP/1.1 200 via_upstream"), ("/dev/stdout", "0 0 0 0")]


def test_what_the_mesh_answers_itself_is_a_line_too() -> None:
    made, lines = logged(
        saying("%RESPONSE_CODE% %RESPONSE_CODE_DETAILS% %BYTES_SENT%"), to=DirectResponseAction(418, b"tea")
    )
    made.call(answers=[])
    made.call(answers=[], headers=[("host", "a b")])
    assert [line for _, line in lines] == ["418 direct_response 3", "400 http.invalid_authority 11"]


def test_a_call_that_its_caller_gives_up_is_a_line() -> None:
    made, lines = logged(saying("%RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS%"))
    made.steps().close()
    assert lines == [("/dev/stdout", "0 DC downstream_remote_disconnect")]


def test_a_connection_that_nobody_looks_into_has_no_request() -> None:
    made, lines = logged(
        saying("%REQ(:METHOD)% %PROTOCOL% %RESPONSE_CODE% %UPSTREAM_CLUSTER% %ACCESS_LOG_TYPE%"), tcp=True
    )
    made.call()
    request = received(made)
    request.ended(200)
    assert [line for _, line in lines] == ["- - 0 a TcpConnectionEnd", "- - 0 - TcpConnectionEnd"]


def test_filters_say_which_requests_have_a_line() -> None:
    made, lines = logged(replace(TEXT, filter=Comparison("status", "GE", 500)))
    made.call(answers=[200])
    assert lines == []
    made.call(answers=[503])
    assert len(lines) == 1


def test_an_incoming_request_says_who_asked() -> None:
    commands = (
        "%DOWNSTREAM_REMOTE_ADDRESS% %DOWNSTREAM_DIRECT_REMOTE_ADDRESS% %DOWNSTREAM_REMOTE_PORT% %RESPONSE_DURATION%"
    )
    made, lines = logged(saying(commands), saying("%REQUESTED_SERVER_NAME% %RESPONSE_CODE_DETAILS%"))
    request = received(made, peer=Peer(b"c", validated=True, server_name="app.shop"))
    request.response(200, [])
    request.ended(200)
    received(made, source="fd00::9").ended(0, ("DC",))
    assert [line for _, line in lines] == [
        "10.0.0.9:4321 10.0.0.9:4321 4321 0",
        "app.shop via_upstream",
        "[fd00::9]:4321 [fd00::9]:4321 4321 -",
        "- downstream_remote_disconnect",
    ]


def test_where_requests_land_is_found_once_for_a_cluster_and_anew_when_that_has_changed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(describing, "MOST_LANDINGS", 1)
    made, lines = logged(saying("%UPSTREAM_CLUSTER_RAW% %UPSTREAM_HOST% %DOWNSTREAM_LOCAL_ADDRESS%"))

    def told() -> str:
        request = received(made)
        request.response(200, [])
        request.ended(200)
        return lines[-1][1]

    def clusters(*given: Cluster) -> None:
        held = snapshot(clusters=given).clusters
        made.runtime.publish(replace(made.runtime.plan.snapshot, clusters=held))

    assert told() == told() == "a 10.0.0.1:80 127.0.0.1:8080"
    clusters(cluster("a"))
    assert told() == "a 127.0.0.1:8080 127.0.0.1:8080"
    (http,) = made.runtime.plan.http_runtimes()
    kept = http.landings
    for name in ("b", "c", "d"):
        kept[8080, name] = kept[8080, "a"]
    clusters()
    assert told() == "- - 127.0.0.1:8080"
    assert list(kept) == [(8080, "a")]


def test_what_is_refused_on_its_way_in_is_a_line() -> None:
    made, lines = logged(saying("%RESPONSE_CODE% %RESPONSE_CODE_DETAILS%"), to=DirectResponseAction(403))
    request = received(made)
    request.ended(request.status)
    assert lines == [("/dev/stdout", "403 direct_response")]


def test_no_secret_gets_into_a_line_or_a_span() -> None:
    secrets = ("authorization", "cookie", "x-vault-token", "token", "api-key", "x-accesstoken", "client-secret")
    asked = " ".join(f"%REQ({name.upper()})%" for name in secrets)
    made, lines = logged(saying(f"{asked} %REQ(X-NONE?COOKIE)% %REQ(x-plain)% %RESP(set-cookie)%"))
    made.call(headers=[*((name, "s3cret") for name in secrets), ("x-plain", "p")])
    assert lines == [("/dev/stdout", "[redacted] " * (len(secrets) + 1) + "p -")]


def test_commands_that_cannot_be_filled_in_say_nothing_and_are_named() -> None:
    json: dict[str, Any] = {"a": "%CEL(x)%", "b": ("%ENVIRONMENT(SECRET)%", 1.0), "c": {"d": "%PROTOCOL%"}}
    made, lines = logged(AccessLog("/x", BodyFormat("", json)), saying("%METADATA(LISTENER:a)%"), TEXT)
    made.call()
    assert lines == [
        ("/x", '{"a":"-","b":["-",1],"c":{"d":"HTTP/1.1"}}\n'),
        ("/dev/stdout", "GET HTTP/1.1 200 via_upstream"),
    ]
    notes = {each.reason for http in made.runtime.plan.http_runtimes() for each in http.notes}
    assert notes == {
        "%CEL% is not supported: it says -",
        "%ENVIRONMENT% is not supported: it says -",
        "not written: %METADATA(LISTENER:a)% is not supported",
    }


def test_what_a_percent_sign_begins_is_no_command() -> None:
    made, lines = logged(saying("%%CEL(x)%% %PROTOCOL%%%%CEL(x)%"))
    made.call()
    assert lines == [("/dev/stdout", "%CEL(x)% HTTP/1.1%-")]


def test_without_anywhere_to_write_nothing_is_made() -> None:
    made, lines = logged(TEXT)
    made.runtime.access_log = None
    made.call()
    received(made).ended(200)
    http = made.runtime.plan.http_runtimes()[0]
    assert http.logs is not None
    http.logs.write(None)  # type: ignore[arg-type]
    assert lines == []
    made, lines = logged(tcp=True)
    made.call()
    received(made).ended(200)
    assert lines == []


def test_a_line_knows_its_span() -> None:
    made, lines = logged(saying("%TRACE_ID% %SPAN_ID%"), tracing=Tracing(tracer=Tracer(w3c=True)))
    made.call()
    made.runtime.spans = FakeSpans()
    made.call()
    request = received(made)
    request.ended(200)
    assert [line for _, line in lines] == ["- -", f"{0xABC:032x} {1:016x}", f"{0xABC:032x} {2:016x}"]


@pytest.mark.parametrize("quiet", [True, False])
def test_the_time_of_the_upstream_is_told_unless_the_router_is_quiet(quiet: bool) -> None:
    from proxyless.xds.model.filters import RouterFilter

    routes = table(vhost(route("/", "a")))
    router = http_filter("router", RouterFilter(suppress_envoy_headers=quiet))
    log = saying("%RESP(x-envoy-upstream-service-time)%")
    made = World(
        tables=[routes],
        listeners=[listener("0.0.0.0_80", chain(manager("80", router, access_logs=(log,))))],
        clusters=[cluster("a", "10.0.0.1:80")],
    )
    lines: list[bytes] = []
    made.runtime.access_log = lambda path, line: lines.append(line)
    made.call()
    assert lines == [b"-" if quiet else b"0"]


def test_endpoints_that_were_reached_are_told_once_each() -> None:
    log = saying("%UPSTREAM_HOSTS_ATTEMPTED% %UPSTREAM_HOST%")
    retry = RetryPolicy(retry_on=("5xx", "connect-failure"), num_retries=3, back_off=BackOff(0.1, 0.1))
    made = World(
        tables=[table(vhost(route("/", "a", retry=retry)))],
        listeners=[listener("0.0.0.0_80", chain(manager("80", access_logs=(log,))))],
        clusters=[cluster("a", "10.0.0.1:80", "10.0.0.2:80")],
    )
    lines: list[bytes] = []
    made.runtime.access_log = lambda path, line: lines.append(line)
    made.call(answers=[503, "connect-failure", 503, 200])
    made.call(answers=["connect-failure"] * 4)
    first, second = (each.split() for each in lines)
    assert sorted(first[0].split(b",")) == [b"10.0.0.1:80", b"10.0.0.2:80"]
    assert second[0] == b"-"
