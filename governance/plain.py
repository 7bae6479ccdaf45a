"""Metadata as text: strings as they are, everything else as Envoy writes JSON (keys in order, no spaces)."""

from __future__ import annotations

import json
from collections.abc import Mapping


def plain_text(value: object) -> bytes:
    """A metadata value."""
    if isinstance(value, str):
        return value.encode()
    return json.dumps(jsonable(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def jsonable(value: object) -> object:
    """What `json` takes; whole numbers are written without a point."""
    if isinstance(value, Mapping):
        return {key: jsonable(each) for key, each in value.items()}
    if isinstance(value, tuple):
        return [jsonable(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
