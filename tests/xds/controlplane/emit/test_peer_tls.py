"""PeerAuthentication: which chains a port has, and what those that end mTLS ask of a peer."""

from __future__ import annotations

from typing import Any

import pytest

from tests.xds.controlplane.emit.inbound import MANAGER, ROOT, chains, node
from tests.xds.controlplane.support import istio, mesh, view

TLS, RAW = "tls", "raw_buffer"
ALL = ["istio", "istio-peer-exchange", "istio-http/1.0", "istio-http/1.1", "istio-h2"]
MESH_HTTP = ["istio-http/1.0", "istio-http/1.1", "istio-h2"]
SNIFFED = ["http/1.1", "h2c"]
Way = tuple[str, list[str], bool, bool]


def peers(mode: str, rest: str = "", name: str = "p", **meta: Any) -> str:
    return istio("PeerAuthentication", name, f"{{mtls: {{mode: {mode}}}{rest}}}", **meta)


def ways(text: str, port: int) -> list[Way]:
    """Transport, ALPN, whether it is HTTP, whether mTLS ends there."""
    out: list[Way] = []
    for chain in chains(node(text), port):
        match = chain["filter_chain_match"]
        http = chain["filters"][-1]["name"] == MANAGER
        out.append(
            (match["transport_protocol"], match.get("application_protocols", []), http, "transport_socket" in chain)
        )
    return out


@pytest.mark.parametrize(
    ("mode", "port", "expected"),
    [
        ("STRICT", 8080, [(TLS, [], True, True)]),
        ("STRICT", 9090, [(TLS, [], False, True)]),
        ("STRICT", 0, [(TLS, MESH_HTTP, True, True), (TLS, [], False, True)]),
        ("PERMISSIVE", 8080, [(TLS, ALL, True, True), (RAW, [], True, False)]),
        ("PERMISSIVE", 9090, [(TLS, ALL, False, True), (TLS, [], False, False), (RAW, [], False, False)]),
        (
            "PERMISSIVE",
            0,
            [
                (TLS, MESH_HTTP, True, True),
                (RAW, SNIFFED, True, False),
                (TLS, ["istio-peer-exchange", "istio"], False, True),
                (RAW, [], False, False),
                (TLS, [], False, False),
            ],
        ),
        ("DISABLE", 8080, [(RAW, [], True, False)]),
        ("DISABLE", 9090, [(RAW, [], False, False)]),
        ("DISABLE", 0, [(RAW, SNIFFED, True, False), (RAW, [], False, False)]),
    ],
)
def test_each_mode_has_its_chains(mode: str, port: int, expected: list[Way]) -> None:
    assert ways(peers(mode), port) == expected


STRICT: list[Way] = [(TLS, [], True, True)]
PLAIN: list[Way] = [(RAW, [], True, False)]
OLD, NEW = "2025-01-01T00:00:00Z", "2026-01-01T00:00:00Z"
SELECTED = ", selector: {matchLabels: {app: web}}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (peers("STRICT", namespace=ROOT), STRICT),
        (peers("STRICT", namespace=ROOT) + peers("DISABLE"), PLAIN),
        (peers("STRICT", namespace=ROOT) + peers("UNSET"), STRICT),
        (peers("DISABLE") + peers("STRICT", SELECTED, "own"), STRICT),
        (peers("STRICT") + peers("DISABLE", ", selector: {matchLabels: {app: other}}", "own"), STRICT),
        (peers("STRICT") + peers("UNSET", SELECTED + ", portLevelMtls: {8080: {mode: DISABLE}}", "own"), PLAIN),
        (peers("STRICT") + peers("UNSET", SELECTED + ", portLevelMtls: {8080: {mode: UNSET}}", "own"), STRICT),
        (peers("DISABLE", SELECTED, "b") + peers("STRICT", SELECTED, "a"), STRICT),
        (
            peers("DISABLE", SELECTED, "b", creationTimestamp="2025-01-01T00:00:00Z") + peers("STRICT", SELECTED, "a"),
            PLAIN,  # without a time it is new
        ),
        (peers("STRICT", SELECTED, "root", namespace=ROOT) + peers("DISABLE"), PLAIN),
    ],
)
def test_the_narrowest_policy_that_says_a_mode_counts(text: str, expected: list[Way]) -> None:
    assert ways(text, 8080) == expected


def test_a_port_that_no_service_declares_has_chains_where_a_policy_names_it() -> None:
    text = peers("STRICT", SELECTED + ", portLevelMtls: {7000: {mode: DISABLE}}")
    assert ways(text, 7000) == [(RAW, SNIFFED, True, False), (RAW, [], False, False)]
    assert [each["name"] for each in chains(node(text), 7000)] == ["virtualInbound-catchall-http", "virtualInbound"]


# -- what is asked of a peer -----------------------------------------------------------------------------------------


def context(text: str = "", port: int = 8080, **metadata: Any) -> Any:
    (first, *_) = chains(node(text, **metadata), port)
    return first["transport_socket"]["typed_config"]


def source(server: str = "sds-grpc", *, named: bool = False) -> dict[str, Any]:
    made = {
        "api_config_source": {
            "api_type": "GRPC",
            "grpc_services": [{"envoy_grpc": {"cluster_name": server}}],
            "set_node_on_first_message_only": True,
            "transport_api_version": "V3",
        },
        "resource_api_version": "V3",
    }
    return made if named else made | {"initial_fetch_timeout": "0s"}


def test_a_peer_shows_a_certificate_of_the_mesh() -> None:
    found = context()
    common = found["common_tls_context"]
    assert found["require_client_certificate"] is True
    assert common["alpn_protocols"] == ["h2", "http/1.1"]
    assert context(port=9090)["common_tls_context"]["alpn_protocols"] == ["istio-peer-exchange", "h2", "http/1.1"]
    assert common["tls_certificate_sds_secret_configs"] == [{"name": "default", "sds_config": source()}]
    assert common["combined_validation_context"] == {
        "default_validation_context": {"match_subject_alt_names": [{"prefix": "spiffe://cluster.local/"}]},
        "validation_context_sds_secret_config": {"name": "ROOTCA", "sds_config": source()},
    }


def test_the_mesh_says_versions_ciphers_and_trust_domains() -> None:
    common = context(
        mesh(
            """
            meshMTLS: {minProtocolVersion: TLSV1_3, cipherSuites: [AES128-GCM-SHA256]}
            trustDomain: td
            trustDomainAliases: [old, td]
            caCertificates: [{pem: x, trustDomains: [far, old]}]
            """
        )
    )["common_tls_context"]
    assert common["tls_params"] == {
        "tls_minimum_protocol_version": "TLSv1_3",
        "tls_maximum_protocol_version": "TLSv1_3",
        "cipher_suites": ["AES128-GCM-SHA256"],
    }
    names = common["combined_validation_context"]["default_validation_context"]["match_subject_alt_names"]
    assert [each["prefix"] for each in names] == ["spiffe://td/", "spiffe://old/", "spiffe://far/"]


FILES: dict[str, Any] = {
    "TLS_SERVER_CERT_CHAIN": "/c.pem",
    "TLS_SERVER_KEY": "/k.pem",
    "TLS_SERVER_ROOT_CERT": "/r.pem",
}


@pytest.mark.parametrize(("own", "server"), [({}, "sds-grpc"), ({"file-credential": "true"}, "sds-files-grpc")])
def test_a_workload_may_have_certificates_in_files(own: dict[str, Any], server: str) -> None:
    common = context(**FILES, **own)["common_tls_context"]
    held = source(server, named=True)
    assert common["tls_certificate_sds_secret_configs"] == [{"name": "file-cert:/c.pem~/k.pem", "sds_config": held}]
    root = common["combined_validation_context"]["validation_context_sds_secret_config"]
    assert root == {"name": "file-root:/r.pem", "sds_config": held}


def test_a_certificate_without_a_key_is_none() -> None:
    common = context(TLS_SERVER_CERT_CHAIN="/c.pem")["common_tls_context"]
    assert common["tls_certificate_sds_secret_configs"] == [{"name": "default", "sds_config": source()}]


def test_a_workload_without_services_has_the_chains_of_all_other_ports() -> None:
    text = peers("STRICT", namespace="bank")
    assert [each["name"] for each in chains(view(text, namespace="bank"), 0)] == [
        "virtualInbound-catchall-http",
        "virtualInbound",
    ]
