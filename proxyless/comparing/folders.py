"""Two folders of configuration, and the meshes that their objects make.

What both say alike is one and the same object on both sides. The world of the new one follows that of the old one, as
after a change while a control plane runs: it takes over what did not change, and so says by identity what did.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from ..errors import ConfigurationError
from ..xds.controlplane import Finding, FolderSource, SourceError
from ..xds.controlplane.checking import findings
from ..xds.controlplane.collecting import uncollected
from ..xds.controlplane.discovery.resources import Resources
from ..xds.controlplane.mesh import MeshConfig
from ..xds.controlplane.objects import Object, Place, Ref
from ..xds.controlplane.registry.world import World
from ..xds.controlplane.source import Loaded
from .origins import alike

_PLACE = re.compile(r"\bitems\[\d+\]\.?|[\w./-]+\.(?:yaml|yml|json)(?::\d+)*")
"""Where something stands: in which member of a List, file and line."""


@dataclass(frozen=True, slots=True)
class Folder:
    """One side. `read` are its objects as they stand in its own files: of what both sides say alike, `world` has the
    old side's."""

    path: str
    source: FolderSource
    loaded: Loaded
    world: World

    @property
    def read(self) -> dict[Ref, Object[object]]:
        """Its own objects."""
        return {each.ref: each for each in self.loaded.objects}


@dataclass(frozen=True, slots=True)
class Folders:
    """Both sides, and what makes resources of them."""

    old: Folder
    new: Folder
    resources: Resources

    def findings(self) -> dict[str, list[Finding]]:
        """Findings of `check` that are new or gone; files and lines alone make no difference."""
        texts = [{text for _, _, text, _ in side.source.documents()} for side in (self.old, self.new)]
        shared = texts[0] & texts[1]
        return findings_changed(*(_findings(side, shared) for side in (self.old, self.new)))


def opened(old: str, new: str, *, apart: bool = False) -> Folders:
    """Both folders, read; `apart`: they share nothing.

    Raises:
        ConfigurationError: one cannot be read.
    """
    with uncollected():
        first, read = _read(old, None)
        mesh = MeshConfig()
        before = World(read.objects, mesh)
        before.settle()
        _ = before.by_host, before.exported, before.peer_authentications  # what the next one is compared by
        second, also = _read(new, first)
        after = World(also.objects, mesh) if apart else World(_shared(read.objects, also.objects), mesh, before)
        after.settle()
    return Folders(Folder(old, first, read, before), Folder(new, second, also, after), Resources())


def _read(path: str, like: FolderSource | None) -> tuple[FolderSource, Loaded]:
    try:
        if not Path(path).is_dir():
            raise SourceError(f"{path}: not a folder")
        source = FolderSource(path, like=like)
    except SourceError as error:
        raise ConfigurationError(str(error)) from error
    return source, source.poll() or Loaded(())


def _shared(old: Iterable[Object[object]], new: Iterable[Object[object]]) -> Iterable[Object[object]]:
    """The new objects, each as the old side's own where that says the same, wherever it stands."""
    known = {each.ref: each for each in old}
    for each in new:
        same = known.get(each.ref)
        yield same if same is not None and alike(same, each) else each


def _findings(side: Folder, shared: Collection[str]) -> list[Finding]:
    world = side.world
    if any(world.by_ref.get(each.ref) is not each for each in side.loaded.objects):
        world = World(side.loaded.objects, MeshConfig())  # whose objects stand where they were read
    return findings(side.source, side.loaded.faults, world, shared)


def findings_changed(old: Iterable[Finding], new: Iterable[Finding]) -> dict[str, list[Finding]]:
    """Findings that are new or gone."""
    before, after = {_key(each): each for each in old}, {_key(each): each for each in new}
    return {
        "new": [each for key, each in sorted(after.items()) if key not in before],
        "gone": [each for key, each in sorted(before.items()) if key not in after],
    }


def _key(finding: Finding) -> tuple[str, str, str, str]:
    subject = str(finding.object) if finding.object is not None else finding.file
    field, message = (_PLACE.sub("", each) for each in (finding.field, finding.message))
    return finding.severity, subject, field, message


__all__ = ["Folder", "Folders", "Place", "opened"]
