"""The Node message of a client, read: who it says it is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..hosts import is_ip

PROCESS = "proxyless"
"""What clients call themselves that are no proxies."""


_VERSION = re.compile(r"([1-9][0-9]*)\.([0-9]+)")


class NodeError(ValueError):
    """The Node of a client cannot be served; the text is for the client."""


@dataclass(frozen=True, slots=True)
class Node:
    """The Node message of a client: `sidecar~ip~pod.namespace~namespace.svc.cluster.local` and its metadata."""

    id: str
    type: str
    name: str  # pod.namespace
    addresses: tuple[str, ...]
    domain: str
    cluster: str = ""
    locality: tuple[str, str, str] = ("", "", "")
    metadata: Mapping[str, Any] = field(default_factory=dict)
    agent: str = ""  # the program that asks: `user_agent_name`

    @property
    def namespace(self) -> str:
        said = self.metadata.get("NAMESPACE")
        return str(said) if said else self.domain.partition(".")[0]

    @property
    def cluster_id(self) -> str:
        return self.text("CLUSTER_ID")

    def text(self, key: str) -> str:
        value = self.metadata.get(key)
        return value if isinstance(value, str) else ""

    def flag(self, key: str) -> bool:
        return str(self.metadata.get(key, "")).lower() in ("true", "1")

    def at_least(self, major: int, minor: int) -> bool:
        """Whether it is a proxy of that version of Istio or later; who says none is of the latest."""
        found = _VERSION.match(self.text("ISTIO_VERSION").removeprefix("release-"))
        return found is None or (int(found[1]), int(found[2])) >= (major, minor)

    def labels(self, key: str = "LABELS") -> dict[str, str]:
        value = self.metadata.get(key)
        return {str(k): str(v) for k, v in value.items()} if isinstance(value, dict) else {}


def parse_node(
    node_id: str,
    metadata: Mapping[str, Any],
    cluster: str = "",
    locality: tuple[str, str, str] = ("", "", ""),
    agent: str = "",
) -> Node:
    """Raises NodeError for an id that names no sidecar or no address."""
    parts = node_id.split("~")
    if len(parts) != 4:
        raise NodeError(f'node id "{node_id}" is not of the form sidecar~ip~pod.namespace~domain')
    if parts[0] != "sidecar":
        raise NodeError(f'node id "{node_id}": type "{parts[0]}" is not served, only sidecar is')
    said = metadata.get("INSTANCE_IPS")
    addresses = tuple(str(said).split(",")) if said else ()
    if not all(is_ip(part) for part in addresses):
        addresses = ()
    if not addresses and is_ip(parts[1]):
        addresses = (parts[1],)
    if not addresses:
        raise NodeError(f'node id "{node_id}" has no valid IP address, nor has metadata INSTANCE_IPS')
    return Node(node_id, parts[0], parts[2], addresses, parts[3], cluster, locality, metadata, agent)
