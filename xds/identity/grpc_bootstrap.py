"""A gRPC xDS bootstrap file (GRPC_XDS_BOOTSTRAP), as istio-agent writes it for proxyless gRPC."""

import json
from pathlib import Path
from typing import Any

from .bootstrap import Bootstrap, BootstrapError, Node

LIGHT_PROFILE = (
    "the bootstrap asks for GENERATOR=grpc: outlier detection, connection pools, warm-up, panic threshold, automatic "
    "mTLS, STRICT_DNS, EnvoyFilter and RequestAuthentication are lost"
)


def from_file(path: Path) -> Bootstrap:
    """The first server of the file, with its node. The token is not in it (`environment` knows where it is).

    Raises:
        BootstrapError: the file cannot be read, or is no bootstrap.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BootstrapError(f"GRPC_XDS_BOOTSTRAP {path}: {error.strerror}") from error
    except ValueError as error:
        raise BootstrapError(f"GRPC_XDS_BOOTSTRAP {path}: not JSON: {error}") from error
    try:
        server = document["xds_servers"][0]
        address = str(server["server_uri"])
        credentials = server.get("channel_creds", [])
        kinds = [str(each["type"]) for each in credentials]
        configs = [each.get("config") or {} for each in credentials if each["type"] == "tls"]
        root_cert = str(configs[0].get("ca_certificate_file", "")) if configs else ""
        node = node_of(document.get("node", {}))
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise BootstrapError(f"GRPC_XDS_BOOTSTRAP {path}: no usable xds_servers[0]: {error}") from error
    warnings: tuple[str, ...] = ()
    if "GENERATOR" in node.metadata:
        warnings = (LIGHT_PROFILE,)
    tls = "insecure" not in kinds and bool(kinds) and not address.startswith("unix:")
    return Bootstrap(address, node, tls, root_cert if tls else "", warnings=warnings)


def node_of(node: Any) -> Node:
    """A Node from its JSON form."""
    parts = str(node.get("id", "")).split("~")
    if len(parts) != 4:
        raise BootstrapError(f"node id {node.get('id')!r} is not type~ip~pod.namespace~domain")
    metadata = dict(node.get("metadata") or {})
    pod, _, namespace = parts[2].rpartition(".")
    locality = node.get("locality") or {}
    labels = metadata.pop("LABELS", {}) or {}
    return Node(
        app=labels.get("app", ""),
        namespace=str(metadata.pop("NAMESPACE", namespace)),
        ip=parts[1],
        pod=pod,
        service_account=str(metadata.pop("SERVICE_ACCOUNT", "")),
        labels=labels,
        locality=(
            (locality.get("region", ""), locality.get("zone", ""), locality.get("sub_zone", "")) if locality else None
        ),
        metadata=metadata,
        cluster_id=str(metadata.pop("CLUSTER_ID", "Kubernetes")),
        domain=parts[3].partition(".svc.")[2] or "cluster.local",
    )
