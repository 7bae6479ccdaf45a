"""Everything that a real istiod sent is known to the schema, survives a round trip and keeps Envoy's rules."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from google.protobuf.message import Message

from proxyless.xds.wire.schema import find, find_unknown, unpack, violation
from proxyless.xds.wire.schema import types as pb
from tests.support.recorded import Recording, recordings

RECORDINGS = list(recordings())

# Types that have no public schema. istiod sends this one as a TypedStruct, so it is kept as it is.
OPAQUE = {"type.googleapis.com/io.istio.http.peer_metadata.Config"}

# gRPC does not look at a connection manager's stat_prefix, so istiod leaves it out for GENERATOR=grpc.
UNRULY = {
    "shop/xds/frontend-grpc/001-Listener.pb": {
        "HttpConnectionManagerValidationError.StatPrefix: value length must be at least 1 characters"
    }
}


@pytest.fixture(params=RECORDINGS, ids=[recording.name for recording in RECORDINGS])
def recording(request: pytest.FixtureRequest) -> Recording:
    found = request.param
    assert isinstance(found, Recording)
    return found


def test_a_response_holds_nothing_unknown_at_any_depth(recording: Recording) -> None:
    unknown = [item for item in find_unknown(_response(recording)) if item.type_url not in OPAQUE]
    assert [str(item) for item in unknown] == []


def test_a_response_and_each_resource_encode_to_the_length_that_they_came_with(recording: Recording) -> None:
    response = _response(recording)
    assert len(response.SerializeToString()) == len(recording.data)
    for packed in _resources(response):
        cls = find(packed.type_url)
        assert cls is not None
        resource = cls.FromString(packed.value)
        again = resource.SerializeToString()
        assert len(again) == len(packed.value)
        assert cls.FromString(again) == resource


def test_every_message_in_a_response_keeps_the_rules_of_envoy(recording: Recording) -> None:
    found = {text for message in _opened(_response(recording)) if (text := violation(message)) is not None}
    assert found == UNRULY.get(recording.name, set())


def test_there_is_something_to_look_at() -> None:
    assert len(RECORDINGS) > 40
    assert sum(recording.delta for recording in RECORDINGS) > 10


def test_the_recordings_hold_typed_structs_of_the_opaque_type() -> None:
    named = {item.type_url for recording in recordings(scale=False) for item in find_unknown(_response(recording))}
    assert named == OPAQUE


def _response(recording: Recording) -> pb.discovery_v3.DiscoveryResponse | pb.discovery_v3.DeltaDiscoveryResponse:
    if recording.delta:
        return pb.discovery_v3.DeltaDiscoveryResponse.FromString(recording.data)
    return pb.discovery_v3.DiscoveryResponse.FromString(recording.data)


def _resources(
    response: pb.discovery_v3.DiscoveryResponse | pb.discovery_v3.DeltaDiscoveryResponse,
) -> list[pb.google_protobuf.Any]:
    if isinstance(response, pb.discovery_v3.DiscoveryResponse):
        return list(response.resources)
    return [resource.resource for resource in response.resources if resource.HasField("resource")]


def _opened(message: Message) -> Iterator[Message]:
    """A message and what is inside every Any below it, as decoders meet them."""
    yield message
    todo = [message]
    while todo:
        here = todo.pop()
        for field, value in here.ListFields():
            if field.message_type is None:
                continue
            below = [value] if isinstance(value, Message) else value.values() if hasattr(value, "values") else value
            for item in below:
                if isinstance(item, pb.google_protobuf.Any):
                    inner = unpack(item)
                    if inner is not None:
                        yield inner
                        todo.append(inner)
                elif isinstance(item, Message):
                    todo.append(item)
