"""`tls` and `proxyProtocol` of DestinationRules: sockets, secrets, and the server's name."""

from __future__ import annotations

from typing import Any

import pytest

from tests.xds.controlplane.emit.traffic import HOST, Json, cluster, clusters, parsed, rule
from tests.xds.controlplane.support import istio, service

PARAMS = {"tls_minimum_protocol_version": "TLSv1_2", "tls_maximum_protocol_version": "TLSv1_3"}
SELECTED = "{workloadSelector: {matchLabels: {app: client}}}"
CLIENT: dict[str, Any] = {"labels": {"app": "client"}}
OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def context(made: Json) -> Json:
    found: Json = made["transport_socket"]["typed_config"]
    return found


def agent(name: str, cluster: str = "sds-grpc", *, endless: bool = False) -> Json:
    source: Json = {
        "api_config_source": {
            "api_type": "GRPC",
            "transport_api_version": "V3",
            "set_node_on_first_message_only": True,
            "grpc_services": [{"envoy_grpc": {"cluster_name": cluster}}],
        },
        "resource_api_version": "V3",
    }
    if endless:
        source["initial_fetch_timeout"] = "0s"
    return {"name": name, "sds_config": source}


def by_istiod(name: str) -> Json:
    return {"name": name, "sds_config": {"ads": {}, "resource_api_version": "V3"}}


def test_files_are_fetched_from_the_agent_and_a_missing_one_holds_nothing_up() -> None:
    made = cluster("{tls: {mode: MUTUAL, clientCertificate: /c, privateKey: /k, caCertificates: /ca, caCrl: /crl}}")
    assert context(made)["common_tls_context"] == {
        "tls_params": PARAMS,
        "tls_certificate_sds_secret_configs": [agent("file-cert:/c~/k")],
        "combined_validation_context": {
            "default_validation_context": {"crl": {"filename": "/crl"}},
            "validation_context_sds_secret_config": agent("file-root:/ca"),
        },
    }


def test_the_meshs_own_certificates_are_waited_for() -> None:
    common = context(cluster("{tls: {mode: ISTIO_MUTUAL}}"))["common_tls_context"]
    assert common["tls_certificate_sds_secret_configs"] == [agent("default", endless=True)]
    combined = common["combined_validation_context"]
    assert combined["validation_context_sds_secret_config"] == agent("ROOTCA", endless=True)


def test_without_a_ca_the_systems_counts_and_the_servers_name_is_the_requests() -> None:
    made = cluster("{tls: {mode: SIMPLE}}")
    combined = context(made)["common_tls_context"]["combined_validation_context"]
    assert combined["validation_context_sds_secret_config"] == agent("file-root:system")
    upstream = made["typed_extension_protocol_options"][OPTIONS]["upstream_http_protocol_options"]
    assert upstream == {"auto_sni": True, "auto_san_validation": True}


@pytest.mark.parametrize(
    ("tls", "expected"),
    [
        ("sni: a.example.com", None),
        ("subjectAltNames: [b]", {"auto_sni": True}),
        ("insecureSkipVerify: true", {"auto_sni": True}),
    ],
)
def test_what_the_rule_says_is_not_taken_from_the_request(tls: str, expected: Json | None) -> None:
    made = cluster(f"{{tls: {{mode: SIMPLE, {tls}}}}}")
    options = made.get("typed_extension_protocol_options", {}).get(OPTIONS, {})
    assert options.get("upstream_http_protocol_options") == expected
    assert context(made).get("sni", "") == ("a.example.com" if "sni" in tls else "")
    if "insecure" in tls:
        assert context(made)["common_tls_context"]["validation_context"] == {}


@pytest.mark.parametrize("mode", ["SIMPLE", "MUTUAL"])
def test_secrets_by_name_are_for_workloads_that_a_selector_picks(mode: str) -> None:
    policy = f"{{tls: {{mode: {mode}, credentialName: mine, subjectAltNames: [a]}}}}"
    assert "transport_socket" not in cluster(policy, **CLIENT)
    common = context(cluster(policy, rest=SELECTED, **CLIENT))["common_tls_context"]
    expected: Json = {
        "tls_params": PARAMS,
        "combined_validation_context": {
            "default_validation_context": {"match_subject_alt_names": [{"exact": "a"}]},
            "validation_context_sds_secret_config": by_istiod("kubernetes://mine-cacert"),
        },
    }
    if mode == "MUTUAL":
        expected["tls_certificate_sds_secret_configs"] = [by_istiod("kubernetes://mine")]
    assert common == expected


def test_a_certificate_in_a_config_map_is_for_anyone() -> None:
    common = context(cluster("{tls: {mode: SIMPLE, credentialName: 'configmap://shop/ca'}}"))["common_tls_context"]
    secret = common["combined_validation_context"]["validation_context_sds_secret_config"]
    assert secret == by_istiod("configmap://shop/ca-cacert")


def test_who_verifies_nobody_needs_no_root() -> None:
    policy = "{tls: {mode: MUTUAL, credentialName: mine, insecureSkipVerify: true}}"
    common = context(cluster(policy, rest=SELECTED, **CLIENT))["common_tls_context"]
    assert common == {"tls_params": PARAMS, "tls_certificate_sds_secret_configs": [by_istiod("kubernetes://mine")]}


@pytest.mark.parametrize(
    ("name", "metadata", "expected"),
    [
        ("sds://mine", {}, by_istiod("kubernetes://mine-cacert")),
        ("sds://mine", {"credential": "true"}, agent("sds://mine-cacert", "sds-external")),
        ("builtin://", {}, agent("ROOTCA", endless=True)),
        ("kubernetes-gateway://a/b", {}, by_istiod("kubernetes-gateway://a/b-cacert")),
    ],
)
def test_a_credentials_name_says_who_has_it(name: str, metadata: Json, expected: Json) -> None:
    made = cluster(f"{{tls: {{mode: SIMPLE, credentialName: '{name}'}}}}", rest=SELECTED, **CLIENT, **metadata)
    combined = context(made)["common_tls_context"]["combined_validation_context"]
    assert combined["validation_context_sds_secret_config"] == expected


def test_a_socket_of_secrets_beside_the_proxy_is_a_cluster() -> None:
    assert "sds-external" not in clusters("")
    assert clusters("", credential="true")["sds-external"] == parsed(
        f"""
        name: sds-external
        type: STATIC
        connect_timeout: 10s
        alt_stat_name: sds-external;
        load_assignment:
          cluster_name: sds-external
          endpoints:
          - lb_endpoints:
            - endpoint: {{address: {{pipe: {{path: ./var/run/secrets/credential-uds/socket}}}}}}
        typed_extension_protocol_options:
          {OPTIONS}:
            '@type': type.googleapis.com/{OPTIONS}
            explicit_http_config: {{http2_protocol_options: {{}}}}
        """
    )


APART: dict[str, Any] = {"file-credential": "true"}


def test_files_may_be_read_by_a_server_of_their_own() -> None:
    made = cluster("{tls: {mode: SIMPLE, caCertificates: /ca}}", **APART)
    combined = context(made)["common_tls_context"]["combined_validation_context"]
    assert combined["validation_context_sds_secret_config"] == agent("file-root:/ca", "sds-files-grpc")


OWN: dict[str, Any] = {"TLS_CLIENT_CERT_CHAIN": "/own", "TLS_CLIENT_KEY": "/ownkey", "TLS_CLIENT_ROOT_CERT": "/ownca"}
EXTERNAL = istio(
    "ServiceEntry",
    "out",
    "{hosts: [out.example.com], location: MESH_EXTERNAL, resolution: STATIC, endpoints: [{address: 10.9.0.1}], "
    "ports: [{number: 80, name: http, protocol: HTTP}]}",
)


def certificate(made: Json) -> str:
    (secret,) = context(made)["common_tls_context"]["tls_certificate_sds_secret_configs"]
    return str(secret["name"])


def test_a_proxys_own_certificates_take_the_place_of_the_meshs() -> None:
    policy = "{tls: {mode: %s, clientCertificate: /c, privateKey: /k}}"
    assert certificate(cluster("{tls: {mode: ISTIO_MUTUAL}}", **OWN)) == "file-cert:/own~/ownkey"
    assert certificate(cluster(policy % "MUTUAL", **OWN)) == "file-cert:/own~/ownkey"
    out = cluster(policy % "MUTUAL", host="out.example.com", extra=EXTERNAL, **OWN)
    assert certificate(out) == "file-cert:/c~/k"
    assert "transport_socket" not in cluster("{tls: {mode: DISABLE}}", **OWN)
    # Where nobody chose they are offered to all endpoints alike.
    automatic = clusters("", **OWN)[f"outbound|80||{HOST}"]
    assert "transport_socket_matches" not in automatic
    assert context(automatic)["sni"] == f"outbound_.80_._.{HOST}"
    assert certificate(automatic) == "file-cert:/own~/ownkey"


PODS = """
apiVersion: v1
kind: Pod
metadata: {name: p, namespace: shop, labels: {app: pods, security.istio.io/tlsMode: %s}}
status: {podIP: 10.1.0.9}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: pods, namespace: shop, labels: {kubernetes.io/service-name: pods}}
addressType: IPv4
ports: [{name: http, port: 80}]
endpoints: [{addresses: [10.1.0.9], targetRef: {kind: Pod, name: p, namespace: shop}}]
"""


@pytest.mark.parametrize(("mode", "encrypted"), [("istio", True), ("disabled", False)])
def test_calls_to_the_address_dialled_are_encrypted_if_every_endpoint_takes_it(mode: str, encrypted: bool) -> None:
    extra = service("pods", "http:80", ip="10.96.0.8") + f"---\n{PODS % mode}"
    host = "pods.shop.svc.cluster.local"
    made = cluster("{loadBalancer: {simple: PASSTHROUGH}}", host=host, extra=extra)
    assert made["type"] == "ORIGINAL_DST"
    assert ("transport_socket" in made) is encrypted
    assert "transport_socket_matches" not in made


def test_the_proxy_protocol_goes_around_whatever_socket_there_is() -> None:
    name = "envoy.transport_sockets.upstream_proxy_protocol"

    def inner(socket: Any) -> str:
        assert socket["name"] == name
        return str(socket["typed_config"]["transport_socket"]["name"])

    plain = cluster("{proxyProtocol: {version: V2}, tls: {mode: DISABLE}}")["transport_socket"]
    assert inner(plain) == "envoy.transport_sockets.raw_buffer"
    assert plain["typed_config"]["config"] == {"version": "V2"}
    assert (
        inner(cluster("{proxyProtocol: {}, tls: {mode: SIMPLE}}")["transport_socket"]) == "envoy.transport_sockets.tls"
    )
    found = cluster("{proxyProtocol: {}}")["transport_socket_matches"]
    assert [inner(each["transport_socket"]) for each in found] == [
        "envoy.transport_sockets.tls",
        "envoy.transport_sockets.raw_buffer",
    ]


def test_a_rule_of_the_services_own_names_goes_before_its_accounts() -> None:
    made = cluster("{tls: {mode: ISTIO_MUTUAL, subjectAltNames: [a], sni: s}}")
    assert context(made)["sni"] == "s"
    validation = context(made)["common_tls_context"]["combined_validation_context"]["default_validation_context"]
    assert validation == {"match_subject_alt_names": [{"exact": "a"}]}


def test_an_entrys_own_names_are_whom_tls_expects() -> None:
    named = EXTERNAL.replace("location: MESH_EXTERNAL", "location: MESH_EXTERNAL\n  subjectAltNames: [spiffe://x]")
    text = named + rule("{tls: {mode: SIMPLE}}", host="out.example.com")
    made = clusters(text)["outbound|80||out.example.com"]
    combined = context(made)["common_tls_context"]["combined_validation_context"]
    assert combined["default_validation_context"] == {"match_subject_alt_names": [{"exact": "spiffe://x"}]}
