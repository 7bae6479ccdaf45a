"""WasmPlugins and TrafficExtensions: which of them are for a workload, and for which of its listeners."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from ..api.extensions import Phase, TrafficExtension, WasmPlugin
from ..mesh import MeshConfig
from ..objects import Meta, Object
from .attachment import attaches

PREFIX = "extensions.istio.io/trafficextension/"
_TRANSLATED = "~istio-translated-wasmplugin"
_LOWEST = -(2**31)

Side = Literal["CLIENT", "SERVER"]
Layer = Literal["HTTP", "NETWORK"]


@dataclass(frozen=True, slots=True)
class Extension:
    """One extension; a WasmPlugin has a name that no TrafficExtension can have."""

    name: str
    namespace: str
    version: str
    spec: TrafficExtension

    @property
    def resource(self) -> str:
        """The name of its filters, by which its configuration is asked for."""
        return f"{PREFIX}{self.namespace}.{self.name}"

    @property
    def phase(self) -> Phase:
        return self.spec.phase

    @property
    def layer(self) -> Layer:
        """Where its filters stand; HTTP unless it says that it is about connections."""
        return "NETWORK" if self.spec.wasm is not None and self.spec.wasm.type == "NETWORK" else "HTTP"

    def matches(self, side: Side, port: int) -> bool:
        """Whether it is for a listener."""
        return not self.spec.match or any(
            each.mode in ("UNDEFINED", "CLIENT_AND_SERVER", side)
            and (not each.ports or any(wanted.number == port != 0 for wanted in each.ports))
            for each in self.spec.match
        )


class Extensions:
    """All of a mesh, the oldest first."""

    def __init__(
        self,
        plugins: Iterable[Object[WasmPlugin]],
        extensions: Iterable[Object[TrafficExtension]],
        mesh: MeshConfig,
    ) -> None:
        self._root = mesh.root_namespace
        found = [(each.age, _made(each.meta, each.meta.name, each.spec)) for each in extensions]
        for plugin in plugins:
            name = plugin.meta.name + _TRANSLATED
            age = plugin.created, name, plugin.meta.namespace
            found.append((age, _made(plugin.meta, name, plugin.spec.extension())))
        self._by_namespace: dict[str, list[Extension]] = {}
        for _, each in sorted(found, key=lambda item: item[0]):
            self._by_namespace.setdefault(each.namespace, []).append(each)

    def of_workload(self, namespace: str, labels: Mapping[str, str]) -> tuple[Extension, ...]:
        """The workload's own, then those of the root namespace; of a phase the highest priority first."""
        found = [
            each
            for home in dict.fromkeys((namespace, self._root))
            for each in self._by_namespace.get(home, ())
            if attaches(each.spec, home, namespace, labels)
        ]
        return tuple(sorted(found, key=_rank))

    def named(self, resource: str, namespace: str) -> Extension | None:
        """The one whose configuration a workload of a namespace asks for, whomever it is for."""
        home, dot, name = resource.removeprefix(PREFIX).partition(".")
        if not resource.startswith(PREFIX) or not dot or home not in (namespace, self._root):
            return None
        return next((each for each in self._by_namespace.get(home, ()) if each.name == name), None)


def _made(meta: Meta, name: str, spec: TrafficExtension) -> Extension:
    return Extension(name, meta.namespace, meta.resource_version, spec)


def _rank(extension: Extension) -> int:
    priority = extension.spec.priority
    return -(_LOWEST if priority is None else priority)
