"""What is known of one kind: the objects in force, in order, and what is wrong with some of them."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ...objects import Fault, Object
from ..documents import Document
from ..reading import Reader

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Part:
    """A kind at one moment."""

    objects: tuple[Object[object], ...] = ()
    faults: tuple[Fault, ...] = ()
    notes: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class _Entry:
    version: str
    object: Object[object] | None
    faults: tuple[Fault, ...]
    notes: tuple[Fault, ...]


class Store:
    """Written by one thread, read by any. `exact`: the resourceVersion of an object counts, not just what it says."""

    def __init__(self, kind: str, api_version: str = "", *, exact: bool = False) -> None:
        self.kind = kind
        self.api_version = api_version
        self._exact = exact
        self._lock = threading.Lock()
        self._entries: dict[Key, _Entry] = {}
        self._part: Part | None = None

    def replace(self, items: Iterable[Mapping[str, Any]]) -> bool:
        """Takes a complete list; says whether anything changed."""
        known = self._entries
        entries = {}
        for item in items:
            key = _key(item)
            entries[key] = self._entry(item, known.get(key))
        changed = entries.keys() != known.keys() or any(_differ(entries[key], known[key]) for key in entries)
        with self._lock:
            self._entries = entries
            self._part = None if changed else self._part
        return changed

    def put(self, item: Mapping[str, Any]) -> bool:
        """Takes an object that was added or modified."""
        key = _key(item)
        known = self._entries.get(key)
        made = self._entry(item, known)
        changed = known is None or _differ(made, known)
        with self._lock:
            self._entries[key] = made
            self._part = None if changed else self._part
        return changed

    def drop(self, item: Mapping[str, Any]) -> bool:
        """Takes away an object that is gone."""
        with self._lock:
            gone = self._entries.pop(_key(item), None)
            self._part = self._part if gone is None else None
        return gone is not None

    def __len__(self) -> int:
        return len(self._entries)

    def part(self) -> Part:
        """What is in force, by namespace and name, so that two control planes have the same order."""
        with self._lock:
            if self._part is None:
                entries = [self._entries[key] for key in sorted(self._entries)]
                self._part = Part(
                    tuple(entry.object for entry in entries if entry.object is not None),
                    tuple(fault for entry in entries for fault in entry.faults),
                    tuple(note for entry in entries for note in entry.notes),
                )
            return self._part

    def _entry(self, item: Mapping[str, Any], known: _Entry | None) -> _Entry:
        version = str(_meta(item).get("resourceVersion") or "")
        if known is not None and version and known.version == version:
            return known
        # Objects of a list do not say what they are; the list does.
        value = {**item, "kind": self.kind, "apiVersion": item.get("apiVersion") or self.api_version}
        reading = Reader(self._name(item), Document(value, "", 0), None).read(value)
        if reading.object is None and reading.faults:
            return _Entry(version, known.object if known else None, reading.faults, reading.notes)
        read = reading.object
        if known is not None and known.object is not None and read is not None and self._same(known.object, read):
            read = known.object
        return _Entry(version, read, reading.faults, reading.notes)

    def _same(self, one: Object[object], other: Object[object]) -> bool:
        if self._exact or (one.spec, one.status) != (other.spec, other.status):
            return False
        return replace(one.meta, resource_version="") == replace(other.meta, resource_version="")

    def _name(self, item: Mapping[str, Any]) -> str:
        namespace, name = _key(item)
        return f"{self.kind} {namespace}/{name}" if namespace else f"{self.kind} {name}"


def _differ(one: _Entry, other: _Entry) -> bool:
    return one.object is not other.object or one.faults != other.faults or one.notes != other.notes


def _meta(item: Mapping[str, Any]) -> Mapping[str, Any]:
    meta = item.get("metadata")
    return meta if isinstance(meta, dict) else {}


def _key(item: Mapping[str, Any]) -> Key:
    meta = _meta(item)
    return str(meta.get("namespace") or ""), str(meta.get("name") or "")
