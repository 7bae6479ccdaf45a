"""Deployments whose annotation says where their processes are."""

from __future__ import annotations

from collections.abc import Iterator

from ..api import kubernetes
from ..kinds import ENDPOINTS
from ..objects import Object
from ..registry import processes
from ..registry.authn import selects
from .finding import Keys, Said
from .mesh import Mesh


def deployment(source: Object[kubernetes.Deployment], mesh: Mesh) -> Iterator[Said]:
    """What in the annotation is no place, and a template that no service selects."""
    own = ENDPOINTS in source.meta.annotations
    at: Keys = (*(() if own else ("spec", "template")), "metadata", "annotations", ENDPOINTS)
    for part in processes.written(source):
        if processes.parse(part) is None:
            yield "warning", at, f'"{part.strip()}" is no [NAME=]ADDRESS[:PORT], so it is passed over'
    labels = source.spec.template.metadata.labels
    if not any(
        service.namespace == source.meta.namespace and service.selector and selects(service.selector, labels)
        for service in mesh.world.services
    ):
        yield "warning", at, "has no effect: no service of the namespace selects the template's labels"
