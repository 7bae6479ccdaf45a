"""Secrets as a secret discovery service sends them (envoy.service.secret.v3), and what is said back."""

from __future__ import annotations

from google.protobuf.message import DecodeError

from ..model.records import dataclass
from ..model.resource import ResourceType
from ..model.tls import CertificateFiles, DataSource, Validation
from .decode.tls import validation
from .envelope import INVALID_ARGUMENT
from .refused import NotUnderstoodError, RefusedError
from .schema import types as pb

METHOD = "/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets"
TYPE = ResourceType.SECRET.value

Secret = CertificateFiles | Validation


@dataclass(frozen=True, slots=True)
class Secrets:
    """A DiscoveryResponse. `broken` says of each secret that cannot be used why not."""

    version: str
    nonce: str
    secrets: dict[str, Secret]
    broken: dict[str, str]


def encode_request(
    node: pb.core_v3.Node | None, name: str, version: str = "", nonce: str = "", error: str = ""
) -> bytes:
    """A DiscoveryRequest for one secret: the first, or the answer to a response."""
    message = pb.discovery_v3.DiscoveryRequest(
        type_url=TYPE, resource_names=[name], version_info=version, response_nonce=nonce
    )
    if node is not None:
        message.node.CopyFrom(node)
    if error:
        message.error_detail.code = INVALID_ARGUMENT
        message.error_detail.message = error
    return message.SerializeToString()


def decode_response(raw: bytes) -> Secrets:
    """What came.

    Raises:
        RefusedError: the bytes are no DiscoveryResponse.
    """
    try:
        message = pb.discovery_v3.DiscoveryResponse.FromString(raw)
    except DecodeError as error:
        raise RefusedError(f"truncated or malformed DiscoveryResponse: {error}") from error
    found: dict[str, Secret] = {}
    broken: dict[str, str] = {}
    for each in message.resources:
        if each.type_url != TYPE:
            broken[each.type_url] = f"a {each.type_url or 'resource without a type'} is no secret"
            continue
        try:
            secret = read_secret(each.value)
        except RefusedError as error:
            broken[""] = str(error)
            continue
        try:
            found[secret.name] = decode_secret(secret)
        except RefusedError as error:
            broken[secret.name] = str(error)
    return Secrets(message.version_info, message.nonce, found, broken)


def read_secret(raw: bytes) -> pb.tls_v3.Secret:
    """A Secret. Raises RefusedError: the bytes are none."""
    try:
        return pb.tls_v3.Secret.FromString(raw)
    except DecodeError:
        # The text of the error could hold a part of the bytes.
        raise RefusedError("a secret is truncated or malformed") from None


def decode_secret(message: pb.tls_v3.Secret) -> Secret:
    """A certificate with its key, or what peers are verified by.

    Raises:
        RefusedError: it is another kind of secret, or asks for what is not done.
    """
    kind = message.WhichOneof("type")
    if kind == "tls_certificate":
        return _certificate(message.tls_certificate)
    if kind == "validation_context":
        return _validation(message.validation_context)
    raise RefusedError(f"secret {message.name!r}: a {kind or 'secret without a type'} is neither certificate nor roots")


def _certificate(message: pb.tls_v3.TlsCertificate) -> CertificateFiles:
    if message.HasField("private_key_provider") or message.HasField("pkcs12"):
        raise RefusedError("a private key that is not PEM, or that a provider keeps, cannot be used")
    chain, key = _source(message.certificate_chain), _source(message.private_key)
    if not chain or not key:
        raise RefusedError("certificate chain or private key is missing")
    return CertificateFiles(chain, key)


def _validation(message: pb.tls_v3.CertificateValidationContext) -> Validation:
    try:
        found = validation(message)
    except NotUnderstoodError as error:
        raise RefusedError(f"a secret cannot be used: {error}") from error
    if not (found.roots or found.spiffe_domains or found.system_roots):
        raise RefusedError("no trusted certificates in it")
    return found


def _source(message: pb.core_v3.DataSource) -> DataSource:
    if message.WhichOneof("specifier") == "environment_variable":
        raise RefusedError("a secret in an environment variable cannot be used")
    return DataSource(message.filename, message.inline_bytes or message.inline_string.encode())
