"""Changes of the folder's files as a person would make them: a word of the text at a time."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import yaml

WRONG = "most"


def weighted(text: str, weights: Mapping[str, int | str]) -> str:
    """catalog.yaml with other weights."""
    for version, weight in weights.items():
        text = replaced(text, rf"(subset: {version}\}}\n\s+weight: ).*", rf"\g<1>{weight}")
    return text


def replaced(text: str, pattern: str, new: str) -> str:
    """Raises:
    ValueError: the pattern does not stand there exactly once.
    """
    text, found = re.subn(pattern, new, text)
    if found != 1:
        raise ValueError(f"{pattern!r} was found {found} times")
    return text


@dataclass(frozen=True, slots=True)
class Broken:
    """A text that is wrong, and where."""

    text: str
    line: int
    field: str


def broken(text: str, version: str) -> Broken:
    """catalog.yaml with a word where the weight of a version belongs."""
    wrong = weighted(text, {version: WRONG})
    line = next(number for number, each in enumerate(wrong.splitlines(), 1) if each.endswith(f"weight: {WRONG}"))
    service = next(each for each in yaml.safe_load_all(wrong) if each["kind"] == "VirtualService")
    field = next(
        f"spec.http[{place}].route[{index}].weight"
        for place, route in enumerate(service["spec"]["http"])
        for index, each in enumerate(route["route"])
        if each.get("weight") == WRONG
    )
    return Broken(wrong, line, field)
