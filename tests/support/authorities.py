"""A certificate authority of Istio's over real gRPC, with whatever it is told to get wrong."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from proxyless.xds.wire.certificate_service import METHOD
from proxyless.xds.wire.schema import types as pb

from .certificates import Authority, authority
from .ports import free_port

PEM = serialization.Encoding.PEM


def sign(by: Authority, csr: bytes, ttl_s: float = 3600.0, *, public_key: Any = None, uri: str = "") -> list[str]:
    """The chain for a request, leaf first and root last. `uri`, `public_key`: others than those of the request."""
    request = x509.load_pem_x509_csr(csr)
    assert request.is_signature_valid
    asked = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)] if uri else list(asked))
    now = dt.datetime.now(dt.UTC)
    leaf = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(by.certificate.subject)
        .public_key(public_key or request.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=2))
        .not_valid_after(now + dt.timedelta(seconds=ttl_s))
        .add_extension(names, critical=True)
        .sign(by.key, hashes.SHA256())
    )
    return [leaf.public_bytes(PEM).decode(), by.pem.decode()]


@dataclass(slots=True)
class Asked:
    """One request as the server saw it."""

    csr: bytes
    ttl_s: int
    metadata: dict[str, str]
    signer: str


@dataclass(slots=True)
class CertificateServer:
    """`answer` makes the chain, or raises `RefusalError`."""

    address: str
    root: Authority
    answer: Callable[[Asked], list[str] | bytes] | None = None
    ttl_s: float | None = None
    asked: list[Asked] = field(default_factory=list)

    def handle(self, raw: bytes, context: Any) -> bytes:
        message = pb.istio_auth_v1.IstioCertificateRequest.FromString(raw)
        metadata = {str(each.key): str(each.value) for each in context.invocation_metadata()}
        signer = message.metadata.fields["CertSigner"].string_value
        asked = Asked(message.csr.encode(), message.validity_duration, metadata, signer)
        self.asked.append(asked)
        try:
            chain = self.answer(asked) if self.answer else sign(self.root, asked.csr, self.ttl_s or asked.ttl_s)
        except RefusalError as error:
            context.abort(error.code, error.text)
            raise
        if isinstance(chain, bytes):
            return chain
        return pb.istio_auth_v1.IstioCertificateResponse(cert_chain=chain).SerializeToString()


class RefusalError(Exception):
    """What the server answers with."""

    def __init__(self, code: grpc.StatusCode, text: str = "no") -> None:
        super().__init__(text)
        self.code = code
        self.text = text


@contextmanager
def certificate_server(
    root: Authority | None = None, *, address: str = "", tls: bool = True
) -> Iterator[CertificateServer]:
    """An authority at 127.0.0.1, its own certificate by the same root."""
    root = root or authority()
    address = address or f"127.0.0.1:{free_port()}"
    server = CertificateServer(address, root)
    grpc_server = grpc.server(ThreadPoolExecutor(4))
    service, _, method = METHOD.removeprefix("/").partition("/")
    handler = grpc.unary_unary_rpc_method_handler(server.handle, None, None)
    grpc_server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {method: handler}),))
    if tls:
        key, chain = root.server("127.0.0.1", "localhost", "istiod.istio-system.svc")
        grpc_server.add_secure_port(address, grpc.ssl_server_credentials([(key, chain)]))
    else:
        grpc_server.add_insecure_port(address)
    grpc_server.start()
    try:
        yield server
    finally:
        grpc_server.stop(0).wait()
