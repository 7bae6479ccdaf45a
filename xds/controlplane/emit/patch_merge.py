"""Merging messages as EnvoyFilters do: lists grow, maps gain, what is set wins, and durations are taken whole."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message

from ...wire.schema import find
from ...wire.schema.types import google_protobuf
from .messages import pack

M = TypeVar("M", bound=Message)


class ClashError(ValueError):
    """Two typed configurations of different types are to be merged.

    istiod falls over that, and catches itself: what was patched so far stays, and no further patch is applied to these
    listeners, or to this cluster.
    """


_DURATION = "google.protobuf.Duration"


def merge(target: Message, patch: Message, *, replace_lists: bool = False) -> None:
    """Changes the target, which is of the same type."""
    for field, value in patch.ListFields():
        name = field.name
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            _merge_map(getattr(target, name), value, field)
        elif field.is_repeated:
            existing = getattr(target, name)
            if replace_lists:
                del existing[:]
            existing.extend(value)
        elif field.message_type is None:
            setattr(target, name, value)
        elif field.message_type.full_name == _DURATION:
            getattr(target, name).CopyFrom(value)
        else:
            inner = getattr(target, name)
            inner.SetInParent()
            merge(inner, value, replace_lists=replace_lists)


def _merge_map(target: Any, values: Any, field: FieldDescriptor) -> None:
    entries = field.message_type
    messages = entries is not None and entries.fields_by_name["value"].message_type is not None
    for key, value in values.items():
        if messages:
            target[key].CopyFrom(value)
        else:
            target[key] = value


def merged_any(target: google_protobuf.Any, patch: google_protobuf.Any) -> google_protobuf.Any:
    """The content of two typed configurations as one; the target's alone where one cannot be read.

    Raises:
        ClashError: they are of different types.
    """
    kind, other = find(target.type_url), find(patch.type_url)
    if kind is None or other is None:
        return target
    try:
        made, more = kind.FromString(target.value), other.FromString(patch.value)
    except DecodeError:
        return target
    if other is not kind:
        raise ClashError(f"{patch.type_url} is to be merged into {target.type_url}")
    merge(made, more)
    return pack(made)


def copied(value: M) -> M:
    made = type(value)()
    made.CopyFrom(value)
    return made


def inserted(items: Iterable[M], value: M, at: int) -> list[M]:
    out = list(items)
    out.insert(at, copied(value))
    return out
