"""Resources as people and tools read them: JSON in Envoy's spelling, or envoy-data-plane's classes; no secrets."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message

from ..model.resource import PREFIX, ResourceType
from .redact import redact
from .schema import find, pool
from .schema import types as pb
from .split import split_field

_VIRTUAL_HOSTS = 2
"""RouteConfiguration.virtual_hosts."""


def as_json(type_: ResourceType, raw: bytes, pause: Callable[[], None] = lambda: None) -> dict[str, Any]:
    """A resource as protobuf's JSON mapping with the fields' original names.

    An Any of a type that the schema does not have is shown by its type and size. `pause` is called between the virtual
    hosts of a route table, which may be thousands.
    """
    if type_ is not ResourceType.ROUTE:
        return _json(type_.value, raw)
    rest, hosts = split_field(raw, _VIRTUAL_HOSTS)
    document = _json(type_.value, rest)
    readable = []
    for host in hosts:
        pause()
        readable.append(_json("envoy.config.route.v3.VirtualHost", host))
    if readable:
        document["virtual_hosts"] = readable
    return document


def as_typed(type_: ResourceType, raw: bytes) -> Any:
    """A resource as an object of envoy-data-plane's class; None for a type that it does not have (the name table).

    Raises:
        ImportError: envoy-data-plane is not installed (`proxyless[typed]`).
    """
    package, _, name = type_.value.removeprefix(PREFIX).rpartition(".")
    if not package.startswith("envoy."):
        return None
    module = importlib.import_module(f"envoy_data_plane.{package}")
    return getattr(module, name)().parse(_redacted(type_.value, raw).SerializeToString())


def _redacted(type_url: str, raw: bytes) -> Message:
    kind = find(type_url)
    if kind is None:
        raise ValueError(f"no schema for {type_url}")
    message = kind.FromString(raw)
    redact(message)
    return message


def _json(type_url: str, raw: bytes) -> dict[str, Any]:
    message = _redacted(type_url, raw)
    _name_unknown(message)
    # protobuf's annotations do not foresee pools other than its own.
    private: Any = pool()
    return json_format.MessageToDict(message, preserving_proto_field_name=True, descriptor_pool=private)


def _name_unknown(message: Message) -> None:
    """Put something that can be shown in the place of every Any that cannot."""
    if message.DESCRIPTOR.full_name == "google.protobuf.Any":
        _name_unknown_any(message)
        return
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        if isinstance(value, Message):
            below: Any = (value,)
        else:
            below = value.values() if hasattr(value, "values") else value
        for each in below:
            if isinstance(each, Message):
                _name_unknown(each)


def _name_unknown_any(packed: Any) -> None:
    kind = find(packed.type_url)
    inner: Message | None = None
    if kind is not None:
        try:
            inner = kind.FromString(packed.value)
        except DecodeError:
            kind = None
    if inner is not None:
        _name_unknown(inner)
        packed.value = inner.SerializeToString(deterministic=True)
    elif packed.type_url or packed.value:
        stand_in = pb.google_protobuf.Struct()
        stand_in.fields["unknown_type"].string_value = packed.type_url
        stand_in.fields["bytes"].number_value = len(packed.value)
        packed.type_url = f"{PREFIX}google.protobuf.Struct"
        packed.value = stand_in.SerializeToString()
