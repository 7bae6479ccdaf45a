"""CreateCertificate and ADS over TLS, with real clients of grpcio."""

from __future__ import annotations

import time
from collections.abc import Iterator
from threading import Event

import grpc
import pytest
from cryptography import x509

from proxyless.xds.controlplane.authority.authority import Authority
from proxyless.xds.controlplane.authority.callers import AuthorityError, Caller
from proxyless.xds.controlplane.authority.issuing import key_pem
from proxyless.xds.controlplane.authority.rotating import Kept
from proxyless.xds.controlplane.authority.service import CertificateService
from proxyless.xds.controlplane.secure import Security
from proxyless.xds.controlplane.server import ServeError, Server, serve
from proxyless.xds.wire.schema import types as pb
from tests.support.certificates import authority as foreign
from tests.support.certificates import spiffe
from tests.xds.controlplane.authority.support import ADS, CART, Clock, Known, ask, authority, csr, ec_key, refusal, uris
from tests.xds.controlplane.authority.support import serving as serving_with


class Scene:
    def __init__(self, server: Server, made: Authority, kept: Kept, clock: Clock) -> None:
        self.server = server
        self.authority = made
        self.kept = kept
        self.clock = clock


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    clock = Clock(time.time())
    made, kept = authority(clock)
    folder = tmp_path_factory.mktemp("istio")
    with serving_with(folder, made, Known(secret=CART), mutual=True) as server:
        yield Scene(server, made, kept, clock)


def test_a_certificate_is_for_the_caller_whatever_the_request_says(scene: Scene) -> None:
    key = ec_key()
    chain = ask(scene.server.tls_address, scene.authority.roots, csr(key))
    leaf, root = (x509.load_pem_x509_certificate(each.encode()) for each in chain)
    assert uris(chain[0]) == ["spiffe://cluster.local/ns/shop/sa/cart"]
    assert leaf.subject.rfc4514_string() == ""
    assert leaf.public_key() == key.public_key()
    leaf.verify_directly_issued_by(root)
    assert chain[-1].encode() == scene.authority.roots
    assert leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False


@pytest.mark.parametrize(
    ("token", "scheme"),
    [(None, ""), ("other", "Bearer"), ("", "Bearer"), ("secret", "Basic"), ("secret" * 10_000, "Bearer")],
)
def test_without_a_token_that_is_known_there_is_no_certificate(scene: Scene, token: str | None, scheme: str) -> None:
    with pytest.raises(grpc.RpcError) as error:
        ask(scene.server.tls_address, scene.authority.roots, csr(ec_key()), token, scheme=scheme)
    status, text = refusal(error.value)
    # Metadata above grpc's own limit does not reach the service.
    assert status in ("UNAUTHENTICATED", "RESOURCE_EXHAUSTED")
    assert "other" not in text.replace("another", "")
    assert "secret" not in text


@pytest.mark.parametrize("raw", [b"\xff\xff\xff", b"\n\x03abc", b""])
def test_what_is_no_request_is_refused(scene: Scene, raw: bytes) -> None:
    with pytest.raises(grpc.RpcError) as error:
        ask(scene.server.tls_address, scene.authority.roots, b"", raw=raw)
    assert refusal(error.value)[0] == "INVALID_ARGUMENT"


def test_nobody_may_ask_for_another_identity(scene: Scene) -> None:
    message = pb.istio_auth_v1.IstioCertificateRequest(csr=csr(ec_key()).decode())
    message.metadata.fields["ImpersonatedIdentity"].string_value = "spiffe://cluster.local/ns/shop/sa/payment"
    with pytest.raises(grpc.RpcError) as error:
        ask(scene.server.tls_address, scene.authority.roots, b"", raw=message.SerializeToString())
    assert refusal(error.value)[0] == "UNAUTHENTICATED"


def test_the_authority_is_not_there_without_tls(scene: Scene) -> None:
    with grpc.insecure_channel(scene.server.address) as channel, pytest.raises(grpc.RpcError) as error:
        channel.unary_unary("/istio.v1.auth.IstioCertificateService/CreateCertificate", None, None)(
            b"", metadata=(("authorization", "Bearer secret"),), timeout=20
        )
    assert refusal(error.value)[0] == "UNIMPLEMENTED"


def test_a_certificate_that_is_held_serves_to_get_the_next_one(scene: Scene) -> None:
    key = ec_key()
    chain = ask(scene.server.tls_address, scene.authority.roots, csr(key))
    pair = key_pem(key), chain[0].encode()
    next_chain = ask(scene.server.mutual_address, scene.authority.roots, csr(ec_key()), None, pair=pair)
    assert uris(next_chain[0]) == ["spiffe://cluster.local/ns/shop/sa/cart"]


def test_a_certificate_of_somebody_else_s_does_not(scene: Scene) -> None:
    pair = foreign().workload("cart")
    with pytest.raises(grpc.RpcError) as error:
        ask(scene.server.mutual_address, scene.authority.roots, csr(ec_key()), pair=(pair.key, pair.chain))
    assert refusal(error.value)[0] == "UNAVAILABLE"


@pytest.mark.parametrize("token", ["secret", None])
def test_a_port_for_certificates_takes_none_without(scene: Scene, token: str | None) -> None:
    with pytest.raises(grpc.RpcError) as error:
        ask(scene.server.mutual_address, scene.authority.roots, csr(ec_key()), token)
    assert refusal(error.value)[0] == "UNAVAILABLE"


def node(namespace: str, account: str) -> pb.core_v3.Node:
    made = pb.core_v3.Node(id=f"sidecar~127.0.0.1~cart-1.{namespace}~{namespace}.svc.cluster.local")
    made.metadata.fields["NAMESPACE"].string_value = namespace
    if account:
        made.metadata.fields["SERVICE_ACCOUNT"].string_value = account
    return made


def stream(scene: Scene, who: pb.core_v3.Node, token: str | None = "secret") -> str:
    """The type of the first response, or the status."""
    request = pb.discovery_v3.DiscoveryRequest(node=who, type_url="type.googleapis.com/envoy.config.cluster.v3.Cluster")
    credentials = grpc.ssl_channel_credentials(scene.authority.roots)
    metadata = (("authorization", f"Bearer {token}"),) if token else ()
    over = Event()

    def requests() -> Iterator[bytes]:
        yield request.SerializeToString()
        over.wait()  # a client that ends its stream is told nothing more

    with grpc.secure_channel(scene.server.tls_address, credentials) as channel:
        call = channel.stream_stream(ADS, None, None)(requests(), metadata=metadata, timeout=20)
        try:
            for raw in call:
                return pb.discovery_v3.DiscoveryResponse.FromString(raw).type_url.rpartition(".")[2]
        except grpc.RpcError as error:
            return refusal(error)[0]
        finally:
            over.set()
    return "nothing"


@pytest.mark.parametrize(
    ("namespace", "account", "token", "seen"),
    [
        ("shop", "cart", "secret", "Cluster"),
        ("shop", "", "secret", "Cluster"),
        ("shop", "payment", "secret", "PERMISSION_DENIED"),
        ("bank", "cart", "secret", "PERMISSION_DENIED"),
        ("shop", "cart", "unknown", "UNAUTHENTICATED"),
        ("shop", "cart", None, "UNAUTHENTICATED"),
    ],
)
def test_a_stream_over_tls_is_for_whom_the_token_is_for(
    scene: Scene, namespace: str, account: str, token: str | None, seen: str
) -> None:
    assert stream(scene, node(namespace, account), token) == seen


def test_the_server_s_own_certificate_follows_the_roots(scene: Scene) -> None:
    before = scene.authority.roots
    scene.authority.rotate("announce")
    both = scene.authority.roots
    assert before in both
    assert before != both
    address, request = scene.server.tls_address, csr(ec_key())
    assert ask(address, before, request)[-1].encode() == both
    scene.authority.rotate("switch")
    with pytest.raises(grpc.RpcError):
        ask(address, before, request)
    chain = ask(address, both, request)
    new = x509.load_pem_x509_certificates(both)[1]
    x509.load_pem_x509_certificate(chain[0].encode()).verify_directly_issued_by(new)
    scene.authority.rotate("retire")
    assert ask(address, scene.authority.roots, request)[-1] == chain[-1].removeprefix(before.decode())


def test_an_address_in_use_is_said(scene: Scene) -> None:
    service = CertificateService(scene.authority, ())
    with pytest.raises(ServeError, match=r"cannot listen on 127\.0\.0\.1:"):
        serve(scene.server.plane, "127.0.0.1:0", Security(service, scene.server.tls_address))
    with pytest.raises(ServeError, match="must be HOST:PORT"):
        serve(scene.server.plane, "127.0.0.1:0", Security(service, "nowhere"))


def test_names_of_certificates_that_are_no_workload_s(scene: Scene) -> None:
    other = foreign()
    for said in (
        other.leaf(spiffe("cart", domain="elsewhere")),
        other.leaf("spiffe://cluster.local/sa/cart/ns/shop"),
        other.leaf("https://cluster.local/ns/shop/sa/cart"),
        other.leaf(spiffe("cart"), spiffe("payment")),
        other.leaf(dns=["localhost"]),
    ):
        with pytest.raises(AuthorityError):
            scene.authority.bearer_of(said.chain)
    assert scene.authority.bearer_of(other.workload("cart").chain) == Caller("shop", "cart")
