"""Reads a folder and gathers what is wrong with it."""

from __future__ import annotations

import os
from collections.abc import Container, Iterable, Iterator

from ..api.decode import extended, path_text
from ..mesh import MeshConfig
from ..objects import Fault
from ..registry.world import World
from ..source import Loaded
from ..source.folder import FolderSource
from ..source.locating import duplicate_keys, locate
from ..source.reading import Reading
from .annotations import misplaced
from .effects import without_effect
from .finding import Finding, Severity
from .mesh import Mesh
from .rules import RULES


def check(
    path: str | os.PathLike[str],
    mesh: MeshConfig | None = None,
    *,
    mesh_config: str | os.PathLike[str] | None = None,
) -> list[Finding]:
    """Everything that is wrong with a folder of Kubernetes and Istio YAML, in the order of files and lines.

    `mesh_config` is a file with the mesh's settings; without it the folder says them.

    Raises:
        SourceError: the folder or that file cannot be read.
    """
    source = FolderSource(path, mesh_config=mesh_config)
    loaded = source.poll() or Loaded(())
    return findings(source, loaded.faults, World(loaded.objects, mesh or MeshConfig()))


def findings(
    source: FolderSource, faults: Iterable[Fault], world: World, written_right: Container[str] = ()
) -> list[Finding]:
    """`check` of a folder that was read already: with the faults and the world that came of the last `poll`.

    `written_right`: texts of documents that need not be looked through for keys that are given twice.
    """
    found = [_of_fault("error", fault) for fault in faults]
    against = Mesh(world)
    for name, line, text, readings in source.documents():
        for key_line, column, key in duplicate_keys(text, line) if text not in written_right else ():
            message = f'"{key}" is given twice: the last one counts'
            found.append(Finding("warning", name, key_line, column, None, "", message))
        for reading in readings:
            found += (_of_fault("warning", note) for note in reading.notes)
            found += _semantic(name, line, text, reading, against)
    return sorted(set(found), key=lambda finding: (finding.file, finding.line, finding.column, finding.message))


def _of_fault(severity: Severity, fault: Fault) -> Finding:
    place = fault.place
    return Finding(severity, place.file, place.line, place.column, fault.object, fault.field, fault.message)


def _semantic(name: str, line: int, text: str, reading: Reading, mesh: Mesh) -> Iterator[Finding]:
    item = reading.object
    # Of two objects of one name only the first is in force, and it alone is checked against the rest.
    if item is None or mesh.world.by_ref.get(item.ref) is not item:
        return
    rule = RULES.get(item.kind)
    said = list(rule(item, mesh)) if rule is not None else []
    said += (("warning", keys, why) for keys, why in without_effect(item.kind, item.spec))
    said += misplaced(item)
    for severity, keys, message in said:
        path = extended(reading.base, keys)
        at = locate(text, path, line)
        yield Finding(severity, name, *at, item.ref, path_text(path), message)
