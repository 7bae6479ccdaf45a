"""Patches on a list of named things: listener filters, network filters, HTTP filters, routes.

They differ in what they match and how they merge; adding, inserting, replacing and removing are the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from google.protobuf.message import Message

from .patch import Patch
from .patch_merge import copied

M = TypeVar("M", bound=Message)


def patch_list(items: list[M], patch: Patch, picks: Callable[[M], bool], *, specific: bool) -> list[M]:
    """The list after a patch. `specific`: the patch says which item it means; `picks` says whether one is it."""
    value: Any = patch.value
    match patch.operation:
        case "ADD":
            return [*items, copied(value)]
        case "INSERT_FIRST":
            return [copied(value), *items]
        case "INSERT_AFTER" if not specific:
            return [*items, copied(value)]
        case "INSERT_BEFORE" if not specific:
            return [copied(value), *items]
        case "INSERT_AFTER" | "INSERT_BEFORE" | "REPLACE" if specific:
            at = next((index for index, item in enumerate(items) if picks(item)), None)
            if at is None:
                return items
            if patch.operation == "REPLACE":
                return [*items[:at], copied(value), *items[at + 1 :]]
            at += patch.operation == "INSERT_AFTER"
            return [*items[:at], copied(value), *items[at:]]
        case "REMOVE" if specific:
            return [item for item in items if not picks(item)]
        case _:
            return items
