"""`check` of one object that is about to be written, within the mesh as it is: for a webhook."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..api.decode import extended, path_text
from ..kinds import KINDS
from ..objects import Fault, Object
from ..registry.world import World
from ..source.documents import Document
from ..source.reading import Reader, Reading
from .effects import without_effect
from .finding import Finding, Severity
from .mesh import Mesh
from .rules import RULES


@dataclass(frozen=True, slots=True)
class Verdict:
    """`refused`: what the control plane would refuse of it, by itself. `found`: how it goes with the rest of the mesh,
    errors and warnings."""

    refused: tuple[Finding, ...] = ()
    found: tuple[Finding, ...] = ()


def proposed(value: Mapping[str, Any], world: World) -> Verdict:
    """What is wrong with an object as an API server has it. `world` stays as it is."""
    value = _named(value)
    reading = Reader(_name(value), Document(value, "", 0), None).read(value)
    refused = tuple(_of_fault("error", fault) for fault in reading.faults)
    found = [_of_fault("warning", note) for note in reading.notes]
    if reading.object is not None:
        found += _semantic(reading, reading.object, world)
    return Verdict(refused, tuple(dict.fromkeys(found)))


def _semantic(reading: Reading, item: Object[object], world: World) -> Iterator[Finding]:
    with_it = World(_with(world, item), world.settings.base, world, world.keys, world.addresses)
    if with_it.by_ref.get(item.ref) is not item:  # of a namespace that the mesh does not look at
        return
    rule = RULES.get(item.kind)
    said = list(rule(item, Mesh(with_it))) if rule is not None else []
    said += (("warning", keys, why) for keys, why in without_effect(item.kind, item.spec))
    for severity, keys, message in said:
        field = path_text(extended(reading.base, keys))
        yield Finding(severity, item.place.file, 0, 0, item.ref, field, message)


def _with(world: World, item: Object[object]) -> tuple[Object[object], ...]:
    """The objects with this one in its place, or as the newest of them."""
    if item.ref in world.by_ref:
        return tuple(item if each.ref == item.ref else each for each in world.given)
    return (*world.given, item)


def _named(value: Mapping[str, Any]) -> dict[str, Any]:
    """An object whose name the API server is still to make up has what it will begin with."""
    meta = value.get("metadata")
    if isinstance(meta, dict) and not meta.get("name") and isinstance(meta.get("generateName"), str):
        return {**value, "metadata": {**meta, "name": f"{meta['generateName']}?"}}
    return dict(value)


def _name(value: Mapping[str, Any]) -> str:
    meta = value.get("metadata")
    meta = meta if isinstance(meta, dict) else {}
    kind, namespace, name = value.get("kind"), meta.get("namespace"), meta.get("name")
    known = KINDS.get(kind) if isinstance(kind, str) else None
    return f"{kind} {namespace}/{name}" if namespace or (known and known.namespaced) else f"{kind} {name}"


def _of_fault(severity: Severity, fault: Fault) -> Finding:
    return Finding(severity, fault.place.file, 0, 0, fault.object, fault.field, fault.message)
