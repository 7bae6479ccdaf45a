"""EnvoyFilter patches on clusters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...wire.schema.types import cluster_v3, core_v3
from ..api.envoy_filter import PatchContext
from ..hosts import parse_subset_key
from .patch import Patch
from .patch_merge import ClashError, copied, merge, merged_any

Cluster = cluster_v3.Cluster


def patch_cluster(
    cluster: Cluster, patches: Sequence[Patch], context: PatchContext, hosts: Sequence[str] = ()
) -> Cluster | None:
    """The cluster after all patches, None if one removes it. `hosts` are the services of an inbound cluster."""
    for patch in patches:
        if not patch.within(context) or not _matches(patch, cluster, hosts):
            continue
        if patch.operation == "REMOVE":
            return None
        try:
            if patch.merges and not _merged_socket(cluster, patch):
                merge(cluster, patch.value, replace_lists=patch.operation == "MERGE_AND_REPLACE_LIST")
        except ClashError:
            return cluster
    return cluster


def added_clusters(patches: Sequence[Patch], context: PatchContext) -> list[Cluster]:
    out = []
    for patch in patches:
        if patch.adds(context):
            value: Any = patch.value
            out.append(copied(value))
    return out


def _matches(patch: Patch, cluster: Cluster, hosts: Sequence[str]) -> bool:
    match = patch.cluster
    if match is None:
        return True
    if match.name:
        return match.name == cluster.name
    key = parse_subset_key(cluster.name)
    direction, subset, host, port = key if key else ("", "", "", 0)
    named = hosts if direction == "inbound" and hosts else (host,)
    return (
        (not match.subset or match.subset == subset)
        and (not match.service or match.service in named)
        and (not match.port_number or match.port_number == port)
    )


def _merged_socket(cluster: Cluster, patch: Patch) -> bool:
    """A patch with a transport socket changes that and nothing else."""
    value: Any = patch.value
    if not value.HasField("transport_socket"):
        return False
    theirs: core_v3.TransportSocket = value.transport_socket
    mine: core_v3.TransportSocket | None = None
    if cluster.transport_socket_matches:
        sockets = (each.transport_socket for each in cluster.transport_socket_matches)
        mine = next((socket for socket in sockets if socket.name == theirs.name), None)
        if mine is None:
            return True  # a cluster cannot have both matches and a socket
    elif cluster.HasField("transport_socket") and cluster.transport_socket.name == theirs.name:
        mine = cluster.transport_socket
    if mine is None:
        cluster.transport_socket.CopyFrom(theirs)
    elif mine.HasField("typed_config") and theirs.HasField("typed_config"):
        mine.typed_config.CopyFrom(merged_any(mine.typed_config, theirs.typed_config))
    return True
