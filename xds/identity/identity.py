"""The identity of a workload, kept fresh: what has got certificates hands them out from memory, to any thread.

One thread of its own asks the authority, opens the streams of an agent and looks at files; it begins when the mesh
does, or when a file is first named. Calls never wait for it: what is not there yet is an `IdentityError`.
"""

from __future__ import annotations

import logging
import os
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Any, Self

from ..model.identity import IdentityState
from ..model.tls import CertificateFiles, DataSource, SecretName, Validation
from .certificates import roots as roots_of
from .discovered import SAID as CONTROL_PLANE
from .discovered import DiscoveredSecrets
from .files import FileStore, system_roots
from .merging import merged
from .secrets import IdentityError, KeyPair, Roots
from .settings import DEFAULT, ROOT, FromAuthority, FromFiles, FromSocket, IdentitySettings
from .sources import Source

log = logging.getLogger("proxyless.identity")

LOOK_S = 1.0
"""How often files are looked at."""

FILE_CERT = "file-cert:"
FILE_ROOT = "file-root:"
SYSTEM = "file-root:system"


class Identity:
    """Who this workload is: its certificate and key, and the roots that peers are verified by.

    A mesh makes its own from the environment or from a token; `from_files` gives it one: `Mesh(url, identity=...)`.
    Safe from all threads. Private keys stay in memory.
    """

    def __init__(
        self,
        settings: IdentitySettings | None,
        node: Mapping[str, Any] | None = None,
        *,
        clock: Callable[[], float] = time.time,
        uniform: Callable[[], float] = random.random,
        look_s: float = LOOK_S,
    ) -> None:
        self._settings = settings
        self._look_s = look_s
        self._queue: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._lock = Lock()
        self._thread: Thread | None = None
        self._closed = False
        self._generation = 1
        self._told: list[Callable[[], None]] = []
        self._extra = b""
        self._files = FileStore(clock)
        self.discovered = DiscoveredSecrets(clock, self._changed)
        """What the control plane sends."""
        self._source = self._make(settings, node or {"id": "proxyless"}, clock, uniform)

    @classmethod
    def from_files(
        cls, chain: str | os.PathLike[str], key: str | os.PathLike[str], roots: str | os.PathLike[str] | None = None
    ) -> Self:
        """An identity in files (PEM) that somebody else renews: they are read again when they change.

        `chain`: the certificate, and those between it and a root. `key`: its private key. `roots`: what peers are
        verified by; without it `ROOTCA` cannot be had, and what asks for it fails.
        """
        said = FromFiles(os.fspath(chain), os.fspath(key), "" if roots is None else os.fspath(roots))
        return cls(said)

    def _make(
        self,
        settings: IdentitySettings | None,
        node: Mapping[str, Any],
        clock: Callable[[], float],
        uniform: Callable[[], float],
    ) -> Source | None:
        if isinstance(settings, FromAuthority):
            from .rotation import Rotation

            if settings.ask is not None:
                return Rotation(settings, settings.ask, clock, uniform, self._changed)
            from .authority import AuthorityClient

            client = AuthorityClient(settings)
            return Rotation(settings, client, clock, uniform, self._changed, client.close, client.forked)
        if isinstance(settings, FromSocket):
            from .sds import SocketSecrets

            return SocketSecrets(settings, node, clock, uniform, self._post, self._changed)
        return None

    # -- handing out ---------------------------------------------------------------------------------------------

    @property
    def generation(self) -> int:
        """Grows with every change."""
        return self._generation

    def on_change(self, tell: Callable[[], None]) -> Callable[[], None]:
        """Be told, by any thread, of each new generation; the result ends it."""
        with self._lock:
            self._told.append(tell)

        def end() -> None:
            with self._lock:
                if tell in self._told:
                    self._told.remove(tell)

        return end

    def key_pair(self, wanted: SecretName | CertificateFiles) -> KeyPair:
        """The certificate to show.

        Raises:
            IdentityError: it is not there, not there yet, or cannot be used.
        """
        if isinstance(wanted, CertificateFiles):
            return self._pair(wanted.chain.filename or "the certificate of the configuration", wanted)
        if wanted.ads:
            return self._pair(wanted.name, self.discovered.pair(wanted.name))
        name = self._named(wanted)
        if name.startswith(FILE_CERT):
            chain, mark, key = name.removeprefix(FILE_CERT).partition("~")
            if not mark or not chain or not key:
                raise IdentityError(f"{name!r} names no certificate and key (file-cert:CHAIN~KEY)")
            return self._pair(name, CertificateFiles(DataSource(chain), DataSource(key)))
        settings = self._settings
        if isinstance(settings, FromFiles) and name == DEFAULT:
            return self._pair(DEFAULT, CertificateFiles(DataSource(settings.chain), DataSource(settings.key)))
        found = self._from_source(name).key_pair(name)
        return found if isinstance(found, KeyPair) else self._pair(name, found)

    def roots(self, wanted: Validation) -> Roots | None:
        """What to verify peers by; None where the context says that nothing is verified.

        Raises:
            IdentityError: it is not there, not there yet, or cannot be used.
        """
        secret = wanted.secret
        if secret is not None and secret.ads:
            return self._with(secret.name, self.discovered.validation(secret.name), wanted)
        if secret is not None:
            return self._of_secret(self._named(secret), wanted)
        if not (wanted.roots or wanted.spiffe_domains or wanted.system_roots):
            return None
        return self._of(wanted.roots.filename or "the trusted certificates of the configuration", wanted)

    def _of_secret(self, name: str, wanted: Validation) -> Roots:
        said = Validation(crl=wanted.crl, spiffe_domains=wanted.spiffe_domains)
        if name == SYSTEM:
            return self._of(name, replace(said, system_roots=True))
        if name.startswith(FILE_ROOT):
            return self._of(name, replace(said, roots=DataSource(name.removeprefix(FILE_ROOT))))
        settings = self._settings
        if isinstance(settings, FromFiles) and name == ROOT:
            if not settings.roots:
                raise IdentityError(f"no roots were given beside {settings.chain}: peers cannot be verified")
            return self._of(name, replace(said, roots=DataSource(settings.roots)), extra=True)
        return self._with(name, self._from_source(name).validation(name), wanted, extra=name == ROOT)

    def _with(self, name: str, found: Validation, wanted: Validation, *, extra: bool = False) -> Roots:
        """What a secret brings goes before what is said beside it."""
        both = Validation(
            found.roots or wanted.roots,
            system_roots=found.system_roots,
            crl=found.crl or wanted.crl,
            spiffe_domains=wanted.spiffe_domains + found.spiffe_domains,
        )
        return self._of(name, both, extra=extra)

    def complete(self, wanted: Validation) -> Validation:
        """With what its secret asks of a peer beside roots (CombinedCertificateValidationContext: both, merged).

        Raises:
            IdentityError: the secret is not there.
        """
        secret = wanted.secret
        if secret is None:
            return wanted
        if secret.ads:
            return merged(wanted, self.discovered.validation(secret.name))
        name = self._named(secret)
        settings = self._settings
        if name == SYSTEM or name.startswith(FILE_ROOT) or (isinstance(settings, FromFiles) and name == ROOT):
            return wanted
        return merged(wanted, self._from_source(name).validation(name))

    def _of(self, name: str, wanted: Validation, *, extra: bool = False) -> Roots:
        """The texts behind the sources."""
        source = system_roots() if wanted.system_roots else wanted.roots
        pem = self._bundle(name, source) if source else b""
        if extra and self._extra:
            pem = roots_of(pem + self._extra, name)[0]
        domains: dict[str, bytes] = {}
        for domain, each in wanted.spiffe_domains:
            domains[domain] = domains.get(domain, b"") + self._bundle(f"{name} of {domain}", each)
        crl = self._revoked(wanted.crl) if wanted.crl else b""
        return Roots(pem or b"".join(domains.values()), domains, crl)

    def _pair(self, name: str, files: CertificateFiles) -> KeyPair:
        try:
            return self._files.pair(name, files.chain, files.key)
        finally:
            self._begin_looking()

    def _bundle(self, name: str, source: DataSource) -> bytes:
        try:
            return self._files.bundle(name, source)
        finally:
            self._begin_looking()

    def _revoked(self, source: DataSource) -> bytes:
        try:
            return self._files.revoked("the revocation list", source)
        finally:
            self._begin_looking()

    def _named(self, secret: SecretName) -> str:
        if secret.path:
            raise IdentityError(f"secret {secret.name!r} is in a file {secret.path!r} of discovery responses: not read")
        return secret.name

    def _from_source(self, name: str) -> Source:
        if self._source is None:
            raise IdentityError(f"no identity gives the secret {name!r}: no authority, agent or file is configured")
        return self._source

    # -- how things stand ----------------------------------------------------------------------------------------

    @property
    def expected(self) -> bool:
        """Whether a certificate of this workload's own is to come from somewhere."""
        return self._settings is not None

    @property
    def settled(self) -> bool:
        """Whether there is nothing to wait for: a certificate is there, or it is known that none will come."""
        if self._source is not None:
            return self._source.settled
        return self._settings is None or self.ready

    @property
    def ready(self) -> bool:
        """Whether there is a certificate to show."""
        try:
            self.key_pair(SecretName(DEFAULT))
        except IdentityError:
            return False
        return True

    def state(self) -> IdentityState:
        """What there is to say of it."""
        source, files = self._source, self._files
        errors = [*([source.error] if source is not None and source.error else []), *files.errors()]
        failures = dict(source.failures()) if source is not None else {}
        ready = self.ready or (self._settings is None and bool(self.discovered))
        return IdentityState(
            self._settings.said if self._settings is not None else CONTROL_PLANE if self.discovered else "files",
            ready,
            self._generation,
            (*(source.held() if source is not None else ()), *self.discovered.held(), *files.held()),
            {**files.rotations(), **self.discovered.rotations(), **(source.rotations() if source is not None else {})},
            failures,
            "; ".join(errors),
        )

    @property
    def error(self) -> str:
        """Why there is no certificate, or why the last attempt at another failed."""
        return self.state().error

    # -- life ----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to ask; nothing where nobody is to be asked."""
        if self._source is not None:
            self._begin()
        elif isinstance(self._settings, FromFiles):
            # Their absence is said now, and not at the first call.
            try:
                self.key_pair(SecretName(DEFAULT))
                if self._settings.roots:
                    self.roots(Validation(secret=SecretName(ROOT)))
            except IdentityError:
                pass  # the store has said it

    def add_roots(self, pem: bytes) -> None:
        """More roots for `ROOTCA`, in place of those added before (MeshConfig.caCertificates, ProxyConfig)."""
        pem = roots_of(pem, "more trusted certificates")[0] if pem.strip() else b""
        if pem != self._extra:
            self._extra = pem
            log.info("%d other trusted certificates beside those that are ours", pem.count(b"-----BEGIN"))
            self._changed()

    def close(self) -> None:
        """End streams and thread; what is held can still be had."""
        with self._lock:
            self._closed = True
            thread, self._thread = self._thread, None
        if thread is not None:
            self._queue.put(None)
            thread.join(2.0)
        if self._source is not None:
            self._source.close()

    def forked(self) -> None:
        """In a child: connections, thread and locks are the parent's; what is held stays in use."""
        self._lock = Lock()
        self._queue = SimpleQueue()
        was, self._thread = self._thread, None
        self._files.forked()
        if self._source is not None:
            self._source.forked()
        if was is not None and not self._closed:
            self._begin()

    def _post(self, work: Callable[[], None]) -> None:
        self._queue.put(work)

    def _begin_looking(self) -> None:
        if self._thread is None and self._files.watching:
            self._begin()

    def _begin(self) -> None:
        with self._lock:
            if self._thread is None and not self._closed:
                self._thread = Thread(target=self._run, args=(self._queue,), name="proxyless-identity", daemon=True)
                self._thread.start()

    def _run(self, queue: SimpleQueue[Callable[[], None] | None]) -> None:
        wait_s: float | None = 0.0
        while True:
            try:
                work = queue.get(timeout=wait_s)
            except Empty:
                work = _nothing
            if work is None:
                return
            try:
                work()
                wait_s = self._step()
            except Exception:
                # A mistake of ours must not leave the process with a certificate that nobody renews.
                log.exception("identity: an attempt failed; it is made again")
                wait_s = self._look_s

    def _step(self) -> float | None:
        waits = [self._source.step()] if self._source is not None else []
        if self._files.watching:
            if self._files.poll():
                self._changed()
            waits.append(self._look_s)
        due = [each for each in waits if each is not None]
        return min(due) if due else None

    def _changed(self) -> None:
        with self._lock:
            self._generation += 1
            told = tuple(self._told)
        for each in told:
            each()


def _nothing() -> None:
    pass
