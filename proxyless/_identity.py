"""A mesh's identity: where it comes from, and that the first configuration waits for the first certificate."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING

from .errors import ConfigurationError

if TYPE_CHECKING:
    from .xds.identity.bootstrap import Bootstrap
    from .xds.identity.identity import Identity
    from .xds.identity.secrets import SecretKeeper
    from .xds.model.identity import IdentityState
    from .xds.model.snapshot import Snapshot

FIRST_S = 15.0
"""How long the first configuration waits for the first certificate. After that what needs none goes, and what needs one
fails until it is there."""


class OwnIdentity:
    """The identity of one mesh: given, or its own, made when it is needed first. `changed` is called by any thread.

    Raises:
        ConfigurationError: what was given is no identity.
    """

    def __init__(self, bootstrap: Bootstrap, given: Identity | bool, changed: Callable[[], None]) -> None:
        if not (isinstance(given, bool) or hasattr(given, "key_pair")):
            raise ConfigurationError(f"identity={given!r} is neither a proxyless.Identity nor False")
        self._bootstrap = bootstrap
        self._given = given
        self._changed = changed
        self._lock = Lock()
        self._on_close: list[Callable[[], None]] = []
        self.made: Identity | None = None

    def get(self) -> Identity:
        """It is there from now on."""
        from .xds.identity.identity import Identity

        with self._lock:
            if self.made is None:
                if isinstance(self._given, bool):
                    settings = self._bootstrap.identity if self._given else None
                    self.made = Identity(settings, self._bootstrap.node.message())
                    self._on_close.append(self.made.close)
                    if self._bootstrap.more_roots:
                        self.made.add_roots(self._bootstrap.more_roots)
                else:
                    self.made = self._given
                self._on_close.append(self.made.on_change(self._changed))
            return self.made

    def start(self) -> None:
        """Begin to ask for a certificate, if one is to come."""
        if not isinstance(self._given, bool) or (self._given and self._bootstrap.identity is not None):
            self.get().start()

    @property
    def add_roots(self) -> Callable[[bytes], None] | None:
        """Who takes more roots that the control plane sends; None: it is not asked."""
        return self.get().add_roots if self._bootstrap.follow_roots and self.made is not None else None

    def keeper(self) -> SecretKeeper:
        """Who takes secrets that the control plane sends."""
        return self.get().discovered

    @property
    def missing(self) -> str:
        """Why there is no certificate yet where one is to come; empty: there is one, or none is to come."""
        if self.made is None or self.made.settled:
            return ""
        return self.made.state().error or "none has come"

    @property
    def settled(self) -> bool:
        """Whether there is nothing to wait for."""
        return self.made is None or self.made.settled

    def state(self) -> IdentityState | None:
        """What there is to say of it; None where no certificate is to come and none was asked for."""
        made = self.made
        if made is None:
            return None
        state = made.state()
        return state if made.expected or state.certificates or state.error else None

    def forked(self) -> None:
        """In a child: locks and threads are the parent's."""
        self._lock = Lock()
        if self.made is not None:
            self.made.forked()

    def close(self) -> None:
        """What is held can still be had; nothing renews it. One that was given is its giver's to close."""
        while self._on_close:
            self._on_close.pop()()


class FirstCertificate:
    """Publishes configurations, from the control thread; the first one not before the identity has settled."""

    def __init__(self, publish: Callable[[Snapshot], None], identity: OwnIdentity, clock: Callable[[], float]) -> None:
        self._publish = publish
        self._identity = identity
        self._clock = clock
        self._until = clock() + FIRST_S
        self._open = False
        self._held: Snapshot | None = None

    def __call__(self, snapshot: Snapshot) -> None:
        """A configuration is there."""
        if self._open:
            self._publish(snapshot)
        else:
            self._held = snapshot
            self.look()

    def look(self) -> None:
        """Whether what is held back may go."""
        if self._held is None:
            return
        if self._identity.settled or self._clock() >= self._until:
            held, self._held, self._open = self._held, None, True
            self._publish(held)
