"""A new key, and the request to certify it (PKCS #10): made in this process, so the key never leaves it."""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from .secrets import IdentityError
from .settings import KeyKind

LEAST_RSA_BITS = 2048
_CURVES: dict[str, type[ec.SECP256R1 | ec.SECP384R1]] = {"P256": ec.SECP256R1, "P384": ec.SECP384R1}


def new_request(identity: str, kind: KeyKind) -> tuple[bytes, bytes]:
    """(private key, request), both PEM. As Istio's: an empty subject and one other name, which is critical then.

    Raises:
        IdentityError: the identity is no URI, or the key would be too short.
    """
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
    if kind.algorithm == "RSA":
        if kind.size < LEAST_RSA_BITS:
            raise IdentityError(f"a key of {kind.size} bits is asked for; {LEAST_RSA_BITS} are the least")
        key = rsa.generate_private_key(public_exponent=65537, key_size=kind.size)
    else:
        key = ec.generate_private_key(_CURVES[kind.curve]())
    try:
        name = x509.UniformResourceIdentifier(identity)
    except ValueError as error:
        raise IdentityError(f"{identity!r} cannot be certified: {error}") from error
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([]))
        .add_extension(x509.SubjectAlternativeName([name]), critical=True)
        .sign(key, hashes.SHA256())
    )
    form = serialization.PrivateFormat.PKCS8 if kind.pkcs8 else serialization.PrivateFormat.TraditionalOpenSSL
    pem = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    return pem, request.public_bytes(serialization.Encoding.PEM)
