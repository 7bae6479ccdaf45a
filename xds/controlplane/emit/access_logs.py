"""Access logs: what Telemetry objects ask for, else the mesh's default providers, else what MeshConfig says of all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ...wire.schema.types import accesslog_v3, filters_cel_v3
from ..api.telemetry import AccessLogging, Telemetry
from ..mesh import MeshConfig
from ..registry.extensions import Side
from ..registry.world import World
from . import log_providers
from .messages import pack
from .providers import ProviderError

Where = Literal["HTTP", "TCP", "LISTENER"]
AccessLog = accesslog_v3.AccessLog


@dataclass(frozen=True, slots=True)
class _Wanted:
    disabled: bool = False
    expression: str | None = None


def access_logs(applied: Sequence[Telemetry], side: Side, world: World, where: Where) -> list[AccessLog]:
    """The logs of a connection manager, of a TCP proxy, or of connections to a listener that no chain takes."""
    mesh = world.mesh
    if where == "LISTENER" and mesh.disable_envoy_listener_log:
        return []
    wanted = _wanted([t.access_logging for t in applied if t.access_logging], side, mesh)
    found = []
    for name, one in wanted.items():
        provider = mesh.provider(name)
        try:
            made = log_providers.of_provider(provider, world) if provider is not None else None
        except ProviderError:
            made = None
        if provider is not None and made is not None:
            found.append((provider.name, made, one))
    if not found:
        return _of_everything(mesh, where)
    out = []
    for _, made, one in sorted(found, key=lambda item: item[0]):
        if not one.disabled:
            _filter(made, one.expression, where)
            out.append(made)
    return out


def _of_everything(mesh: MeshConfig, where: Where) -> list[AccessLog]:
    made = [log_providers.of_mesh(mesh.access_log_file, mesh)] if mesh.access_log_file else []
    if mesh.enable_envoy_access_log_service:
        made.append(log_providers.of_service(http=where == "HTTP", listener=where == "LISTENER"))
    for each in made:
        _filter(each, None, where)
    return made


def _wanted(levels: Sequence[Sequence[AccessLogging]], side: Side, mesh: MeshConfig) -> Mapping[str, _Wanted]:
    """By provider. The innermost level that names providers says which ones there are; the mesh's are the outermost."""
    defaults = mesh.default_providers.access_logging
    if not levels:
        return {name: _Wanted() for name in defaults}
    in_scope = set(defaults)
    expressions: dict[str, str | None] = {}
    for level in levels:
        named = set()
        for item in level:
            if _matches(item, side):
                for provider in item.providers:
                    named.add(provider.name)
                    expressions[provider.name] = item.filter.expression if item.filter else None
        in_scope = named or in_scope
    found: dict[str, _Wanted] = {}
    inherited = defaults
    for level in levels:
        for item in level:
            inherited = tuple(provider.name for provider in item.providers) or inherited
            for name in inherited:
                if name in in_scope and _matches(item, side):
                    found[name] = _Wanted(True) if item.disabled else _Wanted(False, expressions.get(name))
    return found


def _matches(item: AccessLogging, side: Side) -> bool:
    return item.match is None or item.match.mode in ("CLIENT_AND_SERVER", side)


def _filter(made: AccessLog, expression: str | None, where: Where) -> None:
    """Of a listener only what no chain took; and what an expression lets pass."""
    filters = []
    if where == "LISTENER":
        flags = accesslog_v3.ResponseFlagFilter(flags=["NR"])
        filters.append(accesslog_v3.AccessLogFilter(response_flag_filter=flags))
    if expression is not None:
        filters.append(accesslog_v3.AccessLogFilter(extension_filter=_expression(expression)))
    if len(filters) > 1:
        made.filter.and_filter.filters.extend(filters)
    elif filters:
        made.filter.CopyFrom(filters[0])


def _expression(expression: str) -> accesslog_v3.ExtensionFilter:
    config = filters_cel_v3.ExpressionFilter(expression=expression)
    return accesslog_v3.ExtensionFilter(name="envoy.access_loggers.extension_filters.cel", typed_config=pack(config))
