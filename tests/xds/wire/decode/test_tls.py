"""TLS contexts: what is read of them, and what closes them."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf import json_format

from proxyless.xds.model.tls import CertificateFiles, CommonTls, DataSource, SanMatcher, SecretName, Validation
from proxyless.xds.wire.decode.tls import common_tls, upstream_tls
from proxyless.xds.wire.refused import NotUnderstoodError, RefusedError
from proxyless.xds.wire.schema import types as pb

AGENT = {"api_config_source": {"api_type": "GRPC", "grpc_services": [{"envoy_grpc": {"cluster_name": "sds-grpc"}}]}}
HASH = "ab" * 32


def common(**fields: Any) -> CommonTls:
    return common_tls(json_format.ParseDict(fields, pb.tls_v3.CommonTlsContext()))


def checks(**fields: Any) -> Validation:
    found = common(validation_context=fields).validation
    assert found is not None
    return found


def test_what_istiod_sends_names_its_secrets_and_the_identity_it_expects() -> None:
    found = common(
        alpn_protocols=["istio-peer-exchange", "istio"],
        tls_params={"tls_minimum_protocol_version": "TLSv1_2", "tls_maximum_protocol_version": "TLSv1_3"},
        tls_certificate_sds_secret_configs=[{"name": "default", "sds_config": AGENT}],
        combined_validation_context={
            "default_validation_context": {"match_subject_alt_names": [{"exact": "spiffe://a/b"}]},
            "validation_context_sds_secret_config": {"name": "ROOTCA", "sds_config": AGENT},
        },
    )
    assert found == CommonTls(
        SecretName("default", "sds-grpc"),
        Validation(secret=SecretName("ROOTCA", "sds-grpc"), sans=(SanMatcher("exact", "spiffe://a/b"),)),
        ("istio-peer-exchange", "istio"),
        "TLSv1_2",
        "TLSv1_3",
    )


def test_an_upstream_context_has_envoys_defaults() -> None:
    found = upstream_tls(json_format.ParseDict({"sni": "a"}, pb.tls_v3.UpstreamTlsContext()))
    assert (found.sni, found.max_session_keys, found.enforce_rsa_key_usage, found.common) == (
        "a",
        1,
        False,
        CommonTls(),
    )


@pytest.mark.parametrize(
    ("source", "found"),
    [
        (AGENT, SecretName("a", "sds-grpc")),
        ({"api_config_source": {"api_type": "GRPC", "cluster_names": ["b"]}}, SecretName("a", "b")),
        (
            {
                "api_config_source": {
                    "api_type": "GRPC",
                    "grpc_services": [{"google_grpc": {"target_uri": "unix:/s", "stat_prefix": "s"}}],
                }
            },
            SecretName("a", path="unix:/s"),
        ),
        ({"path_config_source": {"path": "/f"}}, SecretName("a", path="/f")),
        ({"path": "/f"}, SecretName("a", path="/f")),
        ({"ads": {}}, SecretName("a", ads=True)),
    ],
    ids=["envoy_grpc", "cluster_names", "google_grpc", "path_config_source", "path", "ads"],
)
def test_a_secret_has_a_place(source: Any, found: SecretName) -> None:
    assert common(tls_certificate_sds_secret_configs=[{"name": "a", "sds_config": source}]).certificate == found
    assert common(validation_context_sds_secret_config={"name": "a", "sds_config": source}).validation == Validation(
        secret=found
    )


def test_certificates_that_stand_there_go_before_those_that_are_asked_for() -> None:
    files = {"certificate_chain": {"filename": "/c"}, "private_key": {"inline_string": "k"}}
    found = common(tls_certificates=[{}, files], tls_certificate_sds_secret_configs=[{"name": "default"}])
    assert found.certificate == CertificateFiles(DataSource("/c"), DataSource(inline=b"k"))


def test_all_that_is_asked_of_a_peer() -> None:
    found = checks(
        trusted_ca={"inline_bytes": "Y2E="},
        crl={"filename": "/crl"},
        only_verify_leaf_cert_crl=True,
        match_typed_subject_alt_names=[{"san_type": "DNS", "matcher": {"suffix": ".A", "ignore_case": True}}],
        match_subject_alt_names=[{"exact": "not looked at"}],
        verify_certificate_hash=[":".join([HASH[:2]] * 32).upper()],
        verify_certificate_spki=["c3BraQ=="],
        allow_expired_certificate=True,
        trust_chain_verification="ACCEPT_UNTRUSTED",
    )
    assert found == Validation(
        roots=DataSource(inline=b"ca"),
        sans=(SanMatcher("suffix", ".A", "DNS", True),),
        crl=DataSource("/crl"),
        crl_of_leaf_only=True,
        certificate_hashes=(HASH,),
        spki_hashes=("c3BraQ==",),
        allow_expired=True,
        accept_untrusted=True,
    )
    assert checks(system_root_certs={}).system_roots


def parsed(**fields: Any) -> Validation:
    """As `checks`, of a context whose validator is packed with the private schema."""
    message = pb.tls_v3.CommonTlsContext()
    made = message.validation_context.custom_validator_config
    config = json_format.ParseDict(fields, pb.tls_v3.SPIFFECertValidatorConfig())
    made.name = "v"
    made.typed_config.type_url = f"type.googleapis.com/{config.DESCRIPTOR.full_name}"
    made.typed_config.value = config.SerializeToString()
    found = common_tls(message).validation
    assert found is not None
    return found


def test_trust_domains_have_roots_of_their_own() -> None:
    domains = [{"name": each, "trust_bundle": {"filename": f"/{each}"}} for each in ("a", "b")]
    assert parsed(trust_domains=domains).spiffe_domains == (("a", DataSource("/a")), ("b", DataSource("/b")))
    with pytest.raises(RefusedError, match="Multiple trust bundles are given for one trust domain for a"):
        parsed(trust_domains=[domains[0], domains[0]])
    with pytest.raises(NotUnderstoodError, match="trust_bundles"):
        parsed(trust_domains=domains, trust_bundles={"filename": "/x"})
    with pytest.raises(NotUnderstoodError, match="workload_trust_domain"):
        parsed(trust_domains=[{**domains[0], "workload_trust_domain": "x"}])


@pytest.mark.parametrize("wrong", ["", "abcd", "zz" * 32])
def test_a_hash_has_the_length_of_one(wrong: str) -> None:
    with pytest.raises(RefusedError, match="Invalid hex-encoded SHA-256"):
        checks(verify_certificate_hash=[wrong])


def unknown_validator() -> dict[str, Any]:
    return {"validation_context": {"custom_validator_config": {"name": "v", "typed_config": {}}}}


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"tls_certificate_provider_instance": {"instance_name": "a"}}, "tls_certificate_provider_instance"),
        ({"custom_handshaker": {"name": "a"}}, "custom_handshaker"),
        ({"tls_params": {"compliance_policies": ["FIPS_202205"]}}, "compliance_policies"),
        ({"tls_certificates": [{"pkcs12": {"filename": "/a"}}]}, "pkcs12"),
        ({"tls_certificates": [{"password": {"filename": "/a"}}]}, "password"),
        ({"validation_context": {"max_verify_depth": 1}}, "max_verify_depth"),
        ({"validation_context": {"require_signed_certificate_timestamp": True}}, "signed_certificate_timestamp"),
        ({"validation_context": {"ca_certificate_provider_instance": {}}}, "ca_certificate_provider_instance"),
        ({"validation_context": {"trusted_ca": {"environment_variable": "A"}}}, "environment variable"),
        (
            {
                "validation_context": {
                    "match_typed_subject_alt_names": [{"san_type": "OTHER_NAME", "matcher": {"exact": "a"}}]
                }
            },
            "OTHER_NAME",
        ),
        (
            {"combined_validation_context": {"validation_context_certificate_provider": {"name": "a"}}},
            "validation_context_certificate_provider",
        ),
        (unknown_validator(), "validator v"),
    ],
)
def test_what_cannot_be_done_closes_the_socket(fields: dict[str, Any], why: str) -> None:
    with pytest.raises(NotUnderstoodError, match=why):
        common(**fields)
