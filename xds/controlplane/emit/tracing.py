"""Tracing of a connection manager: sampling and the tags that say who the proxy is.

istiod's default mesh has no tracing provider that a Telemetry object could name, so one that configures tracing leaves
a connection manager without any; without one the mesh's own settings hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from ...wire.schema.types import http_connection_manager_v3, metadata_v3, tracing_v3
from ..api.telemetry import Telemetry
from ..mesh import MeshConfig
from ..registry.proxy import Proxy
from .messages import percent

Tracing = http_connection_manager_v3.HttpConnectionManager.Tracing
_DRY_RUN = {
    "istio.authorization.dry_run.allow_policy.name": "istio_dry_run_allow_shadow_effective_policy_id",
    "istio.authorization.dry_run.allow_policy.result": "istio_dry_run_allow_shadow_engine_result",
    "istio.authorization.dry_run.deny_policy.name": "istio_dry_run_deny_shadow_effective_policy_id",
    "istio.authorization.dry_run.deny_policy.result": "istio_dry_run_deny_shadow_engine_result",
}


def tracing(applied: Sequence[Telemetry], proxy: Proxy, mesh: MeshConfig) -> Tracing | None:
    if not mesh.enable_tracing or any(telemetry.tracing for telemetry in applied):
        return None
    node = proxy.node
    return _tracing(
        mesh.trace_sampling,
        proxy.labels.get("service.istio.io/canonical-revision") or "latest",
        proxy.labels.get("service.istio.io/canonical-name") or "unknown",
        node.text("CLUSTER_ID") or "unknown",
        node.text("MESH_ID") or "unknown",
        node.text("NAMESPACE") or "default",
    )


@cache
def _tracing(sampling: float, revision: str, service: str, cluster: str, mesh: str, namespace: str) -> Tracing:
    said = {
        "istio.canonical_revision": revision,
        "istio.canonical_service": service,
        "istio.cluster_id": cluster,
        "istio.mesh_id": mesh,
        "istio.namespace": namespace,
    }
    tags = [_dry_run(tag, key) for tag, key in _DRY_RUN.items()]
    tags += [
        tracing_v3.CustomTag(tag=tag, literal=tracing_v3.CustomTag.Literal(value=text)) for tag, text in said.items()
    ]
    return Tracing(
        client_sampling=percent(100),
        random_sampling=percent(sampling),
        overall_sampling=percent(100),
        custom_tags=tags,
    )


def _dry_run(tag: str, key: str) -> tracing_v3.CustomTag:
    path = metadata_v3.MetadataKey(key="envoy.filters.http.rbac", path=[metadata_v3.MetadataKey.PathSegment(key=key)])
    kind = metadata_v3.MetadataKind(request=metadata_v3.MetadataKind.Request())
    return tracing_v3.CustomTag(tag=tag, metadata=tracing_v3.CustomTag.Metadata(kind=kind, metadata_key=path))
