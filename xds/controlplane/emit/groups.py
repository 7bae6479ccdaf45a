"""Endpoints of one place, while it is decided how they count: encoded ones, with what is said of all of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ...wire.schema.join import delimited, number, tag, text, varint, wrapped
from ...wire.schema.types import core_v3, endpoint_v3

Message = endpoint_v3.LocalityLbEndpoints
Locality = tuple[str, str, str]

_LOCALITY = tag(Message, "locality")
_ENDPOINTS = tag(Message, "lb_endpoints")
_WEIGHT = tag(Message, "load_balancing_weight")
_PRIORITY = tag(Message, "priority")
_REGION, _ZONE, _SUB_ZONE = (tag(core_v3.Locality, name) for name in ("region", "zone", "sub_zone"))
_NAME = tag(endpoint_v3.ClusterLoadAssignment, "cluster_name")
_GROUPS = tag(endpoint_v3.ClusterLoadAssignment, "endpoints")


@dataclass(slots=True, eq=False)
class Group:
    """`endpoints` are encoded, each with its own weight beside it; `weight` is that of all of them, if one is said."""

    locality: Locality
    endpoints: list[tuple[bytes, int]]
    weight: int | None = None
    priority: int = 0

    @classmethod
    def of(cls, message: Message) -> Group:
        at = message.locality
        return cls(
            (at.region, at.zone, at.sub_zone),
            [
                (each.SerializeToString(deterministic=True), each.load_balancing_weight.value)
                for each in message.lb_endpoints
            ],
            message.load_balancing_weight.value if message.HasField("load_balancing_weight") else None,
            message.priority,
        )

    def encoded(self) -> bytes:
        region, zone, sub_zone = self.locality
        place = text(_REGION, region) + text(_ZONE, zone) + text(_SUB_ZONE, sub_zone)
        parts = [delimited(_LOCALITY, place)]
        for raw, _ in self.endpoints:
            parts += _ENDPOINTS, varint(len(raw)), raw
        if self.weight is not None:
            parts.append(delimited(_WEIGHT, wrapped(self.weight)))
        parts.append(number(_PRIORITY, self.priority))
        return b"".join(parts)

    def message(self) -> Message:
        return Message.FromString(self.encoded())


def encoded_assignment(name: str, groups: Iterable[Group]) -> bytes:
    """A ClusterLoadAssignment."""
    return text(_NAME, name) + b"".join([delimited(_GROUPS, group.encoded()) for group in groups])
