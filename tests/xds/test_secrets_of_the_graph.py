"""Secrets in the join: only their names; who waits for them, who is held back for them, when they are let go."""

from __future__ import annotations

from typing import Any

import pytest

from proxyless.xds.graph import Graph
from proxyless.xds.protocol.events import Rejection
from proxyless.xds.wire import codec
from proxyless.xds.wire.schema import types as pb

from .messages import CLUSTER, LISTENER, NAMES, PREFIX, SECRET, cluster, response

TLS = PREFIX + "envoy.extensions.transport_sockets.tls.v3."


def named(context: Any, names: tuple[str, ...]) -> None:
    """A context that takes a certificate, and roots, of these names from ADS."""
    common = context.common_tls_context
    wanted = [common.tls_certificate_sds_secret_configs.add()]
    if len(names) > 1:
        wanted.append(common.validation_context_sds_secret_config)
    for each, name in zip(wanted, names, strict=True):
        each.name = name
        each.sds_config.ads.SetInParent()


def secured(name: str, *names: str) -> bytes:
    context = pb.tls_v3.UpstreamTlsContext()
    named(context, names)
    message = pb.cluster_v3.Cluster.FromString(cluster(name, type_="STATIC"))
    packed = message.transport_socket
    packed.name = "tls"
    packed.typed_config.type_url, packed.typed_config.value = TLS + "UpstreamTlsContext", context.SerializeToString()
    return message.SerializeToString()


def serving(*names: str) -> bytes:
    message = pb.listener_v3.Listener(name="in")
    message.address.socket_address.address, message.address.socket_address.port_value = "0.0.0.0", 80
    packed = message.filter_chains.add().transport_socket
    context = pb.tls_v3.DownstreamTlsContext()
    named(context, names)
    packed.name = "tls"
    packed.typed_config.type_url, packed.typed_config.value = TLS + "DownstreamTlsContext", context.SerializeToString()
    return message.SerializeToString()


@pytest.fixture
def graph() -> Graph:
    found = Graph(codec.resource)
    found.apply(response(CLUSTER, {"a": secured("a", "me", "roots"), "b": secured("b", "other")}))
    return found


def arrive(graph: Graph, *names: str) -> None:
    graph.apply(response(SECRET, dict.fromkeys(names, b"secret"), full=False))


def test_a_cluster_in_use_asks_for_its_secrets(graph: Graph) -> None:
    graph.want(NAMES, [])
    assert not graph.wanted[SECRET]
    graph.want(CLUSTER, ["a"])
    assert graph.wanted[SECRET] == {"me", "roots"}
    assert graph.missing_secrets == ["me", "roots"]
    arrive(graph, "me", "a-stranger")
    assert graph.missing_secrets == ["roots"]
    assert graph.snapshot.secrets == {"me"}
    generation = graph.snapshot.generation
    graph.release()
    assert not graph.missing_secrets
    assert graph.snapshot.secrets == {"me", "roots"}
    assert graph.snapshot.generation > generation


def test_what_is_in_a_secret_is_not_kept_here(graph: Graph) -> None:
    graph.want(CLUSTER, ["a"])
    arrive(graph, "me")
    held = graph.newest[SECRET]["me"]
    assert (held.raw, held.get(), held.notes()) == (b"", True, ())
    graph.apply(response(SECRET, {"me": b"another"}, version="2", full=False))
    assert graph.newest[SECRET]["me"] is held
    assert held.version == "2"


def test_who_is_refused_or_taken_away_is_not_waited_for(graph: Graph) -> None:
    graph.want(CLUSTER, ["a"])
    refused = Rejection("me", "no certificate")
    assert graph.apply(response(SECRET, {}, broken=(refused,), full=False)) == [refused]
    graph.apply(response(SECRET, {}, removed=("roots",), full=False))
    assert graph.snapshot.secrets == {"me", "roots"}
    assert graph.rejected == {(SECRET, "me"): "no certificate"}
    arrive(graph, "me")
    assert not graph.rejected
    graph.apply(response(SECRET, {}, removed=("me",), full=False))
    assert set(graph.newest[SECRET]) == {"me"}


def test_with_the_cluster_its_secrets_go(graph: Graph) -> None:
    graph.want(CLUSTER, ["a", "b"])
    arrive(graph, "me", "roots", "other")
    graph.unwant(CLUSTER, ["a"])
    tables = (graph.wanted[SECRET], graph.snapshot.secrets, graph.newest[SECRET])
    assert [sorted(each) for each in tables] == [["other"]] * 3


def test_a_cluster_in_use_serves_until_its_next_secrets_are_there(graph: Graph) -> None:
    graph.want(CLUSTER, ["a"])
    arrive(graph, "me", "roots")
    before = graph.snapshot.clusters["a"]
    graph.apply(response(CLUSTER, {"a": secured("a", "next", "roots"), "b": secured("b", "newer")}))
    assert graph.held_back == ["Cluster a"]
    assert graph.wanted[SECRET] == {"me", "roots", "next"}
    assert graph.snapshot.clusters["a"] is before
    arrive(graph, "next")
    assert graph.snapshot.clusters["a"] is graph.newest[CLUSTER]["a"]
    assert graph.wanted[SECRET] == {"next", "roots"}


def test_an_inbound_listener_that_somebody_looks_at_has_its_own(graph: Graph) -> None:
    graph.apply(response(LISTENER, {"in": serving("own")}))
    graph.snapshot.listeners["in"].get()
    graph.want(LISTENER, [])
    assert graph.missing_secrets == ["own"]
    arrive(graph, "own")
    before = graph.snapshot.listeners["in"]
    graph.apply(response(LISTENER, {"in": serving("next")}))
    assert graph.held_back == ["Listener in"]
    assert graph.snapshot.listeners["in"] is before
    arrive(graph, "next")
    assert graph.snapshot.listeners["in"] is not before
    graph.apply(response(LISTENER, {}))
    assert not graph.wanted[SECRET]
