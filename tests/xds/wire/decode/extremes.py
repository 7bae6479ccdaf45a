"""One number of a good resource, changed to an extreme: what to change, and to what."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message

from proxyless.xds.model.resource import ResourceType
from proxyless.xds.wire.coverage.walk import ANY, LEAVES
from proxyless.xds.wire.schema import find
from tests.xds.wire.coverage.test_table import samples

Step = str | int
Way = tuple[Step, ...]
"""From a resource to a message in it: fields, indices, keys; "@" opens an Any."""

LARGEST = 315_576_000_000
"""Seconds of the longest duration that protobuf allows."""
EXTREMES: dict[int, tuple[Any, ...]] = {
    1: (-1, 0, -(2**31), 2**31 - 1),  # by protobuf's C++ types: int32
    2: (-1, 0, -(2**63), 2**63 - 1),  # int64
    3: (0, 1, 101, 2**31, 2**32 - 1),  # uint32
    4: (0, 1, 2**31, 2**64 - 1),  # uint64
    5: (-1.0, 0.0, 100.5, 1e308, float("inf")),  # double; after some NaN Envoy is no more
    6: (-1.0, 0.0, 100.5, float("inf")),  # float
    7: (False, True),
    8: (0, 1, 99, -1),  # enum
}
DURATIONS = ((-1, 0), (0, 0), (0, 1), (0, 999_999), (0, -1), (1, -1), (LARGEST, 0), (LARGEST + 1, 0), (9223372036, 0))

EDS = 3
CACHE = "dns_cache_config"
"""One of each name is shared by all clusters, and may not change."""
APART = frozenset(
    {
        # Envoy does not answer.
        "envoy.extensions.network.dns_resolver.getaddrinfo.v3.GetAddrInfoDnsResolverConfig",
    }
)
"""Messages that cannot be judged one after the other on one stream."""
FIXED = frozenset({"enable_reuse_port", "reuse_port"})
"""Of listeners: Envoy does not let them change."""


@dataclass(frozen=True, slots=True)
class Change:
    """A field of a message of a sample, and its value: a number, or seconds and nanoseconds."""

    type: ResourceType
    raw: bytes
    way: Way
    message: str
    field: str
    value: Any

    def sample(self) -> Any:
        """The resource without the change."""
        kind = find(self.type.value)
        assert kind is not None
        return kind.FromString(self.raw)

    def applied(self) -> Any:
        """The sample with the change."""
        message = self.sample()
        _change(message, self.way, self)
        return message

    def __str__(self) -> str:
        return f"{self.message}.{self.field} = {self.value}"


def _change(message: Any, way: Way, change: Change) -> None:
    if not way:
        _put(message, change.field, change.value)
    elif way[0] == "@":
        kind = find(message.type_url)
        assert kind is not None
        inner = kind.FromString(message.value)
        _change(inner, way[1:], change)
        message.value = inner.SerializeToString()
    else:
        held: Any = message
        while way and way[0] != "@":
            held = getattr(held, way[0]) if isinstance(way[0], str) and _is_field(held, way[0]) else held[way[0]]
            way = way[1:]
        _change(held, way, change)


def _is_field(held: Any, name: str) -> bool:
    return isinstance(held, Message) and name in held.DESCRIPTOR.fields_by_name


def _put(message: Any, name: str, value: Any) -> None:
    field = message.DESCRIPTOR.fields_by_name[name]
    if field.message_type is None:
        setattr(message, name, value)
        return
    held = getattr(message, name)
    held.SetInParent()
    if isinstance(value, tuple):
        held.seconds, held.nanos = value
    else:
        held.value = value


def changes() -> list[Change]:
    """Every extreme of every number of every message that the samples hold, each once."""
    seen: set[tuple[str, str]] = set()
    found: list[Change] = []
    for type_, message in samples():
        if type_ in (ResourceType.CLUSTER, ResourceType.LISTENER) and _alone(message):
            raw = message.SerializeToString()
            for way, inner in _messages(message, ()):
                name = inner.DESCRIPTOR.full_name
                for field, values in () if name in APART or CACHE in way else _numbers(inner):
                    if (name, field) not in seen:
                        seen.add((name, field))
                        found += [Change(type_, raw, way, name, field, each) for each in values]
    return found


def _alone(message: Any) -> bool:
    """Whether Envoy takes it as it is: no filter that is Istio's own, nothing that waits for another resource."""
    raw = message.SerializeToString()
    return b"istio" not in raw and not (message.DESCRIPTOR.name == "Cluster" and message.type == EDS)


def _numbers(message: Any) -> Iterator[tuple[str, tuple[Any, ...]]]:
    for field in message.DESCRIPTOR.fields:
        oneof = field.containing_oneof
        if oneof is not None and message.WhichOneof(oneof.name) not in (None, field.name):
            continue
        if field.is_repeated or field.name in FIXED:
            continue
        below = field.message_type
        if below is None:
            if field.cpp_type in EXTREMES:
                yield field.name, EXTREMES[field.cpp_type]
        elif below.full_name == LEAVES + "Duration":
            yield field.name, DURATIONS
        elif below.full_name.startswith(LEAVES) and "value" in below.fields_by_name and below.full_name != ANY:
            own = below.fields_by_name["value"]
            if own.cpp_type in EXTREMES:
                yield field.name, EXTREMES[own.cpp_type]


def _messages(message: Any, way: Way) -> Iterator[tuple[Way, Any]]:
    if message.DESCRIPTOR.full_name == ANY:
        kind = find(message.type_url)
        if kind is not None:
            yield from _messages(kind.FromString(message.value), (*way, "@"))
        return
    if message.DESCRIPTOR.full_name.startswith(LEAVES):
        return
    yield way, message
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        if isinstance(value, Message):
            yield from _messages(value, (*way, field.name))
        elif hasattr(value, "items"):
            for key in sorted(value):
                if isinstance(value[key], Message):
                    yield from _messages(value[key], (*way, field.name, key))
        else:
            for index, each in enumerate(value):
                yield from _messages(each, (*way, field.name, index))
