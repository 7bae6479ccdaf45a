"""Node and control plane as data (envoy.config.core.v3.Node, Istio's conventions for it)."""

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from .settings import IdentitySettings

DEFAULT_TOKEN = "/var/run/secrets/tokens/istio-token"  # a path
DEFAULT_ROOT = "/var/run/secrets/istio/root-cert.pem"
DEFAULT_DISCOVERY = "istiod.istio-system.svc:15012"
PLAINTEXT_PORT = 15010
TLS_PORT = 15012
PLAINTEXT_TOKEN = "the token goes over a connection without TLS: everybody on the way can read it"
NOT_IN_THE_CLEAR = (
    "it has no TLS, and everybody on the way could read the token: it is not sent there, unless PROXYLESS_TOKEN_FILE "
    "names it"
)


class BootstrapError(ValueError):
    """What is configured makes no sense; the text names the variable, file or argument."""


@dataclass(frozen=True, slots=True)
class Node:
    """This workload, as the control plane shall know it.

    The id is `sidecar~<ip>~<pod>.<namespace>~<namespace>.svc.<domain>`: istiod takes locality and policies from the pod
    it names. `locality` is (region, zone, sub_zone), or the text `region/zone/sub_zone`, and is only needed where the
    control plane does not know the pod.

    Raises:
        BootstrapError: a locality of more than three parts.
    """

    app: str = ""
    namespace: str = "default"
    ip: str = ""
    pod: str = ""
    service_account: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    locality: tuple[str, str, str] | str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    cluster_id: str = "Kubernetes"
    domain: str = "cluster.local"

    def __post_init__(self) -> None:
        object.__setattr__(self, "locality", _locality(self.locality) if self.locality else None)

    @property
    def id(self) -> str:
        """The Node's id."""
        ip = self.ip or "127.0.0.1"
        pod = self.pod or f"{self.app or 'proxyless'}-{socket.gethostname()}"
        return f"sidecar~{ip}~{pod}.{self.namespace}~{self.namespace}.svc.{self.domain}"

    @property
    def cluster(self) -> str:
        """The name of the Node's cluster: what Istio calls a sidecar's, `app.namespace`."""
        return f"{self.app or self.labels.get('app', '') or 'proxyless'}.{self.namespace}"

    @property
    def names(self) -> tuple[str, str, str, str]:
        """How it appears in headers: address, id, cluster, and the name of the machine."""
        return self.ip or "127.0.0.1", self.id, self.cluster, socket.gethostname()

    @property
    def search(self) -> tuple[str, ...]:
        """The search domains of a pod's resolver, by which short host names are expanded."""
        return (f"{self.namespace}.svc.{self.domain}", f"svc.{self.domain}", self.domain)

    def message(self) -> dict[str, Any]:
        """What `wire.envelope.node_message` takes. Booleans are strings: so istiod reads them."""
        labels = {**({"app": self.app} if self.app else {}), **self.labels}
        app = self.app or labels.get("app", "")
        metadata: dict[str, Any] = {
            "NAMESPACE": self.namespace,
            "CLUSTER_ID": self.cluster_id,
            "ISTIO_VERSION": "1.31.0",
            "LABELS": labels,
            "INSTANCE_IPS": self.ip or "127.0.0.1",
            # As a sidecar behind iptables: with NONE istiod would leave out the listeners by address and port.
            "INTERCEPTION_MODE": "REDIRECT",
            # Tunnels (HBONE) are not spoken here; with or without an identity.
            "DISABLE_HBONE_SEND": "true",
        }
        if app:
            metadata["WORKLOAD_NAME"] = app
        if self.service_account:
            metadata["SERVICE_ACCOUNT"] = self.service_account
        metadata.update(self.metadata)
        return {
            "id": self.id,
            "cluster": self.cluster,
            "metadata": {key: _text(value) for key, value in metadata.items()},
            "locality": self.locality,
        }


def _locality(said: str | Sequence[str]) -> tuple[str, str, str] | None:
    parts = said.split("/") if isinstance(said, str) else list(said)
    if len(parts) > 3:
        raise BootstrapError(f"locality {said!r} is not region/zone/sub_zone")
    region, zone, sub_zone = [*parts, "", ""][:3]
    return (region, zone, sub_zone) if any(parts) else None


def _text(value: Any) -> Any:
    return ("true" if value else "false") if isinstance(value, bool) else value


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """Where the control plane is and how to speak to it. `address` is `host:port`."""

    address: str
    node: Node
    tls: bool = False
    root_cert: str = ""
    token_file: str = ""
    cluster_id: str = ""
    delta: bool = False
    warnings: tuple[str, ...] = ()
    identity: IdentitySettings | None = None
    """Where this workload's certificate comes from; None: it has none."""
    more_roots: bytes = b""
    """Beside those that come with the certificate: PEM (ProxyConfig.caCertificatesPem)."""
    follow_roots: bool = False
    """Whether the control plane is asked for more roots (Istio: PROXY_CONFIG_XDS_AGENT)."""


def from_url(
    url: str, node: Node, root_cert: str | None = None, token_file: str | None = None, *, delta: bool = False
) -> Bootstrap:
    """A bootstrap from `xds://host:port` (plaintext) or `xds+tls://host:port`.

    Raises:
        BootstrapError: another scheme, or no host.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("xds", "xds+tls"):
        raise BootstrapError(f"{url!r}: the control plane's address starts with xds:// or xds+tls://")
    try:
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise BootstrapError(f"{url!r}: {error}") from error
    if not host:
        raise BootstrapError(f"{url!r}: no host in the control plane's address")
    tls = parts.scheme == "xds+tls"
    host = f"[{host}]" if ":" in host else host
    address = f"{host}:{port or (TLS_PORT if tls else PLAINTEXT_PORT)}"
    return Bootstrap(
        address,
        node,
        tls,
        root_cert or "",
        token_file or "",
        node.cluster_id if token_file else "",
        delta,
        (PLAINTEXT_TOKEN,) if token_file and not tls else (),
    )
