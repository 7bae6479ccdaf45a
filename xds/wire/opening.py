"""Opening typed extensions: find the class, parse, check the rules."""

from __future__ import annotations

from google.protobuf.message import DecodeError, Message

from .durations import bad_duration
from .refused import RefusedError
from .schema import ConstraintError, find, unpack, validate
from .schema import type_of as _type_of
from .schema import types as pb


def checked(message: Message, *, without: tuple[str, ...] = ()) -> None:
    """Refuse what Envoy's validation rules refuse; `without` names fields whose own rules are left out."""
    bad = bad_duration(message)
    if bad is not None:
        raise RefusedError(bad)
    try:
        validate(message, without=without)
    except ConstraintError as error:
        raise RefusedError(str(error)) from error


def type_of(packed: pb.google_protobuf.Any) -> str:
    """The full name of the message that an Any stands for, also where it is spelled in a TypedStruct.

    Raises:
        RefusedError: it says that it is a TypedStruct, and is none.
    """
    try:
        return _type_of(packed)
    except DecodeError as error:
        raise RefusedError(f"{packed.type_url}: {error}") from error


def open_any(packed: pb.google_protobuf.Any, *, without: tuple[str, ...] = ()) -> Message | None:
    """The message inside, checked; None for a type that the schema does not have. A TypedStruct becomes what it spells.

    Raises:
        RefusedError: the bytes are no such message, or break a rule.
    """
    opened = _opened(packed)
    if opened is not None:
        checked(opened, without=without)
    return opened


def unchecked(packed: pb.google_protobuf.Any) -> Message | None:
    """The same for the few extensions whose rules Envoy does not enforce; bad durations are refused all the same.

    Raises:
        RefusedError: the bytes are no such message, or hold a bad duration.
    """
    opened = _opened(packed)
    bad = bad_duration(opened) if opened is not None else None
    if bad is not None:
        raise RefusedError(bad)
    return opened


def as_it_is(packed: pb.google_protobuf.Any) -> Message | None:
    """The same where Envoy applies no rule at all.

    Raises:
        RefusedError: the bytes are no such message.
    """
    return _opened(packed)


def _opened(packed: pb.google_protobuf.Any) -> Message | None:
    if find(type_of(packed)) is None:
        return None
    try:
        return unpack(packed)
    except DecodeError as error:
        raise RefusedError(f"{packed.type_url}: {error}") from error
