"""TLS contexts (envoy.extensions.transport_sockets.tls.v3), for both sides of a connection.

What Envoy would do and Python's ssl cannot, or nobody here has learned yet, is not understood: such a socket is closed.
"""

from __future__ import annotations

from typing import Literal

from ...model.tls import (
    CertificateFiles,
    CommonTls,
    DataSource,
    DownstreamTls,
    SanMatcher,
    SecretName,
    TlsVersion,
    UpstreamTls,
    Validation,
)
from ..opening import open_any
from ..refused import NotUnderstoodError, RefusedError
from ..schema import types as pb
from .matchers import string_matcher
from .values import named

VERSIONS: tuple[TlsVersion, ...] = ("TLS_AUTO", "TLSv1_0", "TLSv1_1", "TLSv1_2", "TLSv1_3")

SAN_KINDS: tuple[Literal["", "EMAIL", "DNS", "URI", "IP_ADDRESS", "OTHER_NAME"], ...] = (
    "",
    "EMAIL",
    "DNS",
    "URI",
    "IP_ADDRESS",
    "OTHER_NAME",
)

SHA256_DIGITS = 64

_PROVIDERS: tuple[
    Literal["validation_context_certificate_provider"], Literal["validation_context_certificate_provider_instance"]
] = ("validation_context_certificate_provider", "validation_context_certificate_provider_instance")


def upstream_tls(message: pb.tls_v3.UpstreamTlsContext) -> UpstreamTls:
    """UpstreamTlsContext.

    Raises:
        NotUnderstoodError: it asks for what nobody here can do.
    """
    return UpstreamTls(
        common=common_tls(message.common_tls_context),
        sni=message.sni,
        auto_host_sni=message.auto_host_sni,
        auto_sni_san_validation=message.auto_sni_san_validation,
        allow_renegotiation=message.allow_renegotiation,
        max_session_keys=message.max_session_keys.value if message.HasField("max_session_keys") else 1,
        enforce_rsa_key_usage=message.enforce_rsa_key_usage.value,
    )


def downstream_tls(message: pb.tls_v3.DownstreamTlsContext) -> DownstreamTls:
    """DownstreamTlsContext.

    Raises:
        NotUnderstoodError: it asks for what nobody here can do.
        RefusedError: it has no certificate to show.
    """
    common = message.common_tls_context
    if not (
        common.tls_certificates
        or common.tls_certificate_sds_secret_configs
        or common.HasField("tls_certificate_provider_instance")
        or common.HasField("custom_tls_certificate_selector")
    ):
        raise RefusedError("No TLS certificates found for server context")
    if message.ocsp_staple_policy == message.MUST_STAPLE:
        raise NotUnderstoodError("TLS with ocsp_staple_policy MUST_STAPLE is not supported")
    return DownstreamTls(
        common=common_tls(common),
        require_client_certificate=message.require_client_certificate.value,
        require_sni=message.require_sni.value,
        stateless_resumption=not message.disable_stateless_session_resumption,
        stateful_resumption=not message.disable_stateful_session_resumption,
    )


def common_tls(message: pb.tls_v3.CommonTlsContext) -> CommonTls:
    """CommonTlsContext; certificates that stand in it go before those that are asked for, as in Envoy.

    Raises:
        NotUnderstoodError: it asks for what nobody here can do.
    """
    for field in (
        "tls_certificate_provider_instance",
        "custom_tls_certificate_selector",
        "tls_certificate_certificate_provider",
        "tls_certificate_certificate_provider_instance",
        *_PROVIDERS,
        "custom_handshaker",
    ):
        if message.HasField(field):
            raise NotUnderstoodError(f"TLS with {field} is not supported")
    parameters = message.tls_params
    if parameters.compliance_policies:
        raise NotUnderstoodError("TLS with compliance_policies is not supported")
    return CommonTls(
        certificate=_certificate(message),
        validation=_validation(message),
        alpn=tuple(message.alpn_protocols),
        minimum=named(VERSIONS, parameters.tls_minimum_protocol_version),
        maximum=named(VERSIONS, parameters.tls_maximum_protocol_version),
        ciphers=tuple(parameters.cipher_suites),
        curves=tuple(parameters.ecdh_curves),
        signature_algorithms=tuple(parameters.signature_algorithms),
    )


def secret_name(message: pb.tls_v3.SdsSecretConfig) -> SecretName:
    """Where a secret comes from (SdsSecretConfig)."""
    source = message.sds_config
    match source.WhichOneof("config_source_specifier"):
        case "api_config_source":
            service = next(iter(source.api_config_source.grpc_services), None)
            if service is None:
                cluster = next(iter(source.api_config_source.cluster_names), "")
            elif service.HasField("google_grpc"):
                return SecretName(message.name, path=service.google_grpc.target_uri)
            else:
                cluster = service.envoy_grpc.cluster_name
            return SecretName(message.name, cluster=cluster)
        case "path_config_source":
            return SecretName(message.name, path=source.path_config_source.path)
        case "path":
            return SecretName(message.name, path=source.path)
        case "ads":
            return SecretName(message.name, ads=True)
        case _:
            return SecretName(message.name)


def data(message: pb.core_v3.DataSource) -> DataSource:
    """A file's name, or what it would hold. Raises NotUnderstoodError for an environment variable."""
    match message.WhichOneof("specifier"):
        case "filename":
            return DataSource(filename=message.filename)
        case "inline_bytes":
            return DataSource(inline=message.inline_bytes)
        case "inline_string":
            return DataSource(inline=message.inline_string.encode())
        case "environment_variable":
            raise NotUnderstoodError("TLS with data of an environment variable is not supported")
        case _:
            return DataSource()


def validation(message: pb.tls_v3.CertificateValidationContext, secret: SecretName | None = None) -> Validation:
    """CertificateValidationContext. `secret` brings what it lacks.

    Raises:
        NotUnderstoodError: it asks for what nobody here can check.
    """
    if message.HasField("ca_certificate_provider_instance"):
        raise NotUnderstoodError("TLS with ca_certificate_provider_instance is not supported")
    if message.require_signed_certificate_timestamp.value:
        raise NotUnderstoodError("TLS with require_signed_certificate_timestamp is not supported")
    if message.HasField("max_verify_depth"):
        raise NotUnderstoodError("TLS with max_verify_depth is not supported")
    return Validation(
        roots=data(message.trusted_ca),
        secret=secret,
        system_roots=message.HasField("system_root_certs"),
        sans=_sans(message),
        crl=data(message.crl),
        crl_of_leaf_only=message.only_verify_leaf_cert_crl,
        certificate_hashes=tuple(_hash(each) for each in message.verify_certificate_hash),
        spki_hashes=tuple(message.verify_certificate_spki),
        allow_expired=message.allow_expired_certificate,
        accept_untrusted=message.trust_chain_verification == message.ACCEPT_UNTRUSTED,
        spiffe_domains=_domains(message) if message.HasField("custom_validator_config") else (),
    )


def _certificate(message: pb.tls_v3.CommonTlsContext) -> SecretName | CertificateFiles | None:
    for each in message.tls_certificates:
        for field in ("private_key_provider", "pkcs12", "password"):
            if each.HasField(field):
                raise NotUnderstoodError(f"a TLS certificate with {field} is not supported")
        if each.HasField("certificate_chain") or each.HasField("private_key"):
            return CertificateFiles(data(each.certificate_chain), data(each.private_key))
    for secret in message.tls_certificate_sds_secret_configs:
        return secret_name(secret)
    return None


def _validation(message: pb.tls_v3.CommonTlsContext) -> Validation | None:
    match message.WhichOneof("validation_context_type"):
        case "validation_context":
            return validation(message.validation_context)
        case "validation_context_sds_secret_config":
            return Validation(secret=secret_name(message.validation_context_sds_secret_config))
        case "combined_validation_context":
            combined = message.combined_validation_context
            for field in (
                "validation_context_certificate_provider",
                "validation_context_certificate_provider_instance",
            ):
                if combined.HasField(field):
                    raise NotUnderstoodError(f"TLS with {field} is not supported")
            secret = secret_name(combined.validation_context_sds_secret_config)
            return validation(combined.default_validation_context, secret)
        case _:
            return None


def _sans(message: pb.tls_v3.CertificateValidationContext) -> tuple[SanMatcher, ...]:
    """The typed names go before the others, which Envoy does not look at then."""
    found: list[SanMatcher] = []
    for typed in message.match_typed_subject_alt_names:
        kind = named(SAN_KINDS, typed.san_type)
        if kind == "OTHER_NAME":
            raise NotUnderstoodError("TLS peers are not known by names of type OTHER_NAME")
        matcher = string_matcher(typed.matcher)
        found.append(SanMatcher(matcher.kind, matcher.value, kind, matcher.ignore_case))
    if not found:
        matchers = map(string_matcher, message.match_subject_alt_names)
        found = [SanMatcher(each.kind, each.value, "", each.ignore_case) for each in matchers]
    return tuple(found)


def _hash(text: str) -> str:
    """With or without colons, as OpenSSL prints it."""
    plain = text.replace(":", "").lower()
    try:
        known = len(bytes.fromhex(plain)) * 2 == SHA256_DIGITS
    except ValueError:
        known = False
    if not known:
        raise RefusedError(f"Invalid hex-encoded SHA-256 {text}")
    return plain


def _domains(message: pb.tls_v3.CertificateValidationContext) -> tuple[tuple[str, DataSource], ...]:
    validator = message.custom_validator_config
    opened = open_any(validator.typed_config)
    if not isinstance(opened, pb.tls_v3.SPIFFECertValidatorConfig):
        raise NotUnderstoodError(f"TLS validator {validator.name} is not supported")
    if opened.HasField("trust_bundles"):
        raise NotUnderstoodError("TLS with trust_bundles as a SPIFFE bundle map is not supported")
    found: dict[str, DataSource] = {}
    for each in opened.trust_domains:
        if each.name in found:
            raise RefusedError(f"Multiple trust bundles are given for one trust domain for {each.name}")
        if each.workload_trust_domain:
            raise NotUnderstoodError("TLS with workload_trust_domain is not supported")
        found[each.name] = data(each.trust_bundle)
    return tuple(found.items())
