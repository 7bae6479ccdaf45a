"""Unknown fields and types are found at any depth and named by their place."""

from __future__ import annotations

import pytest
from google.protobuf.message import DecodeError, Message

from proxyless.xds.wire.schema import Unknown, find_unknown
from proxyless.xds.wire.schema import types as pb

from .test_unpack import LIMIT, typed_struct

STRANGE = b"\xf8\x3f\x01"  # field 1023, varint 1


def _packed(message: Message, extra: bytes = b"") -> pb.google_protobuf.Any:
    packed = pb.google_protobuf.Any()
    packed.Pack(message)
    packed.value += extra
    return packed


def test_a_message_of_known_fields_holds_nothing_unknown() -> None:
    assert find_unknown(pb.cluster_v3.Cluster(name="c", load_assignment=_assignment())) == []


def test_an_unknown_field_at_the_top_is_named_by_its_number() -> None:
    cluster = pb.cluster_v3.Cluster.FromString(STRANGE)
    assert find_unknown(cluster) == [Unknown("1023", message="envoy.config.cluster.v3.Cluster")]


def test_an_unknown_field_is_found_in_lists_maps_and_oneofs() -> None:
    action = pb.route_v3.RouteAction.FromString(STRANGE)
    host = pb.route_v3.VirtualHost(routes=[pb.route_v3.Route(), pb.route_v3.Route(route=action)])
    value = pb.google_protobuf.Value.FromString(STRANGE)
    host.metadata.filter_metadata["istio"].fields["x"].CopyFrom(value)
    assert [str(item) for item in find_unknown(host)] == [
        "routes[1].route.1023: unknown field of envoy.config.route.v3.RouteAction",
        "metadata.filter_metadata[istio].fields[x].1023: unknown field of google.protobuf.Value",
    ]


def test_an_unknown_field_is_found_inside_nested_anys() -> None:
    manager = pb.http_connection_manager_v3.HttpConnectionManager(stat_prefix="s")
    router = manager.http_filters.add(name="router")
    router.typed_config.CopyFrom(_packed(pb.router_v3.Router(), STRANGE))
    listener = pb.listener_v3.Listener()
    listener.filter_chains.add().filters.add(name="hcm").typed_config.CopyFrom(_packed(manager))
    path = "filter_chains[0].filters[0].typed_config.http_filters[0].typed_config.1023"
    assert find_unknown(listener) == [Unknown(path, message="envoy.extensions.filters.http.router.v3.Router")]


def test_an_unknown_type_is_named_and_an_empty_any_is_not() -> None:
    strange = pb.google_protobuf.Any(type_url="type.googleapis.com/acme.Thing", value=STRANGE)
    route = pb.route_v3.Route(typed_per_filter_config={"a": strange, "b": pb.google_protobuf.Any()})
    found = find_unknown(route)
    assert found == [Unknown("typed_per_filter_config[a]", type_url="type.googleapis.com/acme.Thing")]
    assert str(found[0]) == "typed_per_filter_config[a]: unknown type type.googleapis.com/acme.Thing"


def test_a_typed_struct_of_an_unknown_type_is_an_unknown_type() -> None:
    packed = typed_struct("type.googleapis.com/acme.Thing", {"a": 1})
    assert find_unknown(packed) == [Unknown("", type_url="type.googleapis.com/acme.Thing")]


def test_names_that_a_typed_struct_spells_and_its_type_lacks_are_unknown() -> None:
    content = {
        "stat_prefix": "s",
        "tokenBucket": {"max_tokens": 1, "burst": 2},
        "descriptors": [{"entries": [{"key": "k", "kind": "v"}]}],
        "filter_enabled": {"default_value": {"numerator": 100}},
        "color": "red",
    }
    entry = "envoy.extensions.common.ratelimit.v3.RateLimitDescriptor.Entry"
    assert find_unknown(typed_struct(LIMIT, content)) == [
        Unknown("color", message=LIMIT.rpartition("/")[2]),
        Unknown("descriptors[0].entries[0].kind", message=entry),
        Unknown("tokenBucket.burst", message="envoy.type.v3.TokenBucket"),
    ]


def test_anys_maps_and_free_forms_inside_a_typed_struct_are_followed() -> None:
    content = {
        "name": "c",
        "metadata": {"filter_metadata": {"istio": {"anything": {"goes": True}}}},
        "typed_extension_protocol_options": {
            "good": {"@type": LIMIT, "stat_prefix": "s"},
            "odd": {"@type": LIMIT, "shape": "round"},
            "strange": {"@type": "type.googleapis.com/acme.Thing", "a": 1},
            "untyped": {"a": 1},
        },
    }
    found = find_unknown(typed_struct("type.googleapis.com/envoy.config.cluster.v3.Cluster", content))
    options = "typed_extension_protocol_options"
    assert found == [
        Unknown(f"{options}[odd].shape", message=LIMIT.rpartition("/")[2]),
        Unknown(f"{options}[strange]", type_url="type.googleapis.com/acme.Thing"),
        Unknown(f"{options}[untyped]", type_url=""),
    ]


def test_an_any_that_does_not_hold_its_type_is_an_error() -> None:
    with pytest.raises(DecodeError):
        find_unknown(pb.google_protobuf.Any(type_url=LIMIT, value=b"\xff"))


def _assignment() -> pb.endpoint_v3.ClusterLoadAssignment:
    return pb.endpoint_v3.ClusterLoadAssignment(cluster_name="c", endpoints=[pb.endpoint_v3.LocalityLbEndpoints()])
