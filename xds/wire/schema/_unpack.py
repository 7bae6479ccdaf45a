"""Opening `google.protobuf.Any`, and the TypedStruct that may lie inside, as Envoy does when it loads an extension."""

from __future__ import annotations

from google.protobuf.message import DecodeError, Message

from ._pool import find, pool
from .types import google_protobuf, udpa_type_v1

TYPED_STRUCTS = {"udpa.type.v1.TypedStruct", "xds.type.v3.TypedStruct"}


def type_of(packed: google_protobuf.Any) -> str:
    """Full name of the message that an Any stands for; for a TypedStruct, of the message that the struct spells."""
    name = packed.type_url.rpartition("/")[2]
    if name in TYPED_STRUCTS:
        name = open_typed_struct(packed)[0].rpartition("/")[2]
    return name


def unpack(packed: google_protobuf.Any) -> Message | None:
    """The message inside an Any; None if the schema does not know its type.

    A TypedStruct of a known type becomes that message, fields that the type lacks are left out (`find_unknown`
    names them). A TypedStruct of an unknown type comes back as it is: opaque, but there.

    Raises google.protobuf.message.DecodeError if the bytes are not such a message, or the struct does not fit the type.
    """
    name = packed.type_url.rpartition("/")[2]
    cls = find(name)
    if cls is None:
        return None
    message = cls.FromString(packed.value)
    if name in TYPED_STRUCTS:
        inner, struct = open_typed_struct(packed)
        target = find(inner)
        if target is not None:
            return _from_struct(struct, target)
    return message


def open_typed_struct(packed: google_protobuf.Any) -> tuple[str, google_protobuf.Struct]:
    """Type URL and content of the TypedStruct in an Any; udpa's and xds's have the same fields."""
    opened = udpa_type_v1.TypedStruct.FromString(packed.value)
    return opened.type_url, opened.value


def typed_struct(packed: google_protobuf.Any) -> google_protobuf.Struct | None:
    """The content of the TypedStruct in an Any; None where it is no TypedStruct.

    Raises google.protobuf.message.DecodeError if the bytes are none.
    """
    return open_typed_struct(packed)[1] if packed.type_url.rpartition("/")[2] in TYPED_STRUCTS else None


def _from_struct(struct: google_protobuf.Struct, target: type[Message]) -> Message:
    # Needed for few Anys, and costs as much to import as the rest of the module.
    from google.protobuf import json_format

    try:
        spelled = json_format.MessageToDict(struct)
        return json_format.ParseDict(spelled, target(), ignore_unknown_fields=True, descriptor_pool=pool())
    except (json_format.Error, ValueError) as error:  # a number that JSON cannot spell is a ValueError
        raise DecodeError(f"TypedStruct is no {target.DESCRIPTOR.full_name}: {error}") from error
