"""Which filter chain takes a connection: one criterion after the other, and no way back."""

from __future__ import annotations

from typing import Any

import pytest

from proxyless.governance.chains import Connection, find_chain, looks_at_source
from proxyless.xds.model.matching import Input, MatcherTree, OnMatch
from proxyless.xds.model.values import Cidr
from tests.support.model import chain, listener

Matches = dict[str, dict[str, Any]]


def cidr(text: str) -> Cidr:
    address, _, length = text.partition("/")
    return Cidr(address, int(length))


def chosen(chains: Matches, *, default: bool = False, **fields: Any) -> str | None:
    """The name of the chain that takes a connection."""
    made = [chain(None, name, **match) for name, match in chains.items()]
    one = listener("x", *made, default_chain=chain(None, "default") if default else None)
    found = find_chain(one, Connection(**{"destination": "10.0.0.1", "port": 80, **fields}))
    return found.name if found is not None else None


PORTS: Matches = {"any": {}, "80": {"destination_port": 80}}


@pytest.mark.parametrize(("port", "name"), [(80, "80"), (81, "any")])
def test_a_chain_of_the_port_comes_before_one_without(port: int, name: str) -> None:
    assert chosen(PORTS, port=port) == name


def test_chains_of_the_port_shadow_the_others_without_going_back() -> None:
    """As in istiod's inbound listener: what a port's own chains do not take is refused, whatever the catch-all says."""
    chains: Matches = {"catch-all": {}, "80-tls": {"destination_port": 80, "transport_protocol": "tls"}}
    assert chosen(chains, port=80) is None
    assert chosen(chains, port=80, transport="tls") == "80-tls"
    assert chosen(chains, port=81) == "catch-all"
    assert chosen(chains, port=80, default=True) == "default"


RANGES: Matches = {
    "any": {},
    "net": {"prefix_ranges": (cidr("10.0.0.0/8"),)},
    "subnet": {"prefix_ranges": (cidr("192.168.0.0/16"), cidr("10.1.0.0/16"))},
    "host": {"prefix_ranges": (cidr("10.1.2.3/32"),)},
    "six": {"prefix_ranges": (cidr("fd00::/8"),)},
}


@pytest.mark.parametrize(
    ("destination", "name"),
    [
        ("10.1.2.3", "host"),
        ("10.1.2.4", "subnet"),
        ("10.2.0.1", "net"),
        ("192.168.1.1", "subnet"),
        ("172.16.0.1", "any"),
        ("fd00::1", "six"),
        ("fe80::1", "any"),
        ("", "any"),
        ("not an address", "any"),
    ],
)
def test_the_longest_prefix_of_the_destination_wins(destination: str, name: str) -> None:
    assert chosen(RANGES, destination=destination) == name


def test_a_prefix_may_have_host_bits() -> None:
    assert chosen({"net": {"prefix_ranges": (cidr("10.1.2.3/8"),)}}, destination="10.200.0.1") == "net"


def test_chains_of_one_prefix_go_on_together() -> None:
    same = (cidr("10.0.0.0/8"),)
    chains: Matches = {"plain": {"prefix_ranges": same}, "tls": {"prefix_ranges": same, "transport_protocol": "tls"}}
    assert chosen(chains, transport="tls") == "tls"
    assert chosen(chains) == "plain"


NAMES: Matches = {
    "any": {},
    "exact": {"server_names": ("a.b.c",)},
    "one": {"server_names": ("x.y", "*.b.c")},
    "two": {"server_names": ("*.c",)},
}


@pytest.mark.parametrize(
    ("name", "taken"),
    [
        ("a.b.c", "exact"),
        ("A.B.C", "exact"),
        ("z.b.c", "one"),
        ("y.z.b.c", "one"),
        ("b.c", "two"),
        ("z.c", "two"),
        ("c", "any"),
        ("a.b.d", "any"),
        ("", "any"),
    ],
)
def test_a_server_name_matches_exactly_then_by_ever_wider_wildcards(name: str, taken: str) -> None:
    assert chosen(NAMES, server_name=name) == taken


@pytest.mark.parametrize(("transport", "name"), [("tls", "tls"), ("raw_buffer", "any")])
def test_a_transport_protocol_comes_before_none(transport: str, name: str) -> None:
    assert chosen({"any": {}, "tls": {"transport_protocol": "tls"}}, transport=transport) == name


PROTOCOLS: Matches = {
    "any": {},
    "istio": {"application_protocols": ("istio-http/1.1", "istio-h2")},
    "h2": {"application_protocols": ("h2",)},
}


@pytest.mark.parametrize(
    ("offered", "name"),
    [(("istio-h2",), "istio"), (("h2", "istio-h2"), "h2"), (("http/1.1",), "any"), ((), "any")],
)
def test_the_first_application_protocol_that_a_chain_takes_selects_it(offered: tuple[str, ...], name: str) -> None:
    assert chosen(PROTOCOLS, application_protocols=offered) == name


@pytest.mark.parametrize("field", ["direct_source_prefix_ranges", "source_prefix_ranges"])
@pytest.mark.parametrize(("source", "name"), [("10.1.1.1", "near"), ("11.1.1.1", "far"), ("", "any")])
def test_the_source_selects_by_its_longest_prefix(field: str, source: str, name: str) -> None:
    chains: Matches = {"any": {}, "far": {field: (cidr("0.0.0.0/0"),)}, "near": {field: (cidr("10.0.0.0/8"),)}}
    assert chosen(chains, source=source) == name


TYPES: Matches = {"any": {}, "local": {"source_type": "SAME_IP_OR_LOOPBACK"}, "far": {"source_type": "EXTERNAL"}}


@pytest.mark.parametrize(
    ("source", "name"),
    [("127.0.0.1", "local"), ("::1", "local"), ("10.0.0.1", "local"), ("10.0.0.2", "far"), ("", "far")],
)
def test_a_source_is_local_by_loopback_or_by_the_same_address(source: str, name: str) -> None:
    assert chosen(TYPES, source=source) == name


def test_where_no_chain_asks_for_the_type_of_source_any_takes_it() -> None:
    assert chosen({"any": {}, "local": {"source_type": "SAME_IP_OR_LOOPBACK"}}, source="10.0.0.2") == "any"


@pytest.mark.parametrize(("port", "name"), [(1234, "own"), (1235, "own"), (1, "any")])
def test_a_source_port_comes_before_none(port: int, name: str) -> None:
    assert chosen({"any": {}, "own": {"source_ports": (1234, 1235)}}, source_port=port) == name


def test_earlier_criteria_decide_before_later_ones() -> None:
    chains: Matches = {
        "by name": {"server_names": ("a.b",), "source_ports": (9,)},
        "by protocol": {"application_protocols": ("h2",)},
    }
    assert chosen(chains, server_name="a.b", application_protocols=("h2",)) is None
    assert chosen(chains, server_name="a.b", application_protocols=("h2",), source_port=9) == "by name"


def test_of_equal_chains_the_first_takes_it() -> None:
    assert chosen({"first": {}, "second": {}}) == "first"


def test_a_listener_without_chains_takes_nothing() -> None:
    assert chosen({}) is None
    assert chosen({}, default=True) == "default"


# -- a tree of matchers in place of matches ------------------------------------------------------------------------


def led(kind: str, **fields: Any) -> str | None:
    """The chain that a tree leads to by the value of one input, by the chain of that name."""
    entries = tuple((value, OnMatch(value)) for value in VALUES[kind])
    tree: MatcherTree[str] = MatcherTree("exact", Input(kind), entries=entries)  # type: ignore[arg-type]
    made = [chain(None, value, destination_port=1) for value in VALUES[kind]]
    one = listener("x", *made, default_chain=chain(None, "default"), chain_matcher=tree)
    found = find_chain(one, Connection(**{"destination": "10.0.0.1", "port": 80, **fields}))
    return found.name if found is not None else None


VALUES = {
    "destination_ip": ("10.0.0.1",),
    "destination_port": ("80",),
    "source_ip": ("10.9.9.9",),
    "direct_source_ip": ("10.9.9.9",),
    "source_type": ("local",),
    "server_name": ("a.test",),
    "transport_protocol": ("raw_buffer",),
    "application_protocol": ("'h2','http/1.1'",),
}


@pytest.mark.parametrize(
    ("kind", "fields", "name"),
    [
        ("destination_ip", {}, "10.0.0.1"),
        ("destination_ip", {"destination": ""}, "default"),
        ("destination_port", {}, "80"),
        ("destination_port", {"port": 81}, "default"),
        ("source_ip", {"source": "10.9.9.9"}, "10.9.9.9"),
        ("direct_source_ip", {"source": "10.9.9.9"}, "10.9.9.9"),
        ("source_type", {"source": "127.0.0.1"}, "local"),
        ("source_type", {"source": "127.0.10.1"}, "default"),
        ("source_type", {"source": "10.0.0.1"}, "local"),
        ("server_name", {"server_name": "A.test"}, "a.test"),
        ("transport_protocol", {}, "raw_buffer"),
        ("application_protocol", {"application_protocols": ("h2", "http/1.1")}, "'h2','http/1.1'"),
        ("application_protocol", {}, "default"),
    ],
)
def test_a_tree_leads_to_a_chain_by_its_name_and_its_match_is_ignored(
    kind: str, fields: dict[str, Any], name: str
) -> None:
    assert led(kind, **fields) == name


def test_a_tree_that_leads_to_no_chain_refuses() -> None:
    tree: MatcherTree[str] = MatcherTree("list", on_no_match=OnMatch("none"))
    one = listener("x", chain(None, "a"), default_chain=chain(None, "default"), chain_matcher=tree)
    assert find_chain(one, Connection("10.0.0.1", 80)) is None


@pytest.mark.parametrize(("kind", "matters"), [("source_ip", True), ("source_type", True), ("destination_ip", False)])
def test_a_tree_says_whether_it_matters_where_a_connection_comes_from(kind: Any, matters: bool) -> None:
    tree: MatcherTree[str] = MatcherTree("exact", Input(kind))
    assert looks_at_source(listener("x", chain_matcher=tree)) == matters
