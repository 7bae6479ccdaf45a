"""EnvoyFilters: do their patches hold what Envoy knows, and can they ever apply."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..api.decode import nearest
from ..api.envoy_filter import ApplyTo, EnvoyConfigObjectPatch, EnvoyFilter, Operation
from ..emit.patch import INSERTIONS, MESSAGES, ORDERED, PatchError, patch_value
from ..objects import Object
from .finding import Keys, Said
from .mesh import Mesh

MERGES: tuple[Operation, ...] = ("MERGE", "MERGE_AND_REPLACE_LIST")
OPERATIONS: Mapping[ApplyTo, tuple[Operation, ...]] = {
    "CLUSTER": ("ADD", "REMOVE", *MERGES),
    "LISTENER": ("ADD", "REMOVE", *MERGES),
    "FILTER_CHAIN": ("ADD", "REMOVE", *MERGES),
    "ROUTE_CONFIGURATION": MERGES,
    "VIRTUAL_HOST": ("ADD", "REMOVE", "REPLACE", *MERGES),
    "HTTP_ROUTE": ("ADD", "REMOVE", *MERGES),
    "EXTENSION_CONFIG": ("ADD",),
}
"""What istiod does where it does not do everything; insertions are spoken of by themselves."""


def envoy_filter(source: Object[EnvoyFilter], mesh: Mesh) -> Iterator[Said]:
    spec = source.spec
    if spec.target_refs:
        yield "warning", ("spec", "targetRefs"), "makes the filter one for gateways and waypoints: no sidecar gets it"
    selector = spec.workload_selector
    if selector is not None and mesh.has_workloads and not mesh.selected(source.meta.namespace, selector.labels):
        yield "warning", ("spec", "workloadSelector"), "selects no workload"
    for index, patch in enumerate(spec.config_patches):
        yield from _patch(("spec", "configPatches", index), patch)
        service = patch.match.cluster.service if patch.match is not None and patch.match.cluster is not None else ""
        if service and service not in mesh.hosts:
            at: Keys = ("spec", "configPatches", index, "match", "cluster", "service")
            yield "warning", at, f"{service} is no service{nearest(service, mesh.hosts)}"


def _patch(at: Keys, written: EnvoyConfigObjectPatch) -> Iterator[Said]:
    if written.apply_to not in MESSAGES:
        yield "warning", (*at, "applyTo"), f"{written.apply_to} has no effect: it is not part of what is served"
        return
    match = written.match
    if match is not None and match.context in ("GATEWAY", "WAYPOINT"):
        yield "warning", (*at, "match", "context"), f"{match.context} has no effect: only sidecars are served"
    if written.patch is None:
        return
    value = written.patch.value
    try:
        patch_value(written.apply_to, value, strict=False)
    except PatchError as error:
        yield "error", (*at, "patch", "value"), f"is none of Envoy's, so the patch is left out: {error}"
        return
    try:
        patch_value(written.apply_to, value, strict=True)
    except PatchError as error:
        yield "warning", (*at, "patch", "value"), f"has a field without effect: {error}"
    done = OPERATIONS.get(written.apply_to)
    if done is not None and written.patch.operation not in (*done, *INSERTIONS):
        why = f"{written.patch.operation} has no effect for {written.apply_to}: only {', '.join(done)} have"
        yield "warning", (*at, "patch", "operation"), why
    if written.patch.operation in INSERTIONS and written.apply_to not in ORDERED:
        yield "warning", (*at, "patch", "operation"), f"{written.patch.operation} means ADD for {written.apply_to}"
