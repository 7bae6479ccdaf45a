"""Requests for certificates (PKCS #10), judged: of what a workload sends only its public key is ever used."""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from .callers import AuthorityError

PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey

LONGEST = 64 * 1024
RSA_BITS = (2048, 8192)
CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
DIGESTS = (hashes.SHA256, hashes.SHA384, hashes.SHA512)


def judged(pem: bytes) -> PublicKey:
    """The public key of a request whose sender holds the private one.

    Raises:
        AuthorityError: it cannot be read, its signature is not its key's, or the key is not fit.
    """
    if len(pem) > LONGEST:
        raise _refused(f"it is longer than {LONGEST} bytes")
    try:
        request = x509.load_pem_x509_csr(pem)
        digest = request.signature_hash_algorithm
        key = request.public_key()
        signed = request.is_signature_valid
    except Exception:  # what a parser says of bytes from outside is not for its sender
        raise _refused("it cannot be read (PEM, PKCS #10)") from None
    if not signed:
        raise _refused("it is not signed by the key that it names")
    if not isinstance(digest, DIGESTS):
        raise _refused(f"its signature is over {digest.name if digest is not None else 'no digest'}; SHA-2 is needed")
    if isinstance(key, rsa.RSAPublicKey):
        least, most = RSA_BITS
        if not least <= key.key_size <= most:
            raise _refused(f"an RSA key of {key.key_size} bits; {least} to {most} are taken")
        return key
    if isinstance(key, ec.EllipticCurvePublicKey):
        if not isinstance(key.curve, CURVES):
            raise _refused(f"a key on the curve {key.curve.name}; P-256, P-384 and P-521 are taken")
        return key
    raise _refused("a key that is neither RSA nor on an elliptic curve")


def _refused(why: str) -> AuthorityError:
    return AuthorityError(f"the certificate signing request is refused: {why}", "INVALID_ARGUMENT")
