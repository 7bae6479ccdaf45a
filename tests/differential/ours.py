"""What proxyless decides, on the recording that Envoy runs: through `explain`, and through httpx on its backends."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from proxyless.cli.explain import explain_one
from proxyless.mesh import Mesh
from tests.differential.decision import PASSTHROUGH, RIG, TCP, Decision
from tests.differential.recording import Recording, Resource
from tests.differential.requests import Request
from tests.support.behaviour import Headers

SEED = 4
DRAWS = 200
NODE: Resource = {
    "id": "sidecar~127.0.10.1~frontend-v1-0.shop~shop.svc.cluster.local",
    "metadata": {"NAMESPACE": "shop", "LABELS": {"app": "frontend"}},
}


@contextmanager
def mesh_on(recording: Recording, **options: Any) -> Iterator[Mesh]:
    """A mesh on a recording whose ports have been rewritten. Endpoints are spoken to in plaintext, as by the rig."""
    plain = copy.deepcopy(recording)
    for cluster in plain.clusters.values():
        cluster.pop("transport_socket", None)
        cluster.pop("transport_socket_matches", None)
        if cluster.get("type") == "ORIGINAL_DST" and cluster["name"] != PASSTHROUGH:
            cluster.update(type="STATIC", lb_policy="ROUND_ROBIN", load_assignment=plain.originals[cluster["name"]])
    with TemporaryDirectory(prefix="proxyless-recording-") as folder:
        plain.write(Path(folder))
        (Path(folder) / "node.json").write_text(json.dumps(recording.node or NODE))
        options = {"registry": False, "rng": random.Random(SEED), **options}
        with Mesh.from_recorded(folder, **options) as mesh:
            mesh.runtime.dialled.ask = None  # a machine's DNS decides nothing here: Envoy is told where to go
            yield mesh


def explained(mesh: Mesh, request: Request, cluster: str | None = None) -> tuple[Decision, float]:
    """What `explain` says, and the draw that made it say so: repeated until a weighted route draws `cluster`.

    None stands for one that does not exist.
    """
    draws = random.Random(SEED)
    found = Decision()
    draw = 0.0
    for _ in range(DRAWS):
        draw = draws.random()
        found, weighted = drawn(mesh, request, draw)
        if not weighted or found.cluster == cluster:
            break
    return found, draw


def drawn(mesh: Mesh, request: Request, draw: float) -> tuple[Decision, bool]:
    """What `explain` says where every draw is this one, and whether the route has weighted clusters."""
    with drawing(mesh, partial(float, draw)):
        document = _document(mesh, request)
    return _named(mesh, from_document(document)), bool(document["weighted_clusters"])


def explained_once(mesh: Mesh, request: Request) -> Decision:
    """What `explain` says, by the draws that the mesh makes."""
    return _named(mesh, from_document(_document(mesh, request)))


def _named(mesh: Mesh, decision: Decision) -> Decision:
    """Of a cluster that does not exist Envoy logs no name, whoever answers in its place."""
    name = decision.cluster
    missing = name not in (None, PASSTHROUGH) and decision.place != TCP and mesh.runtime.plan.configured(name) is None
    return replace(decision, cluster=None) if missing else decision


def _document(mesh: Mesh, request: Request) -> Mapping[str, Any]:
    line = {"method": request.method, "url": request.url, "headers": [list(pair) for pair in request.headers]}
    return explain_one(mesh, line, None, "127.0.0.1")[0]


@contextmanager
def drawing(mesh: Mesh, uniform: Callable[[], float]) -> Iterator[None]:
    """All draws of a mesh made by a function."""
    runtime = mesh.runtime
    before, runtime.uniform = runtime.uniform, uniform
    try:
        yield
    finally:
        runtime.uniform = before


def from_document(document: Mapping[str, Any]) -> Decision:
    """An `explain` document in the common words."""
    cluster = document["cluster"]
    if document["listener"] is None or document["route_config"] is None:
        return Decision(place=TCP if document["action"] in ("tcp", "passthrough") else "", cluster=cluster)
    place = ""
    if document["route_index"] is not None:
        place = f"{document['route_config']}/{document['virtual_host']}/{document['route_index']}"
    if document["status"] is not None:
        return Decision(
            place=place,
            cluster=cluster,
            status=document["status"],
            flags=document["response_flags"],
            body=document["body"],
            location=document["location"],
        )
    if cluster == PASSTHROUGH:
        return Decision(place=place, cluster=cluster)
    return Decision(
        place=place,
        cluster=cluster,
        method=document["method"],
        authority=document["authority"],
        path=document["path"],
        headers=_headers(document["request_headers"]),
    )


def _headers(pairs: list[list[str]]) -> Headers:
    return tuple((name, value) for name, value in pairs if name not in RIG)
