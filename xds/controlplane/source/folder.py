"""A folder of YAML and JSON, read again when it changes.

Changes are found by looking (modification time, size, inode): it works on every file system and on mounted ConfigMaps,
and costs a few system calls per file. Where the operating system tells of a change (`watching`), the files that it
names are looked at at once. A file is read only when its stamp
changed, a document is parsed only when its text did, and an object that did not change stays the same Python object.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from stat import S_ISDIR, S_ISREG

from ..objects import Fault, Object, Place, Ref
from . import Loaded
from .block import BlockReader
from .documents import Document, DocumentError, parse_json, parse_yaml, split
from .mesh_file import read_mesh
from .quick import QuickReader
from .reading import Reading, read_document
from .watching import Heard, Watcher

SUFFIXES = (".yaml", ".yml", ".json")

Stamp = tuple[int, int, int, int]
_YOUNG_NS = 50_000_000  # clocks of file systems tick that slowly: a file this new may be written again in the same tick


@dataclass(frozen=True, slots=True)
class _File:
    """What is known of one file: its parts by text, in order, and what is wrong with the file as a whole.

    `stamp` is the reason in words if the file cannot even be looked at.
    """

    stamp: Stamp | str
    parts: dict[tuple[int, str], list[Reading]]
    faults: tuple[Fault, ...] = ()


class SourceError(Exception):
    """The folder cannot be read at all; the text is for people."""


class FolderSource:
    """Every `*.yaml`, `*.yml` and `*.json` below a folder; names that begin with a dot are passed over.

    Raises SourceError if the folder cannot be read at first. Later an unreadable folder is a fault, and what was read
    before stays in force; so it is with a single file or a folder below. `now` gives nanoseconds since the epoch.
    `mesh_config` is a file with the mesh's settings, anywhere: it counts before what the folder says of them.
    `like`: another folder, nearly the same: a document that it has at the same place gives the very same object.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        mesh_config: str | os.PathLike[str] | None = None,
        now: Callable[[], int] = time.time_ns,
        like: FolderSource | None = None,
    ) -> None:
        self._folder = Path(folder)
        self._like = like
        self._mesh_file = None if mesh_config is None else str(Path(mesh_config).resolve())
        self._now = now
        self._files: dict[str, _File] = {}
        self._last_good: dict[Ref, Object[object]] = {}
        self._fault: Fault | None = None
        self._polled = False
        self._joined: Loaded | None = None  # where each object stands in one document alone, and none is at fault
        try:
            next(os.scandir(self._folder), None)
        except OSError as error:
            raise SourceError(f"cannot read folder {self._folder}: {error.strerror}") from error
        try:
            if self._mesh_file is not None:
                Path(self._mesh_file).read_bytes()
        except OSError as error:
            raise SourceError(f"cannot read mesh configuration {mesh_config}: {error.strerror}") from error

    def poll(self, names: Collection[str] | None = None) -> Loaded | None:
        """The new state, or None if no file changed since the last call.

        `names`: what may have changed; where they are all files that were there before, nothing else is looked at.
        """
        try:
            told = None if names is None else self._stamps(names)
            stamps = dict(self._scan()) if told is None else told
        except OSError as error:
            fault = Fault(Place(str(self._folder)), f"cannot be read: {error.strerror}")
            changed = self._fault != fault
            self._fault, self._joined = fault, None
            return self._loaded() if changed else None
        changed = told is None and not (self._polled and self._fault is None and stamps.keys() == self._files.keys())
        self._polled, self._fault = True, None
        if changed:
            self._joined = None
        files = {} if told is None else dict(self._files)
        block = BlockReader()
        quick = QuickReader(block)
        replaced: list[tuple[_File, _File]] = []
        for name, stamp in stamps.items():
            known = self._files.get(name)
            if known is None or known.stamp != stamp:
                made = self._read(name, stamp, known, block, quick)
                if known is not None and not _alike(made, known):
                    replaced.append((known, made))
                known = made
            files[name] = known
        self._files = files
        if changed:
            return self._loaded()
        return (self._replaced(replaced) or self._loaded()) if replaced else None

    def watch(self, heard: Heard) -> Callable[[], None]:
        """Tells of changes as the operating system does, where it does; returns what ends it."""
        return Watcher(str(self._folder), heard).stop

    def _stamps(self, names: Collection[str]) -> dict[str, Stamp | str] | None:
        """Those of the files of these names; None if anything else may have changed than files that were there."""
        if not self._polled or self._fault is not None or not all(name in self._files for name in names):
            return None
        stamps: dict[str, Stamp | str] = {}
        for name in names:
            try:
                stat = (self._folder / name).stat()
            except OSError:
                return None
            if not S_ISREG(stat.st_mode):
                return None
            stamps[name] = _stamp(stat, self._now())
        return stamps

    def documents(self) -> Iterator[tuple[str, int, str, list[Reading]]]:
        """(file, line, text, what was read) of each document, as of the last `poll`."""
        for name in sorted(self._files):
            for (line, text), readings in self._files[name].parts.items():
                yield name, line, text, readings

    def _scan(self) -> Iterator[tuple[str, Stamp | str]]:
        """What stands in the folder now, and the reason in words for what cannot be looked at.

        A folder that cannot be listed gives what was known below it. A link may lead to a folder around it: each folder
        is read once.
        """
        now = self._now()
        settings = None
        if self._mesh_file is not None:
            try:
                stat = Path(self._mesh_file).stat()
            except OSError as error:
                yield self._mesh_file, f"cannot be read: {error.strerror}"
            else:
                settings = _identity(stat)
                yield self._mesh_file, _stamp(stat, now)
        root = str(self._folder)
        start = len(root.rstrip(os.sep)) + 1
        folders, seen = [root], {_identity(self._folder.stat())}
        while folders:
            folder = folders.pop()
            try:
                entries = sorted(os.scandir(folder), key=lambda item: item.name)
            except OSError as error:
                if folder == root:
                    raise
                name = folder[start:]
                yield name, f"cannot be read: {error.strerror}"
                yield from ((each, file.stamp) for each, file in self._files.items() if each.startswith(name + os.sep))
                continue
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                name = entry.path[start:]
                wanted = entry.name.endswith(SUFFIXES)
                try:
                    stat = entry.stat()
                except OSError as error:
                    if wanted and os.path.lexists(entry.path):  # otherwise it went away between the two calls
                        nowhere = isinstance(error, FileNotFoundError)
                        yield name, f"cannot be read: {'it links to nothing' if nowhere else error.strerror}"
                    continue
                if S_ISDIR(stat.st_mode):
                    if _identity(stat) not in seen:
                        seen.add(_identity(stat))
                        folders.append(entry.path)
                elif wanted and not S_ISREG(stat.st_mode):
                    yield name, "cannot be read: it is no regular file"
                elif wanted and _identity(stat) != settings:
                    yield name, _stamp(stat, now)

    def _read(
        self, name: str, stamp: Stamp | str, known: _File | None, block: BlockReader, quick: QuickReader
    ) -> _File:
        before = known.parts if known else {}
        other = self._like._files.get(name) if self._like is not None and known is None else None
        read_there = other.parts if other is not None else before
        if isinstance(stamp, str):
            return _File(stamp, before, (Fault(Place(name), stamp),))
        try:
            text = _text(os.path.join(self._folder, name))  # noqa: PTH118  # a mesh has thousands of files
        except (OSError, UnicodeDecodeError) as error:
            said = error.strerror if isinstance(error, OSError) else "is not UTF-8"
            return _File(stamp, before, (Fault(Place(name), f"cannot be read: {said}"),))
        parts: dict[tuple[int, str], list[Reading]] = {}
        pieces = [(1, text)] if name.endswith(".json") else list(split(text))
        manifests = name != self._mesh_file and not name.endswith(".json")
        for line, piece in pieces:
            if (line, piece) in read_there:
                parts[line, piece] = read_there[line, piece]
                continue
            made = quick.read(name, piece, line) if manifests else None
            if made is not None:
                parts[line, piece] = made
                continue
            try:
                value = parse_json(piece) if name.endswith(".json") else parse_yaml(piece, line, block)
            except DocumentError as error:
                place = Place(name, error.line, error.column)
                return _File(stamp, before, (Fault(place, error.message),))
            read = read_mesh if name == self._mesh_file else read_document
            parts[line, piece] = read(name, Document(value, piece, line))
        return _File(stamp, _keep(before, parts), ())

    def _loaded(self) -> Loaded:
        """Joins the files: an object at fault keeps what it said last, the first of two of the same name counts.

        A document whose kind or name is lost may be any object of its file, so those that are missing stay.
        """
        in_force: dict[Ref, Object[object]] = {}
        refused: set[Ref] = set()
        obscure: set[str] = set()  # files with a document of which not even the name can be told
        faults: list[Fault] = [self._fault] if self._fault else []
        notes: list[Fault] = []
        for name in sorted(self._files):
            file = self._files[name]
            faults.extend(file.faults)
            for readings in file.parts.values():
                for reading in readings:
                    faults.extend(reading.faults)
                    notes.extend(reading.notes)
                    if reading.object is None:
                        if reading.ref is not None and reading.faults:
                            refused.add(reading.ref)
                        elif reading.faults:
                            obscure.add(name)
                        continue
                    ref = reading.object.ref
                    if ref not in in_force:
                        in_force[ref] = self._settled(ref, reading.object)
                    else:
                        first = in_force[ref]
                        message = f"is defined twice, first in {first.place}, which counts"
                        faults.append(Fault(reading.object.place, message, ref))
        for ref, item in self._last_good.items():
            if ref in refused or item.place.file in obscure:
                in_force.setdefault(ref, item)
        self._last_good = in_force
        made = Loaded(tuple(in_force.values()), tuple(faults), tuple(notes))
        self._joined = None if faults else made
        return made

    def _replaced(self, files: Iterable[tuple[_File, _File]]) -> Loaded | None:
        """The state where some files say something else of the same objects; None for any other change.

        While nothing is at fault no object is defined twice, so each stands where it stood.
        """
        if self._joined is None:
            return None
        in_force = dict(self._last_good)
        for known, made in files:
            objects = _objects(made)
            before = _objects(known)
            if objects is None or before is None or [each.ref for each in before] != [each.ref for each in objects]:
                return None
            for item in objects:
                in_force[item.ref] = self._settled(item.ref, item)
        self._last_good = in_force
        self._joined = replace(self._joined, objects=tuple(in_force.values()))
        return self._joined

    def _settled(self, ref: Ref, read: Object[object]) -> Object[object]:
        """The object of before, if it says the same in other words."""
        known = self._last_good.get(ref)
        if known is None or known is read or known.place.file != read.place.file:
            return read
        alike = (known.meta, known.spec, known.status) == (read.meta, read.spec, read.status)
        return known if alike else read


def _text(path: str) -> str:
    """As a text file is read: every end of a line is a newline."""
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123
        text = file.read().decode("utf-8")
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def _objects(file: _File) -> list[Object[object]] | None:
    """The objects of a file, in order; None if there is anything to say about it."""
    readings = [reading for each in file.parts.values() for reading in each]
    if file.faults or any(reading.faults or reading.notes for reading in readings):
        return None
    return [reading.object for reading in readings if reading.object is not None]


def _identity(stat: os.stat_result) -> tuple[int, int]:
    return stat.st_dev, stat.st_ino


def _stamp(stat: os.stat_result, now: int) -> Stamp:
    young = now if abs(now - stat.st_mtime_ns) < _YOUNG_NS else 0
    return stat.st_mtime_ns, stat.st_size, stat.st_ino, young


def _alike(one: _File, other: _File) -> bool:
    """Whether a file that was read again says what it said before."""
    return one.faults == other.faults and list(one.parts) == list(other.parts)


def _keep(
    before: dict[tuple[int, str], list[Reading]], parts: dict[tuple[int, str], list[Reading]]
) -> dict[tuple[int, str], list[Reading]]:
    """Documents that only moved to another line keep their objects: the same object means that nothing changed."""
    moved = {text: readings for (_, text), readings in before.items()}
    for (line, text), readings in parts.items():
        old = moved.get(text)
        if old is not None and old is not readings and not any(reading.faults or reading.notes for reading in readings):
            parts[line, text] = [_same(one, other) for one, other in zip(readings, old, strict=True)]
    return parts


def _same(new: Reading, old: Reading) -> Reading:
    return replace(new, object=old.object) if new.object is not None else new
