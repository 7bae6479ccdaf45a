"""The recorded mesh of 1,000 services, as far as it is compared: some of its virtual hosts, all endpoints on a few."""

from __future__ import annotations

import json
import os
import tarfile
from pathlib import Path

from tests.differential import messages
from tests.differential.recording import Recording, assignment
from tests.support.behaviour import Address

ARCHIVE = Path(__file__).parent.parent / "recorded" / "scale" / "svc0.tar.gz"
BACKENDS: tuple[Address, ...] = tuple((f"127.0.30.{number}", 80) for number in range(1, 4))
PART = 20
"""Every so many virtual hosts; with PROXYLESS_DIFFERENTIAL=full all of them."""


def load() -> Recording:
    """Virtual hosts, the clusters that their routes name, and one endpoint for each cluster."""
    loaded = Recording()
    with tarfile.open(ARCHIVE) as archive:
        for member in sorted(archive.getmembers(), key=lambda each: each.name):
            file = archive.extractfile(member)
            if file is None or "ClusterLoadAssignment" in member.name:
                continue
            if member.name.endswith("node.json"):
                loaded.node = json.loads(file.read())
            elif member.name.endswith(".pb"):
                loaded.apply(*messages.decode(file.read()))
    step = 1 if os.environ.get("PROXYLESS_DIFFERENTIAL") == "full" else PART
    for table in loaded.routes.values():
        hosts = table["virtual_hosts"]
        table["virtual_hosts"] = [each for at, each in enumerate(hosts) if at % step == 0 or each["domains"] == ["*"]]
    named = json.dumps(loaded.routes)
    kept = {"PassthroughCluster", "BlackHoleCluster", "InboundPassthroughCluster"}
    loaded.clusters = {
        name: each
        for name, each in loaded.clusters.items()
        if name in kept or f'"{name}"' in named or "EDS" not in str(each)
    }
    loaded.assignments = {
        name: assignment(name, BACKENDS[at % len(BACKENDS)])
        for at, name in enumerate(name for name, each in loaded.clusters.items() if each.get("type") == "EDS")
    }
    return loaded
