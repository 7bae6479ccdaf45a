"""Descriptors as plain facts, so that two sets of them can be compared and a difference can be read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias

from google.protobuf import descriptor_pb2 as d

# Name of a field, enum value or oneof -> everything about it that reaches the wire or the program.
Facts: TypeAlias = dict[str, tuple[object, ...]]


def facts(files: d.FileDescriptorSet) -> dict[str, Facts]:
    """Full name -> facts, for every message, map entry and enum."""
    return {name: found for file in files.file for name, found in _file(file)}


def _file(file: d.FileDescriptorProto) -> Iterator[tuple[str, Facts]]:
    for enum in file.enum_type:
        yield f"{file.package}.{enum.name}", _enum(enum)
    yield from _messages(file.package, file.message_type)


def _messages(prefix: str, messages: Iterable[d.DescriptorProto]) -> Iterator[tuple[str, Facts]]:
    for message in messages:
        name = f"{prefix}.{message.name}"
        yield name, _message(message)
        for enum in message.enum_type:
            yield f"{name}.{enum.name}", _enum(enum)
        yield from _messages(name, message.nested_type)


def _enum(enum: d.EnumDescriptorProto) -> Facts:
    return {value.name: (value.number,) for value in enum.value}


def _message(message: d.DescriptorProto) -> Facts:
    out: Facts = {}
    for field in message.field:
        oneof = message.oneof_decl[field.oneof_index].name if field.HasField("oneof_index") else ""
        packed = not (field.options.HasField("packed") and not field.options.packed)
        kind = (
            d.FieldDescriptorProto.Type.Name(field.type),
            field.type_name,
            d.FieldDescriptorProto.Label.Name(field.label),
        )
        out[field.name] = (field.number, *kind, oneof, field.proto3_optional, packed, message.options.map_entry)
    return out
