"""Certificates in files, and in the configuration itself: read when they are first asked for, and followed.

A file counts as changed when what its path leads to has changed, so a link that is moved to other files (as
Kubernetes replaces a mounted Secret) is seen. What cannot be used, such as a chain whose key has not been written yet,
does not replace what could: it is looked at again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import field
from pathlib import Path
from threading import Lock
from typing import Any, Generic, TypeVar

from cryptography import x509

from ..model.identity import HeldCertificate
from ..model.records import dataclass
from ..model.tls import DataSource
from .certificates import check_pair, held, roots, subject
from .secrets import IdentityError, KeyPair

log = logging.getLogger("proxyless.identity")
T = TypeVar("T")

SYSTEM_ROOTS = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian and its children
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, RHEL 6
    "/etc/ssl/ca-bundle.pem",  # openSUSE
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # CentOS, RHEL 7
    "/etc/ssl/cert.pem",  # Alpine, macOS
)
"""Where systems keep the authorities that they trust; the first that is there counts."""

MOST_BYTES = 4_000_000
"""Of a file: more is no certificate."""

MOST_LISTED = 16
"""Of a bundle with more certificates, such as a system's, only the one that ends first is told of."""

_Signature = tuple[tuple[int, int, int, int], ...]


@dataclass(slots=True)
class _Entry(Generic[T]):
    """What was made of some files. `value` None: it never could be."""

    name: str
    paths: tuple[str, ...]
    make: Callable[[], T]
    signature: _Signature = ()
    value: T | None = None
    error: str = ""
    obtained: float = 0.0
    rotations: int = 0


@dataclass(frozen=True, slots=True)
class _Pair:
    pair: KeyPair
    leaf: x509.Certificate = field(compare=False)


@dataclass(frozen=True, slots=True)
class _Bundle:
    pem: bytes
    certificates: tuple[x509.Certificate, ...] = field(compare=False)


class FileStore:
    """All that was asked for of files. `clock` is Unix time."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = Lock()
        self._entries: dict[object, _Entry[Any]] = {}

    @property
    def watching(self) -> bool:
        """Whether there is a file to look at."""
        return bool(self._entries)

    def pair(self, name: str, chain: DataSource, key: DataSource) -> KeyPair:
        """A chain and its key. Raises IdentityError."""

        def make() -> _Pair:
            pair = KeyPair(read(chain, "the certificate chain"), read(key, "the private key"))
            return _Pair(pair, check_pair(pair, name))

        paths = tuple(each.filename for each in (chain, key) if each.filename)
        return self._get(("pair", chain, key), _Entry(name, paths, make)).pair

    def bundle(self, name: str, source: DataSource) -> bytes:
        """Certificates to verify peers by. Raises IdentityError."""

        def make() -> _Bundle:
            pem, found, bad = roots(read(source, "the trusted certificates"), name)
            if bad:
                log.warning("%s: %d of the certificates cannot be read and are left out", name, bad)
            return _Bundle(pem, tuple(found))

        paths = (source.filename,) if source.filename else ()
        return self._get(("bundle", source), _Entry(name, paths, make)).pem

    def revoked(self, name: str, source: DataSource) -> bytes:
        """Revocation lists, followed too. Raises IdentityError: an empty file must not revoke nothing."""

        def make() -> _Bundle:
            pem = read(source, name)
            if b"-----BEGIN X509 CRL-----" not in pem:
                raise IdentityError(f"{name} {source.filename}: holds no list in PEM")
            return _Bundle(pem, ())

        return self._get(("revoked", source), _Entry(name, (source.filename,) if source.filename else (), make)).pem

    def _get(self, key: object, fresh: _Entry[T]) -> T:
        if not fresh.paths:
            # Not kept: a secret that was pushed and replaced must not stay here.
            return fresh.make()
        with self._lock:
            entry: _Entry[T] = self._entries.setdefault(key, fresh)
            if entry is fresh:
                self._load(entry)
        if entry.value is None:
            raise IdentityError(entry.error)
        return entry.value

    def poll(self) -> bool:
        """Look at all files; whether something is different now."""
        changed = False
        for entry in list(self._entries.values()):
            if entry.error or signature(entry.paths) != entry.signature:
                with self._lock:
                    changed |= self._load(entry)
        return changed

    def _load(self, entry: _Entry[T]) -> bool:
        # Before the files are read: one that is replaced meanwhile is read once more.
        entry.signature = signature(entry.paths)
        try:
            value = entry.make()
        except IdentityError as error:
            if str(error) != entry.error:
                entry.error = str(error)
                log.warning("%s%s", error, "; what was read before stays in use" if entry.value is not None else "")
            return False
        entry.error = ""
        if value == entry.value:
            return False
        if entry.value is not None:
            entry.rotations += 1
            log.info("%s: read anew%s", entry.name, _whose(value))
        entry.value = value
        entry.obtained = self._clock()
        return True

    def held(self) -> list[HeldCertificate]:
        """What is held of files."""
        found = []
        for entry in list(self._entries.values()):
            value = entry.value
            if isinstance(value, _Pair):
                found.append(held(entry.name, value.leaf, entry.obtained))
            elif isinstance(value, _Bundle):
                listed = list(value.certificates)
                if len(listed) > MOST_LISTED:
                    listed = [min(listed, key=lambda each: each.not_valid_after_utc)]
                found += [held(entry.name, each, entry.obtained, root=True) for each in listed]
        return found

    def rotations(self) -> dict[str, int]:
        """How often each was replaced."""
        return {each.name: each.rotations for each in list(self._entries.values())}

    def errors(self) -> list[str]:
        """What is wrong now."""
        return [each.error for each in list(self._entries.values()) if each.error]

    def forked(self) -> None:
        """In a child: a lock that some thread of the parent's held is nobody's."""
        self._lock = Lock()


def _whose(value: object) -> str:
    return f" ({subject(value.leaf)})" if isinstance(value, _Pair) else ""


def signature(paths: tuple[str, ...]) -> _Signature:
    """What changes when a file does, or where its path leads."""
    found = []
    for each in paths:
        try:
            stat = Path(each).stat()
        except OSError:
            found.append((0, 0, 0, 0))
        else:
            found.append((stat.st_dev, stat.st_ino, stat.st_mtime_ns, stat.st_size))
    return tuple(found)


def read(source: DataSource, what: str) -> bytes:
    """What a source holds. Raises IdentityError."""
    if not source.filename:
        return source.inline
    try:
        with Path(source.filename).open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise IdentityError(f"cannot read {what} {source.filename}: {error.strerror}") from error
    if len(content) > MOST_BYTES:
        raise IdentityError(f"{what} {source.filename} is larger than {MOST_BYTES} bytes")
    return content


def system_roots() -> DataSource:
    """The file of the authorities that the system trusts. Raises IdentityError."""
    for each in SYSTEM_ROOTS:
        if Path(each).is_file():
            return DataSource(each)
    raise IdentityError("this system has no file of trusted authorities where one is known to be")
