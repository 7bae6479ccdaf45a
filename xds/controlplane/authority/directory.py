"""An authority in files, as Istio's `cacerts`: the folder has mode 0700, keys and what names them 0600.

| file | holds |
|---|---|
| `ca-cert.pem`, `ca-key.pem` | the certificate that signs and its key |
| `cert-chain.pem` | from that certificate up to the root, without it; empty where it is a root itself |
| `root-cert.pem` | what is trusted: one root, or two while one follows the other |
| `next-cert.pem`, `next-key.pem` | a root that was announced and does not sign yet |

The files are looked at whenever they are needed and read again when they have changed; what was good stays in force
while they cannot be read, or do not belong together.
"""

from __future__ import annotations

import itertools
import logging
import os
from pathlib import Path
from threading import Lock

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from .issuing import Material, PrivateKey, Signer, issued, key_pem, new_material, pem_of
from .rotating import STEPS, Step

log = logging.getLogger(__name__)

CERT, KEY, CHAIN, ROOT = "ca-cert.pem", "ca-key.pem", "cert-chain.pem", "root-cert.pem"
NEXT_CERT, NEXT_KEY = "next-cert.pem", "next-key.pem"
FILES = (CERT, KEY, CHAIN, ROOT, NEXT_CERT, NEXT_KEY)


class DirectoryError(Exception):
    """The folder cannot be used; the text names the file, and nothing of what is in a key."""


class Directory:
    """The material in a folder, which is made where it is missing or empty.

    Raises:
        DirectoryError: it cannot be read or written, others can read its keys, or its files do not belong together.
    """

    def __init__(self, path: str | os.PathLike[str], now: float) -> None:
        self.path = Path(path)
        self._lock = Lock()
        self._begin(now)
        self._seen = self._stamp()
        self._material = self._read()

    def current(self) -> Material:
        """As the files are now; where they make no sense, as they were."""
        with self._lock:
            seen = self._stamp()
            if seen != self._seen:
                try:
                    self._material = self._read()
                except DirectoryError as error:
                    log.warning("%s; the authority signs with what it had", error)
                else:
                    log.info("the authority in %s has changed", self.path)
                self._seen = seen
            return self._material

    def rotate(self, step: Step, now: float) -> None:
        """Raises RotationError; DirectoryError where the files cannot be written."""
        with self._lock:
            self._write(STEPS[step](self._read(), now))
            self._seen, self._material = self._stamp(), self._read()

    # -- files ---------------------------------------------------------------------------------------------------

    def _begin(self, now: float) -> None:
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            if any((self.path / each).exists() for each in (CERT, KEY, ROOT)):
                return
            if any(self.path.iterdir()):
                raise DirectoryError(f"{self.path} is not empty and holds no authority ({CERT}, {KEY}, {ROOT})")
            self.path.chmod(0o700)
        except OSError as error:
            raise DirectoryError(f"{self.path}: {error.strerror}") from error
        self._write(new_material(now))

    def _write(self, material: Material) -> None:
        """Trust first, then who signs: who reads in between finds nothing that is not trusted."""
        signer, coming = material.signer, material.coming
        texts = {
            ROOT: "".join(map(pem_of, material.roots)).encode(),
            KEY: key_pem(signer.key),
            CERT: pem_of(signer.certificate).encode(),
            CHAIN: "".join(map(pem_of, signer.between)).encode(),
        }
        if coming is not None:
            texts |= {NEXT_KEY: key_pem(coming.key), NEXT_CERT: pem_of(coming.certificate).encode()}
        try:
            for name, text in texts.items():
                self._put(name, text)
            if coming is None:
                (self.path / NEXT_CERT).unlink(missing_ok=True)
                (self.path / NEXT_KEY).unlink(missing_ok=True)
        except OSError as error:
            raise DirectoryError(f"{self.path}: {error.strerror}") from error

    def _put(self, name: str, data: bytes) -> None:
        new = self.path / f".{name}.new"
        new.unlink(missing_ok=True)
        number = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(number, "wb") as file:
            file.write(data)
        new.replace(self.path / name)

    def _stamp(self) -> tuple[object, ...]:
        return tuple(_stamp(self.path / each) for each in FILES)

    def _read(self) -> Material:
        roots = self._certificates(ROOT)
        signer = self._signer(CERT, KEY)
        links = self._certificates(CHAIN, needed=False)
        coming = self._signer(NEXT_CERT, NEXT_KEY) if (self.path / NEXT_CERT).exists() else None
        for each in (signer, *([coming] if coming is not None else [])):
            self._judge_authority(each.certificate)
        if signer.certificate not in roots:
            between = [each for each in links if each != signer.certificate and each not in roots]
            path = [signer.certificate, *between]
            for below, above in itertools.pairwise(path):
                if not issued(below, above):
                    raise DirectoryError(f"{self.path / CHAIN}: the certificates do not vouch for one another in order")
            if not any(issued(path[-1], each) for each in roots):
                raise DirectoryError(f"{self.path / CERT} does not lead to a root of {ROOT}")
            signer = Signer(signer.certificate, signer.key, tuple(path))
        return Material(signer, tuple(roots), coming)

    def _judge_authority(self, certificate: x509.Certificate) -> None:
        try:
            allowed = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        except (x509.ExtensionNotFound, ValueError):
            allowed = False
        if not allowed:
            raise DirectoryError(f"{self.path / CERT} is no authority's certificate (basicConstraints CA:TRUE)")

    def _signer(self, cert: str, key: str) -> Signer:
        certificate = self._certificates(cert)[0]
        secret = self._key(key)
        if _public(secret.public_key()) != _public(certificate.public_key()):
            raise DirectoryError(f"{self.path / key} is not the key of {cert}")
        return Signer(certificate, secret)

    def _certificates(self, name: str, *, needed: bool = True) -> list[x509.Certificate]:
        path = self.path / name
        try:
            data = path.read_bytes()
        except OSError as error:
            if not needed and isinstance(error, FileNotFoundError):
                return []
            raise DirectoryError(f"{path}: {error.strerror}") from error
        if not needed and not data.strip():
            return []
        try:
            return x509.load_pem_x509_certificates(data)
        except ValueError:
            raise DirectoryError(f"{path} holds no certificates (PEM)") from None

    def _key(self, name: str) -> PrivateKey:
        path = self.path / name
        refuse_open(path)
        try:
            key = serialization.load_pem_private_key(path.read_bytes(), None)
        except OSError as error:
            raise DirectoryError(f"{path}: {error.strerror}") from error
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise DirectoryError(f"{path} holds no private key (PEM, not encrypted)") from None
        if not isinstance(key, (ec.EllipticCurvePrivateKey, rsa.RSAPrivateKey)):
            raise DirectoryError(f"{path}: the key is neither RSA nor on an elliptic curve")
        return key


def refuse_open(path: Path) -> None:
    """Raises DirectoryError: others than the owner can read or write the file, or it is not there.

    The group may read a file that is somebody else's: so the kubelet hands a Secret to a pod that is not root.
    """
    try:
        found = path.stat()
    except OSError as error:
        raise DirectoryError(f"{path}: {error.strerror}") from error
    mode = found.st_mode
    if mode & (0o077 if found.st_uid == os.geteuid() else 0o037):
        raise DirectoryError(f"{path} can be read or written by others (mode {mode & 0o777:04o}): chmod 600 {path}")


def _stamp(path: Path) -> tuple[int, ...] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino


def _public(key: object) -> bytes:
    return key.public_bytes(  # type: ignore[attr-defined,no-any-return]  # every kind of key has it
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
