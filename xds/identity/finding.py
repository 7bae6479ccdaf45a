"""Where an Istio agent in this place would get the workload's certificate, found as it finds it.

First what somebody else provides: certificate files at the well-known places, an agent's or SPIRE's socket. Else the
authority, if there is a token (or certificates of provisioning) to prove oneself to it with.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

from .bearer import account_of_token
from .bootstrap import DEFAULT_TOKEN, Bootstrap, BootstrapError
from .settings import DAY_S, FromAuthority, FromFiles, FromSocket, IdentitySettings, KeyKind

CERTIFICATES = "/etc/certs"
CREDENTIALS = "/var/run/secrets/workload-spiffe-credentials"
SOCKETS = "/var/run/secrets/workload-spiffe-uds"
NAMES = ("cert-chain.pem", "key.pem", "root-cert.pem")
GKE_NAMES = ("certificates.pem", "private_key.pem", "ca_certificates.pem")
SYSTEM = "SYSTEM"
SWITCH = "PROXYLESS_IDENTITY"
DEFAULT_DOMAIN = "cluster.local"

_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ms|h|m|s)")
_UNITS_S = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


def find(bootstrap: Bootstrap, environ: Mapping[str, str], root: Path) -> IdentitySettings | None:
    """Where the certificate comes from; None: nothing of the kind is there.

    Raises:
        BootstrapError: a variable has a value that makes no sense.
    """
    said = environ.get(SWITCH, "")
    if said not in ("", "none"):
        raise BootstrapError(f"{SWITCH} {said!r}: it may say `none`, or nothing")
    if said:
        return None
    provided = environ.get("PROV_CERT", "")
    if provided and _flag(environ, "FILE_MOUNTED_CERTS"):
        raise BootstrapError("PROV_CERT and FILE_MOUNTED_CERTS exclude each other")
    return (
        files(CREDENTIALS, GKE_NAMES if environ.get("CA_PROVIDER") == "GkeWorkloadCertificate" else NAMES, root)
        or _socket(environ, root)
        or _mounted(environ, root)
        or authority(bootstrap, environ, root)
    )


def files(folder: str, names: tuple[str, str, str], root: Path) -> FromFiles | None:
    """The files of a folder, if chain and key are there."""
    chain, key, roots = (f"{folder.rstrip('/')}/{each}" for each in names)
    if not all(_there(root, each).is_file() for each in (chain, key)):
        return None
    return FromFiles(str(_there(root, chain)), str(_there(root, key)), str(_there(root, roots)))


def _mounted(environ: Mapping[str, str], root: Path) -> FromFiles | None:
    """What an agent wrote, or somebody mounted, before this process began."""
    folders = [CERTIFICATES, *filter(None, [environ.get("OUTPUT_CERTS")])]
    found = next(filter(None, (files(each, NAMES, root) for each in folders)), None)
    if found is None and _flag(environ, "FILE_MOUNTED_CERTS"):
        # They are expected: their absence is an error of the identity, not a reason to have none.
        return FromFiles(*(str(_there(root, f"{CERTIFICATES}/{each}")) for each in NAMES))
    return found


def _socket(environ: Mapping[str, str], root: Path) -> FromSocket | None:
    said = environ.get("SPIFFE_ENDPOINT_SOCKET", "")
    if said:
        if not said.startswith("unix:"):
            raise BootstrapError(f"SPIFFE_ENDPOINT_SOCKET {said!r} is no unix: address")
        return FromSocket(str(_there(root, re.sub(r"^unix:(//)?", "", said))))
    name = environ.get("WORKLOAD_IDENTITY_SOCKET_FILE", "")
    if "/" in name:
        raise BootstrapError(f"WORKLOAD_IDENTITY_SOCKET_FILE {name!r} is a file's name, not a path")
    path = _there(root, f"{SOCKETS}/{name or 'socket'}")
    return FromSocket(str(path)) if name or path.is_socket() else None


def authority(bootstrap: Bootstrap, environ: Mapping[str, str], root: Path) -> FromAuthority | None:
    """The certificate authority, if there is something to prove oneself to it with."""
    provided = environ.get("PROV_CERT", "")
    address = environ.get("CA_ADDR", "")
    token, named = bootstrap.token_file, environ.get("PROXYLESS_TOKEN_FILE", "")
    if not token and address and not bootstrap.tls:  # nobody else needs it where the control plane has no TLS
        token = named or (DEFAULT_TOKEN if _there(root, DEFAULT_TOKEN).exists() else "")
    if not (token or provided) or not (bootstrap.tls or address):
        return None
    settings = from_bootstrap(replace(bootstrap, token_file=token), environ.get("TRUST_DOMAIN") or DEFAULT_DOMAIN)
    root_cert = environ.get("CA_ROOT_CA", "")
    if not root_cert:
        custom = environ.get("PILOT_CERT_PROVIDER") == "custom"
        folder = CERTIFICATES if custom else provided
        root_cert = str(_there(root, f"{folder}/root-cert.pem")) if folder else bootstrap.root_cert
    if address:
        host, _, port = address.rpartition(":")
        if not host or not port.isdigit():
            raise BootstrapError(f"CA_ADDR {address!r} is not host:port")
    return replace(
        settings,
        address=address or settings.address,
        tls=not (address or settings.address).endswith(":15010"),
        root_cert="" if root_cert == SYSTEM else root_cert,
        key=_key(environ),
        ttl_s=_duration(environ, "SECRET_TTL", DAY_S),
        grace_ratio=_number(environ, "SECRET_GRACE_PERIOD_RATIO", 0.5),
        grace_jitter=_number(environ, "SECRET_GRACE_PERIOD_RATIO_JITTER", 0.01),
        server_name="" if address else environ.get("ISTIOD_SAN", ""),
        signer=environ.get("ISTIO_META_CERT_SIGNER", ""),
        headers={
            name.removeprefix("CA_HEADER_"): value for name, value in environ.items() if name.startswith("CA_HEADER_")
        },
        own_chain=f"{provided}/cert-chain.pem" if provided else "",
        own_key=f"{provided}/key.pem" if provided else "",
        token_in_the_clear=bool(named) and token == named,
    )


def from_bootstrap(bootstrap: Bootstrap, domain: str = DEFAULT_DOMAIN) -> FromAuthority:
    """The authority beside a control plane: istiod is both."""
    node = bootstrap.node
    namespace, account = node.namespace, node.service_account
    if not account and bootstrap.token_file:
        namespace, account = account_of_token(bootstrap.token_file) or (namespace, account)
    return FromAuthority(
        bootstrap.address,
        f"spiffe://{domain}/ns/{namespace}/sa/{account or 'default'}",
        tls=bootstrap.tls,
        root_cert=bootstrap.root_cert,
        token_file=bootstrap.token_file,
        cluster_id=bootstrap.cluster_id or node.cluster_id,
    )


def _key(environ: Mapping[str, str]) -> KeyKind:
    algorithm, curve = environ.get("ECC_SIGNATURE_ALGORITHM", ""), environ.get("ECC_CURVE") or "P256"
    if algorithm not in ("", "ECDSA"):
        raise BootstrapError(f"ECC_SIGNATURE_ALGORITHM {algorithm!r}: only ECDSA is known")
    if curve not in ("P256", "P384"):
        raise BootstrapError(f"ECC_CURVE {curve!r}: P256 and P384 are known")
    size = environ.get("WORKLOAD_RSA_KEY_SIZE", "")
    if size and not (size.isdigit() and 2048 <= int(size) <= 16384):
        raise BootstrapError(f"WORKLOAD_RSA_KEY_SIZE {size!r}: 2048 to 16384 bits")
    # An agent makes RSA keys unless it is told to use ECDSA; here their size has to be said for that.
    kind: Literal["EC", "RSA"] = "RSA" if size and not algorithm else "EC"
    pkcs8 = (not size and not algorithm) or _flag(environ, "PKCS8_KEY")
    return KeyKind(kind, "P384" if curve == "P384" else "P256", int(size or 2048), pkcs8)


def _duration(environ: Mapping[str, str], name: str, default: float) -> float:
    """As Go writes it: `24h`, `1h30m`, `90s`."""
    text = environ.get(name, "")
    if not text:
        return default
    parts = _DURATION.findall(text)
    total = sum(float(number) * _UNITS_S[unit] for number, unit in parts)
    if "".join(map("".join, parts)) != text or total < 1:
        raise BootstrapError(f"{name} {text!r} is no duration of a second or more, such as 24h or 90s")
    return total


def _number(environ: Mapping[str, str], name: str, default: float) -> float:
    text = environ.get(name, "")
    try:
        value = float(text) if text else default
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise BootstrapError(f"{name} {text!r} is no number from 0 to 1")
    return value


def _flag(environ: Mapping[str, str], name: str) -> bool:
    return environ.get(name, "").lower() in ("1", "t", "true")


def _there(root: Path, path: str) -> Path:
    return root / path.lstrip("/")
