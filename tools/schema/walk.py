"""From betterproto2's field metadata to descriptors.

`envoy_data_plane` ships no descriptors: its classes carry, per field, number, type, repetition, oneof group, map entry
and wrapper. That is everything a descriptor needs, but for two things, which are recovered here:

* Class names are flat (`CircuitBreakersThresholds`). Messages are registered with their full proto name; an enum is
  not, so its place is the message whose class name is the longest prefix of its own, or what `ENUM_NAMES` says.
* Values of wrappers, durations and timestamps are typed as Python values; `unwrap` of the metadata names the message.

The order of fields is the order of their declaration, which the validation rules rely on.
"""

from __future__ import annotations

import dataclasses
import importlib
import warnings
from collections.abc import Iterable, Iterator
from typing import Any

import betterproto2
from envoy_data_plane.message_pool import default_message_pool
from google.protobuf import descriptor_pb2 as d

from .names import ENUM_NAMES

SCALARS = {
    "bool": d.FieldDescriptorProto.TYPE_BOOL,
    "int32": d.FieldDescriptorProto.TYPE_INT32,
    "int64": d.FieldDescriptorProto.TYPE_INT64,
    "uint32": d.FieldDescriptorProto.TYPE_UINT32,
    "uint64": d.FieldDescriptorProto.TYPE_UINT64,
    "sint32": d.FieldDescriptorProto.TYPE_SINT32,
    "sint64": d.FieldDescriptorProto.TYPE_SINT64,
    "float": d.FieldDescriptorProto.TYPE_FLOAT,
    "double": d.FieldDescriptorProto.TYPE_DOUBLE,
    "fixed32": d.FieldDescriptorProto.TYPE_FIXED32,
    "sfixed32": d.FieldDescriptorProto.TYPE_SFIXED32,
    "fixed64": d.FieldDescriptorProto.TYPE_FIXED64,
    "sfixed64": d.FieldDescriptorProto.TYPE_SFIXED64,
    "string": d.FieldDescriptorProto.TYPE_STRING,
    "bytes": d.FieldDescriptorProto.TYPE_BYTES,
}


@dataclasses.dataclass(frozen=True, slots=True)
class Declared:
    """One message or enum: its descriptor without children, its package and its path inside the package."""

    package: str
    path: tuple[str, ...]
    proto: d.DescriptorProto | d.EnumDescriptorProto
    depends: tuple[str, ...]  # full names of messages and enums that its fields refer to

    @property
    def full_name(self) -> str:
        return ".".join((self.package, *self.path))


class Walker:
    """Collects every message and enum reachable from the roots, each once."""

    def __init__(self) -> None:
        self.found: dict[str, Declared] = {}

    def walk(self, roots: Iterable[str]) -> dict[str, Declared]:
        for root in roots:
            for name in _expand(root):
                self._visit(_message_class(name))
        return self.found

    def _visit(self, first: type) -> None:
        todo = [first]
        while todo:
            cls = todo.pop()
            package, path = _message_name(cls)
            if ".".join((package, *path)) in self.found:
                continue
            children: list[type] = []
            self._add(package, path, *_message(cls, path, children))
            # A nested message is declared inside its parents, so they come along.
            if len(path) > 1:
                children.append(_message_class(".".join((package, *path[:-1]))))
            for child in children:
                if issubclass(child, betterproto2.Enum):
                    self._visit_enum(child, todo)
                else:
                    todo.append(child)

    def _visit_enum(self, cls: type, todo: list[type]) -> None:
        package, path = _enum_name(cls)
        if ".".join((package, *path)) not in self.found:
            self._add(package, path, _enum(cls, path), ())
            if len(path) > 1:
                todo.append(_message_class(".".join((package, *path[:-1]))))

    def _add(
        self,
        package: str,
        path: tuple[str, ...],
        proto: d.DescriptorProto | d.EnumDescriptorProto,
        depends: tuple[str, ...],
    ) -> None:
        item = Declared(package, path, proto, depends)
        self.found[item.full_name] = item


def _expand(root: str) -> Iterator[str]:
    if not root.endswith(".*"):
        yield root
        return
    package = root.removesuffix(".*")
    _module(package)
    names = [
        package + "." + path[0]
        for cls in list(default_message_pool.type_to_url)
        for own, path in [_message_name(cls)]
        if own == package and len(path) == 1
    ]
    if not names:
        raise LookupError(f"no messages in package {package}")
    yield from names


def _module(package: str) -> Any:
    with warnings.catch_warnings():
        # Its classes use a form of pydantic's validators that pydantic deprecates.
        warnings.simplefilter("ignore", DeprecationWarning)
        return importlib.import_module("envoy_data_plane." + package)


def _message_class(full_name: str) -> type:
    package = full_name
    while "." in package:
        package = package.rpartition(".")[0]
        try:
            _module(package)
            break
        except ModuleNotFoundError:
            continue
    cls: type | None = default_message_pool.url_to_type.get("type.googleapis.com/" + full_name)
    if cls is None:
        raise LookupError(f"envoy-data-plane has no message {full_name}")
    return cls


def _package(cls: type) -> str:
    return cls.__module__.removeprefix("envoy_data_plane.")


def _message_name(cls: type) -> tuple[str, tuple[str, ...]]:
    package = _package(cls)
    full_name = default_message_pool.type_to_url[cls].removeprefix("type.googleapis.com/")
    return package, tuple(full_name.removeprefix(package + ".").split("."))


def _enum_name(cls: type) -> tuple[str, tuple[str, ...]]:
    package = _package(cls)
    pinned = ENUM_NAMES.get(f"{package}.{cls.__name__}")
    if pinned is not None:
        return package, tuple(pinned.split("."))
    owner: type | None = None
    for name, other in vars(_module(package)).items():
        if (
            isinstance(other, type)
            and other in default_message_pool.type_to_url
            and other.__module__ == cls.__module__
            and cls.__name__.startswith(name)
            and len(cls.__name__) > len(name)
            and (owner is None or len(name) > len(owner.__name__))
        ):
            owner = other
    if owner is None:
        return package, (cls.__name__,)
    return package, (*_message_name(owner)[1], cls.__name__.removeprefix(owner.__name__))


def _message(cls: Any, path: tuple[str, ...], children: list[type]) -> tuple[d.DescriptorProto, tuple[str, ...]]:
    proto = d.DescriptorProto(name=path[-1])
    depends: list[str] = []
    groups: dict[str, int] = {}
    meta = cls._betterproto
    for attribute in dataclasses.fields(cls):
        field = betterproto2.FieldMetadata.get(attribute)
        out = proto.field.add(name=attribute.name, number=field.number)
        out.label = out.LABEL_REPEATED if field.repeated or field.map_meta else out.LABEL_OPTIONAL
        if field.map_meta:
            key, value = field.map_meta
            entry = proto.nested_type.add(name=camel(out.name) + "Entry")
            entry.options.map_entry = True
            _typed(entry.field.add(name="key", number=1, label=out.LABEL_OPTIONAL), key, None, children, depends)
            value_type = meta.cls_by_field[attribute.name + ".value"]
            _typed(
                entry.field.add(name="value", number=2, label=out.LABEL_OPTIONAL), value, value_type, children, depends
            )
            out.type = out.TYPE_MESSAGE
            out.type_name = "." + ".".join((_package(cls), *path, entry.name))
            continue
        _typed(out, field, meta.cls_by_field[attribute.name], children, depends)
        if field.group:
            if field.group not in groups:
                groups[field.group] = len(proto.oneof_decl)
                proto.oneof_decl.add(name=field.group)
            out.oneof_index = groups[field.group]
        elif field.optional and field.proto_type != "message":
            out.proto3_optional = True
    # Synthetic oneofs of `optional` scalars have to come after the real ones.
    for out in proto.field:
        if out.proto3_optional:
            out.oneof_index = len(proto.oneof_decl)
            proto.oneof_decl.add(name="_" + out.name)
    return proto, tuple(depends)


def _typed(
    out: d.FieldDescriptorProto,
    field: betterproto2.FieldMetadata,
    cls: Any,
    children: list[type],
    depends: list[str],
) -> None:
    if field.proto_type in SCALARS:
        out.type = SCALARS[field.proto_type]
        return
    if field.proto_type == "enum":
        out.type = out.TYPE_ENUM
        package, path = _enum_name(cls)
    else:
        out.type = out.TYPE_MESSAGE
        cls = field.unwrap() if field.unwrap else cls
        package, path = _message_name(cls)
    full_name = ".".join((package, *path))
    out.type_name = "." + full_name
    depends.append(full_name)
    children.append(cls)


def _enum(cls: Any, path: tuple[str, ...]) -> d.EnumDescriptorProto:
    proto = d.EnumDescriptorProto(name=path[-1])
    renamed = cls.betterproto_value_to_renamed_proto_names()
    for name, member in cls.__members__.items():
        proto.value.add(name=renamed.get(member.value, name), number=member.value)
    if len({value.number for value in proto.value}) != len(proto.value):
        proto.options.allow_alias = True
    return proto


def camel(name: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))
