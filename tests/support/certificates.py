"""Certificates for tests: authorities, servers and workloads that they vouch for, and an identity held in memory."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from proxyless.xds.identity.secrets import IdentityError, KeyPair, Roots
from proxyless.xds.model.tls import CertificateFiles, SecretName, Validation

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
HOUR = dt.timedelta(hours=1)


def spiffe(account: str, namespace: str = "shop", domain: str = "cluster.local") -> str:
    """The identity of a service account, as Istio writes it."""
    return f"spiffe://{domain}/ns/{namespace}/sa/{account}"


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority. `above`: the certificates between its own and the root, which leaves bring along."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate
    above: tuple[x509.Certificate, ...] = ()

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def roots(self) -> Roots:
        """Trust in this authority alone."""
        return Roots(self.pem)

    def server(self, *names: str) -> tuple[bytes, bytes]:
        """(private key, certificate) in PEM for host names and addresses."""
        pair = self.leaf(dns=names or ("localhost", "127.0.0.1"), name="server")
        return pair.key, pair.chain

    def workload(self, account: str, namespace: str = "shop", domain: str = "cluster.local") -> KeyPair:
        """What istiod's authority gives to a service account."""
        return self.leaf(spiffe(account, namespace, domain))

    def leaf(
        self,
        *uris: str,
        dns: Sequence[str] = (),
        name: str = "",
        starts: dt.timedelta = -HOUR,
        ends: dt.timedelta = HOUR,
        use_rsa: bool = False,
        server: bool = True,
        client: bool = True,
    ) -> KeyPair:
        """A certificate with URI, DNS and IP names (`dns` takes addresses too), its chain, its key.

        `starts` and `ends` count from now: an expired one ends in the past, one that is not valid yet starts later.
        """
        key: Key = (
            rsa.generate_private_key(public_exponent=65537, key_size=2048)
            if use_rsa
            else ec.generate_private_key(ec.SECP256R1())
        )
        uses = [each for each, wanted in ((_SERVER, server), (_CLIENT, client)) if wanted]
        builder = _builder(name, self.certificate.subject, key, self.key, starts, ends)
        names = [x509.UniformResourceIdentifier(each) for each in uris] + [_name(each) for each in dns]
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=not name)
        builder = builder.add_extension(_usage(authority=False), critical=True)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        if uses:
            builder = builder.add_extension(x509.ExtendedKeyUsage(uses), critical=False)
        made = builder.sign(self.key, hashes.SHA256())
        between = (self.certificate, *self.above) if self.above or _signed_by_other(self.certificate) else ()
        chain = b"".join(each.public_bytes(serialization.Encoding.PEM) for each in (made, *between))
        return KeyPair(chain, _pem(key))

    def intermediate(self, name: str = "test intermediate", ends: dt.timedelta = HOUR) -> Authority:
        """An authority that this one vouches for; its leaves bring its certificate along."""
        key = ec.generate_private_key(ec.SECP256R1())
        above = (self.certificate, *self.above) if _signed_by_other(self.certificate) else ()
        return Authority(key, _authority(name, self.certificate.subject, key, self.key, ends), above)

    def revoked(self, *pairs: KeyPair, ends: dt.timedelta = HOUR) -> bytes:
        """A revocation list (PEM) that names these certificates."""
        now = dt.datetime.now(dt.UTC)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(now - HOUR)
            .next_update(now + ends)
        )
        for pair in pairs:
            serial = x509.load_pem_x509_certificate(pair.chain).serial_number
            gone = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now - HOUR).build()
            builder = builder.add_revoked_certificate(gone)
        return builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def authority(name: str = "test authority", ends: dt.timedelta = HOUR) -> Authority:
    """A new authority that nobody else trusts."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    return Authority(key, _authority(name, subject, key, key, ends))


def self_signed(*uris: str) -> KeyPair:
    """A leaf that nobody but itself vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "self-signed")])
    names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(each) for each in uris])
    made = _builder("self-signed", subject, key, key).add_extension(names, critical=False).sign(key, hashes.SHA256())
    return KeyPair(made.public_bytes(serialization.Encoding.PEM), _pem(key))


def terminating(ca: Authority, account: str, folder: Path) -> ssl.SSLContext:
    """A server of OpenSSL's own that is this account and wants a certificate of the same authority."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(*write(ca.workload(account), folder, account))
    made.load_verify_locations(cadata=ca.pem.decode())
    made.verify_mode = ssl.CERT_REQUIRED
    return made


def write(pair: KeyPair, folder: Path, name: str = "leaf") -> tuple[Path, Path]:
    """(chain, key) as files."""
    chain, key = folder / f"{name}-cert.pem", folder / f"{name}-key.pem"
    chain.write_bytes(pair.chain)
    key.touch(mode=0o600)
    key.write_bytes(pair.key)
    return chain, key


class HeldSecrets:
    """`Secrets` in memory: one identity for whoever asks, until `rotate`. None: it cannot be had."""

    def __init__(self, pair: KeyPair | None, roots: Roots | None) -> None:
        self._lock = Lock()
        self._pair = pair
        self._roots = roots
        self._generation = 1
        self._told: list[Callable[[], None]] = []

    @property
    def generation(self) -> int:
        return self._generation

    def key_pair(self, wanted: SecretName | CertificateFiles) -> KeyPair:
        if self._pair is None:
            name = wanted.name if isinstance(wanted, SecretName) else wanted.chain.filename
            raise IdentityError(f"there is no certificate {name}")
        return self._pair

    def roots(self, wanted: Validation) -> Roots | None:
        if wanted.secret is None and not wanted.roots and not wanted.spiffe_domains and not wanted.system_roots:
            return None
        if self._roots is None:
            raise IdentityError(f"there are no roots {wanted.secret.name if wanted.secret is not None else ''}".strip())
        return self._roots

    def complete(self, wanted: Validation) -> Validation:
        return wanted

    def on_change(self, tell: Callable[[], None]) -> Callable[[], None]:
        self._told.append(tell)
        return lambda: self._told.remove(tell)

    def rotate(self, pair: KeyPair | None = None, roots: Roots | None = None) -> None:
        """A new leaf, new roots, or both."""
        with self._lock:
            self._pair = pair if pair is not None else self._pair
            self._roots = roots if roots is not None else self._roots
            self._generation += 1
        for tell in list(self._told):
            tell()


_SERVER, _CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH


def _name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _pem(key: Key) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _signed_by_other(certificate: x509.Certificate) -> bool:
    return certificate.issuer != certificate.subject


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_encipherment=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _authority(
    name: str,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
    ends: dt.timedelta,
) -> x509.Certificate:
    builder = _builder(name, issuer, key, signer, ends=ends)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return builder.add_extension(_usage(authority=True), critical=True).sign(signer, hashes.SHA256())


def _builder(
    name: str,
    issuer: x509.Name,
    key: Key,
    signer: ec.EllipticCurvePrivateKey,
    starts: dt.timedelta = -HOUR,
    ends: dt.timedelta = HOUR,
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)] if name else []))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + starts)
        .not_valid_after(now + ends)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
