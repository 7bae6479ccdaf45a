"""The join of aggregates: what they lead to is asked for, kept, and waited for."""

from __future__ import annotations

import pytest

from proxyless.xds.graph import Graph
from proxyless.xds.model.cluster import Cluster
from proxyless.xds.wire import codec
from proxyless.xds.wire.schema import types as pb

from .messages import CLUSTER, ENDPOINT, PREFIX, cluster, endpoints, response


def aggregate(name: str, *names: str) -> bytes:
    message = pb.cluster_v3.Cluster(name=name, lb_policy=pb.cluster_v3.Cluster.CLUSTER_PROVIDED)
    message.cluster_type.name = "envoy.clusters.aggregate"
    config = pb.aggregate_v3.ClusterConfig(clusters=names)
    message.cluster_type.typed_config.type_url = PREFIX + config.DESCRIPTOR.full_name
    message.cluster_type.typed_config.value = config.SerializeToString()
    return message.SerializeToString()


@pytest.fixture
def graph() -> Graph:
    """An aggregate of `a` and `dns` is in use; `b` is there too."""
    made = Graph(codec.resource)
    held = {"all": aggregate("all", "a", "dns"), "a": cluster("a"), "b": cluster("b")}
    made.apply(response(CLUSTER, {**held, "dns": cluster("dns", type_="STRICT_DNS")}))
    made.want(CLUSTER, ["all"])
    made.apply(response(ENDPOINT, {"a": endpoints("a", "127.0.0.1")}))
    return made


def joined(graph: Graph) -> tuple[str, ...]:
    value: Cluster = graph.snapshot.clusters["all"].get()
    return value.aggregate


def test_what_is_joined_is_followed_to_its_endpoints(graph: Graph) -> None:
    assert graph.wanted[ENDPOINT] == {"a"}
    assert graph.wanted_dns == {"dns"}


def test_and_no_more_when_the_aggregate_is_not_used(graph: Graph) -> None:
    graph.unwant(CLUSTER, ["all"])
    assert not graph.wanted[ENDPOINT]
    assert not graph.wanted_dns


def test_an_aggregate_waits_for_the_endpoints_of_what_it_joins_newly(graph: Graph) -> None:
    graph.apply(response(CLUSTER, {"all": aggregate("all", "b"), "a": cluster("a"), "b": cluster("b")}))
    assert joined(graph) == ("a", "dns")
    assert graph.wanted[ENDPOINT] == {"a", "b"}
    graph.apply(response(ENDPOINT, {"b": endpoints("b", "127.0.0.2")}))
    assert joined(graph) == ("b",)
    assert graph.wanted[ENDPOINT] == {"b"}
