"""Clusters whose TLS contexts set everything that is honoured of them."""

from __future__ import annotations

from typing import Any

from tests.xds.wire.decode.configurations import Json
from tests.xds.wire.decode.configurations.build import HTTP_OPTIONS, TLS, cluster, extension, typed

SPIFFE = "envoy.extensions.transport_sockets.tls.v3.SPIFFECertValidatorConfig"
HASH = "ab" * 32
DATA: tuple[Json, ...] = ({"filename": "/a"}, {"inline_bytes": "YQ=="}, {"inline_string": "b"})


def context(common: Json, **fields: Any) -> Json:
    return cluster(transport_socket=extension(TLS, common_tls_context=common, **fields))


def verified(**fields: Any) -> Json:
    return context({"validation_context": {"trusted_ca": DATA[0], **fields}})


def domain(bundle: Json) -> Json:
    domains = [{"name": "a.b", "trust_bundle": bundle}, {"name": "c.d", "trust_bundle": DATA[0]}]
    return context(
        {
            "validation_context": {
                "custom_validator_config": {"name": "v", "typed_config": typed(SPIFFE, trust_domains=domains)}
            }
        }
    )


def named(**fields: Any) -> Json:
    options = {"upstream_http_protocol_options": fields, "explicit_http_config": {"http_protocol_options": {}}}
    return cluster(typed_extension_protocol_options={HTTP_OPTIONS: typed(HTTP_OPTIONS, **options)})


CONTEXTS: list[Json] = [
    verified(),
    context(
        {
            "tls_params": {
                "tls_minimum_protocol_version": "TLSv1_3",
                "tls_maximum_protocol_version": "TLSv1_3",
                "cipher_suites": ["ECDHE-RSA-AES256-GCM-SHA384"],
            },
            "alpn_protocols": ["a"],
            "validation_context": {"trusted_ca": DATA[0]},
        },
        sni="a",
        auto_host_sni=True,
        auto_sni_san_validation=True,
        max_session_keys=3,
        allow_renegotiation=True,
    ),
    *(context({"tls_certificates": [{"certificate_chain": each, "private_key": DATA[0]}]}) for each in DATA),
    *(context({"tls_certificates": [{"certificate_chain": DATA[0], "private_key": each}]}) for each in DATA),
    context({"tls_certificate_sds_secret_configs": [{"name": "a", "sds_config": {"ads": {}}}]}),
    context({"validation_context_sds_secret_config": {"name": "a", "sds_config": {"ads": {}}}}),
    context(
        {
            "combined_validation_context": {
                "default_validation_context": {"match_subject_alt_names": [{"exact": "a"}]},
                "validation_context_sds_secret_config": {"name": "a", "sds_config": {"ads": {}}},
            }
        }
    ),
    *(verified(trusted_ca=each) for each in DATA),
    *(verified(crl=each, only_verify_leaf_cert_crl=True) for each in DATA),
    context({"validation_context": {"system_root_certs": {}}}),
    verified(match_typed_subject_alt_names=[{"san_type": "URI", "matcher": {"exact": "a"}}]),
    verified(match_typed_subject_alt_names=[{"san_type": "DNS", "matcher": {"exact": "a"}}]),
    verified(match_subject_alt_names=[{"exact": "a"}]),
    verified(verify_certificate_hash=[HASH], verify_certificate_spki=["NvqYIYSbgK2vCJpQhObf77vv+bQWtc5ek5RIOwPiC9A="]),
    verified(allow_expired_certificate=True, trust_chain_verification="ACCEPT_UNTRUSTED"),
    *(domain(each) for each in DATA),
    named(auto_sni=True, auto_san_validation=True, override_auto_sni_header="x-sni"),
    cluster(upstream_http_protocol_options={"auto_sni": True}),
    cluster(
        health_checks=[
            {
                "timeout": "1s",
                "interval": "1s",
                "unhealthy_threshold": 1,
                "healthy_threshold": 1,
                "tcp_health_check": {},
                "tls_options": {"alpn_protocols": ["a"]},
            }
        ]
    ),
]
