"""What installed packages bring, for `status` and `check`."""

from __future__ import annotations

from typing import Any

from .xds.wire.installed import listing


def extensions() -> list[dict[str, Any]]:
    """One entry for each: `problem` is null where none is known."""
    return [
        {
            "group": each.group,
            "name": each.name,
            "package": each.package,
            "version": each.version,
            "module": each.module,
            "problem": problem or None,
        }
        for each, problem in listing()
    ]


def problems(found: list[dict[str, Any]]) -> list[str]:
    """As sentences."""
    return [
        f"{each['group']} {each['name']} of {each['package']} {each['version']} is {each['problem']}: none is used"
        for each in found
        if each["problem"]
    ]


def line(each: dict[str, Any]) -> str:
    """One of them for people."""
    said = f"{each['group']} {each['name']} ({each['package']} {each['version']})"
    return f"{said}: {each['problem']}" if each["problem"] else said
