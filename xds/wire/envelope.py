"""Discovery requests and responses: bytes on the stream, events to the protocol (envoy.service.discovery.v3)."""

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

from google.protobuf.message import DecodeError, Message

from ..model.resource import Resource, ResourceType
from ..protocol.events import NamedResource, Rejection, Request, Response
from .codec import TABLE_NAME, parse, type_of
from .refused import RefusedError
from .schema import find
from .schema import types as pb
from .schema.join import delimited, tag, text
from .split import Parts, first_text, split_field

INVALID_ARGUMENT = 3

M = TypeVar("M", bound=Message)

Pause = Callable[[], None]
"""Called between resources: the control thread rests there while calls are under way."""


def no_pause() -> None:
    """Work through."""


Held = Mapping[ResourceType, Mapping[str, Resource[Any]]]
"""What is held, and so has been read before: it is not parsed again when it comes again."""


def read_response(raw: bytes, pause: Pause = no_pause, held: Held = MappingProxyType({})) -> Response:
    """A `DiscoveryResponse`. Resources whose bytes are those of `held` cost a comparison, and stay the same bytes.

    Raises:
        RefusedError: the bytes are no such message; without type and nonce there is nothing to answer.
    """
    message, parts = _opened(pb.discovery_v3.DiscoveryResponse, raw, "DiscoveryResponse")
    type_ = type_of(message.type_url)
    resources: list[NamedResource] = []
    broken: list[Rejection] = []
    if type_ is not None:
        known, version = held.get(type_, _NONE), message.version_info
        for index, part in enumerate(parts.views()):
            pause()
            _read(type_, _any(part, "DiscoveryResponse"), index, version, resources, broken, known)
    return Response(
        type_,
        message.type_url,
        message.version_info,
        message.nonce,
        tuple(resources),
        broken=tuple(broken),
        control_plane=message.control_plane.identifier,
    )


def read_delta_response(raw: bytes, pause: Pause = no_pause, held: Held = MappingProxyType({})) -> Response:
    """A `DeltaDiscoveryResponse`, read as `read_response` does.

    Raises:
        RefusedError: the bytes are no such message.
    """
    message, parts = _opened(pb.discovery_v3.DeltaDiscoveryResponse, raw, "DeltaDiscoveryResponse")
    type_ = type_of(message.type_url)
    resources: list[NamedResource] = []
    broken: list[Rejection] = []
    if type_ is not None:
        known = held.get(type_, _NONE)
        for index, part in enumerate(parts.views()):
            pause()
            each, opened = _delta(part)
            if opened is not None:
                _read(type_, opened, index, each.version, resources, broken, known, each.name)
    return Response(
        type_,
        message.type_url,
        message.system_version_info,
        message.nonce,
        tuple(resources),
        tuple(message.removed_resources),
        tuple(broken),
        full=False,
        control_plane=message.control_plane.identifier,
    )


def is_delta(raw: bytes) -> bool:
    """Whether recorded bytes are a `DeltaDiscoveryResponse`.

    Both variants share their first fields; they differ in what a resource is. Without resources only a delta response
    can say anything (that something is gone).
    """
    try:
        _, parts = _opened(pb.discovery_v3.DiscoveryResponse, raw, "DiscoveryResponse")
        urls = [_opened(pb.google_protobuf.Any, part, "DiscoveryResponse")[0].type_url for part in parts.views()]
    except RefusedError:
        urls = None
    if urls is not None and any(find(url) is not None for url in urls):
        return False
    try:
        delta, parts = _opened(pb.discovery_v3.DeltaDiscoveryResponse, raw, "DeltaDiscoveryResponse")
        for part in parts.views():
            _delta(part)
    except RefusedError:
        return False
    return urls is None or bool(urls or delta.removed_resources)


WITHIN = 2
"""The field of a response that its resources are in, of a delta resource the Any, and of an Any the value."""

LARGE = 64 * 1024

Opened = tuple[str, bytes]
"""Of an Any: the type URL and the value."""


def _opened(kind: type[M], raw: bytes | memoryview, within: str) -> tuple[M, Parts]:
    """A message without what is inside, and the bytes of that.

    A push is never held as one tree: it is megabytes beside what is kept of it, and leaves holes that the allocator
    does not give back.
    """
    try:
        rest, parts = split_field(raw, WITHIN)
    except RefusedError as error:
        raise RefusedError(f"truncated or malformed {within}: {error}") from error
    return _parsed(kind, rest, within), parts


def _parsed(kind: type[M], raw: bytes, within: str) -> M:
    try:
        return kind.FromString(raw)
    except DecodeError as error:
        raise RefusedError(f"truncated or malformed {within}: {error}") from error


def _delta(part: memoryview) -> tuple[pb.discovery_v3.Resource, Opened | None]:
    within = "DeltaDiscoveryResponse"
    if len(part) > LARGE:  # a route table, which would be copied three times
        message, found = _opened(pb.discovery_v3.Resource, part, within)
        return message, next((_any(each, within) for each in found.views()), None)
    message = _parsed(pb.discovery_v3.Resource, bytes(part), within)
    given = message.HasField("resource")
    return message, (message.resource.type_url, message.resource.value) if given else None


def _any(part: memoryview, within: str) -> Opened:
    if len(part) > LARGE:
        message, found = _opened(pb.google_protobuf.Any, part, within)
        return message.type_url, next(iter(found), b"")
    message = _parsed(pb.google_protobuf.Any, bytes(part), within)
    return message.type_url, message.value


_NONE: Mapping[str, Resource[Any]] = MappingProxyType({})


def _read(
    type_: ResourceType,
    opened: Opened,
    index: int,
    version: str,
    resources: list[NamedResource],
    broken: list[Rejection],
    held: Mapping[str, Resource[Any]],
    said_name: str = "",
) -> None:
    try:
        url, raw = opened
        if url == WRAPPER:
            wrapped = pb.discovery_v3.Resource.FromString(raw)
            said_name = wrapped.name
            url, raw = wrapped.resource.type_url, wrapped.resource.value
        if url != type_.value and type_of(url) is not type_:
            raise RefusedError(f"resources[{index}] is a {url}, not a {type_.value}")
        before = held.get(TABLE_NAME if type_ is ResourceType.NAMES else first_text(raw))
        if before is not None and before.raw == raw:
            resources.append(NamedResource(before.name, version, before.raw))
        else:
            resources.append(NamedResource(parse(type_, raw, before), version, raw))
    except (RefusedError, DecodeError) as error:
        broken.append(Rejection(said_name or f"resources[{index}]", str(error)))


WRAPPER = "type.googleapis.com/envoy.service.discovery.v3.Resource"


_VERSION, _RESOURCES, _URL = (
    tag(pb.discovery_v3.DiscoveryResponse, name) for name in ("version_info", "resources", "type_url")
)
_ANY_URL, _ANY_VALUE = (tag(pb.google_protobuf.Any, name) for name in ("type_url", "value"))


def write_response(type_: ResourceType, version: str, resources: Iterable[Resource[Any]]) -> bytes:
    """A `DiscoveryResponse` of what is held: how a configuration is kept on disk.

    It is joined from the bytes that came: a mesh has thousands of resources, and calls go on beside the control thread.
    """
    head = text(_ANY_URL, type_.value)
    parts = [text(_VERSION, version)]
    parts += [delimited(_RESOURCES, head + delimited(_ANY_VALUE, each.raw)) for each in resources]
    parts.append(text(_URL, type_.value))
    return b"".join(parts)


def node_message(node: Mapping[str, Any]) -> pb.core_v3.Node:
    """A Node from its parts: id, cluster, metadata (JSON-like), locality (region, zone, sub_zone)."""
    message = pb.core_v3.Node(
        id=node["id"],
        cluster=node.get("cluster", ""),
        user_agent_name="proxyless",
        user_agent_version=node.get("version", ""),
    )
    message.metadata.update(dict(node.get("metadata", {})))
    locality = node.get("locality")
    if locality:
        region, zone, sub_zone = locality
        message.locality.CopyFrom(pb.core_v3.Locality(region=region, zone=zone, sub_zone=sub_zone))
    return message


def write_request(request: Request, node: pb.core_v3.Node) -> bytes:
    """A `DiscoveryRequest`."""
    message = pb.discovery_v3.DiscoveryRequest(
        type_url=request.type_url,
        version_info=request.version,
        response_nonce=request.nonce,
        resource_names=request.names,
    )
    if request.first:
        message.node.CopyFrom(node)
    if request.error:
        message.error_detail.CopyFrom(pb.google_rpc.Status(code=INVALID_ARGUMENT, message=request.error))
    return message.SerializeToString()


def write_delta_request(request: Request, node: pb.core_v3.Node) -> bytes:
    """A `DeltaDiscoveryRequest`."""
    message = pb.discovery_v3.DeltaDiscoveryRequest(
        type_url=request.type_url,
        response_nonce=request.nonce,
        resource_names_subscribe=request.subscribe,
        resource_names_unsubscribe=request.unsubscribe,
        initial_resource_versions=dict(request.held),
    )
    if request.first:
        message.node.CopyFrom(node)
    if request.error:
        message.error_detail.CopyFrom(pb.google_rpc.Status(code=INVALID_ARGUMENT, message=request.error))
    return message.SerializeToString()
