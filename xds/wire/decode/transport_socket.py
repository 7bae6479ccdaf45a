"""Transport sockets (envoy.config.core.v3.TransportSocket, envoy.extensions.transport_sockets)."""

from __future__ import annotations

from ...model.cluster import TransportSocket
from ..refused import NotUnderstoodError, RefusedError
from ..schema import types as pb
from .extensions import UPSTREAM_TRANSPORT_SOCKETS, extension
from .tls import upstream_tls


def transport_socket(message: pb.core_v3.TransportSocket) -> TransportSocket:
    """Plaintext, TLS, or one that is not understood and so cannot be spoken to. The type decides, never the name."""
    opened = extension(message.name, message.typed_config, UPSTREAM_TRANSPORT_SOCKETS)
    if isinstance(opened, pb.raw_buffer_v3.RawBuffer):
        return TransportSocket(message.name)
    try:
        if isinstance(opened, pb.tls_v3.UpstreamTlsContext):
            return _tls(message.name, opened)
    except NotUnderstoodError as error:
        return TransportSocket(message.name, unsupported=str(error))
    return TransportSocket(message.name, unsupported=f"transport socket {message.name} is not supported")


def _refuse_blind(validation: pb.tls_v3.CertificateValidationContext, *, given: bool) -> None:
    """UpstreamTlsContext.auto_sni_san_validation needs somebody whose word counts."""
    if not given:
        raise RefusedError("'auto_sni_san_validation' was configured without a validation context")
    if not validation.HasField("trusted_ca") and not validation.HasField("system_root_certs"):
        raise RefusedError("'auto_sni_san_validation' was configured without configuring a trusted CA")


def _tls(name: str, message: pb.tls_v3.UpstreamTlsContext) -> TransportSocket:
    common = message.common_tls_context
    if len(common.tls_certificates) > 1 or len(common.tls_certificate_sds_secret_configs) > 1:
        raise RefusedError("Multiple TLS certificates are not supported for client contexts")
    if common.WhichOneof("validation_context_type") == "combined_validation_context":
        validation = common.combined_validation_context.default_validation_context
    else:
        validation = common.validation_context
        names = validation.match_subject_alt_names or validation.match_typed_subject_alt_names
        anchors = ("trusted_ca", "ca_certificate_provider_instance", "custom_validator_config", "system_root_certs")
        if names and not any(validation.HasField(each) for each in anchors):  # type: ignore[arg-type]  # its fields
            raise RefusedError(
                "SAN-based verification of peer certificates without trusted CA is insecure and not allowed"
            )
        if message.auto_sni_san_validation:
            _refuse_blind(validation, given=common.WhichOneof("validation_context_type") is not None)
    return TransportSocket(name, upstream_tls(message))
