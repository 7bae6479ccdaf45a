"""A recorded stream, replayed through the same wire and graph as a live one."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .errors import ConfigurationError
from .xds.graph import Graph
from .xds.identity.bootstrap import BootstrapError, Node
from .xds.identity.grpc_bootstrap import node_of
from .xds.model.resource import ResourceType
from .xds.model.snapshot import Snapshot
from .xds.transport.dns import resolve_assignment
from .xds.transport.link import LinkError
from .xds.transport.replay import recorded
from .xds.wire import codec, envelope
from .xds.wire.refused import RefusedError


class Recording:
    """The graph as a recording leaves it, and the node that asked, where a node.json lies beside.

    Raises:
        ConfigurationError: nothing is recorded there, or a file is not what a control plane sends.
    """

    def __init__(self, source: Path, until: int | None = None) -> None:
        self.graph = Graph(codec.resource)
        self.node: Node | None = None
        try:
            for name, raw in recorded(source, until):
                if name == "node.json":
                    self.node = _node(json.loads(raw))
                else:
                    self._apply(source, name, raw)
        except (LinkError, BootstrapError, ValueError) as error:
            raise ConfigurationError(str(error)) from error

    def _apply(self, source: Path, name: str, raw: bytes) -> None:
        read = envelope.read_delta_response if envelope.is_delta(raw) else envelope.read_response
        try:
            response = read(raw)
            if response.type is not ResourceType.SECRET:  # none is recorded
                self.graph.apply(response)
        except RefusedError as error:
            raise ConfigurationError(f"{source}/{name}: {error}") from error

    def want(self, type_: ResourceType, names: Iterable[str]) -> Snapshot:
        """Nothing more will be recorded; but names can be resolved."""
        graph = self.graph
        graph.want(type_, names)
        if graph.missing_secrets:
            graph.release()
        for name in graph.wanted_dns:
            resource = graph.newest[ResourceType.CLUSTER].get(name)
            if resource is not None and name not in graph.snapshot.resolved:
                graph.resolved(name, resolve_assignment(resource.get()))
        return graph.snapshot


def _node(document: Any) -> Node:
    if not isinstance(document, dict):
        raise ConfigurationError("node.json is not an object")
    return node_of(document)
