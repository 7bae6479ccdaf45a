"""A certificate from an authority, and another one before it ends: when to ask, what of an answer to believe.

No network here: `ask` is given. A pair that is held stays in use until a better one is; one that has expired stays too,
for peers say best what is wrong with it, and `status` says it as well.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence

from cryptography import x509

from ..model.identity import HeldCertificate
from ..model.records import dataclass
from ..model.tls import CertificateFiles, DataSource, Validation
from ..transport.backoff import Backoff
from .certificates import certificates, check_chain, check_pair, held, roots, subject
from .refusals import Reason, RefusedError
from .requests import new_request
from .secrets import IdentityError, KeyPair
from .settings import DEFAULT, ROOT, FromAuthority

log = logging.getLogger("proxyless.identity")

LONGEST_WAIT_S = 30.0
"""The clock of the wall is looked at so often: a machine may have slept."""


@dataclass(frozen=True, slots=True)
class Issued:
    """What an authority has given."""

    pair: KeyPair
    leaf: x509.Certificate
    roots: bytes
    anchors: tuple[x509.Certificate, ...]
    obtained: float
    renews: float


def renewal(obtained: float, ends: float, ratio: float, jitter: float, uniform: Callable[[], float]) -> float:
    """When to ask for the next certificate: when `ratio` of its lifetime is left, give or take `jitter` of it.

    The lifetime counts from when it was got, so a clock that is a little behind does no harm.
    """
    share = min(1.0, max(0.0, ratio + jitter * (2.0 * uniform() - 1.0)))
    return ends - share * max(0.0, ends - obtained)


class Rotation:
    """The certificate of an authority, kept fresh. `ask` sends a request and returns the chain, leaf first, root last.

    `clock` is Unix time. `tell` is called whenever another certificate or root is there, `leave` in a forked child.
    """

    def __init__(
        self,
        settings: FromAuthority,
        ask: Callable[[bytes], Sequence[str]],
        clock: Callable[[], float],
        uniform: Callable[[], float],
        tell: Callable[[], None],
        close: Callable[[], None] = lambda: None,
        leave: Callable[[], None] = lambda: None,
    ) -> None:
        self._settings = settings
        self._ask = ask
        self._clock = clock
        self._uniform = uniform
        self._tell = tell
        self._close = close
        self._leave = leave
        self._backoff = Backoff(uniform)
        self._issued: Issued | None = None
        self._due = 0.0
        self._final = False
        self._rotations: dict[str, int] = {}
        self._failures: dict[str, int] = {}
        self.error = ""

    @property
    def settled(self) -> bool:
        return self._issued is not None or self._final

    def key_pair(self, name: str) -> KeyPair | CertificateFiles:
        return self._get(name, DEFAULT).pair

    def validation(self, name: str) -> Validation:
        return Validation(DataSource(inline=self._get(name, ROOT).roots))

    def _get(self, name: str, own: str) -> Issued:
        if name != own:
            raise IdentityError(f"the {self._settings.said} gives {own!r}, and no secret called {name!r}")
        if self._issued is None:
            reason = self.error or "it has not answered yet"
            raise IdentityError(
                f"no certificate for {self._settings.identity} from the {self._settings.said}: {reason}"
            )
        return self._issued

    def step(self) -> float | None:
        now = self._clock()
        if now >= self._due:
            self._due = self._renew(now)
        return min(LONGEST_WAIT_S, max(0.0, self._due - now))

    def _renew(self, now: float) -> float:
        """One attempt; when the next one is due."""
        settings = self._settings
        try:
            key, request = new_request(settings.identity, settings.key)
            issued = self._judge(key, self._ask(request))
        except RefusedError as error:
            return self._failed(error.reason, str(error), now, final=error.final)
        except IdentityError as error:
            return self._failed("bad_answer", str(error), now)
        self._backoff.reset()
        before, self._issued = self._issued, issued
        self.error = ""
        self._final = False
        self._note(before, issued)
        self._tell()
        return issued.renews

    def _judge(self, key: bytes, chain: Sequence[str]) -> Issued:
        """What came for the key, if it can be used."""
        if len(chain) < 2:
            raise IdentityError(f"the answer has {len(chain)} certificates; a leaf and its root are the least")
        pair = KeyPair(b"".join(each.strip().encode() + b"\n" for each in chain), key)
        certificates(chain[0].encode(), "the first of the answer")
        leaf = check_pair(pair, "the answer")
        pem, anchors, _ = roots(chain[-1].encode(), "the root of the answer")
        between = certificates("\n".join(chain[:-1]).encode(), "the answer")[1:]
        check_chain(leaf, between, anchors)
        now, ends = self._clock(), leaf.not_valid_after_utc.timestamp()
        if ends <= now:
            raise IdentityError(f"the certificate {subject(leaf)} of the answer has expired")
        renews = renewal(now, ends, self._settings.grace_ratio, self._settings.grace_jitter, self._uniform)
        return Issued(pair, leaf, pem, tuple(anchors), now, renews)

    def _note(self, before: Issued | None, issued: Issued) -> None:
        said, name = self._settings.said, subject(issued.leaf)
        left = issued.leaf.not_valid_after_utc.timestamp() - issued.obtained
        log.info("%s: certificate for %s, valid for %.0f s", said, name, left)
        if name != self._settings.identity:
            log.warning("%s: asked for %s, and was given %s", said, self._settings.identity, name)
        if issued.leaf.not_valid_before_utc.timestamp() > issued.obtained:
            log.warning("%s: the certificate for %s is not valid yet: is this clock behind?", said, name)
        if before is not None:
            self._rotations[DEFAULT] = self._rotations.get(DEFAULT, 0) + 1
            if before.roots != issued.roots:
                self._rotations[ROOT] = self._rotations.get(ROOT, 0) + 1
                log.info("%s: other roots: %s", said, ", ".join(subject(each) for each in issued.anchors))

    def _failed(self, reason: Reason, text: str, now: float, *, final: bool = False) -> float:
        self._failures[reason] = self._failures.get(reason, 0) + 1
        wait_s = self._backoff.next_s()
        kept = ""
        if self._issued is not None:
            left = self._issued.leaf.not_valid_after_utc.timestamp() - now
            kept = f"; the one in use is valid for {left:.0f} s" if left > 0 else "; the one in use has expired"
        again = final and text == self.error
        self.error = text
        self._final = final
        level = logging.DEBUG if again else logging.WARNING
        log.log(level, "no certificate from the %s: %s%s (again in %.1f s)", self._settings.said, text, kept, wait_s)
        if final:
            self._tell()
        return now + wait_s

    def held(self) -> list[HeldCertificate]:
        issued = self._issued
        if issued is None:
            return []
        leaf = held(DEFAULT, issued.leaf, issued.obtained, renews=issued.renews)
        return [leaf, *(held(ROOT, each, issued.obtained, root=True) for each in issued.anchors)]

    def rotations(self) -> Mapping[str, int]:
        return dict(self._rotations)

    def failures(self) -> Mapping[str, int]:
        return dict(self._failures)

    def forked(self) -> None:
        self._leave()

    def close(self) -> None:
        self._close()
