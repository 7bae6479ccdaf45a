"""The mesh itself: which object holds its settings, and what of them leads nowhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..api.extension_providers import Datadog, EnvoyFileAccessLog, ExtensionProvider, OpenTelemetry, Zipkin
from ..api.mesh_config import IstioOperator, MeshConfig, MeshMap
from ..emit.ext_authz import Authorizer
from ..emit.log_providers import in_format_of_mesh, of_provider
from ..emit.providers import ProviderError, backend
from ..emit.tracers import tracer
from ..objects import Object
from ..registry.node import parse_node
from ..registry.proxy import Proxy
from .finding import Keys, Said
from .mesh import Mesh

_ANYBODY = Proxy(parse_node("sidecar~127.0.0.1~nobody.nowhere~nowhere.svc", {}), {}, ("", "", ""), (), "IPv4")
_UNDEFINED = "it is no extension provider of the mesh"
_NO_SERVICE = "a process sends no lines to a service"
_NO_SPANS = "a process makes no spans for tracers of this kind"
_NO_MESH = "is no mesh configuration in force: "


def no_log(name: str, mesh: Mesh) -> str:
    """Why a provider writes no access log; empty if it does."""
    provider = mesh.world.mesh.provider(name)
    if provider is None:
        return _UNDEFINED
    try:
        if of_provider(provider, mesh.world) is None:
            return "it is of another kind"
        return "" if isinstance(provider.provider, EnvoyFileAccessLog) else _NO_SERVICE
    except ProviderError as error:
        return str(error)


def no_tracer(name: str, mesh: Mesh) -> str:
    """Why a provider takes no spans; empty if it does."""
    provider = mesh.world.mesh.provider(name)
    if provider is None:
        return _UNDEFINED
    try:
        tracer(provider, _ANYBODY, mesh.world)
    except ProviderError as error:
        return str(error)
    return "" if isinstance(provider.provider, (OpenTelemetry, Zipkin)) else _NO_SPANS


def no_authorizer(name: str, mesh: Mesh) -> str:
    """Why a provider decides nothing; empty if it does. Its name is compared as written."""
    try:
        Authorizer(name, mesh.world)
    except ProviderError as error:
        return str(error)
    return ""


def _writes_nowhere(provider: ExtensionProvider) -> bool:
    """A file without a path is the standard output, but for the one provider that goes by the mesh's own format."""
    file = provider.provider
    return isinstance(file, EnvoyFileAccessLog) and not file.path and in_format_of_mesh(provider.name, file)


def mesh_map(source: Object[MeshMap], mesh: Mesh) -> Iterator[Said]:
    yield from _in_force(source, mesh)
    if source.spec.data.mesh is not None:
        yield from _mesh(("data", "mesh"), source.spec.data.mesh, mesh)


def mesh_file(source: Object[MeshMap], mesh: Mesh) -> Iterator[Said]:
    if source.spec.data.mesh is not None:
        yield from _mesh((), source.spec.data.mesh, mesh)


def operator(source: Object[IstioOperator], mesh: Mesh) -> Iterator[Said]:
    yield from _in_force(source, mesh)
    if source.spec.mesh_config is not None:
        yield from _mesh(("spec", "meshConfig"), source.spec.mesh_config, mesh)


def _in_force(source: Object[Any], mesh: Mesh) -> Iterator[Said]:
    if source in mesh.world.settings.passed_over:
        (counts,) = mesh.world.settings.sources
        yield "warning", ("metadata", "name"), f"{_NO_MESH}{counts.ref} in {counts.place} is"


def _mesh(at: Keys, written: MeshConfig, mesh: Mesh) -> Iterator[Said]:
    if written.dns_refresh_rate <= 0.001:
        refused = "Envoy refuses clusters of names: it takes more than 1ms; istiod sends it all the same"
        yield "error", (*at, "dnsRefreshRate"), refused
    if written.enable_envoy_access_log_service:
        yield "warning", (*at, "enableEnvoyAccessLogService"), f"has no effect: {_NO_SERVICE}"
    seen: set[str] = set()
    for index, provider in enumerate(written.extension_providers):
        keys = (*at, "extensionProviders", index)
        if provider.name in seen:
            yield "warning", (*keys, "name"), f'"{provider.name}" is given twice: the last one counts'
        seen.add(provider.name)
        if _writes_nowhere(provider):
            refused = 'Envoy refuses listeners that log to it: the provider "envoy" has no path unless it says one'
            yield "error", (*keys, "envoyFileAccessLog"), f"{refused}; istiod sends them all the same"
        service = getattr(provider.provider, "service", None)
        if provider.provider is None:
            yield "warning", keys, "says no kind of provider"
        elif service is not None:
            port = getattr(provider.provider, "port", 0)
            try:
                to = backend(service, port, mesh.world)
            except ProviderError as error:
                yield "warning", keys, f"leads nowhere: {error}"
                continue
            if not any(each.port(port) for each in mesh.world.by_host.get(to.hostname, {}).values()):
                lost = f"{to.hostname} has no port {port}"
                if isinstance(provider.provider, (Zipkin, Datadog)):
                    yield "error", keys, f"Envoy refuses listeners that trace to it: {lost}; istiod sends them"
                else:
                    yield "warning", keys, f"leads nowhere: {lost}"
    for key, named, why in (
        ("accessLogging", written.default_providers.access_logging, no_log),
        ("tracing", written.default_providers.tracing[:1], no_tracer),
    ):
        for index, name in enumerate(named):
            found = why(name, mesh)
            if found:
                yield "warning", (*at, "defaultProviders", key, index), f'"{name}" is of no use here: {found}'
