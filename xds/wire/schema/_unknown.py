"""What a message holds that the schema does not know: unknown fields and unknown types, each with its place.

protobuf keeps unknown fields when it decodes and writes them back when it encodes, so nothing is lost; but a setting
that has no effect must not be silent, so `check` and `status` name it. The walk goes through every Any whose type is
known; a TypedStruct is compared by the names that it spells.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

from ._pool import find
from ._unpack import TYPED_STRUCTS, open_typed_struct

_ANY = "google.protobuf.Any"
# Their JSON form is free or a single value, so there are no names to compare.
_FREE_FORM = {"google.protobuf.Struct", "google.protobuf.Value", "google.protobuf.ListValue"}


@dataclass(frozen=True, slots=True)
class Unknown:
    """One thing that the schema does not know.

    `path` is the way to it from the message that was asked about: `filter_chains[0].filters[1].typed_config`; for a
    field its last step is the field's number (`route.99`), or its name inside a TypedStruct. `type_url` is set for a
    type that is unknown, `message` (a full name) for a field that this message type lacks.
    """

    path: str
    message: str = ""
    type_url: str = ""

    def __str__(self) -> str:
        if self.type_url:
            return f"{self.path}: unknown type {self.type_url}"
        return f"{self.path}: unknown field of {self.message}"


def find_unknown(message: Message) -> list[Unknown]:
    """Everything in a message, at any depth and inside every Any, that the schema does not know; empty is good.

    Raises google.protobuf.message.DecodeError if an Any of a known type does not hold that type.
    """
    return list(_walk(message, ""))


def _walk(message: Message, path: str) -> Iterator[Unknown]:
    descriptor: Any = message.DESCRIPTOR
    unknown = UnknownFieldSet(message)
    for index in range(len(unknown)):
        yield Unknown(_join(path, str(unknown[index].field_number)), message=descriptor.full_name)
    if descriptor.full_name == _ANY:
        yield from _any(message, path)
        return
    for field, value in message.ListFields():
        if field.message_type is not None:
            for step, below in _messages(field, value):
                yield from _walk(below, _join(path, step))


def _messages(field: FieldDescriptor, value: Any) -> Iterator[tuple[str, Message]]:
    if isinstance(value, Message):
        yield field.name, value
    elif hasattr(value, "items"):
        for key, below in sorted(value.items()):
            if isinstance(below, Message):
                yield f"{field.name}[{key}]", below
    else:
        for index, below in enumerate(value):
            yield f"{field.name}[{index}]", below


def _any(packed: Any, path: str) -> Iterator[Unknown]:
    cls = find(packed.type_url)
    if cls is None:
        # An Any that was never filled in is empty rather than unknown.
        if packed.type_url or packed.value:
            yield Unknown(path, type_url=packed.type_url)
        return
    if packed.type_url.rpartition("/")[2] not in TYPED_STRUCTS:
        yield from _walk(cls.FromString(packed.value), path)
        return
    type_url, struct = open_typed_struct(packed)
    yield from _spelled_message(type_url, struct.fields, path)


def _spelled_message(type_url: str, spelled: Any, path: str) -> Iterator[Unknown]:
    cls = find(type_url)
    if cls is None:
        yield Unknown(path, type_url=type_url)
    else:
        yield from _spelled(cls.DESCRIPTOR, spelled, path)


def _spelled(descriptor: Any, spelled: Any, path: str) -> Iterator[Unknown]:
    """Names in a Struct that the message type which it stands for does not have."""
    known = {name: field for field in descriptor.fields for name in (field.name, field.json_name)}
    for name, value in sorted(spelled.items()):
        field = known.get(name)
        if field is None:
            yield Unknown(_join(path, name), message=descriptor.full_name)
        elif field.message_type is not None:
            yield from _spelled_value(field.message_type, value, _join(path, name))


def _spelled_value(descriptor: Descriptor, value: Any, path: str) -> Iterator[Unknown]:
    kind = value.WhichOneof("kind")
    if descriptor.full_name in _FREE_FORM:
        return
    if kind == "list_value":
        for index, item in enumerate(value.list_value.values):
            yield from _spelled_value(descriptor, item, f"{path}[{index}]")
    elif kind == "struct_value":
        spelled = value.struct_value.fields
        if descriptor.full_name == _ANY:
            inner = {name: below for name, below in spelled.items() if name != "@type"}
            yield from _spelled_message(spelled["@type"].string_value if "@type" in spelled else "", inner, path)
        elif descriptor.GetOptions().map_entry:
            below = descriptor.fields_by_name["value"].message_type
            if below is not None:
                for key, item in sorted(spelled.items()):
                    yield from _spelled_value(below, item, f"{path}[{key}]")
        else:
            yield from _spelled(descriptor, spelled, path)


def _join(path: str, step: str) -> str:
    return f"{path}.{step}" if path else step
