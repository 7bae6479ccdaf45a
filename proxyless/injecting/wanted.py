"""What a process needs of its Pod to find its place in the mesh: what Istio's injector gives a sidecar."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]


class Text(str):
    """A text of ours: it stays one for whoever reads YAML 1.1, to whom a bare `on` is a flag."""

    __slots__ = ()


INJECT_LABEL = "sidecar.istio.io/inject"
TLS_LABEL = "security.istio.io/tlsMode"
CACHE = "/var/cache/proxyless"
METRICS_PATH = "/stats/prometheus"


@dataclass(frozen=True, slots=True)
class Wanted:
    """`containers`: the names of those that are governed; empty: the only one, or the Pod's default one; `*`: all.

    `address` is the control plane's. `mtls`: the server has the context of `proxyless.tls`. `listener`: the port of
    `proxyless.probes.Probes`, which the kubelet's probes and Prometheus then ask; 0: there is none.
    """

    address: str = "istiod.istio-system.svc:15012"
    ca_address: str = ""
    cluster_id: str = "Kubernetes"
    mesh_id: str = ""
    network: str = ""
    trust_domain: str = "cluster.local"
    domain: str = "cluster.local"
    delta: bool = False
    identity: bool = True
    mtls: bool = False
    listener: int = 0
    containers: tuple[str, ...] = ()
    token_audience: str = "istio-ca"
    token_seconds: int = 43_200
    root_cert_config_map: str = "istio-ca-root-cert"
    cache_limit: str = "64Mi"

    def labels(self) -> dict[str, str]:
        """Of the Pod: no sidecar, and whether peers may call it by mTLS."""
        return {INJECT_LABEL: Text("false"), TLS_LABEL: "istio" if self.mtls else "disabled"}

    def annotations(self) -> dict[str, str]:
        """Of the Pod: where its metrics are."""
        if not self.listener:
            return {}
        names = {"scrape": Text("true"), "port": Text(self.listener), "path": METRICS_PATH}
        return {f"prometheus.io/{name}": value for name, value in names.items()}

    def variables(self, workload: str) -> list[Json]:
        """Of the container."""
        fields = {
            "POD_NAME": "metadata.name",
            "POD_NAMESPACE": "metadata.namespace",
            "INSTANCE_IP": "status.podIP",
            "SERVICE_ACCOUNT": "spec.serviceAccountName",
            "ISTIO_META_NODE_NAME": "spec.nodeName",
        }
        said = {
            "ISTIO_META_WORKLOAD_NAME": workload,
            "ISTIO_META_CLUSTER_ID": self.cluster_id,
            "ISTIO_META_MESH_ID": self.mesh_id,
            "ISTIO_META_NETWORK": self.network,
            "PROXY_CONFIG": json.dumps({"discoveryAddress": self.address}, separators=(",", ":")),
            "CA_ADDR": self.ca_address,
            "TRUST_DOMAIN": self.trust_domain,
            "DOMAIN_SUFFIX": self.domain,
            "PROXYLESS_DELTA": "1" if self.delta else "",
            "PROXYLESS_IDENTITY": "" if self.identity else "none",
            "PROXYLESS_CACHE_DIR": CACHE,
        }
        return [
            *({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in fields.items()),
            *({"name": name, "value": Text(value)} for name, value in said.items() if value),
        ]

    def mounts(self, *, scratch: bool) -> list[Json]:
        """Of the container. `scratch`: its root cannot be written to, so `/tmp` has to be a volume."""
        return [
            {"name": "istio-token", "mountPath": "/var/run/secrets/tokens", "readOnly": True},
            {"name": "istiod-ca-cert", "mountPath": "/var/run/secrets/istio", "readOnly": True},
            {"name": "podinfo", "mountPath": "/etc/istio/pod", "readOnly": True},
            {"name": "proxyless-cache", "mountPath": CACHE},
            *([{"name": "tmp", "mountPath": "/tmp"}] if scratch else []),  # noqa: S108  # a volume's place
        ]

    def volumes(self, *, scratch: bool) -> list[Json]:
        """Of the Pod."""
        token = {
            "path": "istio-token",
            "audience": self.token_audience,
            "expirationSeconds": self.token_seconds,
        }
        files = [{"path": name, "fieldRef": {"fieldPath": f"metadata.{name}"}} for name in ("labels", "annotations")]
        return [
            {"name": "istio-token", "projected": {"sources": [{"serviceAccountToken": token}]}},
            {"name": "istiod-ca-cert", "configMap": {"name": self.root_cert_config_map}},
            {"name": "podinfo", "downwardAPI": {"items": files}},
            {"name": "proxyless-cache", "emptyDir": {"sizeLimit": self.cache_limit}},
            *([{"name": "tmp", "emptyDir": {}}] if scratch else []),
        ]
