"""PeerAuthentication: which mTLS mode holds for a namespace, a workload, a port."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from ..api.security import PeerAuthentication
from ..mesh import MeshConfig
from ..objects import Object

Mode = Literal["DISABLE", "PERMISSIVE", "STRICT"]
PeerAuthenticationObject = Object[PeerAuthentication]


@dataclass(frozen=True, slots=True)
class PeerPolicy:
    """What one workload takes; ports that are not listed follow `mode`."""

    mode: Mode = "PERMISSIVE"
    ports: dict[int, Mode] = field(default_factory=dict)

    def of(self, port: int) -> Mode:
        return self.ports.get(port, self.mode)


_PERMISSIVE = PeerPolicy()


def selects(selector: Mapping[str, str] | None, labels: Mapping[str, str]) -> bool:
    """No selector, or an empty one, selects everything."""
    return not selector or all(labels.get(key) == value for key, value in selector.items())


def _mode(spec: PeerAuthentication) -> Mode | None:
    if spec.mtls is None or spec.mtls.mode == "UNSET":
        return None
    return spec.mtls.mode


def _selector(spec: PeerAuthentication) -> dict[str, str]:
    return spec.selector.match_labels if spec.selector else {}


class PeerAuthentications:
    """All policies of a mesh. Of several for the whole namespace (or the mesh) the oldest counts."""

    def __init__(self, objects: Iterable[PeerAuthenticationObject], mesh: MeshConfig) -> None:
        self._root = mesh.root_namespace
        self._by_namespace: dict[str, list[PeerAuthenticationObject]] = {}
        self._whole: dict[str, PeerAuthenticationObject] = {}
        for source in sorted(objects, key=lambda item: item.age):
            namespace = source.meta.namespace
            if not _selector(source.spec):
                if namespace in self._whole:
                    continue
                self._whole[namespace] = source
            self._by_namespace.setdefault(namespace, []).append(source)

    def whole(self, namespace: str) -> PeerAuthenticationObject | None:
        """The one that counts for a whole namespace, or the mesh."""
        return self._whole.get(namespace)

    def namespace_mode(self, namespace: str) -> Mode | None:
        """The mode of the namespace or the mesh; None where no policy says one."""
        mesh_wide = self._whole.get(self._root)
        global_mode = None if mesh_wide is None else _mode(mesh_wide.spec) or "PERMISSIVE"
        own = self._whole.get(namespace) if namespace != self._root else None
        if own is None:
            return global_mode
        return _mode(own.spec) or global_mode or "PERMISSIVE"

    def of_workload(self, namespace: str, labels: Mapping[str, str]) -> PeerPolicy:
        """The narrowest of mesh, namespace and workload policy that says a mode."""
        if not self._by_namespace:
            return _PERMISSIVE
        mode: Mode = "PERMISSIVE"
        if self._root in self._whole:
            mode = _mode(self._whole[self._root].spec) or mode
        if namespace != self._root and namespace in self._whole:
            mode = _mode(self._whole[namespace].spec) or mode
        own = next(
            (
                source.spec
                for source in self._by_namespace.get(namespace, ())
                if namespace != self._root and _selector(source.spec) and selects(_selector(source.spec), labels)
            ),
            None,
        )
        if own is None:
            return PeerPolicy(mode)
        mode = _mode(own) or mode
        ports: dict[int, Mode] = {
            port: mode if mtls.mode == "UNSET" else mtls.mode for port, mtls in own.port_level_mtls.items()
        }
        return PeerPolicy(mode, ports)
