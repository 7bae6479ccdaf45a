"""A control plane and its clients as JSON documents, for its socket and over HTTP."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from ..status_socket import OFF, PLANE, SWITCH, StatusServer

if TYPE_CHECKING:
    from ..xds.controlplane import ClientStatus, Plane

Document = dict[str, Any]


def plane_document(plane: Plane) -> Document:
    """What is in force, what is wrong with it, and who is connected."""
    status = plane.status()
    return {
        "process": os.getpid(),
        "version": status.version,
        "objects": status.objects,
        "errors": [str(fault) for fault in status.faults],
        "notes": [str(note) for note in plane.state.notes],
        "clients": [client_document(client) for client in status.clients],
    }


def status_socket(plane: Plane) -> StatusServer:
    """Answers `proxyless clients`, unless the environment says no."""
    made = StatusServer(lambda _: [{"document": plane_document(plane)}], PLANE)
    if os.environ.get(SWITCH, "1").lower() not in OFF:
        made.start()
    return made


def client_document(client: ClientStatus) -> Document:
    return {
        "name": client.name,
        "node": client.node,
        "namespace": client.namespace,
        "ip": client.ip,
        "cluster": client.cluster,
        "labels": dict(client.labels or {}),
        "program": client.program,
        "istio_version": client.istio_version,
        "peer": client.peer,
        "protocol": "incremental" if client.delta else "state of the world",
        "since": client.since,
        "version": client.version,
        "rejected": client.rejected,
        "types": {
            each.type: {
                "state": each.state,
                "since": each.sent_at or None,
                "bytes": each.size,
                "names": len(each.names),
                "version": each.version,
                "error": each.error or None,
            }
            for each in client.subscriptions
        },
    }
