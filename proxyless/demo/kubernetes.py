"""The Kubernetes side of the folder, from the addresses that were free: services, pods, where their processes listen.

Where every process has an address of its own these are Service, Pod and EndpointSlice. Kubernetes tells the endpoints
of a service apart by their addresses, so where there is one address only (macOS) each service is a ServiceEntry.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import yaml

from .shop import APPS, NAMESPACE, SERVICE_PORT, Instance, Role, host_of

PORT = "http"
Document = dict[str, Any]


TLS = {"security.istio.io/tlsMode": "istio"}
"""By this label callers know that a workload takes mTLS; Istio's injector sets it."""


def labels_of(role: Role, *, mtls: bool = False) -> dict[str, str]:
    """Of a pod; the third makes metrics name the process."""
    labels = {"app": role.app, "version": role.version, "service.istio.io/workload-name": role.name}
    return {**labels, **(TLS if mtls else {})}


def text_of(instances: Sequence[Instance], *, one_address: bool = False, mtls: bool = False) -> str:
    """The file."""
    made = (_entries if one_address else _services)(instances, mtls=mtls)
    return "---\n".join(yaml.safe_dump(each, sort_keys=False, default_flow_style=None) for each in made)


def _services(instances: Sequence[Instance], *, mtls: bool) -> Iterable[Document]:
    for number, app in enumerate(APPS, 1):
        port = {"name": PORT, "port": SERVICE_PORT, "targetPort": PORT}
        spec = {"clusterIP": _virtual(number), "selector": {"app": app}, "ports": [port]}
        yield {"apiVersion": "v1", "kind": "Service", "metadata": _meta(app), "spec": spec}
        for each in instances:
            if each.role.app == app:
                yield _pod(each, mtls=mtls)
                yield _slice(each)


def _slice(instance: Instance) -> Document:
    """One for each process: the port of a slice is that of all its endpoints."""
    endpoint = {
        "addresses": [instance.host],
        "conditions": {"ready": True},
        "targetRef": {"kind": "Pod", "name": instance.name, "namespace": NAMESPACE},
    }
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": _meta(instance.name, {"kubernetes.io/service-name": instance.role.app}),
        "addressType": "IPv4",
        "endpoints": [endpoint],
        "ports": [{"name": PORT, "port": instance.port}],
    }


def _entries(instances: Sequence[Instance], *, mtls: bool) -> Iterable[Document]:
    for number, app in enumerate(APPS, 1):
        mine = [each for each in instances if each.role.app == app]
        spec = {
            "hosts": [host_of(app)],
            "addresses": [_virtual(number)],
            "ports": [{"number": SERVICE_PORT, "name": PORT, "protocol": "HTTP"}],
            "location": "MESH_INTERNAL",
            "resolution": "STATIC",
            "endpoints": [
                {
                    "address": each.host,
                    "ports": {PORT: each.port},
                    "labels": labels_of(each.role, mtls=mtls),
                    **({"serviceAccount": each.role.app} if mtls else {}),  # which says that it takes mTLS, too
                }
                for each in mine
            ],
        }
        yield {
            "apiVersion": "networking.istio.io/v1",
            "kind": "ServiceEntry",
            "metadata": _meta(app),
            "spec": spec,
        }
        yield from (_pod(each, mtls=mtls) for each in mine)


def _pod(instance: Instance, *, mtls: bool) -> Document:
    container = {"name": instance.role.app, "ports": [{"name": PORT, "containerPort": instance.port}]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": _meta(instance.name, labels_of(instance.role, mtls=mtls)),
        "spec": {"serviceAccountName": instance.role.app, "containers": [container]},
        "status": {"podIP": instance.host, "podIPs": [{"ip": instance.host}]},
    }


def _meta(name: str, labels: dict[str, str] | None = None) -> Document:
    return {"name": name, "namespace": NAMESPACE, **({"labels": labels} if labels else {})}


def _virtual(number: int) -> str:
    """The address that stands for a service; nothing ever listens there."""
    return f"10.96.0.{number}"
