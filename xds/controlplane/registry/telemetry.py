"""Telemetry objects: which of them apply to a workload, the widest first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..api.telemetry import Telemetry
from ..mesh import MeshConfig
from ..objects import Object
from .attachment import attaches, targets


class Telemetries:
    """All of a mesh. Of several that hold for a whole namespace the oldest counts."""

    def __init__(self, objects: Iterable[Object[Telemetry]], mesh: MeshConfig) -> None:
        self._root = mesh.root_namespace
        self._whole: dict[str, Object[Telemetry]] = {}
        self._selecting: dict[str, list[Telemetry]] = {}
        for source in sorted(objects, key=lambda item: item.age):
            spec = source.spec
            if targets(spec) or (spec.selector is not None and spec.selector.match_labels):
                self._selecting.setdefault(source.meta.namespace, []).append(spec)
            else:
                self._whole.setdefault(source.meta.namespace, source)

    def of_workload(self, namespace: str, labels: Mapping[str, str]) -> tuple[Telemetry, ...]:
        """The mesh's, the namespace's, then those that select the workload."""
        wide = [self._whole.get(name) for name in dict.fromkeys((self._root, namespace))]
        own = [spec for spec in self._selecting.get(namespace, ()) if attaches(spec, namespace, namespace, labels)]
        return (*(source.spec for source in wide if source is not None), *own)

    def first(self, source: Object[Telemetry]) -> Object[Telemetry] | None:
        """The one for the whole namespace that counts in place of this one; None if this one counts."""
        first = self._whole.get(source.meta.namespace)
        wide = not targets(source.spec) and (source.spec.selector is None or not source.spec.selector.match_labels)
        return first if wide and first is not source else None
