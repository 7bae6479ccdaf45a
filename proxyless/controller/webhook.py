"""The validating webhook: AdmissionReviews over HTTPS, each checked against the mesh as it is then.

It answers from threads of its own, one check at a time, and waits for nothing else than the processor; the plane's
thread goes on meanwhile. Without an answer the API server does what the webhook's failurePolicy says.
"""

from __future__ import annotations

import json
import logging
import os
import ssl
import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from .._listening import Listening, QuietHandler, QuietServer
from ..errors import ConfigurationError
from ..xds.identity.secrets import IdentityError, KeyPair

if TYPE_CHECKING:
    from ..xds.controlplane.registry.world import World

log = logging.getLogger(__name__)

PATH = "/validate"
LONGEST = 8 << 20
"""Bytes of a review: it holds an object twice, and etcd takes none of more than 1.5 MiB."""
_PATIENCE_S = 60.0
OUTCOMES = ("allowed", "refused", "malformed")


class CertificateFiles:
    """A certificate and its key in files, read again when they have changed; what was good is shown meanwhile.

    Raises:
        ConfigurationError: they cannot be used.
    """

    def __init__(self, chain: str, key: str) -> None:
        self._paths = (chain, key)
        try:
            self._seen = self._stamp()
            self._pair = self._read()
        except (OSError, IdentityError) as error:
            raise ConfigurationError(_of_files(chain, key, error)) from error

    def __call__(self) -> KeyPair:
        try:
            seen = self._stamp()
            if seen != self._seen:
                self._seen, self._pair = seen, self._read()
        except (OSError, IdentityError) as error:
            log.warning("%s; the webhook shows the one that it had", _of_files(*self._paths, error))
        return self._pair

    def _stamp(self) -> tuple[tuple[int, int, int], ...]:
        found = [os.stat(each) for each in self._paths]  # noqa: PTH116  # links of a mounted Secret are followed
        return tuple((each.st_mtime_ns, each.st_size, each.st_ino) for each in found)

    def _read(self) -> KeyPair:
        chain, key = (open(each, "rb").read() for each in self._paths)  # noqa: PTH123, SIM115  # two small files
        pair = KeyPair(chain, key)
        _context(pair)
        return pair


class Webhook:
    """Serves from the moment it is made until `stop`.

    `pair` gives the certificate to show and is asked at each connection; `world` is what objects are checked against.
    `strict`: an object that cannot do what it says in the mesh as it is is refused, too.

    Raises:
        ConfigurationError: the address is none, or is in use.
    """

    def __init__(
        self, listen: str, pair: Callable[[], KeyPair], world: Callable[[], World], *, strict: bool = False
    ) -> None:
        self._pair = pair
        self._world = world
        self._strict = strict
        self._checking = threading.Lock()
        self._counting = threading.Lock()
        self._counts = dict.fromkeys(OUTCOMES, 0)
        self._shown: tuple[KeyPair, ssl.SSLContext] | None = None
        made = partial(_Server, context=self._context, answer=self._answer)
        self._listening = Listening(listen, made, "proxyless-webhook")
        self.address = f"https://{self._listening.authority}{PATH}"
        self.stop = self._listening.stop

    def counts(self) -> Mapping[str, int]:
        """Reviews by what came of them. For any thread."""
        with self._counting:
            return dict(self._counts)

    def _context(self) -> ssl.SSLContext:
        """Looked at for each connection: certificates end."""
        pair = self._pair()
        held = self._shown
        if held is None or held[0] != pair:
            held = self._shown = (pair, _context(pair))
        return held[1]

    def _answer(self, body: bytes) -> tuple[int, str, bytes]:
        from ..xds.controlplane.admission import NotAReview, answered

        try:
            review = json.loads(body)
            with self._checking:
                answer = answered(review, self._world(), strict=self._strict)
        except (NotAReview, ValueError) as error:
            self._count("malformed")
            said = str(error) if isinstance(error, NotAReview) else "the body is no JSON"
            return 400, "text/plain", f"{said}\n".encode()
        self._count("allowed" if answer.allowed else "refused")
        if not answer.allowed:
            log.info("refused: %s", answer.document["response"]["status"]["message"])
        return 200, "application/json", json.dumps(answer.document).encode()

    def _count(self, outcome: str) -> None:
        with self._counting:
            self._counts[outcome] += 1


class _Server(QuietServer):
    def __init__(
        self,
        address: tuple[str, int],
        context: Callable[[], ssl.SSLContext],
        answer: Callable[[bytes], tuple[int, str, bytes]],
    ) -> None:
        super().__init__(address, _Handler)
        self.context = context
        self.answer = answer

    def finish_request(self, request: Any, client_address: Any) -> None:
        """In the connection's own thread, so that a client that does not shake hands holds up nobody."""
        request.settimeout(_PATIENCE_S)
        with self.context().wrap_socket(request, server_side=True) as wrapped:
            super().finish_request(wrapped, client_address)


class _Handler(QuietHandler):
    server: _Server
    timeout = _PATIENCE_S
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:  # noqa: N802  # what http.server calls
        length = self.headers.get("content-length", "")
        if not length.isdecimal():
            self.say(411, "text/plain", b"content-length is missing\n", last=True)
            return
        if int(length) > LONGEST:
            self.say(413, "text/plain", b"the review is too long\n", last=True)
            return
        body = self.rfile.read(int(length))
        if self.path.partition("?")[0] != PATH:
            self.say(404, "text/plain", b"not found\n")
            return
        try:
            said = self.server.answer(body)
        except Exception:
            log.exception("an object could not be checked")
            said = 500, "text/plain", b"the object could not be checked\n"
        self.say(*said)


def _context(pair: KeyPair) -> ssl.SSLContext:
    from ..xds.identity.contexts import load

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    load(context, pair)
    return context


def _of_files(chain: str, key: str, error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{error.filename or chain}: {error.strerror or type(error).__name__}"
    return f"{chain}, {key}: {error}"
