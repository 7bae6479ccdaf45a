"""The messages of a certificate authority of Istio's (istio.v1.auth.IstioCertificateService), to and from bytes."""

from __future__ import annotations

from google.protobuf.message import DecodeError

from .refused import RefusedError
from .schema import types as pb

METHOD = "/istio.v1.auth.IstioCertificateService/CreateCertificate"

SIGNER = "CertSigner"
"""The member of the metadata that says who shall sign (Istio: ISTIO_META_CERT_SIGNER)."""


def encode_request(csr: bytes, ttl_s: float, signer: str = "") -> bytes:
    """An IstioCertificateRequest. As Istio's agent does, the signer is said where there is none, too."""
    message = pb.istio_auth_v1.IstioCertificateRequest(csr=csr.decode(), validity_duration=int(ttl_s))
    message.metadata.fields[SIGNER].string_value = signer
    return message.SerializeToString()


def decode_answer(raw: bytes) -> tuple[str, ...]:
    """The chain of an IstioCertificateResponse, leaf first, root last.

    Raises:
        RefusedError: it is none.
    """
    try:
        return tuple(pb.istio_auth_v1.IstioCertificateResponse.FromString(raw).cert_chain)
    except DecodeError as error:
        raise RefusedError(f"the answer is no IstioCertificateResponse: {error}") from error
