"""An ADS server on a recording, as a process: `python -m bench.ads FOLDER`. A line of input pushes everything anew."""

from __future__ import annotations

import sys
from pathlib import Path

from proxyless.xds.model.resource import ResourceType
from proxyless.xds.wire.schema import types as pb
from tests.support.ads import AdsServer, recorded_resources

PUSHED = (ResourceType.CLUSTER, ResourceType.ENDPOINT, ResourceType.LISTENER, ResourceType.ROUTE)


def touch(server: AdsServer, turn: int) -> None:
    """Change every cluster and every assignment a little: nothing may be taken for unchanged."""
    for type_, kind in (
        (ResourceType.CLUSTER, pb.cluster_v3.Cluster),
        (ResourceType.ENDPOINT, pb.endpoint_v3.ClusterLoadAssignment),
    ):
        held = server.resources[type_.value]
        for name, raw in list(held.items()):
            message = kind.FromString(raw if isinstance(raw, bytes) else raw.SerializeToString())
            if isinstance(message, pb.cluster_v3.Cluster):
                message.alt_stat_name = f"turn {turn}"
            elif message.endpoints:
                message.policy.overprovisioning_factor.value = 140 + turn % 2
            held[name] = message.SerializeToString()


def main() -> None:
    """Serve until the input ends."""
    with AdsServer(recorded_resources(Path(sys.argv[1]))) as server:
        print(server.port, flush=True)
        for turn, _ in enumerate(sys.stdin, 1):
            touch(server, turn)
            for type_ in PUSHED:
                server.push(type_)
            print("pushed", flush=True)


if __name__ == "__main__":
    main()
