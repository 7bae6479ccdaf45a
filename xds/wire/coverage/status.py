"""What becomes of a field: the vocabulary of the table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from google.protobuf.message import Message

from ...model.records import dataclass

Kind = Literal["honoured", "meaningless", "not yet"]

Condition = Callable[[Any, Any], bool]
"""(the field's value, one of them if it is a list; the message that holds it): whether the status applies."""

WRAPPERS = "google.protobuf."


@dataclass(frozen=True, slots=True)
class Status:
    """`why` may name the value of an enum as `{value}`. `when`: the status applies only then; else nothing is asked for
    that is not done. `told`: what names it instead, because only that knows whether it matters.
    """

    kind: Kind
    why: str = ""
    when: Condition | None = None
    told: str = ""


Fields = Mapping[str, Status]

Entry = Fields | Status
"""What is known of a message: field by field, or as a whole."""


def asks(value: Any, message: Any) -> bool:
    """Whether a value is more than nothing: a wrapper or a duration of zero, spelled out, asks for nothing."""
    del message
    if not isinstance(value, Message):
        return bool(value)
    name = value.DESCRIPTOR.full_name
    is_number = name.startswith(WRAPPERS) and (name.endswith("Value") or name == WRAPPERS + "Duration")
    return bool(value.ListFields()) if is_number else True


def always(value: Any, message: Any) -> bool:
    """Where zero says something too."""
    del value, message
    return True


def honoured(fields: str, when: Condition | None = None) -> Fields:
    """These fields take effect. `when`: their content is looked into only then."""
    return _each(fields, Status("honoured", "", when))


def meaningless(why: str, fields: str) -> Fields:
    """These fields mean nothing inside a process: no decision depends on them."""
    return _each(fields, Status("meaningless", why))


def not_yet(why: str, fields: str, when: Condition = asks) -> Fields:
    """These fields are not done yet."""
    return _each(fields, Status("not yet", why, when))


def told(by: str, why: str, fields: str) -> Fields:
    """Not done yet, and named by something else: a field that stands beside them, or the balancer."""
    return _each(fields, Status("not yet", why, None, by))


def all_of(why: str) -> Status:
    """Nothing of this message is done yet; it is named once, where it stands."""
    return Status("not yet", why)


def none_of(why: str) -> Status:
    """Nothing of this message means anything inside a process."""
    return Status("meaningless", why)


def told_as_a_whole(by: str, why: str) -> Status:
    """Nothing of this message is done yet, and something else names it."""
    return Status("not yet", why, None, by)


def _each(fields: str, status: Status) -> Fields:
    return dict.fromkeys(fields.split(), status)
