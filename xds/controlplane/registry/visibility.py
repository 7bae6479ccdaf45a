"""What MeshConfig lets be heard and seen: namespaces that are discovered, services that others may call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..api.mesh_config import ServiceEntryVisibility, VisibilityPolicy
from ..mesh import MeshConfig
from ..objects import Object, Ref
from .meshes import KINDS
from .services import Service

Labels = Mapping[str, str]


def namespace_labels(objects: Iterable[Object[object]]) -> dict[str, Labels]:
    """The labels of each Namespace that is an object."""
    return {item.meta.name: item.meta.labels for item in objects if item.kind == "Namespace"}


def labels_of(namespace: str, known: Mapping[str, Labels]) -> Labels:
    """A namespace's labels, with the name that Kubernetes gives to each as a label."""
    return {"kubernetes.io/metadata.name": namespace, **known.get(namespace, {})}


def discovered(objects: Mapping[Ref, Object[object]], mesh: MeshConfig) -> dict[Ref, Object[object]]:
    """What stands in namespaces that a selector picks; of others istiod hears nothing."""
    labels = namespace_labels(objects.values())
    heard: dict[str, bool] = {}
    for ref in objects:
        if ref.namespace not in heard:
            own = labels_of(ref.namespace, labels)
            heard[ref.namespace] = any(selector.selects(own) for selector in mesh.discovery_selectors)
    return {
        ref: item
        for ref, item in objects.items()
        if not ref.namespace or heard[ref.namespace] or item.kind in KINDS  # the mesh itself is always read
    }


def capped(
    exports: frozenset[str], service: Service, visibility: ServiceEntryVisibility, labels: Labels
) -> frozenset[str]:
    """A ServiceEntry's exports, narrowed to what the mesh allows its namespace."""
    if exports == {"~"}:
        return exports
    allowed = next(
        (policy.visibility for policy in visibility.policies if _matches(policy, labels)), visibility.default_visibility
    )
    if allowed == "NONE":
        return frozenset({"~"})
    if allowed == "NAMESPACE":
        own = exports & {"*", ".", service.namespace}
        return frozenset({"."}) if own else frozenset({"~"})
    return exports


def _matches(policy: VisibilityPolicy, labels: Labels) -> bool:
    return all(
        rule.namespace_selector is not None and rule.namespace_selector.selects(labels)
        for rule in policy.matching_rules
    )
