"""The embedded control plane: a folder of 1,000 services to the first push, a change to the new decision.

The folder is the input of the recorded mesh of a thousand services (10,000 Pods, 500 VirtualServices and
DestinationRules), a file for each service and one for its Istio objects.
"""

from __future__ import annotations

import gzip
import re
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from proxyless import Mesh, Node
from proxyless.xds.controlplane import FolderSource, Plane
from proxyless.xds.controlplane.discovery import rules
from proxyless.xds.controlplane.discovery.sotw import SotwSession
from proxyless.xds.wire.schema import types as pb

from .configuration import RECORDED, service
from .report import Table
from .stats import median

CHANGED = 10  # the service whose VirtualService changes
_SERVICE = re.compile(r"svc\d+")


def run(*, smoke: bool) -> list[Table]:
    """The first push is taken in a process of its own, so that nothing is warm."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write(folder)
        first = Table("control plane, 1,000 services: folder to the first push, s", ("", "read", "push", "both"))
        command = [sys.executable, "-m", "bench.controlplane", str(folder)]
        for number in range(1 if smoke else 3):
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            read, push = (float(each) for each in done.stdout.split())
            first.rows.append((f"run {number + 1}", read, push, read + push))
        first.rows.append(("median", *(median([row[column] for row in first.rows]) for column in (1, 2, 3))))
        return [first, _decisions(folder, 1 if smoke else 9)]


def write(folder: Path) -> None:
    files: dict[str, list[str]] = defaultdict(list)
    for kind in ("kubernetes", "istio"):
        text = gzip.decompress((RECORDED / "scale" / f"{kind}.yaml.gz").read_bytes()).decode()
        for document in text.split("\n---\n"):
            found = _SERVICE.search(document)
            files[f"{kind}/{found.group() if found else 'other'}.yaml"].append(document)
    for name, documents in files.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n---\n".join(documents))


def _first(folder: str) -> tuple[float, float]:
    started = time.perf_counter()
    plane = Plane(FolderSource(folder))
    read = time.perf_counter()
    connected(plane)
    return read - started, time.perf_counter() - read


def connected(plane: Plane) -> SotwSession:
    """A client that has asked for everything, as a sidecar does, and got it encoded."""
    session = SotwSession(plane)
    node = pb.core_v3.Node(id="sidecar~127.1.0.1~svc0-0.ns0~ns0.svc.cluster.local")
    node.metadata.update({"NAMESPACE": "ns0", "CLUSTER_ID": "Kubernetes", "LABELS": {"app": "svc0"}})

    def ask(type_: rules.ResourceType, *names: str) -> Any:
        request = pb.discovery_v3.DiscoveryRequest(type_url=type_.url, node=node, resource_names=names)
        (response,) = session.receive(request)
        response.SerializeToString()
        return response

    clusters = (pb.cluster_v3.Cluster.FromString(each.value) for each in ask(rules.CLUSTER).resources)
    held = [each.name for each in clusters if each.type == pb.cluster_v3.Cluster.EDS]
    ask(rules.LISTENER)
    ask(rules.NAMES)
    ask(rules.ENDPOINT, *held)
    ask(rules.ROUTE, "80")
    return session


def _decisions(folder: Path, changes: int) -> Table:
    """A VirtualService is written; the program that follows the folder decides otherwise."""
    table = Table(
        "control plane, 1,000 services: one changed VirtualService to the new decision, ms", ("", "median", "slowest")
    )
    path = folder / "istio" / f"svc{CHANGED}.yaml"
    text = path.read_text()
    host = service(CHANGED)
    rule = text[: text.index("kind: VirtualService")].rpartition("---")[0]
    took = []
    with Mesh.from_config(folder, node=Node(app="svc0", namespace="ns0", ip="127.1.0.1"), registry=False) as mesh:
        mesh.wait_ready(60)
        _status(mesh, host)
        for number in range(changes):
            status = 430 + number
            document = (
                "apiVersion: networking.istio.io/v1\nkind: VirtualService\n"
                f"metadata: {{name: svc{CHANGED}, namespace: ns{CHANGED}}}\n"
                f"spec: {{hosts: [{host}], http: [{{directResponse: {{status: {status}}}}}]}}\n"
            )
            time.sleep(0.5)
            started = time.perf_counter()
            path.write_text(f"{rule}---\n{document}")
            while _status(mesh, host) != status:
                time.sleep(0.001)
            took.append(1000 * (time.perf_counter() - started))
    path.write_text(text)
    table.rows.append(("changed", median(took), max(took)))
    return table


def _status(mesh: Mesh, host: str) -> int | None:
    from tests.xds.transport.test_control import decide

    found: int | None = decide(mesh, f"http://{host}/").status
    return found


if __name__ == "__main__":
    print(*_first(sys.argv[1]))
