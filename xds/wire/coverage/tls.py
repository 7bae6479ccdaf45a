"""Coverage of TLS contexts (envoy.extensions.transport_sockets.tls.v3)."""

from __future__ import annotations

from collections.abc import Mapping

from .status import Entry, honoured, meaningless, not_yet

TLS = "envoy.extensions.transport_sockets.tls.v3."
CORE = "envoy.config.core.v3."

CLOSED = "what cannot be done closes the socket: its endpoints fail with UF"
WATCHED = "files are read again when they change"

DATA: Entry = {
    **honoured("filename inline_bytes inline_string"),
    **meaningless(WATCHED, "watched_directory"),
    **not_yet(CLOSED, "environment_variable"),
}

TLS_CONTEXTS: Mapping[str, Entry] = {
    TLS + "UpstreamTlsContext": {
        **honoured("common_tls_context sni auto_host_sni auto_sni_san_validation max_session_keys allow_renegotiation"),
        **not_yet("OpenSSL does not look at it", "enforce_rsa_key_usage"),
    },
    TLS + "CommonTlsContext": {
        **honoured(
            "tls_params tls_certificates tls_certificate_sds_secret_configs validation_context "
            "validation_context_sds_secret_config combined_validation_context alpn_protocols"
        ),
        **meaningless("keys of connections are never written down", "key_log"),
        **not_yet(
            CLOSED,
            "tls_certificate_provider_instance custom_tls_certificate_selector tls_certificate_certificate_provider "
            "tls_certificate_certificate_provider_instance validation_context_certificate_provider "
            "validation_context_certificate_provider_instance custom_handshaker",
        ),
    },
    TLS + "CommonTlsContext.CombinedCertificateValidationContext": {
        **honoured("default_validation_context validation_context_sds_secret_config"),
        **not_yet(CLOSED, "validation_context_certificate_provider validation_context_certificate_provider_instance"),
    },
    TLS + "TlsParameters": {
        **honoured("tls_minimum_protocol_version tls_maximum_protocol_version cipher_suites"),
        **not_yet("one curve alone is taken, of more OpenSSL's own", "ecdh_curves"),
        **not_yet("OpenSSL's own are offered", "signature_algorithms"),
        **not_yet(CLOSED, "compliance_policies"),
    },
    TLS + "TlsCertificate": {
        **honoured("certificate_chain private_key"),
        **meaningless(WATCHED, "watched_directory"),
        **meaningless("it is about servers", "ocsp_staple"),
        **meaningless("Envoy does not look at it either", "signed_certificate_timestamp"),
        **not_yet(CLOSED, "pkcs12 private_key_provider password"),
    },
    TLS + "TlsCertificate.certificate_chain": DATA,
    TLS + "TlsCertificate.private_key": DATA,
    TLS + "SdsSecretConfig": honoured("name sds_config"),
    TLS + "SdsSecretConfig.sds_config": {
        **honoured("ads"),
        **meaningless("secrets come from the workload's own agent, authority or files", "self api_config_source"),
        **not_yet(f"responses in files are not read: {CLOSED}", "path path_config_source"),
        **meaningless("only version 3 is spoken", "resource_api_version authorities"),
        **meaningless("calls wait within their own deadline", "initial_fetch_timeout"),
    },
    TLS + "CertificateValidationContext": {
        **honoured(
            "trusted_ca system_root_certs match_typed_subject_alt_names match_subject_alt_names "
            "verify_certificate_hash verify_certificate_spki crl only_verify_leaf_cert_crl allow_expired_certificate "
            "trust_chain_verification custom_validator_config"
        ),
        **meaningless(WATCHED, "watched_directory"),
        **meaningless("it is about servers", "suppress_client_ca_list"),
        **not_yet(CLOSED, "ca_certificate_provider_instance require_signed_certificate_timestamp max_verify_depth"),
    },
    TLS + "CertificateValidationContext.trusted_ca": DATA,
    TLS + "CertificateValidationContext.crl": DATA,
    TLS + "CertificateValidationContext.SystemRootCerts": {},
    TLS + "SubjectAltNameMatcher": {
        **honoured("san_type matcher"),
        **not_yet(CLOSED, "oid"),
    },
    TLS + "SPIFFECertValidatorConfig": {
        **honoured("trust_domains"),
        **not_yet(CLOSED, "trust_bundles"),
    },
    TLS + "SPIFFECertValidatorConfig.TrustDomain": {
        **honoured("name trust_bundle"),
        **not_yet(CLOSED, "workload_trust_domain"),
    },
    TLS + "SPIFFECertValidatorConfig.TrustDomain.trust_bundle": DATA,
    CORE + "UpstreamHttpProtocolOptions": honoured("auto_sni auto_san_validation override_auto_sni_header"),
    CORE + "HealthCheck.TlsOptions": honoured("alpn_protocols"),
}
