"""The environment of an Istio sidecar, read as its agent reads it.

POD_NAME, POD_NAMESPACE, INSTANCE_IP, SERVICE_ACCOUNT, ISTIO_META_* and ISTIO_METAJSON_*, PROXY_CONFIG, the labels and
annotations of the downward API, the projected token and the root certificate. `PROXYLESS_XDS` names another control
plane; then nothing of Istio's needs to be there.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from .bootstrap import (
    DEFAULT_DISCOVERY,
    DEFAULT_ROOT,
    DEFAULT_TOKEN,
    PLAINTEXT_PORT,
    PLAINTEXT_TOKEN,
    Bootstrap,
    BootstrapError,
    Node,
    from_url,
)
from .finding import find
from .grpc_bootstrap import from_file
from .settings import FromAuthority

LABELS_FILE = "/etc/istio/pod/labels"
ANNOTATIONS_FILE = "/etc/istio/pod/annotations"
NAMESPACE_FILE = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"
BEGIN = "-----BEGIN CERTIFICATE-----"
SYSTEM = "SYSTEM"
"""Istio's word for the certificate authorities of the system (XDS_ROOT_CA)."""
LOCALITY_LABELS = ("topology.kubernetes.io/region", "topology.kubernetes.io/zone", "topology.istio.io/subzone")


def from_environment(environ: Mapping[str, str] | None = None, root: Path = Path("/")) -> Bootstrap:
    """The bootstrap of this process. `root` stands in for the file system's root in tests.

    Raises:
        BootstrapError: a variable or file has a value that makes no sense.
    """
    environ = os.environ if environ is None else environ
    bootstrap = _bootstrap(environ, root)
    identity = find(bootstrap, environ, root)
    warnings = bootstrap.warnings
    if isinstance(identity, FromAuthority) and not identity.tls and identity.token_in_the_clear:
        warnings = (*warnings, f"{identity.said}: {PLAINTEXT_TOKEN}")
    return replace(
        bootstrap,
        identity=identity,
        warnings=warnings,
        more_roots=_more_roots(_proxy_config(environ)),
        follow_roots=_flag(environ, "PROXY_CONFIG_XDS_AGENT"),
    )


def _more_roots(proxy_config: Mapping[str, Any]) -> bytes:
    found = proxy_config.get("caCertificatesPem") or []
    if not isinstance(found, list) or not all(isinstance(each, str) and BEGIN in each for each in found):
        raise BootstrapError("PROXY_CONFIG: caCertificatesPem is no list of certificates in PEM")
    return "\n".join(found).encode()


def _bootstrap(environ: Mapping[str, str], root: Path) -> Bootstrap:
    if environ.get("GRPC_XDS_BOOTSTRAP") and not environ.get("PROXYLESS_XDS"):
        return _with_credentials(from_file(Path(environ["GRPC_XDS_BOOTSTRAP"])), environ, root)
    proxy_config = _proxy_config(environ)
    node = _node(environ, proxy_config, root)
    if url := environ.get("PROXYLESS_XDS"):
        return from_url(
            url,
            node,
            environ.get("PROXYLESS_ROOT_CERT"),
            environ.get("PROXYLESS_TOKEN_FILE"),
            delta=_flag(environ, "PROXYLESS_DELTA"),
        )
    address = str(proxy_config.get("discoveryAddress") or DEFAULT_DISCOVERY)
    said_by = "PROXY_CONFIG: discoveryAddress"
    if environ.get("PILOT_DISCOVERY_ADDRESS"):
        address, said_by = environ["PILOT_DISCOVERY_ADDRESS"], "PILOT_DISCOVERY_ADDRESS"
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise BootstrapError(f"{said_by} {address!r} is not host:port")
    return _with_credentials(Bootstrap(address, node, tls=int(port) != PLAINTEXT_PORT), environ, root)


def _with_credentials(bootstrap: Bootstrap, environ: Mapping[str, str], root: Path) -> Bootstrap:
    """Root certificate and token of a TLS control plane. What a variable names is used whether it is there yet or not,
    so that its absence is an error; what istiod's injector would have put somewhere may be missing, which is said.
    """
    root_cert = token = ""
    warnings = list(bootstrap.warnings)
    if bootstrap.tls:
        root_cert = environ.get("PROXYLESS_ROOT_CERT") or environ.get("XDS_ROOT_CA") or bootstrap.root_cert
        if root_cert == SYSTEM:
            root_cert = ""
        elif not root_cert:
            root_cert = DEFAULT_ROOT if (root / DEFAULT_ROOT.lstrip("/")).exists() else ""
            if not root_cert:
                warnings.append(f"{DEFAULT_ROOT} is not there: the system's certificate authorities are used")
        token = environ.get("PROXYLESS_TOKEN_FILE", "")
        if not token:
            token = DEFAULT_TOKEN if (root / DEFAULT_TOKEN.lstrip("/")).exists() else ""
            if not token:
                warnings.append(f"{DEFAULT_TOKEN} is not there: the control plane will see an anonymous workload")
    return replace(
        bootstrap,
        root_cert=root_cert,
        token_file=token,
        cluster_id=bootstrap.node.cluster_id,
        delta=_flag(environ, "PROXYLESS_DELTA"),
        warnings=tuple(warnings),
    )


def _flag(environ: Mapping[str, str], name: str) -> bool:
    return environ.get(name, "").lower() in ("1", "true", "yes")


def _proxy_config(environ: Mapping[str, str]) -> dict[str, Any]:
    text = environ.get("PROXY_CONFIG", "")
    if not text.strip():
        return {}
    import yaml  # few processes have the variable

    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise BootstrapError(f"PROXY_CONFIG is not JSON or YAML: {str(error).splitlines()[0]}") from error
    if not isinstance(value, dict):
        raise BootstrapError("PROXY_CONFIG is not an object")
    return value


def _node(environ: Mapping[str, str], proxy_config: Mapping[str, Any], root: Path) -> Node:
    set_by_mesh = proxy_config.get("proxyMetadata") or {}
    if not isinstance(set_by_mesh, dict):
        raise BootstrapError("PROXY_CONFIG: proxyMetadata is not an object")
    meta = {**_istio_meta(set_by_mesh), **_istio_meta(environ)}
    labels = {**_downward(root / LABELS_FILE.lstrip("/")), **_mapping(meta.pop("LABELS", {}), "ISTIO_METAJSON_LABELS")}
    annotations = _downward(root / ANNOTATIONS_FILE.lstrip("/"))
    if annotations:
        meta.setdefault("ANNOTATIONS", annotations)
    namespace = environ.get("POD_NAMESPACE") or _text(root / NAMESPACE_FILE.lstrip("/")) or "default"
    cluster_id = str(meta.pop("CLUSTER_ID", "Kubernetes"))
    domain = str(environ.get("DOMAIN_SUFFIX") or "cluster.local")
    region, zone, sub_zone = (labels.get(each, "") for each in LOCALITY_LABELS)
    said = environ.get("PROXYLESS_LOCALITY", "")
    if said.count("/") > 2:
        raise BootstrapError(f"PROXYLESS_LOCALITY: locality {said!r} is not region/zone/sub_zone")
    app = labels.get("app", "") or labels.get("app.kubernetes.io/name", "")
    if environ.get("PROXYLESS_APP"):
        app = environ["PROXYLESS_APP"]
    return Node(
        app=app,
        namespace=namespace,
        ip=environ.get("INSTANCE_IP") or environ.get("POD_IP") or "",
        pod=environ.get("POD_NAME", ""),
        service_account=environ.get("SERVICE_ACCOUNT", ""),
        labels=labels,
        locality=said or (region, zone, sub_zone),
        metadata=meta,
        cluster_id=cluster_id,
        domain=domain,
    )


def _istio_meta(values: Mapping[str, Any]) -> dict[str, Any]:
    """ISTIO_META_X becomes X; ISTIO_METAJSON_X is an object whose keys are merged under X."""
    meta: dict[str, Any] = {}
    for name, value in values.items():
        if name.startswith("ISTIO_METAJSON_"):
            try:
                meta[name.removeprefix("ISTIO_METAJSON_")] = json.loads(str(value))
            except ValueError as error:
                raise BootstrapError(f"{name} is not JSON: {error}") from error
        elif name.startswith("ISTIO_META_"):
            meta[name.removeprefix("ISTIO_META_")] = str(value)
    return meta


def _mapping(value: Any, what: str) -> dict[str, str]:
    if not isinstance(value, dict):
        raise BootstrapError(f"{what} is not an object")
    return {str(key): str(each) for key, each in value.items()}


def _downward(path: Path) -> dict[str, str]:
    """A file of the downward API: `key="value"` a line, the value quoted as Go quotes."""
    found: dict[str, str] = {}
    for line in _text(path).splitlines():
        key, mark, value = line.partition("=")
        if not mark:
            continue
        try:
            found[key] = str(json.loads(value))
        except ValueError:
            found[key] = value.strip('"')
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return ""
