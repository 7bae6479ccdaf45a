"""Conditions of VirtualServices that nothing can meet: ports that no host has, clients that are not there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ..api.virtual_service import HTTPMatchRequest, VirtualService
from ..objects import Object
from .finding import Keys, Said
from .mesh import Mesh
from .overlaps import L4

METHODS = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"})


def lower_case_method(method: str) -> str:
    """What to say of a method that no request has, since methods are compared as they are; empty if it is none."""
    return (
        f"is never met: methods are compared in their own case, {method.upper()}"
        if (method not in METHODS and method.upper() in METHODS)
        else ""
    )


def no_path(path: str) -> str:
    """What to say of a path that no request has; empty if it is one, or a pattern."""
    return f'"{path}" is never met: paths begin with /' if path and path[0] not in "/*{" else ""


def impossible(source: Object[VirtualService], mesh: Mesh) -> Iterator[Said]:
    """What of a VirtualService's matches no request can meet."""
    spec, namespace = source.spec, source.meta.namespace
    ports = _ports(spec, namespace, mesh)
    for kind in ("http", "tls", "tcp"):
        for index, route in enumerate(getattr(spec, kind)):
            matches: Sequence[HTTPMatchRequest | L4] = route.match
            for place, match in enumerate(matches):
                at: Keys = ("spec", kind, index, "match", place)
                if match.port and ports and match.port not in ports:
                    known = ", ".join(map(str, sorted(ports)))
                    yield "warning", (*at, "port"), f"is never met: the hosts have no port {match.port}, but {known}"
                if not mesh.has_workloads:
                    continue
                if match.source_namespace and match.source_namespace not in mesh.namespaces:
                    yield "warning", (*at, "sourceNamespace"), f"is never met: {match.source_namespace} has no workload"
                elif match.source_labels and not _client(match.source_labels, match.source_namespace, mesh):
                    yield "warning", (*at, "sourceLabels"), "are never met: no workload has them"
    for index, http in enumerate(spec.http):
        for place, request in enumerate(http.match):
            why = lower_case_method((request.method.exact if request.method is not None else None) or "")
            if why:
                yield "warning", ("spec", "http", index, "match", place, "method"), why
            uri = request.uri
            for key, path in (("exact", uri.exact), ("prefix", uri.prefix)) if uri is not None else ():
                if no_path(path or ""):
                    yield "warning", ("spec", "http", index, "match", place, "uri", key), no_path(path or "")


def _ports(spec: VirtualService, namespace: str, mesh: Mesh) -> set[int]:
    """The ports of the services that are routed; none where a host stands for others, or for none."""
    services = [mesh.service(host, namespace) for host in spec.hosts]
    return {port.number for each in services if each for port in each.ports} if all(services) else set()


def _client(labels: Mapping[str, str], namespace: str, mesh: Mesh) -> bool:
    return any(
        labels.items() <= workload.labels.items()
        for (where, _), workload in mesh.world.workloads.items()
        if namespace in ("", where)
    )
