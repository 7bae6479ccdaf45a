"""What is written as bytes is what protobuf would have written of the same message."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxyless.xds.controlplane.discovery import rules
from proxyless.xds.controlplane.discovery.resources import Resources
from proxyless.xds.controlplane.emit.groups import Group, encoded_assignment
from proxyless.xds.wire.schema import types as pb
from proxyless.xds.wire.schema.join import uint32, varint
from tests.xds.controlplane.everything import EVERYTHING
from tests.xds.controlplane.support import view, world

Assignment = pb.endpoint_v3.ClusterLoadAssignment
NUMBERS = st.integers(0, 2**32 - 1)


@given(
    st.text(max_size=300),
    st.tuples(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20)),
    st.lists(NUMBERS, max_size=4),
    st.none() | NUMBERS,
    st.integers(0, 300),
)
def test_a_group_is_encoded_as_protobuf_encodes_it(
    name: str, place: tuple[str, str, str], weights: list[int], weight: int | None, priority: int
) -> None:
    endpoints = [
        pb.endpoint_v3.LbEndpoint(load_balancing_weight=pb.google_protobuf.UInt32Value(value=each)) for each in weights
    ]
    region, zone, sub_zone = place
    group = pb.endpoint_v3.LocalityLbEndpoints(
        locality=pb.core_v3.Locality(region=region, zone=zone, sub_zone=sub_zone),
        lb_endpoints=endpoints,
        priority=priority,
    )
    if weight is not None:
        group.load_balancing_weight.value = weight
    held = [(each.SerializeToString(), each.load_balancing_weight.value) for each in endpoints]
    made = Group(place, held, weight, priority)
    assert made.encoded() == group.SerializeToString(deterministic=True)
    assert Group.of(group) is not made
    assert Group.of(group).encoded() == made.encoded()
    whole = Assignment(cluster_name=name, endpoints=[group, group])
    assert encoded_assignment(name, (made, made)) == whole.SerializeToString(deterministic=True)


def test_numbers_that_protobuf_refuses_are_refused() -> None:
    with pytest.raises(ValueError, match="below zero"):
        varint(-1)
    with pytest.raises(ValueError, match="32 bits"):
        uint32(2**32)


def test_assignments_of_every_kind_of_object_are_encoded_as_protobuf_encodes_them() -> None:
    resources, seen = Resources(), view(world(EVERYTHING))
    names = [name for name, _ in resources.make(rules.CLUSTER, seen, ())]
    found = 0
    for _, made in resources.make(rules.ENDPOINT, seen, names):
        message = Assignment.FromString(made.value)
        assert made.value == message.SerializeToString(deterministic=True)
        found += sum(len(group.lb_endpoints) for group in message.endpoints)
    assert found, "no endpoint was compared"
