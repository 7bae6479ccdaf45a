"""Secrets from the socket of an agent (envoy.service.secret.v3): Istio's own agent, or SPIRE's.

A stream for each secret, as Envoy opens them: an agent that cannot give one of them ends its stream, and the others
stay. What is pushed replaces what was there if it can be used, and is refused (NACK) if not. While the agent is away
what it has sent stays in use.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any

import grpc

from ..model.identity import HeldCertificate
from ..model.own_channels import OWN_CHANNEL
from ..model.tls import CertificateFiles, Validation
from ..transport.backoff import Backoff
from ..wire import secrets as wire
from ..wire.envelope import node_message
from ..wire.refused import RefusedError
from .judging import as_certificate, as_validation, judged, names_of
from .secrets import IdentityError, KeyPair
from .settings import DEFAULT, ROOT, FromSocket

log = logging.getLogger("proxyless.identity")

OPTIONS = (OWN_CHANNEL, ("grpc.use_local_subchannel_pool", 1), ("grpc.default_authority", "localhost"))


@dataclass(slots=True)
class _Followed:
    """One secret. `value` None: it has not come yet."""

    name: str
    backoff: Backoff
    value: wire.Secret | None = None
    version: str = ""
    obtained: float = 0.0
    due: float | None = 0.0
    """When a stream is to be opened; None while one is open."""
    requests: SimpleQueue[bytes | None] | None = None
    call: Any = None
    error: str = ""
    rotations: int = 0
    held: list[HeldCertificate] = field(default_factory=list)


class SocketSecrets:
    """What an agent gives. `clock` is Unix time, `post` hands work to the identity's thread, `tell` says that there is
    something else to use."""

    def __init__(
        self,
        settings: FromSocket,
        node: Mapping[str, Any],
        clock: Callable[[], float],
        uniform: Callable[[], float],
        post: Callable[[Callable[[], None]], None],
        tell: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._node = node_message(node)
        self._clock = clock
        self._uniform = uniform
        self._post = post
        self._tell = tell
        self._channel: grpc.Channel | None = None
        self._parents: object = None
        """What a parent had open: neither used nor closed in a child."""
        self._lock = Lock()
        self._followed: dict[str, _Followed] = {}
        self._failures: dict[str, int] = {}
        self._closed = False
        for name in (DEFAULT, ROOT):
            self._follow(name)

    @property
    def error(self) -> str:
        return next((each.error for each in list(self._followed.values()) if each.error), "")

    @property
    def settled(self) -> bool:
        return all(self._followed[each].value is not None for each in (DEFAULT, ROOT))

    def key_pair(self, name: str) -> KeyPair | CertificateFiles:
        return as_certificate(self._get(name), name, self._settings.said)

    def validation(self, name: str) -> Validation:
        return as_validation(self._get(name), name, self._settings.said)

    def _get(self, name: str) -> wire.Secret:
        followed = self._followed.get(name) or self._follow(name)
        if followed.value is None:
            reason = followed.error or "it has not come yet"
            raise IdentityError(f"{self._settings.said}: no secret {name!r}: {reason}")
        return followed.value

    def _follow(self, name: str) -> _Followed:
        with self._lock:
            found = self._followed.get(name)
            if found is None:
                found = self._followed[name] = _Followed(name, Backoff(self._uniform))
        self._post(lambda: None)
        return found

    # -- the identity's thread -----------------------------------------------------------------------------------

    def step(self) -> float | None:
        now = self._clock()
        waits = []
        for each in list(self._followed.values()):
            if each.due is not None and each.due <= now:
                self._open(each)
            if each.due is not None:
                waits.append(each.due - now)
        return max(0.0, min(waits)) if waits else None

    def _open(self, followed: _Followed) -> None:
        if self._closed:
            return
        if self._channel is None:
            self._channel = grpc.insecure_channel(f"unix:{self._settings.path}", OPTIONS)
        followed.due = None
        requests: SimpleQueue[bytes | None] = SimpleQueue()
        requests.put(wire.encode_request(self._node, followed.name, followed.version))
        call = self._channel.stream_stream(wire.METHOD, None, None)(_until_none(requests))
        followed.requests, followed.call = requests, call
        name = f"proxyless-sds-{followed.name}"[:60]
        Thread(target=self._read, args=(followed, requests, call), name=name, daemon=True).start()

    def _read(self, followed: _Followed, requests: SimpleQueue[bytes | None], call: Any) -> None:
        """A thread of its own that hands on what comes."""
        reason = "it closed the stream"
        try:
            for raw in call:
                self._post(lambda raw=raw: self._received(followed, call, raw))  # type: ignore[misc]  # bound now
        except grpc.RpcError as error:
            code = error.code().name if hasattr(error, "code") else "UNKNOWN"
            details = (error.details() if hasattr(error, "details") else "") or ""
            reason = f"{code}: {details}" if details else code
        except ValueError:
            pass  # the channel is closed
        requests.put(None)
        self._post(lambda: self._ended(followed, call, reason))

    def _received(self, followed: _Followed, call: Any, raw: bytes) -> None:
        if followed.call is not call or followed.requests is None:
            return
        try:
            response = wire.decode_response(raw)
        except RefusedError as error:
            call.cancel()
            self._count("bad_answer")
            followed.error = str(error)
            log.error("%s: %s", self._settings.said, error)
            return
        secret = response.secrets.get(followed.name)
        problem = next(iter(response.broken.values()), "")
        if secret is not None:
            try:
                self._take(followed, secret)
            except IdentityError as error:
                problem = str(error)
        elif not problem:
            problem = f"the answer holds {', '.join(map(repr, response.secrets)) or 'nothing'}"
        if problem:
            self._count("refused")
            kept = "; what came before stays in use" if followed.value is not None else ""
            log.error("%s: secret %r is refused: %s%s", self._settings.said, followed.name, problem, kept)
            followed.error = problem
        else:
            followed.error = ""
            followed.version = response.version
            followed.backoff.reset()
        followed.requests.put(
            wire.encode_request(None, followed.name, followed.version, response.nonce, problem),
        )

    def _take(self, followed: _Followed, secret: wire.Secret) -> None:
        """Raises IdentityError."""
        now, name = self._clock(), followed.name
        followed.held = judged(name, secret, now)
        if secret == followed.value:
            return
        if followed.value is not None:
            followed.rotations += 1
        log.info("%s: secret %r: %s", self._settings.said, name, names_of(followed.held))
        followed.value, followed.obtained = secret, now
        self._tell()

    def _ended(self, followed: _Followed, call: Any, reason: str) -> None:
        if followed.call is not call or self._closed:
            return
        followed.call = followed.requests = None
        wait_s = followed.backoff.next_s()
        followed.due = self._clock() + wait_s
        self._count("unavailable")
        kept = "; what came before stays in use" if followed.value is not None else ""
        if reason != followed.error:
            log.warning("%s: secret %r: %s%s", self._settings.said, followed.name, reason, kept)
        followed.error = followed.error or reason

    def _count(self, reason: str) -> None:
        self._failures[reason] = self._failures.get(reason, 0) + 1

    # -- for people ----------------------------------------------------------------------------------------------

    def held(self) -> list[HeldCertificate]:
        return [one for each in list(self._followed.values()) for one in each.held]

    def rotations(self) -> Mapping[str, int]:
        return {each.name: each.rotations for each in list(self._followed.values())}

    def failures(self) -> Mapping[str, int]:
        return dict(self._failures)

    def forked(self) -> None:
        """Streams of the parent's are not ours: begin anew, with what is held."""
        self._lock = Lock()
        self._parents = (self._channel, [each.call for each in self._followed.values()])
        self._channel = None
        for each in self._followed.values():
            each.call = each.requests = None
            each.due = 0.0

    def close(self) -> None:
        self._closed = True
        for each in list(self._followed.values()):
            if each.requests is not None:
                each.requests.put(None)
            if each.call is not None:
                each.call.cancel()
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()


def _until_none(requests: SimpleQueue[bytes | None]) -> Iterator[bytes]:
    while (raw := requests.get()) is not None:
        yield raw
