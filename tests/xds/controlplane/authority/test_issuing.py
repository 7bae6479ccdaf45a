"""What the authority signs and what it refuses, by a clock that stands still."""

from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from proxyless.xds.controlplane.authority.authority import DAY_S, MOST_S
from proxyless.xds.controlplane.authority.callers import AuthorityError, Caller, bearer
from proxyless.xds.controlplane.authority.issuing import ROOT_S, Signer, key_pem, new_signer, sign
from proxyless.xds.controlplane.authority.requests import LONGEST, judged
from proxyless.xds.controlplane.authority.rotating import RotationError
from tests.xds.controlplane.authority.support import CART, Clock, authority, csr, ec_key, uris

GOOD = csr(ec_key())


def lasts(pem: str, clock: Clock) -> tuple[float, float]:
    """(from, until) as seconds from now."""
    leaf = x509.load_pem_x509_certificate(pem.encode())
    return leaf.not_valid_before_utc.timestamp() - clock(), leaf.not_valid_after_utc.timestamp() - clock()


@pytest.mark.parametrize(
    ("wished", "got"),
    [(0, DAY_S), (-5, DAY_S), (-(2**63), DAY_S), (1, 1), (3600, 3600), (MOST_S, MOST_S)],
)
def test_a_lifetime_is_what_was_wished_for_within_bounds(wished: float, got: float) -> None:
    clock = Clock()
    made, _ = authority(clock)
    assert lasts(made.create(CART, GOOD, wished)[0], clock) == (-120, got)


@pytest.mark.parametrize("wished", [MOST_S + 1, 2**63 - 1])
def test_a_longer_one_is_refused(wished: float) -> None:
    made, _ = authority(Clock())
    with pytest.raises(AuthorityError, match="are the most") as error:
        made.create(CART, GOOD, wished)
    assert error.value.status == "INVALID_ARGUMENT"


def test_no_leaf_outlives_its_root_and_an_expired_root_signs_nothing() -> None:
    clock = Clock()
    made, _ = authority(clock)
    clock.now += ROOT_S - 10
    assert lasts(made.create(CART, GOOD)[0], clock)[1] == 10
    clock.now += 10
    with pytest.raises(AuthorityError, match="has expired"):
        made.create(CART, GOOD)
    with pytest.raises(AuthorityError, match="has expired"):
        made.server_pair()


def test_the_trust_domain_is_that_of_now() -> None:
    domain = ["cluster.local"]
    made, _ = authority(Clock(), trust_domain=lambda: domain[0])
    assert uris(made.create(CART, GOOD)[0]) == ["spiffe://cluster.local/ns/shop/sa/cart"]
    domain[0] = "example.org"
    assert uris(made.create(CART, GOOD)[0]) == ["spiffe://example.org/ns/shop/sa/cart"]


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP256R1()),
        ec.generate_private_key(ec.SECP384R1()),
        ec.generate_private_key(ec.SECP521R1()),
        rsa.generate_private_key(public_exponent=65537, key_size=2048),
    ],
    ids=["P-256", "P-384", "P-521", "RSA 2048"],
)
def test_keys_that_are_taken(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> None:
    assert judged(csr(key)) == key.public_key()


def tampered() -> bytes:
    """Signed by another key than the one that it names."""
    mine, other = ec_key(), ec_key()
    here, there = (x509.load_pem_x509_csr(csr(each)) for each in (mine, other))
    der = here.public_bytes(serialization.Encoding.DER)
    spki = [
        each.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        for each in (here, there)
    ]
    return x509.load_der_x509_csr(der.replace(spki[0], spki[1])).public_bytes(serialization.Encoding.PEM)


def weak(digest: hashes.HashAlgorithm) -> bytes:
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return builder.sign(ec_key(), digest).public_bytes(serialization.Encoding.PEM)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        (b"", "cannot be read"),
        (b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n", "cannot be read"),
        (GOOD[: len(GOOD) // 2], "cannot be read"),
        (b"x" * (LONGEST + 1), "longer than"),
        (tampered(), "not signed by the key"),
        (weak(hashes.SHA224()), "SHA-2 is needed"),
        (csr(rsa.generate_private_key(public_exponent=65537, key_size=1024)), "1024 bits"),
        (csr(ec.generate_private_key(ec.SECP192R1())), "secp192r1"),
        (csr(ec.generate_private_key(ec.SECP256K1())), "secp256k1"),
    ],
    ids=["empty", "no PKCS #10", "cut off", "long", "tampered", "SHA-224", "RSA 1024", "P-192", "K-256"],
)
def test_requests_that_are_refused(request_: bytes, why: str) -> None:
    with pytest.raises(AuthorityError, match=why) as error:
        judged(request_)
    assert error.value.status == "INVALID_ARGUMENT"


def test_other_kinds_of_keys_are_refused() -> None:
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    old = builder.sign(dsa.generate_private_key(2048), hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    for pem in (old, csr(ed25519.Ed25519PrivateKey.generate())):
        with pytest.raises(AuthorityError):
            judged(pem)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400))
def test_arbitrary_bytes_are_no_request_and_do_no_harm(data: bytes) -> None:
    for pem in (data, b"-----BEGIN CERTIFICATE REQUEST-----\n" + data + b"\n-----END CERTIFICATE REQUEST-----\n"):
        with pytest.raises(AuthorityError):
            judged(pem)


DER = x509.load_pem_x509_csr(GOOD).public_bytes(serialization.Encoding.DER)
UNUSED = len(DER) - len(x509.load_pem_x509_csr(GOOD).signature) - 1
"""Where the number of unused bits of the signature stands: of a signature that ends in a 0 one may be unused."""


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(DER) - 1).filter(lambda place: place != UNUSED), st.integers(1, 255), st.integers(0, 20))
def test_a_request_with_a_changed_byte_is_refused(place: int, change: int, cut: int) -> None:
    import base64

    data = bytearray(DER)
    data[place] ^= change
    text = base64.encodebytes(bytes(data[: len(data) - cut]))
    with pytest.raises(AuthorityError):
        judged(b"-----BEGIN CERTIFICATE REQUEST-----\n" + text + b"-----END CERTIFICATE REQUEST-----\n")


@pytest.mark.parametrize(
    ("namespace", "account"),
    [("", "a"), ("shop", ""), ("shop/sa/x", "cart"), ("shop", "cart/../x"), ("Shop", "cart"), ("shop", "a" * 254)],
)
def test_a_caller_is_no_path(namespace: str, account: str) -> None:
    with pytest.raises(ValueError, match="is no name of a"):
        Caller(namespace, account)


def test_the_bearer_of_a_call() -> None:
    assert bearer([("authorization", "bearer  abc "), ("clusterid", "east")]) == ("abc", "east")
    assert bearer([("authorization", "Basic x"), ("authorization", "Bearer abc")]) == ("abc", "")
    for said in ([], [("authorization", "Bearer a"), ("authorization", "Bearer b")], [("authorization", b"Bearer a")]):
        with pytest.raises(AuthorityError):
            bearer(said)


def test_the_server_s_own_certificate_is_kept_for_half_of_its_life() -> None:
    clock = Clock()
    made, kept = authority(clock)
    first = made.server_pair(["10.1.2.3"])
    leaf = x509.load_pem_x509_certificate(first[1])
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {"localhost", "istiod.istio-system.svc"} <= set(names.get_values_for_type(x509.DNSName))
    assert {"127.0.0.1", "10.1.2.3"} <= {str(each) for each in names.get_values_for_type(x509.IPAddress)}
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == []
    clock.now += DAY_S / 2 - 1
    assert made.server_pair(["10.1.2.3"]) == first
    clock.now += 1
    assert made.server_pair(["10.1.2.3"]) != first
    kept.rotate("announce", clock())


def test_a_root_follows_another_in_three_steps_and_in_no_other_order() -> None:
    clock = Clock()
    made, kept = authority(clock)
    old = kept.current().signer
    for early in ("switch", "retire"):
        with pytest.raises(RotationError):
            made.rotate(early)
    made.rotate("announce")
    announced = kept.current()
    assert announced.signer is old
    assert [each == old.certificate for each in announced.roots] == [True, False]
    for wrong in ("announce", "retire"):
        with pytest.raises(RotationError):
            made.rotate(wrong)
    made.rotate("switch")
    assert kept.current().roots == announced.roots
    assert kept.current().signer.certificate == announced.roots[1]
    with pytest.raises(RotationError):
        made.rotate("announce")
    made.rotate("retire")
    assert kept.current().roots == announced.roots[1:]


@pytest.mark.parametrize("said", [b"as Go's SHA-256", None])
def test_a_leaf_names_the_key_of_its_root_as_the_root_does(said: bytes | None) -> None:
    key, clock = ec_key(), Clock()
    own = new_signer(clock()).certificate
    root = x509.CertificateBuilder(own.subject, own.subject, key.public_key(), own.serial_number)
    root = root.not_valid_before(own.not_valid_before_utc).not_valid_after(own.not_valid_after_utc)
    if said is not None:
        root = root.add_extension(x509.SubjectKeyIdentifier(said), critical=False)
    leaf = sign(Signer(root.sign(key, hashes.SHA256()), key), ec_key().public_key(), ["a.shop"], clock(), 60)
    named = leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    assert named == (said or x509.SubjectKeyIdentifier.from_public_key(key.public_key()).digest)


def test_keys_are_in_no_repr() -> None:
    _, kept = authority(Clock())
    secret = key_pem(kept.current().signer.key).decode().splitlines()[1]
    assert secret not in repr(kept.current())
    assert "PrivateKey" not in repr(kept.current())
