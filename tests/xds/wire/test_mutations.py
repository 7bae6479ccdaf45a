"""Recorded responses, damaged in every way: nothing crashes, and what is refused is named and replaces nothing.

Each damaged response is applied to the state that the undamaged ones left behind. Whatever it does, every resource
that was refused is still held as it was, everything that is held decodes, and no decoder met what it did not expect.
"""

from __future__ import annotations

import random
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
from google.protobuf.message import DecodeError, Message

from proxyless.xds.graph import Graph
from proxyless.xds.model.resource import Resource, ResourceType
from proxyless.xds.model.route import RouteConfiguration
from proxyless.xds.protocol.sotw import SotwMachine
from proxyless.xds.wire import codec, envelope
from proxyless.xds.wire.refused import UNEXPECTED, RefusedError
from proxyless.xds.wire.schema import find
from proxyless.xds.wire.schema import types as pb
from tests.support.recorded import recordings

from .accepted import call_through

TYPES = ("Cluster", "Listener", "RouteConfiguration", "ClusterLoadAssignment", "NameTable")
SMALL = 6_000
"""Bytes of the largest resource that is damaged: many damages count for more than large ones."""

PARTS = {
    "Cluster": (12, 2_200),
    "Listener": (16, 1_400),
    "RouteConfiguration": (16, 1_600),
    "ClusterLoadAssignment": (10, 2_500),
    "NameTable": (1, 2_000),
}
"""How many tests there are of each type, so that processes can share them, and how many responses each damages."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A resource as it came."""

    type: ResourceType
    name: str
    raw: bytes


@cache
def samples() -> dict[str, list[Sample]]:
    """Every different recorded resource that is small enough, by the name of its type."""
    found: dict[str, dict[bytes, Sample]] = {each: {} for each in TYPES}
    for recording in recordings(scale=False):
        read = envelope.read_delta_response if recording.delta else envelope.read_response
        response = read(recording.data)
        assert response.type is not None
        for each in response.resources:
            for raw in parts(response.type, each.raw):
                if len(raw) <= SMALL:
                    found[response.type.message][raw] = Sample(response.type, each.name, raw)
    return {name: list(each.values()) for name, each in found.items()}


def parts(type_: ResourceType, raw: bytes) -> list[bytes]:
    """A resource, or where it is large listeners of one of its filter chains each."""
    if type_ is not ResourceType.LISTENER or len(raw) <= SMALL:
        return [raw]
    listener = pb.listener_v3.Listener.FromString(raw)
    chains = list(listener.filter_chains)
    listener.ClearField("filter_chains")
    found = []
    for chain in chains:
        one = pb.listener_v3.Listener()
        one.CopyFrom(listener)
        one.filter_chains.add().CopyFrom(chain)
        found.append(one.SerializeToString())
    return found


# -- damage to bytes -----------------------------------------------------------------------------------------------


def flipped(raw: bytes, chance: random.Random) -> bytes:
    """Some bits."""
    damaged = bytearray(raw)
    for _ in range(chance.choice((1, 1, 2, 8))):
        if damaged:
            damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
    return bytes(damaged)


def truncated(raw: bytes, chance: random.Random) -> bytes:
    """The beginning only."""
    return raw[: chance.randrange(len(raw) + 1)]


def spliced(raw: bytes, chance: random.Random) -> bytes:
    """A piece taken out, doubled, or put elsewhere."""
    start = chance.randrange(len(raw) + 1)
    piece = raw[start : start + chance.randrange(1, 64)]
    rest = raw[:start] + raw[start + len(piece) :]
    at = chance.randrange(len(rest) + 1)
    return chance.choice((rest, raw[:at] + piece + raw[at:], rest[:at] + piece + rest[at:]))


def relengthened(raw: bytes, chance: random.Random) -> bytes:
    """A byte made small, large, or a number that goes on: in many places it is a length or a tag."""
    if not raw:
        return b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"
    at = chance.randrange(len(raw))
    return raw[:at] + chance.choice((b"\x00", b"\x01", b"\x7f", b"\xff\x01", b"\xff" * 10)) + raw[at + 1 :]


# -- damage to messages --------------------------------------------------------------------------------------------


def restructured(raw: bytes, chance: random.Random, type_: ResourceType) -> bytes:
    """A field somewhere inside, through every Any, cleared, doubled, or given an extreme value."""
    kind = find(type_.value)
    assert kind is not None
    message = kind.FromString(raw)
    damage(message, chance)
    return message.SerializeToString()


def damage(message: Any, chance: random.Random) -> None:
    """One field of a message or of one below it."""
    if isinstance(message, pb.google_protobuf.Any):
        inner = find(message.type_url)
        if inner is None or chance.random() < 0.1:
            message.type_url = chance.choice(("", "a/b", "type.googleapis.com/google.protobuf.Empty", message.type_url))
            message.value = flipped(message.value, chance)
            return
        opened = inner.FromString(message.value)
        damage(opened, chance)
        message.value = opened.SerializeToString()
        return
    below = [(field, value) for field, value in message.ListFields() if field.message_type is not None]
    if below and chance.random() < 0.8:
        _, value = chance.choice(below)
        if isinstance(value, Message):
            damage(value, chance)
        elif hasattr(value, "items"):
            damage_map(value, chance)
        else:
            damage(value[chance.randrange(len(value))], chance)
        return
    damage_field(message, chance.choice(message.DESCRIPTOR.fields or [None]), chance)


def damage_map(value: Any, chance: random.Random) -> None:
    key = chance.choice(sorted(value))
    inner = value[key]
    if isinstance(inner, Message):
        damage(inner, chance)
    else:
        del value[key]


def damage_field(message: Any, field: Any, chance: random.Random) -> None:
    """Whatever its type can hold and nobody would send."""
    if field is None:
        return
    if chance.random() < 0.3:
        message.ClearField(field.name)
        return
    if field.message_type is not None:
        if field.message_type.GetOptions().map_entry:
            return
        value = getattr(message, field.name)
        if isinstance(value, Message):
            value.SetInParent()
        elif len(value) and chance.random() < 0.5:
            value.append(value[chance.randrange(len(value))])
        else:
            value.add()
        return
    extreme = chance.choice(EXTREMES[field.cpp_type])
    if hasattr(getattr(message, field.name), "append"):
        getattr(message, field.name).append(extreme)
    elif field.cpp_type == field.CPPTYPE_STRING and field.type == field.TYPE_BYTES:
        setattr(message, field.name, extreme.encode())
    else:
        setattr(message, field.name, extreme)


TEXTS = (
    "",
    "*",
    "**",
    "a*b",
    "%",
    "%REQ(",
    "%REQ(a)%",
    "[",
    "(a+)+$",
    "\\1",
    "::1",
    "1.2.3.4/33",
    "a" * 300,
    "\n",
    "é",
    "\0",
)
EXTREMES: dict[int, tuple[Any, ...]] = {
    1: (0, -1, 2**31 - 1, -(2**31)),
    2: (0, -1, 2**63 - 1, -(2**63), 315576000000),
    3: (0, 1, 70_000, 2**32 - 1),
    4: (0, 1, 2**64 - 1),
    5: (0.0, -1.0, 101.0, float("inf"), float("-inf"), float("nan")),
    6: (0.0, -1.0, float("inf"), float("nan")),
    7: (True, False),
    8: (0, 1, 2, 3, 99),
    9: TEXTS,
    10: (),
}
"""By protobuf's C++ types: int32, int64, uint32, uint64, double, float, bool, enum, text."""


# -- what holds ----------------------------------------------------------------------------------------------------


class Held:
    """A mesh that holds one good resource and a neighbour, and gets damaged responses."""

    def __init__(self, good: Sample, neighbour: Sample) -> None:
        self.type = good.type
        self.good = good
        self.neighbour = neighbour
        self.machine = SotwMachine()
        self.machine.opened({})
        self.machine.subscribe(self.type, [good.name, neighbour.name])
        self.graph = Graph(codec.resource)
        self.graph.want(self.type, [good.name, neighbour.name])
        self.restore()

    def restore(self) -> None:
        """Both are held, and nothing else."""
        newest = self.graph.newest[self.type]
        self.graph.unwant(self.type, set(newest) - {self.good.name, self.neighbour.name})
        assert self.graph.apply(envelope.read_response(self.response(self.good.raw))) == []
        newest = self.graph.newest[self.type]
        assert set(newest) == {self.good.name, self.neighbour.name}
        assert newest[self.good.name].raw == self.good.raw

    def response(self, raw: bytes) -> bytes:
        """The good resource, damaged or not, and its neighbour."""
        both = [raw] if self.neighbour is self.good else [raw, self.neighbour.raw]
        return pb.discovery_v3.DiscoveryResponse(
            type_url=self.type.value,
            version_info="2",
            nonce="n",
            resources=[pb.google_protobuf.Any(type_url=self.type.value, value=each) for each in both],
        ).SerializeToString()

    def take(self, raw: bytes) -> str:
        """A response, damaged or with something damaged in it: `malformed`, `refused` or `accepted`."""
        before = dict(self.graph.newest[self.type])
        try:
            response = envelope.read_response(raw)
        except RefusedError:
            return "malformed"
        if response.type is not self.type:
            return "malformed"
        rejections = self.graph.apply(response)
        (answer, *_) = self.machine.answer(response, rejections)
        after = self.graph.newest[self.type]
        assert bool(answer.error) is bool(rejections)
        taken = {name for name, each in after.items() if before.get(name) is not each}
        for each in rejections:
            assert f"{each.name}: {each.reason}" in answer.error
            assert each.name
            assert UNEXPECTED not in each.reason, each.reason
            if each.name in before and each.name not in taken:
                assert after[each.name] is before[each.name]
        if response.broken:
            assert not taken.isdisjoint({self.good.name}) or after[self.good.name] is before[self.good.name]
        for name in taken:
            self.is_usable(after[name])
        return "refused" if rejections else "accepted"

    def is_usable(self, resource: Resource[Any]) -> None:
        """What was accepted decodes, to the last virtual host, and says what of it has no effect."""
        value = resource.get()
        resource.notes()
        assert resource.error is None
        if isinstance(value, RouteConfiguration):
            for host in value.virtual_hosts:
                host.value()
                host.notes()
                assert host.error is None
        call_through(resource)


def damaged(sample: Sample, chance: random.Random) -> bytes:
    """A resource with one damage, or several on top of each other."""
    raw = sample.raw
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        if chance.random() < 0.5:
            raw = chance.choice(BYTES)(raw, chance)
        else:
            with suppress(DecodeError):  # what is damaged already may be no message any more
                raw = restructured(raw, chance, sample.type)
    return raw


BYTES = (flipped, truncated, spliced, relengthened)


@pytest.mark.parametrize(
    ("kind", "part"), [(kind, part) for kind, (parts, _) in PARTS.items() for part in range(parts)]
)
def test_a_damaged_response_crashes_nothing_and_replaces_nothing_by_what_is_refused(kind: str, part: int) -> None:
    chance = random.Random(f"{kind} {part}")
    own, (_, count) = samples()[kind], PARTS[kind]
    seen: Counter[str] = Counter()
    per_sample = 50
    for number in range(0, count, per_sample):
        good = own[(part + number // per_sample) % len(own)]
        others = [each for each in own if each.name != good.name]
        held = Held(good, chance.choice(others) if others else good)
        for _ in range(per_sample):
            raw = held.response(damaged(good, chance))
            if chance.random() < 0.05:
                raw = chance.choice(BYTES)(raw, chance)
            seen[held.take(raw)] += 1
            held.restore()
    # Each outcome is met often: neither is everything refused at once, nor does everything pass.
    assert seen["refused"] > count / 20
    assert seen["accepted"] > count / 20


def test_enough_responses_are_damaged() -> None:
    assert sum(parts * count for parts, count in PARTS.values()) >= 100_000
