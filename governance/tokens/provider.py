"""One provider at work: what it asks of a token, and its keys (envoy source: jwt_authn JwksCache, Authenticator).

What was verified is remembered, by a digest and in bounds, until the keys change; times are looked at anew each time.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from hashlib import sha256
from math import inf
from typing import Any, final

from ...xds.model.jwt import JwtProvider, RemoteJwks
from ..actions import Ask, Failure, Service
from ..matching import ValueTest, string_test
from .fetching import again_after_s
from .keys import Key, NoKeysError, key_set, refuses
from .reasons import AUDIENCE_NOT_ALLOWED, NO_VALID_KEYS, NOT_FETCHED, NOT_VERIFIED, Reason
from .token import Token

MOST_REMEMBERED = 1024
LONGEST_REMEMBERED = 4096

Keys = tuple[Key, ...]
Fetching = Generator[Ask, Any, Keys | Reason]


class RemoteKeys:
    """The keys that are fetched from one place, by the clock of a runtime."""

    __slots__ = ("_clock", "_keys", "_until", "config", "due", "failure", "got")

    def __init__(self, config: RemoteJwks, clock: Callable[[], float]) -> None:
        self.config = config
        self._clock = clock
        self._keys: Keys | None = None
        self._until = 0.0
        self.due = 0.0
        """When they are fetched again by themselves; infinite while they are."""
        self.got: float | None = None
        """When the keys in use came."""
        self.failure = ""
        """Why the last answer was of no use; empty where it was."""

    def fresh(self) -> Keys | None:
        """The keys, if there are some that are not too old."""
        return self._keys if self._clock() < self._until else None

    def ahead(self, answer: object) -> None:
        """What the place has answered to somebody who fetches them before they are needed."""
        fetched = self.take(answer, lasting=True) is not None
        self.due = self._clock() + again_after_s(self.config, fetched=fetched)

    def take(self, answer: object, *, lasting: bool = False) -> Keys | None:
        """What the place has answered: keys, or nothing that is of use. `lasting`: somebody sees that they stay new."""
        try:
            keys = key_set(answer) if isinstance(answer, bytes) else None
        except NoKeysError as error:
            keys, self.failure = None, str(error)
        else:
            self.failure = answer.reason if isinstance(answer, Failure) else ""
        if keys is None:
            return None
        self._keys, self.got = keys, self._clock()
        self._until = inf if lasting else self._clock() + self.config.cache_s
        return keys


@final
class Provider:
    """`remote`: None where its keys are in the configuration."""

    __slots__ = ("_audiences", "_local", "_remote", "_service", "_subject", "_verified", "config")

    def __init__(self, config: JwtProvider, remote: RemoteKeys | None, service: Service) -> None:
        self.config = config
        self._audiences = sanitized(config.audiences)
        self._subject: ValueTest | None = string_test(config.subjects) if config.subjects is not None else None
        self._local: Keys = ()
        self._remote = remote
        self._service = service
        self._verified: tuple[Keys, dict[bytes, Token]] = ((), {})
        """By which keys, and what: together, so that no thread takes what old keys have verified for the new ones'."""
        if config.local:
            try:
                self._local = key_set(config.local)
            except NoKeysError:
                self._local = ()

    def refuses(self, token: Token, audiences: frozenset[str] | None, now: int) -> Reason | None:
        """Why a token is refused before its signature is looked at. `audiences`: asked for instead of its own."""
        config = self.config
        reason = token.out_of_time(now, config.clock_skew_s)
        if reason is not None:
            return reason
        asked = self._audiences if audiences is None else audiences
        if asked and asked.isdisjoint(sanitized(token.audiences)):
            return AUDIENCE_NOT_ALLOWED
        if self._subject is not None and not self._subject(token.subject.encode()):
            return NOT_VERIFIED
        if config.max_lifetime_s is not None and not (token.expires and token.expires - now < config.max_lifetime_s):
            return NOT_VERIFIED
        return None

    def verify(self, token: Token) -> Generator[Ask, Any, Reason | None]:
        """Why its signature does not hold."""
        keys: Keys | Reason = self._local
        if self._remote is not None:
            keys = self._remote.fresh() or (yield from self._fetch(self._remote))
        if isinstance(keys, Reason):
            return keys
        if not keys:
            return NO_VALID_KEYS
        remembered = self._verified
        if keys is not remembered[0]:
            remembered = self._verified = (keys, {})
        verified = remembered[1]
        digest = sha256(token.signed + b"." + token.signature).digest()
        if digest in verified:
            return None
        reason = refuses(keys, token)
        if reason is None and len(token.signed) <= LONGEST_REMEMBERED:
            if len(verified) >= MOST_REMEMBERED:
                verified.clear()
            verified[digest] = token
        return reason

    def _fetch(self, remote: RemoteKeys) -> Fetching:
        answer = yield Ask(self._service, remote.config, remote.config.timeout_s)
        return remote.take(answer) or NOT_FETCHED


def sanitized(audiences: Iterable[str]) -> frozenset[str]:
    """Without their scheme and a slash at the end (envoy source: common/jwt/check_audience)."""
    return frozenset(_sanitized(each) for each in audiences)


def _sanitized(audience: str) -> str:
    for scheme in ("http://", "https://"):
        if audience.startswith(scheme):
            audience = audience[len(scheme) :]
            break
    return audience.removesuffix("/")
