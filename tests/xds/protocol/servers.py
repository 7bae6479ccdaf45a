"""A control plane that behaves as istiod does, in both variants: no I/O, one store, and the rules a client can break.

State of the world: a request with an error, or with a stale nonce, changes nothing; the names of any other replace the
ones before, and names that are new are answered; an empty list of names ends a subscription. Delta: names travel apart
from answers. Names that do not exist are not answered (state of the world) or are said to be gone (delta).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from proxyless.xds.model.resource import ResourceType
from proxyless.xds.protocol.events import NamedResource, Request, Response

Store = dict[ResourceType, dict[str, bytes]]
BY_URL = {each.value: each for each in ResourceType}


@dataclass(slots=True)
class Watched:
    """What one stream asked for of one type."""

    names: set[str] = field(default_factory=set)
    nonce: str = ""
    answered: str = ""
    """The last nonce that came back."""
    sent: dict[str, str] = field(default_factory=dict)
    """Name to version of what the client has, as far as the server knows (delta)."""


class Server:
    """What is served; `version` counts the changes."""

    def __init__(self) -> None:
        self.store: Store = {each: {} for each in ResourceType}
        self.versions: dict[ResourceType, dict[str, str]] = {each: {} for each in ResourceType}
        self.version = 1
        self.nonces = 0

    def put(self, type_: ResourceType, name: str, raw: bytes | None) -> None:
        """Change a resource, or take it away."""
        self.version += 1
        if raw is None:
            self.store[type_].pop(name, None)
        else:
            self.store[type_][name] = raw
            self.versions[type_][name] = str(self.version)

    def stream(self, *, delta: bool) -> DeltaStream | SotwStream:
        """A new stream, which knows nothing of the ones before."""
        return DeltaStream(self) if delta else SotwStream(self)

    def nonce(self) -> str:
        self.nonces += 1
        return f"n{self.nonces}"


class SotwStream:
    """One state-of-the-world stream."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.watched: dict[ResourceType, Watched] = {}
        self.node_seen = False

    def asked(self, request: Request) -> list[Response]:
        """What follows from a request."""
        assert request.first is not self.node_seen, "the node comes with the first request and no other"
        self.node_seen = True
        assert (request.subscribe, request.unsubscribe, request.held) == ((), (), ())
        type_ = BY_URL[request.type_url]
        watched = self.watched.get(type_)
        if watched is not None:
            watched.answered = request.nonce or watched.answered
        if request.error:
            assert request.nonce
            return []
        names = set(request.names)
        if not names and not type_.is_wildcard:
            assert watched is not None, "the first request of a type without names asks for all there are"
            del self.watched[type_]
            return []
        if watched is None or not request.nonce:
            self.watched[type_] = Watched(names)
            return self.push(type_)
        if request.nonce != watched.nonce:
            return []
        new, watched.names = names - watched.names, names
        return self.push(type_, new) if new else []

    def push(self, type_: ResourceType, only: Iterable[str] | None = None) -> list[Response]:
        """What the stream is told about a type: all of it, or some names of one that goes by name."""
        watched = self.watched.get(type_)
        if watched is None:
            return []
        store = self.server.store[type_]
        wanted = set(store) if type_.is_wildcard else watched.names & set(store)
        if only is not None and not type_.is_wildcard:
            wanted &= set(only)
        watched.nonce = self.server.nonce()
        version = str(self.server.version)
        resources = tuple(NamedResource(name, version, store[name]) for name in sorted(wanted))
        return [Response(type_, type_.value, version, watched.nonce, resources)]

    def subscribed(self, type_: ResourceType) -> set[str]:
        """The names that the server believes are wanted."""
        return self.watched[type_].names if type_ in self.watched else set()


class DeltaStream:
    """One incremental stream."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.watched: dict[ResourceType, Watched] = {}
        self.node_seen = False

    def asked(self, request: Request) -> list[Response]:
        """What follows from a request."""
        assert request.first is not self.node_seen, "the node comes with the first request and no other"
        self.node_seen = True
        assert not request.names
        type_ = BY_URL[request.type_url]
        if request.nonce or request.error:
            assert request.nonce
            assert (request.subscribe, request.unsubscribe) == ((), ())
            self.watched[type_].answered = request.nonce
            return []
        watched = self.watched.get(type_)
        if watched is None:
            assert request.subscribe or type_.is_wildcard, "without names it would be a wildcard"
            watched = self.watched[type_] = Watched(set(request.subscribe))
            watched.sent = dict(request.held)
            assert type_.is_wildcard or set(watched.sent) <= watched.names
            return self.push(type_, absent=watched.names)
        assert not request.held, "what is held is said once"
        watched.names = (watched.names | set(request.subscribe)) - set(request.unsubscribe)
        for name in request.unsubscribe:
            watched.sent.pop(name, None)
        for name in request.subscribe:
            watched.sent.pop(name, None)
        return self.push(type_, request.subscribe, absent=request.subscribe) if request.subscribe else []

    def push(
        self, type_: ResourceType, only: Iterable[str] | None = None, *, absent: Iterable[str] = ()
    ) -> list[Response]:
        """What changed since the stream was last told; `absent`: what is said to be gone if it does not exist."""
        watched = self.watched.get(type_)
        if watched is None:
            return []
        store = self.server.store[type_]
        names = set(store) | set(watched.sent) if type_.is_wildcard else set(watched.names)
        if only is not None and not type_.is_wildcard:
            names &= set(only)
        versions = self.server.versions[type_]
        changed = {name: versions[name] for name in names & set(store) if watched.sent.get(name) != versions[name]}
        gone = {name for name in names - set(store) if name in watched.sent or name in absent}
        watched.sent.update(changed)
        for name in gone:
            watched.sent.pop(name, None)
        watched.nonce = self.server.nonce()
        resources = tuple(NamedResource(name, changed[name], store[name]) for name in sorted(changed))
        removed = tuple(sorted(gone))
        version = str(self.server.version)
        return [Response(type_, type_.value, version, watched.nonce, resources, removed, full=False)]

    def subscribed(self, type_: ResourceType) -> set[str]:
        """The names that the server believes are wanted."""
        return self.watched[type_].names if type_ in self.watched else set()
