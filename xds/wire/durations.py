"""Durations that Envoy refuses, wherever they stand in a message (envoy source: MessageUtil::validateDurationFields).

Envoy looks at every Duration of a message before it applies any other rule, also at those it never reads. Types that
hold none are not walked: which they are is worked out once for each type.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

DURATION = "google.protobuf.Duration"
LARGEST_SECONDS = 315_576_000_000
"""What protobuf itself allows."""
MAX_SECONDS = 9223372035
"""More does not fit into 64 bits of nanoseconds."""


def bad_duration(message: Any) -> str | None:
    """Why Envoy refuses the first bad duration in a message, an Any's content apart; None for a good message."""
    descriptor = message.DESCRIPTOR
    if descriptor.full_name == DURATION:
        return _judge(message)
    leading = _leading(descriptor)
    if not leading:
        return None
    for field, value in message.ListFields():
        if field.number in leading:
            for below in _messages(value):
                found = bad_duration(below)
                if found is not None:
                    return found
    return None


def _messages(value: Any) -> Iterable[Any]:
    if isinstance(value, Message):
        return (value,)
    below: Iterable[Any] = value.values() if hasattr(value, "items") else value
    return below


def _judge(duration: Any) -> str | None:
    seconds, nanos = duration.seconds, duration.nanos
    spelled = " ".join(f"{name}: {value}" for name, value in (("seconds", seconds), ("nanos", nanos)) if value)
    if seconds < 0 or nanos < 0:
        return f"Invalid duration: Expected positive duration: {spelled}"
    if seconds > LARGEST_SECONDS or nanos > 999_999_999:
        return f"Invalid duration: Duration out-of-range according to Protobuf: {spelled}"
    if seconds > MAX_SECONDS:
        return f"Invalid duration: Duration out-of-range: {spelled}"
    return None


@cache
def _leading(descriptor: Descriptor) -> frozenset[int]:
    """The numbers of the fields behind which there can be a duration."""
    fields = descriptor.fields
    return frozenset(each.number for each in fields if each.message_type is not None and _holds(each.message_type))


@cache
def _holds(descriptor: Descriptor) -> bool:
    seen = {descriptor.full_name}
    todo = [descriptor]
    while todo:
        here = todo.pop()
        if here.full_name == DURATION:
            return True
        for field in here.fields:
            below = field.message_type
            if below is not None and below.full_name not in seen:
                seen.add(below.full_name)
                todo.append(below)
    return False
