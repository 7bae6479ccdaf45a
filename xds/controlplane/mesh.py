"""MeshConfig: what holds for the whole mesh, with istiod's defaults.

Only the fields that the emitters read. Reading them from a ConfigMap or a file is a source's job and comes later.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

OutboundMode = Literal["ALLOW_ANY", "REGISTRY_ONLY"]


@dataclass(frozen=True, slots=True)
class MeshConfig:
    """istio.mesh.v1alpha1.MeshConfig. Durations in seconds."""

    root_namespace: str = "istio-system"
    trust_domain: str = "cluster.local"
    trust_domain_aliases: tuple[str, ...] = ()
    domain_suffix: str = "cluster.local"
    cluster_id: str = "Kubernetes"
    outbound_traffic_policy: OutboundMode = "ALLOW_ANY"
    enable_auto_mtls: bool = True
    connect_timeout_s: float = 10.0
    dns_refresh_rate_s: float = 60.0
    dns_jitter_s: float = 0.1
    protocol_detection_timeout_s: float = 0.0
    proxy_listen_port: int = 15001
    proxy_inbound_listen_port: int = 15006
    proxy_http_port: int = 0
    enable_tracing: bool = True
    trace_sampling: float = 1.0
    h2_upgrade: bool = False
    locality_lb: bool = True
    access_log_file: str = ""
    send_unhealthy_endpoints: bool = True
