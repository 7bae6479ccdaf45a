"""What comes again is not read again: resources and virtual hosts whose bytes are those that are held."""

from __future__ import annotations

import pytest

from proxyless.xds.graph import Graph
from proxyless.xds.model.resource import ResourceType
from proxyless.xds.model.route import LazyVirtualHost, RouteConfiguration
from proxyless.xds.protocol.events import Response
from proxyless.xds.wire import codec, envelope
from proxyless.xds.wire.decode.route_configuration import lazy_virtual_host, route_configuration, unchanged
from proxyless.xds.wire.refused import RefusedError
from proxyless.xds.wire.schema import types as pb
from proxyless.xds.wire.split import first_text

BROKEN = b"\x0a\x7f"


def host(name: str, status: int = 200) -> pb.route_v3.VirtualHost:
    match, reply = pb.route_v3.RouteMatch(prefix="/"), pb.route_v3.DirectResponseAction(status=status)
    route = pb.route_v3.Route(match=match, direct_response=reply)
    return pb.route_v3.VirtualHost(name=name, domains=[name], routes=[route])


def table(*hosts: pb.route_v3.VirtualHost, max_body: int | None = None) -> bytes:
    message = pb.route_v3.RouteConfiguration(name="80", virtual_hosts=hosts)
    if max_body is not None:
        message.max_direct_response_body_size_bytes.value = max_body
    return message.SerializeToString()


def response(*tables: bytes) -> bytes:
    url = ResourceType.ROUTE.value
    resources = [pb.google_protobuf.Any(type_url=url, value=each) for each in tables]
    return pb.discovery_v3.DiscoveryResponse(type_url=url, nonce="n", resources=resources).SerializeToString()


def delta(raw: bytes, version: str) -> bytes:
    url = ResourceType.ROUTE.value
    packed = pb.google_protobuf.Any(type_url=url, value=raw)
    resource = pb.discovery_v3.Resource(name="80", version=version, resource=packed)
    return pb.discovery_v3.DeltaDiscoveryResponse(type_url=url, resources=[resource]).SerializeToString()


def decoded(graph: Graph) -> RouteConfiguration:
    found: RouteConfiguration = graph.newest[ResourceType.ROUTE]["80"].get()
    return found


def take(graph: Graph, raw: bytes) -> Response:
    read = envelope.read_response(raw, held=graph.newest)
    assert graph.apply(read) == []
    return read


def test_virtual_hosts_that_did_not_change_stay_decoded() -> None:
    graph = Graph(codec.resource)
    take(graph, response(table(host("a"), host("b"), host("c"))))
    before = decoded(graph).virtual_hosts
    take(graph, response(table(host("new"), host("a"), host("b", 201), host("c"))))
    after = decoded(graph).virtual_hosts
    assert [each.name for each in after] == ["new", "a", "b", "c"]
    assert after[1] is before[0]
    assert after[2] is not before[1]
    assert after[3] is before[2]


def test_another_limit_of_bodies_makes_all_virtual_hosts_anew() -> None:
    graph = Graph(codec.resource)
    take(graph, response(table(host("a"))))
    before = decoded(graph).virtual_hosts
    take(graph, response(table(host("a"), max_body=9)))
    assert decoded(graph).virtual_hosts[0] is not before[0]


@pytest.mark.parametrize("is_delta", [False, True])
def test_a_resource_with_the_same_bytes_stays_the_same_bytes_in_its_new_version(is_delta: bool) -> None:
    graph = Graph(codec.resource)
    raw = table(host("a"))
    take(graph, response(raw))
    kept = graph.newest[ResourceType.ROUTE]["80"]
    if is_delta:
        again = envelope.read_delta_response(delta(raw, "2"), held=graph.newest)
    else:
        again = envelope.read_response(response(raw), held=graph.newest)
    assert again.resources[0].raw is kept.raw
    assert (again.resources[0].name, again.resources[0].version) == ("80", "2" if is_delta else "")


def test_what_is_broken_is_refused_each_time_with_the_same_words() -> None:
    graph = Graph(codec.resource)
    take(graph, response(table(host("a"))))
    bad = table(host("a")) + b"\x12" + bytes([len(BROKEN)]) + BROKEN
    known = [envelope.read_response(response(bad), held=graph.newest).broken for _ in range(2)]
    assert known[0] == known[1] == envelope.read_response(response(bad)).broken != ()


def test_a_domain_that_is_there_twice_is_found_among_those_that_are_kept() -> None:
    graph = Graph(codec.resource)
    take(graph, response(table(host("a"), host("b"))))
    twice = host("c")
    twice.domains.append("A")
    (rejection,) = graph.apply(envelope.read_response(response(table(host("a"), twice)), held=graph.newest))
    assert "Duplicate entry of domain a in route 80" in rejection.reason


def test_a_domain_with_a_line_break_hides_no_other() -> None:
    odd = pb.route_v3.VirtualHost(name="odd", domains=["a\nb", "a\nb"])
    with pytest.raises(RefusedError, match="Duplicate entry"):
        route_configuration(table(odd))
    fine = pb.route_v3.VirtualHost(name="odd", domains=["a\nb", "a", "b"])
    assert route_configuration(table(fine)).virtual_hosts[0].domains == ("a\nb", "a", "b")


def lazy(*names: str) -> list[LazyVirtualHost]:
    return [lazy_virtual_host(host(name).SerializeToString()) for name in names]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("abc", "abc", "abc"),
        ("abc", "xabc", "-abc"),
        ("abcd", "acd", "acd"),
        ("abcd", "cdab", "cdab"),
        ("", "ab", "--"),
        ("abc", "", ""),
        ("abc", "axc", "a-c"),
        ("aa", "aaa", "aaa"),
    ],
)
def test_virtual_hosts_are_found_wherever_they_stand(old: str, new: str, expected: str) -> None:
    raws = [host(name).SerializeToString() for name in new]
    assert "".join(each.name if each else "-" for each in unchanged(raws, lazy(*old))) == expected


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"", ""),
        (b"\x0a", ""),
        (b"\x12\x01a", ""),
        (b"\x0a\x01a", "a"),
        (b"\x0a\xc8\x01" + b"n" * 200, "n" * 200),
        (b"\x0a\xc8", ""),
        (b"\x0a\x01\xff", "\ufffd"),
    ],
)
def test_the_name_that_comes_first_is_a_hint(raw: bytes, expected: str) -> None:
    assert first_text(raw) == expected


def test_what_is_kept_on_disk_is_what_protobuf_would_write() -> None:
    graph = Graph(codec.resource)
    graph.apply(envelope.read_response(response(table(host("a")), table(host("b")).replace(b"80", b"90"))))
    held = graph.newest[ResourceType.ROUTE]
    assert len(held) == 2
    url = ResourceType.ROUTE.value
    for version in ("", "é" * 100):
        message = pb.discovery_v3.DiscoveryResponse(
            type_url=url,
            version_info=version,
            resources=[pb.google_protobuf.Any(type_url=url, value=each.raw) for each in held.values()],
        )
        made = envelope.write_response(ResourceType.ROUTE, version, held.values())
        assert made == message.SerializeToString(deterministic=True)


LONG = [host("a" * 100 + str(number)) for number in range(600)]


@pytest.mark.parametrize("hosts", [[host("a")], LONG], ids=["small", "large"])
@pytest.mark.parametrize("is_delta", [False, True])
def test_a_table_is_read_whole_whatever_its_size(is_delta: bool, hosts: list[pb.route_v3.VirtualHost]) -> None:
    raw = table(*hosts)
    assert (len(raw) > envelope.LARGE) == (len(hosts) > 1)
    sent = delta(raw, "2") if is_delta else response(raw)
    assert envelope.is_delta(sent) is is_delta
    read = (envelope.read_delta_response if is_delta else envelope.read_response)(sent)
    assert [(each.name, each.raw) for each in read.resources] == [("80", raw)]
    with pytest.raises(RefusedError, match=r"truncated or malformed \w*DiscoveryResponse"):
        (envelope.read_delta_response if is_delta else envelope.read_response)(sent[:-1])


def test_a_removal_alone_is_a_delta_response_and_what_is_neither_is_not() -> None:
    gone = pb.discovery_v3.DeltaDiscoveryResponse(type_url=ResourceType.ROUTE.value, removed_resources=["80"])
    assert envelope.is_delta(gone.SerializeToString())
    assert not envelope.is_delta(BROKEN)
    assert not envelope.is_delta(b"")
    assert not envelope.is_delta(b"\x12\x02" + BROKEN)


def test_a_large_resource_of_a_delta_response_without_a_value_is_nothing() -> None:
    empty = pb.discovery_v3.Resource(name="x" * envelope.LARGE)
    sent = pb.discovery_v3.DeltaDiscoveryResponse(type_url=ResourceType.ROUTE.value, resources=[empty])
    read = envelope.read_delta_response(sent.SerializeToString())
    assert (read.resources, read.broken) == ((), ())
