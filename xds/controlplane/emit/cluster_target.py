"""What a traffic policy is applied to, beside the cluster itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ...wire.schema.types import cluster_v3, upstreams_http_v3
from ..mesh import MeshConfig
from ..registry.authn import Mode
from ..registry.endpoints import Endpoint
from ..registry.node import Node
from ..registry.services import Port, Service

Cluster = cluster_v3.Cluster
Options = upstreams_http_v3.HttpProtocolOptions


@dataclass(frozen=True, slots=True)
class Certificates:
    """Where a proxy has certificates from beside its agent, as its metadata says."""

    chain: str = ""  # files of its own, which go before those of the mesh
    key: str = ""
    root: str = ""
    named_apart: bool = False  # a socket of its own has the secrets called `sds://`
    files_apart: bool = False  # a socket of its own reads the files


AGENTS = Certificates()


def certificates_of(node: Node) -> Certificates:
    chain = node.text("TLS_CLIENT_CERT_CHAIN")
    named, files = node.text("credential") == "true", node.text("file-credential") == "true"
    if not chain:
        return Certificates(named_apart=named, files_apart=files) if named or files else AGENTS
    return Certificates(chain, node.text("TLS_CLIENT_KEY"), node.text("TLS_CLIENT_ROOT_CERT"), named, files)


@dataclass(frozen=True, slots=True)
class Target:
    """A service's port, and what is known of it and of the proxy that calls it."""

    mesh: MeshConfig
    port: Port
    service: Service
    accounts: tuple[str, ...] = ()
    sni: str = ""
    mutual_mode: Mode | None = None
    outbound: bool = True
    keep_case: bool = False  # of HTTP/1 header names
    selected: bool = False  # by the rule's workload selector
    certificates: Certificates = AGENTS
    forwards: bool = False  # to whatever the name that is called resolves to
    locality: tuple[str, str, str] = ("", "", "")
    labels: Mapping[str, str] = field(default_factory=dict)
    first: Sequence[Endpoint] = ()  # of the endpoints in the cluster, those of the first place
