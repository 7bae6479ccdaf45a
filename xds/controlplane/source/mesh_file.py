"""A file that holds a mesh's settings alone: MeshConfig as it stands in a ConfigMap, or the object around it."""

from __future__ import annotations

from typing import Any

from ..api.decode import Path, decode, shown
from ..api.mesh_config import IstioOperator, MeshConfig, MeshData, MeshMap
from ..objects import Meta, Object, Place, Ref
from .documents import Document
from .reading import Reader, Reading

KIND = "MeshConfig"
_REF = Ref(KIND, "", "mesh")


def read_mesh(file: str, document: Document) -> list[Reading]:
    """The settings; those that nobody wrote down are the defaults."""
    value = document.value
    kind = value.get("kind") if isinstance(value, dict) else None
    base: Path = None
    if kind == "ConfigMap":
        base = ((None, "data"), "mesh")
    elif kind == "IstioOperator":
        base = ((None, "spec"), "meshConfig")
    return [_MeshReader(file, document, base).read({} if value is None else value)]


class _MeshReader(Reader):
    """Reads the settings and collects what is wrong with them."""

    def _object(self, value: object) -> Object[object] | None:
        self._ref = _REF
        if not isinstance(value, dict):
            self(None, f"is no mesh configuration: expected an object, not {shown(value)}")
            return None
        place = Place(self._file, self._document.line)
        return Object(KIND, "v1alpha1", "", Meta(_REF.name), self._settings(value), place)

    def _settings(self, value: dict[str, Any]) -> MeshMap:
        if value.get("kind") == "ConfigMap":
            return decode(MeshMap, value, self)
        if value.get("kind") == "IstioOperator":
            spec = decode(IstioOperator, value.get("spec") or {}, self, (None, "spec"))
            return MeshMap(MeshData(spec.mesh_config))
        return MeshMap(MeshData(decode(MeshConfig, value, self)))
