"""Where an Istio agent would find a certificate, found in the same order."""

from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path

import pytest

from proxyless.xds.identity.bootstrap import DEFAULT_TOKEN, PLAINTEXT_TOKEN, Bootstrap, BootstrapError, Node
from proxyless.xds.identity.environment import from_environment
from proxyless.xds.identity.finding import find
from proxyless.xds.identity.settings import FromAuthority, FromFiles, FromSocket, KeyKind

NODE = Node(app="front", namespace="shop", service_account="front", cluster_id="east")
ISTIOD = Bootstrap(
    "istiod.istio-system.svc:15012", NODE, True, "/root.pem", "/var/run/secrets/tokens/istio-token", "east"
)


def authority(environ: dict[str, str], root: Path, bootstrap: Bootstrap = ISTIOD) -> FromAuthority:
    found = find(bootstrap, environ, root)
    assert isinstance(found, FromAuthority)
    return found


def put(root: Path, *paths: str) -> None:
    for each in paths:
        path = root / each.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")


def test_istiod_gives_certificates_to_who_has_a_token(tmp_path: Path) -> None:
    assert find(ISTIOD, {}, tmp_path) == FromAuthority(
        "istiod.istio-system.svc:15012",
        "spiffe://cluster.local/ns/shop/sa/front",
        root_cert="/root.pem",
        token_file="/var/run/secrets/tokens/istio-token",
        cluster_id="east",
    )
    assert find(replace(ISTIOD, token_file=""), {}, tmp_path) is None
    assert find(replace(ISTIOD, tls=False, token_file=""), {}, tmp_path) is None
    assert find(ISTIOD, {"PROXYLESS_IDENTITY": "none"}, tmp_path) is None


def test_the_variables_of_an_agent_are_read(tmp_path: Path) -> None:
    environ = {
        "CA_ADDR": "ca.example:443",
        "CA_ROOT_CA": "SYSTEM",
        "TRUST_DOMAIN": "corp.example",
        "SECRET_TTL": "1h30m",
        "SECRET_GRACE_PERIOD_RATIO": "0.3",
        "SECRET_GRACE_PERIOD_RATIO_JITTER": "0",
        "ISTIO_META_CERT_SIGNER": "signer",
        "CA_HEADER_X-Extra": "yes",
        "ECC_SIGNATURE_ALGORITHM": "ECDSA",
        "ECC_CURVE": "P384",
        "ISTIOD_SAN": "istiod",
    }
    assert authority(environ, tmp_path) == FromAuthority(
        "ca.example:443",
        "spiffe://corp.example/ns/shop/sa/front",
        token_file=ISTIOD.token_file,
        cluster_id="east",
        key=KeyKind("EC", "P384", pkcs8=False),
        ttl_s=5400,
        grace_ratio=0.3,
        grace_jitter=0,
        signer="signer",
        headers={"X-Extra": "yes"},
    )
    assert authority({"ISTIOD_SAN": "istiod"}, tmp_path).server_name == "istiod"


@pytest.mark.parametrize(
    ("environ", "key"),
    [
        ({}, KeyKind()),
        ({"WORKLOAD_RSA_KEY_SIZE": "4096"}, KeyKind("RSA", size=4096, pkcs8=False)),
        ({"WORKLOAD_RSA_KEY_SIZE": "2048", "PKCS8_KEY": "true"}, KeyKind("RSA", pkcs8=True)),
        ({"ECC_SIGNATURE_ALGORITHM": "ECDSA", "PKCS8_KEY": "true"}, KeyKind("EC")),
    ],
)
def test_kinds_of_keys(tmp_path: Path, environ: dict[str, str], key: KeyKind) -> None:
    assert authority(environ, tmp_path).key == key


@pytest.mark.parametrize(
    "environ",
    [
        {"CA_ADDR": "ca"},
        {"SECRET_TTL": "soon"},
        {"SECRET_TTL": "10ms"},
        {"SECRET_GRACE_PERIOD_RATIO": "2"},
        {"SECRET_GRACE_PERIOD_RATIO_JITTER": "x"},
        {"ECC_SIGNATURE_ALGORITHM": "EdDSA"},
        {"ECC_CURVE": "P1"},
        {"WORKLOAD_RSA_KEY_SIZE": "512"},
        {"PROXYLESS_IDENTITY": "maybe"},
        {"SPIFFE_ENDPOINT_SOCKET": "tcp://127.0.0.1:1"},
        {"WORKLOAD_IDENTITY_SOCKET_FILE": "../socket"},
        {"PROV_CERT": "/etc/certs", "FILE_MOUNTED_CERTS": "true"},
    ],
)
def test_what_makes_no_sense_is_named(tmp_path: Path, environ: dict[str, str]) -> None:
    with pytest.raises(BootstrapError, match=next(iter(environ))):
        find(ISTIOD, environ, tmp_path)


def test_roots_of_the_authority(tmp_path: Path) -> None:
    def root(environ: dict[str, str]) -> str:
        return authority(environ, tmp_path).root_cert.removeprefix(str(tmp_path))

    assert root({}) == "/root.pem"
    assert root({"CA_ROOT_CA": "/ca.pem"}) == "/ca.pem"
    assert root({"PILOT_CERT_PROVIDER": "custom"}) == "/etc/certs/root-cert.pem"
    assert root({"PROV_CERT": "/prov"}) == "/prov/root-cert.pem"
    found = authority({"PROV_CERT": "/prov"}, tmp_path, replace(ISTIOD, token_file=""))
    assert (found.own_chain, found.own_key) == ("/prov/cert-chain.pem", "/prov/key.pem")


def test_an_authority_of_its_own_beside_a_control_plane_without_tls(tmp_path: Path) -> None:
    plain = replace(ISTIOD, tls=False, token_file="")
    put(tmp_path, ISTIOD.token_file)
    found = authority({"CA_ADDR": "ca.example:443"}, tmp_path, plain)
    assert (found.address, found.tls, found.token_file) == ("ca.example:443", True, ISTIOD.token_file)
    plaintext = authority({"CA_ADDR": "istiod:15010"}, tmp_path, plain)
    assert (plaintext.tls, plaintext.token_in_the_clear) == (False, False)


@pytest.mark.parametrize(
    ("environ", "sent"),
    [
        ({"CA_ADDR": "istiod:15010"}, False),
        ({"CA_ADDR": "istiod:15010", "PROXYLESS_TOKEN_FILE": "/token"}, True),
        ({"PROXYLESS_XDS": "xds://istiod", "CA_ADDR": "istiod:15010", "PROXYLESS_TOKEN_FILE": "/token"}, True),
        ({"PROXYLESS_XDS": "xds://istiod", "CA_ADDR": "istiod:15010"}, False),
        ({"PILOT_DISCOVERY_ADDRESS": "istiod:15010", "CA_ADDR": "a:15010", "PROXYLESS_TOKEN_FILE": "/token"}, True),
    ],
)
def test_a_token_goes_in_the_clear_only_where_its_file_is_named(
    tmp_path: Path, environ: dict[str, str], sent: bool
) -> None:
    put(tmp_path, DEFAULT_TOKEN)
    bootstrap = from_environment(environ, tmp_path)
    found = bootstrap.identity
    assert isinstance(found, FromAuthority)
    assert (found.tls, found.token_in_the_clear) == (False, sent)
    warned = [each for each in bootstrap.warnings if f"{found.said}: {PLAINTEXT_TOKEN}" == each]
    assert len(warned) == (1 if sent else 0)


def test_files_come_before_sockets_and_sockets_before_the_authority(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uds = tmp_path / "var/run/secrets/workload-spiffe-uds"
    uds.mkdir(parents=True)
    assert isinstance(find(ISTIOD, {}, tmp_path), FromAuthority)
    put(tmp_path, "/etc/certs/cert-chain.pem", "/etc/certs/key.pem")
    assert find(ISTIOD, {}, tmp_path) == FromFiles(
        *(f"{tmp_path}/etc/certs/{each}" for each in ("cert-chain.pem", "key.pem", "root-cert.pem"))
    )
    with socket.socket(socket.AF_UNIX) as listening:
        monkeypatch.chdir(uds)  # a socket's whole path may be too long
        listening.bind("socket")
        assert find(ISTIOD, {}, tmp_path) == FromSocket(str(uds / "socket"))
        folder = "/var/run/secrets/workload-spiffe-credentials"
        put(tmp_path, f"{folder}/certificates.pem", f"{folder}/private_key.pem")
        assert isinstance(find(ISTIOD, {}, tmp_path), FromSocket)
        found = find(ISTIOD, {"CA_PROVIDER": "GkeWorkloadCertificate"}, tmp_path)
        assert isinstance(found, FromFiles)
        assert found.roots == f"{tmp_path}{folder}/ca_certificates.pem"


def test_sockets_and_files_that_are_named(tmp_path: Path) -> None:
    assert find(ISTIOD, {"SPIFFE_ENDPOINT_SOCKET": "unix:///run/spire/agent.sock"}, tmp_path) == FromSocket(
        f"{tmp_path}/run/spire/agent.sock"
    )
    assert find(ISTIOD, {"WORKLOAD_IDENTITY_SOCKET_FILE": "spire"}, tmp_path) == FromSocket(
        f"{tmp_path}/var/run/secrets/workload-spiffe-uds/spire"
    )
    found = find(ISTIOD, {"FILE_MOUNTED_CERTS": "true"}, tmp_path)
    assert isinstance(found, FromFiles)
    put(tmp_path, "/data/cert-chain.pem", "/data/key.pem")
    assert find(ISTIOD, {"OUTPUT_CERTS": "/data"}, tmp_path) == FromFiles(
        *(f"{tmp_path}/data/{each}" for each in ("cert-chain.pem", "key.pem", "root-cert.pem"))
    )


def test_the_account_is_read_from_the_token_where_nothing_says_it(tmp_path: Path) -> None:
    token = tmp_path / "token"
    bootstrap = replace(ISTIOD, node=replace(NODE, service_account=""), token_file=str(token))
    assert authority({}, tmp_path, bootstrap).identity == "spiffe://cluster.local/ns/shop/sa/default"
    token.write_text("h.eyJzdWIiOiAic3lzdGVtOnNlcnZpY2VhY2NvdW50OmJhbms6bGVkZ2VyIn0.s")
    assert authority({}, tmp_path, bootstrap).identity == "spiffe://cluster.local/ns/bank/sa/ledger"


def test_the_environment_brings_it_to_the_bootstrap(tmp_path: Path) -> None:
    put(tmp_path, "/var/run/secrets/tokens/istio-token", "/var/run/secrets/istio/root-cert.pem")
    found = from_environment({"POD_NAMESPACE": "shop", "SERVICE_ACCOUNT": "front"}, tmp_path).identity
    assert isinstance(found, FromAuthority)
    assert found.identity == "spiffe://cluster.local/ns/shop/sa/front"
    assert found.root_cert == "/var/run/secrets/istio/root-cert.pem"
    assert from_environment({"PROXYLESS_XDS": "xds://127.0.0.1:15010"}, tmp_path).identity is None
