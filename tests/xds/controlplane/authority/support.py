"""A clock that is set, requests for certificates good and bad, and a control plane with an authority over TLS."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from proxyless.xds.controlplane import FolderSource, Plane
from proxyless.xds.controlplane.authority.authority import Authority
from proxyless.xds.controlplane.authority.callers import Authenticator, AuthorityError, Caller
from proxyless.xds.controlplane.authority.issuing import new_material
from proxyless.xds.controlplane.authority.rotating import Kept
from proxyless.xds.controlplane.authority.service import CertificateService
from proxyless.xds.controlplane.secure import Security
from proxyless.xds.controlplane.server import Server, serve
from proxyless.xds.wire.schema import types as pb

METHOD = "/istio.v1.auth.IstioCertificateService/CreateCertificate"
ADS = "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources"
CART = Caller("shop", "cart")
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


class Clock:
    """Unix seconds that stand still until they are set."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def ec_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def csr(key: Key, uri: str = "spiffe://evil/ns/kube-system/sa/admin", common_name: str = "admin") -> bytes:
    """A request whose names are not to be believed."""
    builder = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)]))
        .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)]), critical=True)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    )
    digest = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, digest).public_bytes(serialization.Encoding.PEM)


def uris(pem: str | bytes) -> list[str]:
    certificate = x509.load_pem_x509_certificate(pem.encode() if isinstance(pem, str) else pem)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return names.get_values_for_type(x509.UniformResourceIdentifier)


class Known:
    """An authenticator by a dictionary."""

    def __init__(self, **tokens: Caller) -> None:
        self.tokens = tokens

    def caller(self, token: str, cluster: str) -> Caller:
        if token not in self.tokens:
            raise AuthorityError("the token is not known", "UNAUTHENTICATED")
        return self.tokens[token]


def authority(clock: Clock, **options: Any) -> tuple[Authority, Kept]:
    kept = Kept(new_material(clock()))
    return Authority(kept, clock, **options), kept


@contextmanager
def serving(folder: Path, made: Authority, *known: Authenticator, mutual: bool = False) -> Iterator[Server]:
    plane = Plane(FolderSource(folder))
    service = CertificateService(made, known)
    security = Security(service, "127.0.0.1:0", "127.0.0.1:0" if mutual else "")
    server = serve(plane, "127.0.0.1:0", security)
    try:
        yield server
    finally:
        server.stop()
        plane.close()


def ask(
    address: str,
    roots: bytes,
    request: bytes,
    token: str | None = "secret",
    *,
    validity_s: int = 0,
    scheme: str = "Bearer",
    pair: tuple[bytes, bytes] | None = None,
    raw: bytes | None = None,
) -> list[str]:
    """CreateCertificate with a real client. `pair`: (key, chain) to show."""
    key, chain = pair or (None, None)
    options = [("grpc.use_local_subchannel_pool", 1)]
    with grpc.secure_channel(address, grpc.ssl_channel_credentials(roots, key, chain), options) as channel:
        message = pb.istio_auth_v1.IstioCertificateRequest(csr=request.decode(), validity_duration=validity_s)
        metadata: tuple[tuple[str, str | bytes], ...] = (("clusterid", "Kubernetes"),)
        if token is not None:
            metadata = (*metadata, ("authorization", f"{scheme} {token}"))
        call = channel.unary_unary(METHOD, None, None)
        answer = call(message.SerializeToString() if raw is None else raw, metadata=metadata, timeout=20)
    return list(pb.istio_auth_v1.IstioCertificateResponse.FromString(answer).cert_chain)


def refusal(error: grpc.RpcError) -> tuple[str, str]:
    """(status, text)."""
    call: Any = error
    return call.code().name, call.details()
