"""Opening an Any: known, unknown, broken, and TypedStruct as Envoy's extensions get it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from google.protobuf.message import DecodeError

from proxyless.xds.wire.schema import find, pool, type_of, unpack
from proxyless.xds.wire.schema import types as pb

LIMIT = "type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit"


def typed_struct(
    type_url: str, content: Mapping[str, Any], kind: str = "udpa.type.v1.TypedStruct"
) -> pb.google_protobuf.Any:
    struct = pb.google_protobuf.Struct()
    struct.update(content)
    spelled = pb.udpa_type_v1.TypedStruct(type_url=type_url, value=struct)
    return pb.google_protobuf.Any(type_url=f"type.googleapis.com/{kind}", value=spelled.SerializeToString())


def test_a_known_type_is_decoded_by_the_last_part_of_its_url() -> None:
    packed = pb.google_protobuf.Any()
    packed.Pack(pb.cluster_v3.Cluster(name="c"), type_url_prefix="example.org/types/")
    cluster = unpack(packed)
    assert isinstance(cluster, pb.cluster_v3.Cluster)
    assert cluster.name == "c"
    assert type_of(packed) == "envoy.config.cluster.v3.Cluster"


def test_an_unknown_type_is_none_and_keeps_its_name() -> None:
    packed = pb.google_protobuf.Any(type_url="type.googleapis.com/acme.Thing", value=b"\x08\x01")
    assert unpack(packed) is None
    assert type_of(packed) == "acme.Thing"
    assert unpack(pb.google_protobuf.Any()) is None


def test_bytes_that_are_no_such_message_are_refused() -> None:
    with pytest.raises(DecodeError):
        unpack(pb.google_protobuf.Any(type_url=LIMIT, value=b"\xff"))


@pytest.mark.parametrize("kind", ["udpa.type.v1.TypedStruct", "xds.type.v3.TypedStruct"])
def test_a_typed_struct_of_a_known_type_becomes_that_message(kind: str) -> None:
    content = {"stat_prefix": "s", "tokenBucket": {"max_tokens": 3, "fill_interval": "60s"}, "no_such_field": 1}
    packed = typed_struct(LIMIT, content, kind)
    limit = unpack(packed)
    assert isinstance(limit, pb.http_local_ratelimit_v3.LocalRateLimit)
    assert (limit.stat_prefix, limit.token_bucket.max_tokens) == ("s", 3)
    assert limit.token_bucket.fill_interval.seconds == 60
    assert type_of(packed) == LIMIT.rpartition("/")[2]


def test_an_any_within_a_typed_struct_is_found_by_its_type() -> None:
    config = {"name": "n", "typed_config": {"@type": LIMIT, "stat_prefix": "s"}}
    extension = unpack(typed_struct("type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig", config))
    assert isinstance(extension, pb.core_v3.TypedExtensionConfig)
    limit = unpack(extension.typed_config)
    assert isinstance(limit, pb.http_local_ratelimit_v3.LocalRateLimit)
    assert limit.stat_prefix == "s"


def test_a_typed_struct_of_an_unknown_type_stays_what_it_is() -> None:
    packed = typed_struct("type.googleapis.com/acme.Thing", {"a": 1})
    opaque = unpack(packed)
    assert isinstance(opaque, pb.udpa_type_v1.TypedStruct)
    assert opaque.value["a"] == 1
    assert type_of(packed) == "acme.Thing"


def test_a_typed_struct_that_does_not_fit_its_type_is_refused_by_name() -> None:
    with pytest.raises(DecodeError, match=r"TypedStruct is no envoy\.extensions.*LocalRateLimit.*max_tokens"):
        unpack(typed_struct(LIMIT, {"token_bucket": {"max_tokens": "many"}}))


def test_a_class_is_found_by_url_or_name_and_is_always_the_same() -> None:
    assert find(LIMIT) is find(LIMIT.rpartition("/")[2]) is pb.http_local_ratelimit_v3.LocalRateLimit
    assert find("type.googleapis.com/acme.Thing") is None
    assert find("") is None


def test_the_pool_is_apart_from_the_default_one() -> None:
    from google.protobuf import any_pb2, descriptor_pool

    assert pool() is pool()
    assert pool() is not descriptor_pool.Default()
    assert not isinstance(pb.google_protobuf.Any(), any_pb2.Any)
    with pytest.raises(KeyError):
        descriptor_pool.Default().FindMessageTypeByName("envoy.config.cluster.v3.Cluster")
