"""JSON values to typed objects.

One document gives one object, or several if it is a List, or none with the faults that say why. What is not ours (a
Deployment, a ConfigMap) is skipped; what is Istio's and not known is named.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from ..api.decode import Path, decode, extended, nearest, path_text, shown
from ..api.export_validity import export_to
from ..kinds import EXPERIMENTAL, GROUPS, KINDS, UNREAD, Kind
from ..objects import Fault, Meta, Object, Place, Ref
from .documents import Document
from .locating import locate


@dataclass(frozen=True, slots=True)
class Reading:
    """What a document holds: an object, unless it is at fault; faults that refuse it; notes that do not."""

    ref: Ref | None
    object: Object[object] | None
    faults: tuple[Fault, ...] = ()
    notes: tuple[Fault, ...] = ()
    base: Path = None  # where in the document the object stands, in a List


def read_document(file: str, document: Document) -> list[Reading]:
    """Everything a document says."""
    value = document.value
    if value is None:
        return []
    return [Reader(file, document, base).read(item) for base, item in _items(value, None)]


def _items(value: object, path: Path) -> Iterator[tuple[Path, object]]:
    if isinstance(value, dict) and str(value.get("kind", "")).endswith("List") and isinstance(value.get("items"), list):
        for index, item in enumerate(value["items"]):
            yield from _items(item, ((path, "items"), index))
    else:
        yield path, value


_NO_LABELS: dict[str, str] = {}
_MISSPELT = 0.9  # how near a group has to be to one that has the kind: other projects have kinds of the same names


class Reader:
    """Reads one object and collects what is wrong with it."""

    def __init__(self, file: str, document: Document, base: Path) -> None:
        self._file = file
        self._document = document
        self._base = base
        self._ref: Ref | None = None
        self._found: list[tuple[Path, str, bool]] = []

    def __call__(self, path: Path, message: str, *, inert: bool = False) -> None:
        if not inert and any(path == at and not harmless for at, _, harmless in self._found):
            return  # what was not read has its default, which a rule would find fault with once more
        self._found.append((path, message, inert))

    def read(self, value: object) -> Reading:
        made = self._object(value)
        if not self._found:
            return Reading(self._ref, made, base=self._base)
        faults = tuple(self._fault(path, message) for path, message, inert in self._found if not inert)
        notes = tuple(self._fault(path, message) for path, message, inert in self._found if inert)
        return Reading(self._ref, None if faults else made, faults, notes, self._base)

    def _object(self, value: object) -> Object[object] | None:
        if not isinstance(value, dict):
            self(
                self._base, f"is no Kubernetes object: expected an object with apiVersion and kind, not {shown(value)}"
            )
            return None
        kind_name, api_version = value.get("kind"), value.get("apiVersion")
        if not isinstance(kind_name, str) or not isinstance(api_version, str):
            missing = "kind" if isinstance(api_version, str) else "apiVersion"
            self(self._base, f"is no Kubernetes object: {missing} is missing")
            return None
        group, _, version = api_version.rpartition("/")
        kind = KINDS.get(kind_name)
        if kind is None or kind.group != group:
            self._unread(kind_name, group, api_version)
            return None
        if kind.concerns is not None and not kind.concerns(value):
            self._unread(kind_name, group, api_version)
            return None
        meta = self.meta(value.get("metadata"), kind)
        if meta is None:
            return None
        self._ref = Ref(kind_name, meta.namespace, meta.name)
        if version not in kind.versions:
            known = ", ".join(f"{group}/{name}" if group else name for name in kind.versions)
            self((self._base, "apiVersion"), f"must be one of {known}, not {shown(api_version)}")
        content: Any = value.get("spec") if kind.spec else value
        path: Path = (self._base, "spec") if kind.spec else self._base
        message: type[object] = kind.message
        spec = decode(message, {} if content is None else content, self, path)
        for keys, text in export_to(spec, meta.namespace):
            self(extended(path, keys), text)
        status: object | None = None
        if kind.status is not None and isinstance(value.get("status"), dict):
            of_status: type[object] = kind.status
            status = decode(of_status, value["status"], self, (self._base, "status"))
        place = Place(self._file, self._document.line)
        return Object(kind_name, kind.version, kind.group, meta, spec, place, status)

    def _unread(self, kind: str, group: str, api_version: str) -> None:
        if group in EXPERIMENTAL:
            self((self._base, "kind"), f"{kind} of {group} has no effect: it is not read", inert=True)
            return
        if group not in GROUPS:
            self._misplaced(kind, group, api_version)
            return
        if kind in UNREAD:
            self((self._base, "kind"), f"{kind} has no effect: it is not read", inert=True)
        elif kind not in KINDS or KINDS[kind].group != group:
            named = {name: None for name, known in KINDS.items() if known.group == group}
            self((self._base, "kind"), f"{group} has no kind {shown(kind)}{nearest(kind, named)}")

    def _misplaced(self, kind: str, group: str, api_version: str) -> None:
        """A kind of Istio's or the Gateway API's in a group of Kubernetes' own, or in one that is misspelt."""
        known = KINDS.get(kind)
        if known is None or known.group not in GROUPS:
            return
        if group in ("", "apps") or SequenceMatcher(None, group, known.group).ratio() > _MISSPELT:
            right = ", ".join(f"{known.group}/{version}" for version in known.versions)
            self((self._base, "apiVersion"), f"of {kind} must be one of {right}, not {shown(api_version)}")

    def meta(self, value: object, kind: Kind) -> Meta | None:
        """The metadata of an object; None where it has no name."""
        path: Path = (self._base, "metadata")
        if not isinstance(value, dict):
            self(path, "is missing" if value is None else f"must be an object, not {shown(value)}")
            return None
        name, namespace = value.get("name"), value.get("namespace")
        if not isinstance(name, str) or not name:
            self((path, "name"), "is missing" if name is None else f"must be a string, not {shown(name)}")
            return None
        if namespace is not None and not isinstance(namespace, str):
            self((path, "namespace"), f"must be a string, not {shown(namespace)}")
        created = value.get("creationTimestamp")
        return Meta(
            name=name,
            namespace=(str(namespace or "") or "default") if kind.namespaced else "",
            labels=self._texts(value.get("labels"), (path, "labels")),
            annotations=self._texts(value.get("annotations"), (path, "annotations")),
            created=str(created) if created is not None else "",
            controller=_controller(value.get("ownerReferences")),
            generate_name=str(value.get("generateName") or ""),
            resource_version=str(value.get("resourceVersion") or ""),
        )

    def _texts(self, value: object, path: Path) -> dict[str, str]:
        if value is None:
            return _NO_LABELS
        if not isinstance(value, dict):
            self(path, f"must be an object, not {shown(value)}")
            return _NO_LABELS
        for key, text in value.items():
            if not isinstance(text, str):
                self((path, str(key)), f"must be a string, not {shown(text)}")
        return value

    def _fault(self, path: Path, message: str) -> Fault:
        line, column = locate(self._document.text, path, self._document.line)
        return Fault(Place(self._file, line, column), message, self._ref, path_text(path))


def _controller(owners: object) -> tuple[str, str]:
    if isinstance(owners, list):
        for owner in owners:
            if isinstance(owner, dict) and owner.get("controller") is True:
                return str(owner.get("kind", "")), str(owner.get("name", ""))
    return "", ""
