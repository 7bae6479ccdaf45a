"""The mesh's settings: which object holds them, and what it says laid over istiod's defaults."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from ..api import mesh_config
from ..api.extension_providers import ExtensionProvider
from ..api.mesh_config import IstioOperator, MeshMap, MeshNetworks
from ..mesh import MeshConfig
from ..objects import Object

HOME = "istio-system"
"""The namespace that a control plane is installed in, unless somebody says otherwise."""

_NAME = "istio"
KINDS = ("MeshConfig", "ConfigMap", "IstioOperator")
"""Those that may hold them, in the order in which they count."""


@dataclass(frozen=True, slots=True, eq=False)
class Settings:
    """The settings in force, and what they were made of."""

    mesh: MeshConfig
    base: MeshConfig
    sources: tuple[Object[Any], ...] = ()
    passed_over: tuple[Object[Any], ...] = ()


def settings(objects: Iterable[Object[object]], base: MeshConfig, before: Settings | None = None) -> Settings:
    """Those of the objects over those of `base`; the same objects give the same settings.

    A file for them alone counts first. Of ConfigMaps one counts: `istio` before any revision's, in
    `istio-system` before other namespaces, then the first name.
    What istioctl would install from counts where there is none.
    """
    found = sorted(filter(holds, objects), key=_rank)
    sources, passed_over = tuple(found[:1]), tuple(found[1:])
    if before is not None and before.base is base and before.sources == sources:
        if before.passed_over == passed_over:
            return before
        return Settings(before.mesh, base, sources, passed_over)
    return Settings(_laid(sources[0], base) if sources else base, base, sources, passed_over)


def holds(item: Object[object]) -> bool:
    """Whether an object holds the mesh's settings; a ConfigMap may hold certificates alone."""
    if item.kind not in KINDS:
        return False
    if item.kind != "ConfigMap" or not isinstance(item.spec, MeshMap):
        return True
    return item.spec.data.is_mesh and (item.meta.name == _NAME or item.meta.name.startswith(f"{_NAME}-"))


def _rank(item: Object[Any]) -> tuple[object, ...]:
    meta = item.meta
    return KINDS.index(item.kind), meta.name != _NAME, meta.namespace != HOME, meta.namespace, meta.name


def _laid(source: Object[Any], base: MeshConfig) -> MeshConfig:
    spec: MeshMap | IstioOperator = source.spec
    if isinstance(spec, IstioOperator):
        return over(base, spec.mesh_config, None)
    return over(base, spec.data.mesh, spec.data.mesh_networks)


def over(base: MeshConfig, said: mesh_config.MeshConfig | None, networks: MeshNetworks | None) -> MeshConfig:
    """A mesh's settings with what istiod adds to them: its own providers, unless one of that name is given."""
    given: dict[str, Any] = {each.name: getattr(base, each.name) for each in fields(base)}
    if said is not None:
        given |= {each.name: getattr(said, each.name) for each in fields(said)}
        given["extension_providers"] = _providers(said.extension_providers)
        given["trust_domain_aliases"] = tuple(sorted(set(said.trust_domain_aliases)))
    if networks is not None:
        given["networks"] = networks
    return MeshConfig(**given)


def _providers(said: tuple[ExtensionProvider, ...]) -> tuple[ExtensionProvider, ...]:
    """By name; one that replaces a built-in provider takes its place."""
    found: Mapping[str, ExtensionProvider] = {each.name: each for each in (*mesh_config.BUILT_IN, *said)}
    return tuple(found.values())
