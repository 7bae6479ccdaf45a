"""Where a request comes from, and what is said of it (docs/envoy-facts.md, "Connection managers")."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from proxyless.governance.admission import Admission, admit
from proxyless.governance.answering import Answering, answering_of
from proxyless.governance.forwarding import Forwarder, Workload, forwarded_for, without_trailing_dot
from proxyless.governance.replies import LocalReply
from proxyless.governance.request import RequestView
from proxyless.xds.model.forwarding import SIDECAR, Forwarding
from proxyless.xds.model.listener import HttpConnectionManager
from proxyless.xds.model.values import Cidr

WORKLOAD = Workload("10.7.0.9", "node", "app.shop")
INSIDE = (Cidr("10.0.0.0", 8),)
FOR = "x-forwarded-for"


def manager(**options: object) -> HttpConnectionManager:
    own = {name: options.pop(name) for name in ("max_headers", "max_request_headers_kb") if name in options}
    return HttpConnectionManager("test", forwarding=replace(SIDECAR, **options), **own)  # type: ignore[arg-type]


NOTHING: frozenset[bytes] = frozenset()


def ask(
    config: HttpConnectionManager,
    *lines: str,
    source: str = "10.7.0.9",
    port: int = 80,
    only: frozenset[bytes] = NOTHING,
) -> tuple[RequestView, LocalReply | None]:
    pairs = [tuple(each.encode() for each in line.split(": ", 1)) for line in lines]
    view = RequestView(b"GET", b"http", b"shop", b"/", pairs, source)  # type: ignore[arg-type]
    return view, admit(view, Admission(config, WORKLOAD), random.Random(1), port, only)


def told(config: HttpConnectionManager, *lines: str, **where: object) -> dict[str, str]:
    """The headers after admission."""
    view, reply = ask(config, *lines, **where)  # type: ignore[arg-type]
    assert reply is None
    return {name.decode(): value.decode() for name, value in view.raw_headers}


@pytest.mark.parametrize(
    ("value", "skip", "expected"),
    [
        (None, 0, ("", False)),
        (b"10.1.1.1", 0, ("10.1.1.1", True)),
        (b" 1.1.1.1 , 10.1.1.1 ", 0, ("10.1.1.1", False)),
        (b"1.1.1.1,10.1.1.1", 1, ("1.1.1.1", False)),
        (b"1.1.1.1", 1, ("", False)),
        (b"no", 0, ("", False)),
        (b"::1", 0, ("::1", True)),
    ],
)
def test_the_client_is_read_from_the_end_of_the_list(value: bytes, skip: int, expected: tuple[str, bool]) -> None:
    assert forwarded_for(value, skip) == expected


def test_a_sidecars_manager_has_nothing_to_look_at() -> None:
    assert Admission(manager()).forwarder is None
    view, _ = ask(manager(), f"{FOR}: 8.8.8.8")
    assert (view.remote, view.internal) == ("8.8.8.8", False)


def test_a_request_is_internal_when_its_one_address_is() -> None:
    config = manager(internal_cidrs=INSIDE)
    view, _ = ask(config, f"{FOR}: 10.1.1.1", "x-envoy-max-retries: 3")
    assert (view.internal, view.remote) == (True, "10.1.1.1")
    assert (view.header(b"x-envoy-internal"), view.header(b"x-envoy-max-retries")) == (b"true", b"3")
    for lines in ((), (f"{FOR}: 10.1.1.1, 10.1.1.1",), (f"{FOR}: 8.8.8.8",), (f"{FOR}: no",)):
        view, _ = ask(config, *lines, "x-envoy-max-retries: 3", "x-envoy-internal: true")
        assert not view.internal
        assert (view.header(b"x-envoy-max-retries"), view.header(b"x-envoy-internal")) == (None, None)


def test_the_peer_may_be_taken_for_the_client() -> None:
    assert told(manager(use_remote_address=True))[FOR] == "10.7.0.9"
    sent = told(manager(use_remote_address=True), f"{FOR}: 1.1.1.1", "x-envoy-decorator-operation: own")
    assert sent[FOR] == "1.1.1.1,10.7.0.9"
    assert sent["x-envoy-external-address"] == "10.7.0.9"
    assert "x-envoy-decorator-operation" not in sent
    near = told(manager(use_remote_address=True, internal_cidrs=INSIDE), "x-envoy-decorator-operation: own")
    assert near["x-envoy-decorator-operation"] == "own"
    assert "x-envoy-external-address" not in near


def test_an_address_that_is_none_of_a_client_is_that_of_this_workload() -> None:
    for source in ("", "127.0.0.1", "::1", "testclient"):
        assert told(manager(use_remote_address=True), source=source)[FOR] == "10.7.0.9"
    assert "x-envoy-external-address" not in told(manager(use_remote_address=True), source="testclient")
    assert told(manager(use_remote_address=True), source="127.0.0.2")[FOR] == "127.0.0.2"


def test_trusted_hops_are_believed() -> None:
    config = manager(use_remote_address=True, xff_num_trusted_hops=1, append_x_forwarded_port=True)
    lines = ("x-forwarded-proto: https", "x-forwarded-port: 9")
    sent = told(config, f"{FOR}: 8.8.8.8", *lines)
    assert sent["x-envoy-external-address"] == "8.8.8.8"
    assert (sent["x-forwarded-proto"], sent["x-forwarded-port"]) == ("https", "9")
    sent = told(manager(use_remote_address=True, append_x_forwarded_port=True), *lines)
    assert (sent["x-forwarded-proto"], sent["x-forwarded-port"]) == ("http", "80")
    assert told(config)["x-forwarded-proto"] == "http"


def test_the_list_may_stay_as_it_is() -> None:
    assert FOR not in told(manager(use_remote_address=True, skip_xff_append=True))


def test_port_and_scheme_may_be_said() -> None:
    assert told(manager(append_x_forwarded_port=True))["x-forwarded-port"] == "80"
    assert told(manager(append_x_forwarded_port=True), "x-forwarded-port: 9")["x-forwarded-port"] == "9"
    assert told(manager(ports_as_https=frozenset({443})), port=443)["x-forwarded-proto"] == "https"
    view, _ = ask(manager(overwrite_scheme="https"), "x-forwarded-proto: http")
    assert (view.scheme, view.header(b"x-forwarded-proto")) == (b"https", b"https")


def test_a_manager_may_say_who_it_is() -> None:
    sent = told(manager(add_user_agent=True, via="mesh"), "via: 1.1 other")
    assert sent["via"] == "1.1 other, mesh"
    assert (sent["user-agent"], sent["x-envoy-downstream-service-cluster"]) == ("app.shop", "app.shop")
    assert sent["x-envoy-downstream-service-node"] == "node"
    assert told(manager(add_user_agent=True), "user-agent: own")["user-agent"] == "own"
    view = RequestView(b"GET", b"http", b"shop", b"/", [])
    nobody = Admission(manager(add_user_agent=True), Workload(cluster="c"))
    assert admit(view, nobody, random.Random(1)) is None
    assert view.header(b"x-envoy-downstream-service-node") is None


def test_request_ids_may_be_nobodys_business() -> None:
    assert "x-request-id" not in told(manager(generate_request_id=False))
    assert told(manager(use_remote_address=True), "x-request-id: own")["x-request-id"] != "own"
    kept = manager(use_remote_address=True, preserve_external_request_id=True)
    assert told(kept, "x-request-id: own")["x-request-id"] == "own"
    assert len(told(kept)["x-request-id"]) == 36


def test_headers_of_the_inside_do_not_come_from_outside() -> None:
    only = frozenset({b"x-only"})
    assert "x-only" not in told(manager(), "x-only: 1", only=only)
    assert told(manager(internal_cidrs=INSIDE), "x-only: 1", f"{FOR}: 10.1.1.1", only=only)["x-only"] == "1"


def test_a_client_certificate_may_be_passed_on() -> None:
    line = "x-forwarded-client-cert: Hash=1"
    assert "x-forwarded-client-cert" in told(manager(keep_client_cert=True), line)
    assert "x-forwarded-client-cert" not in told(manager(via="x"), line)


def test_underscores_may_be_refused_or_dropped() -> None:
    _, reply = ask(manager(underscores="REJECT_REQUEST"), "x_a: 1")
    assert reply is not None
    assert (reply.status, reply.details) == (400, "http1.unexpected_underscore")
    assert "x-a" in told(manager(underscores="REJECT_REQUEST"), "x-a: _")
    assert "x_a" not in told(manager(underscores="DROP_HEADER"), "x_a: 1")


def test_headers_may_be_too_many_or_too_large() -> None:
    _, reply = ask(manager(max_headers=3), *(f"x-{number}: 1" for number in range(4)))
    assert reply is not None
    assert reply.status == 431
    for size, fits in ((980, True), (1020, False)):
        for host in ((), ("host: shop",)):
            _, reply = ask(manager(max_request_headers_kb=1), *host, f"x: {'a' * (size - 20)}")
            assert (reply is None) == fits
    assert reply is not None
    assert reply.details == "http1.headers_too_large"


@pytest.mark.parametrize(
    ("options", "authority", "expected"),
    [
        ({"strip_port": "any"}, b"shop:81", b"shop"),
        ({"strip_port": "any"}, b"shop:x", b"shop:x"),
        ({"strip_port": "any"}, b"shop:", b"shop:"),
        ({"strip_port": "any"}, b"[::1]", b"[::1]"),
        ({"strip_port": "any"}, b"[::1]:80", b"[::1]"),
        ({"strip_port": "matching"}, b"shop:81", b"shop:81"),
        ({"strip_port": "matching"}, b"shop:80", b"shop"),
        ({"strip_trailing_dot": True}, b"shop.:80", b"shop:80"),
        ({"strip_trailing_dot": True, "strip_port": "any"}, b"shop.", b"shop"),
        ({}, b"shop.:80", b"shop.:80"),
    ],
)
def test_ports_and_dots_may_be_taken_off_the_host(options: dict[str, str], authority: bytes, expected: bytes) -> None:
    forwarder = Forwarder(Forwarding(**options), WORKLOAD)  # type: ignore[arg-type]
    assert forwarder.authority(authority, 80) == expected


def test_a_host_without_a_dot_keeps_its_port() -> None:
    assert without_trailing_dot(b"shop:80") == b"shop:80"
    assert without_trailing_dot(b"shop.") == b"shop"


def test_a_response_says_what_the_manager_wants_said() -> None:
    assert answering_of(manager()) is None
    request = RequestView(b"GET", b"http", b"shop", b"/", [(b"x-request-id", b"7")])
    told = Answering(HttpConnectionManager("s", forwarding=Forwarding(via="mesh"), request_id_in_response=True))
    assert told([(b"Via", b"1.1 a")], request) == [(b"via", b"1.1 a, mesh"), (b"x-request-id", b"7")]
    bare = RequestView(b"GET", b"http", b"shop", b"/", [])
    assert answering_of(HttpConnectionManager("s", request_id_in_response=True))([], bare) == []  # type: ignore[misc]
