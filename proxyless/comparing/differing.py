"""Differences of two values of the model, field by field: paths, with what was there and what is there now."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import Enum
from typing import Any

from ..xds.model.cluster import UNLIMITED
from ..xds.model.values import Address, Fraction, Note

Difference = tuple[str, Any, Any]
"""A path such as `outlier_detection.interval_s`, and both values as JSON has them."""

NOTHING: frozenset[str] = frozenset()


def differences(old: Any, new: Any, skip: Collection[str] = NOTHING, path: str = "") -> Iterator[Difference]:
    """What differs; `skip` are names of fields that decide nothing."""
    if old == new:
        return
    if is_dataclass(old) and type(old) is type(new) and not isinstance(old, Fraction | Address):
        for field in fields(old):
            if field.name not in skip:
                inner = f"{path}.{field.name}" if path else field.name
                yield from differences(getattr(old, field.name), getattr(new, field.name), skip, inner)
    elif isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted(old.keys() | new.keys(), key=str):
            if key not in skip:
                yield from differences(old.get(key), new.get(key), skip, f"{path}[{key}]")
    elif isinstance(old, tuple | list) and isinstance(new, tuple | list) and _alike(old, new):
        for index, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from differences(one, other, skip, f"{path}[{index}]")
    else:
        before, after = plain(old, skip), plain(new, skip)
        if before != after:
            yield path, before, after


def _alike(old: Collection[Any], new: Collection[Any]) -> bool:
    """Whether members are compared one by one: as many as before, and no bare values."""
    composed = all(is_dataclass(each) or isinstance(each, Mapping) for each in (*old, *new))
    return composed and len(old) == len(new)


def plain(value: Any, skip: Collection[str] = NOTHING) -> Any:
    """As JSON has it; of a dataclass, what is not as by default."""
    if isinstance(value, Fraction):
        return f"{value.percent:g} %"
    if isinstance(value, Address):
        return str(value)
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if is_dataclass(value) and not isinstance(value, type):
        said = {
            field.name: plain(getattr(value, field.name), skip)
            for field in fields(value)
            if field.name not in skip and getattr(value, field.name) != _default(field)
        }
        return said or True
    if isinstance(value, Mapping):
        return {str(key): plain(each, skip) for key, each in sorted(value.items(), key=str) if key not in skip}
    if isinstance(value, frozenset | set):
        return sorted((plain(each, skip) for each in value), key=str)
    if isinstance(value, tuple | list):
        return [plain(each, skip) for each in value if not isinstance(each, Note)]
    if value == UNLIMITED:
        return "unlimited"
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _default(field: Field[Any]) -> Any:
    if field.default is not MISSING:
        return field.default
    return field.default_factory() if field.default_factory is not MISSING else MISSING
