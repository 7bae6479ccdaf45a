"""Which Sidecar object holds for a workload: one that selects it, its namespace's, or the root namespace's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..api.sidecar import Sidecar
from ..mesh import MeshConfig
from ..objects import Object, by_namespace
from .authn import selects

SidecarObject = Object[Sidecar]


class Sidecars:
    """All Sidecars of a mesh. Of a namespace's those with a selector come first, then the oldest."""

    def __init__(self, objects: Iterable[SidecarObject], mesh: MeshConfig) -> None:
        self.by_namespace: dict[str, list[SidecarObject]] = by_namespace(
            sorted(objects, key=lambda item: (item.spec.workload_selector is None, item.age))
        )
        general = (
            each for each in self.by_namespace.get(mesh.root_namespace, ()) if each.spec.workload_selector is None
        )
        self.default: SidecarObject | None = next(general, None)
        """Of every namespace that has none which fits."""

    def of_workload(self, namespace: str, labels: Mapping[str, str]) -> SidecarObject | None:
        for item in self.by_namespace.get(namespace, ()):
            selector = item.spec.workload_selector
            if selector is None or selects(selector.labels, labels):
                return item
        return self.default
