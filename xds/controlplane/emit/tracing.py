"""Tracing of a connection manager: the provider, which requests are sampled, and the tags of spans.

Telemetry objects say, from the mesh's to the workload's own, over the mesh's default provider. Where nothing of that is
there, the tracer of a proxy's bootstrap is used as ProxyConfig says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from ...wire.schema.types import http_connection_manager_v3, metadata_v3, tracing_v3
from ..api import proxy_config
from ..api.extension_providers import ExtensionProvider
from ..api.telemetry import CustomTag, Telemetry
from ..mesh import MeshConfig
from ..registry.extensions import Side
from ..registry.proxy import Proxy
from ..registry.world import World
from .messages import flag, pack, percent
from .providers import ProviderError
from .tracers import tracer

Tracing = http_connection_manager_v3.HttpConnectionManager.Tracing
Tag = tracing_v3.CustomTag
Written = Mapping[str, CustomTag] | Mapping[str, proxy_config.CustomTag]

_ALL = 100.0
_DRY_RUN = {
    "istio.authorization.dry_run.allow_policy.name": "istio_dry_run_allow_shadow_effective_policy_id",
    "istio.authorization.dry_run.allow_policy.result": "istio_dry_run_allow_shadow_engine_result",
    "istio.authorization.dry_run.deny_policy.name": "istio_dry_run_deny_shadow_effective_policy_id",
    "istio.authorization.dry_run.deny_policy.result": "istio_dry_run_deny_shadow_engine_result",
}


@dataclass(frozen=True, slots=True)
class Traced:
    """What a connection manager has. `by_request_id`: whether an id of a request says if it is sampled."""

    tracing: Tracing | None = None
    by_request_id: bool = True


@dataclass(frozen=True, slots=True)
class _Spec:
    """What Telemetry says for one side."""

    provider: ExtensionProvider | None
    disabled: bool = False
    sampling: float | None = None
    tags: Mapping[str, CustomTag] | None = None
    by_request_id: bool = True
    istio_tags: bool = True
    silent: bool = False  # no headers with the context go to the upstream


def traced(applied: Sequence[Telemetry], side: Side, proxy: Proxy, world: World) -> Traced:
    spec = _spec(applied, side, world.mesh)
    config = proxy.config.tracing or proxy_config.Tracing()
    if spec is None:
        if not world.mesh.enable_tracing:
            return Traced()
        made = Tracing()
        _sample(made, _sampling(config, world.mesh))
        made.custom_tags.extend(_tags(config.custom_tags, proxy, istio=config.enable_istio_tags is not False))
        if config.max_path_tag_length:
            made.max_path_tag_length.value = config.max_path_tag_length
        return Traced(made)
    if spec.disabled or spec.provider is None:
        return Traced()
    try:
        found = tracer(spec.provider, proxy, world)
    except ProviderError:
        return Traced()
    made = Tracing(spawn_upstream_span=flag(True) if found.upstream_span else None)
    made.provider.name = found.name
    made.provider.typed_config.CopyFrom(pack(found.config))
    if found.samples:
        _sample(made, _ALL)
    else:
        _sample(made, _sampling(config, world.mesh) if spec.sampling is None else spec.sampling)
    made.custom_tags.extend(_tags(spec.tags or config.custom_tags, proxy, istio=spec.istio_tags))
    if found.longest_path or config.max_path_tag_length:
        made.max_path_tag_length.value = found.longest_path or config.max_path_tag_length
    made.no_context_propagation = spec.silent and proxy.node.at_least(1, 30)
    return Traced(made, spec.by_request_id)


def _spec(applied: Sequence[Telemetry], side: Side, mesh: MeshConfig) -> _Spec | None:
    """None where neither Telemetry nor the mesh names anything. Of several providers the first counts."""
    said = [item for telemetry in applied for item in telemetry.tracing]
    defaults = mesh.default_providers.tracing
    if not said and not defaults:
        return None
    spec = _Spec(mesh.provider(defaults[0]) if defaults else None)
    for item in said:
        if item.match is not None and item.match.mode not in ("CLIENT_AND_SERVER", side):
            continue
        if item.providers:
            spec = replace(spec, provider=mesh.provider(item.providers[0].name))
        changed: dict[str, Any] = {
            "disabled": item.disable_span_reporting,
            "sampling": item.random_sampling_percentage,
            "tags": item.custom_tags,
            "by_request_id": item.use_request_id_for_trace_sampling,
            "istio_tags": item.enable_istio_tags,
            "silent": item.disable_context_propagation,
        }
        spec = replace(spec, **{name: given for name, given in changed.items() if given is not None})
    return spec


def _sampling(config: proxy_config.Tracing, mesh: MeshConfig) -> float:
    """More than everything means istiod's default of one in a hundred."""
    if config.sampling:
        return config.sampling if config.sampling <= _ALL else 1.0
    return mesh.trace_sampling


def _sample(made: Tracing, share: float) -> None:
    made.client_sampling.CopyFrom(percent(_ALL))
    made.random_sampling.CopyFrom(percent(share))
    made.overall_sampling.CopyFrom(percent(_ALL))


def _tags(written: Written, proxy: Proxy, *, istio: bool) -> list[Tag]:
    """In the order of their names."""
    tags = [made for name, tag in written.items() if (made := _tag(name, tag, proxy)) is not None]
    if istio:
        node = proxy.node
        tags += _own_tags(
            proxy.labels.get("service.istio.io/canonical-revision") or "latest",
            proxy.labels.get("service.istio.io/canonical-name") or "unknown",
            node.text("CLUSTER_ID") or "unknown",
            node.text("MESH_ID") or "unknown",
            node.text("NAMESPACE") or "default",
        )
    return sorted(tags, key=lambda tag: tag.tag)


def _tag(name: str, written: CustomTag | proxy_config.CustomTag, proxy: Proxy) -> Tag | None:
    made = Tag(tag=name)
    if written.literal is not None:
        made.literal.value = written.literal.value
    elif written.environment is not None:
        made.environment.name = written.environment.name
        made.environment.default_value = written.environment.default_value
    elif written.header is not None:
        made.request_header.name = written.header.name
        made.request_header.default_value = written.header.default_value
    elif isinstance(written, CustomTag) and written.formatter is not None and proxy.node.at_least(1, 29):
        made.value = written.formatter.value
    else:
        return None
    return made


@cache
def _own_tags(revision: str, service: str, cluster: str, mesh: str, namespace: str) -> list[Tag]:
    said = {
        "istio.canonical_revision": revision,
        "istio.canonical_service": service,
        "istio.cluster_id": cluster,
        "istio.mesh_id": mesh,
        "istio.namespace": namespace,
    }
    made: Iterable[Tag] = (Tag(tag=tag, literal=Tag.Literal(value=text)) for tag, text in said.items())
    return [*(_dry_run(tag, key) for tag, key in _DRY_RUN.items()), *made]


def _dry_run(tag: str, key: str) -> Tag:
    path = metadata_v3.MetadataKey(key="envoy.filters.http.rbac", path=[metadata_v3.MetadataKey.PathSegment(key=key)])
    kind = metadata_v3.MetadataKind(request=metadata_v3.MetadataKind.Request())
    return Tag(tag=tag, metadata=Tag.Metadata(kind=kind, metadata_key=path))
