"""The mesh: MeshConfig as it holds, with what istiod knows from its environment instead.

`registry.meshes` makes one from the objects of a source. It is compared by identity: the same Python object means that
nothing changed for the mesh as a whole, and another one that everything may have.
"""

from __future__ import annotations

from dataclasses import dataclass

from .api import mesh_config
from .api.extension_providers import ExtensionProvider
from .api.mesh_config import MeshNetworks


@dataclass(frozen=True, slots=True, eq=False)
class MeshConfig(mesh_config.MeshConfig):
    """istio.mesh.v1alpha1.MeshConfig. Durations in seconds."""

    extension_providers: tuple[ExtensionProvider, ...] = mesh_config.BUILT_IN
    networks: MeshNetworks = MeshNetworks()
    domain_suffix: str = "cluster.local"
    cluster_id: str = "Kubernetes"
    dns_jitter: float = 0.1
    trace_sampling: float = 1.0
    send_unhealthy_endpoints: bool = True

    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def provider(self, name: str) -> ExtensionProvider | None:
        """The extension provider of that name, in any case, as Telemetry objects find it."""
        wanted = name.lower()
        return next((each for each in self.extension_providers if each.name.lower() == wanted), None)
