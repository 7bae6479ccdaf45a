"""What both variants of the protocol share: who asks, what it watches, what it took and what it refused.

A session has no socket, thread or clock. Requests go in, responses come out; `changed` says that the plane has moved
on. It is not for several threads: a plane drives all its sessions from one.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from ...wire.schema.types import core_v3, discovery_v3, google_protobuf, google_rpc
from ..authority.callers import Caller
from ..meter import Meter
from ..registry.node import Node, NodeError, parse_node
from ..registry.world import World
from .answers import Answer, Response, Told
from .changes import EVERYTHING, Changes
from .client import Client
from .resources import Resources
from .rules import PUSH_ORDER, TYPES, ResourceType

Head = discovery_v3.DiscoveryResponse | discovery_v3.DeltaDiscoveryResponse


class State(Protocol):
    """What is in force: a world, its number, and the version that responses name."""

    @property
    def world(self) -> World: ...
    @property
    def number(self) -> int: ...
    @property
    def version(self) -> str: ...


class Backend(Protocol):
    """What a session needs of a plane."""

    @property
    def state(self) -> State: ...
    @property
    def resources(self) -> Resources: ...
    @property
    def meter(self) -> Meter: ...
    @property
    def identifier(self) -> str: ...
    def changes_since(self, number: int) -> Changes: ...
    def now(self) -> float:
        """Seconds since the epoch."""


class SessionError(Exception):
    """A client that cannot be served; the stream ends with the text. `status` is grpc's status name."""

    def __init__(self, text: str, status: str = "INVALID_ARGUMENT") -> None:
        super().__init__(text)
        self.status = status


_HEALTH = "type.googleapis.com/istio.v1.HealthInformation"
_DEBUG = "istio.io/debug"
_GROUPS = ("networking.istio.io", "security.istio.io", "telemetry.istio.io", "extensions.istio.io")


def _istio_object(type_url: str) -> bool:
    """Whether a type is an object of Istio's: group, version and kind (`networking.istio.io/v1/VirtualService`)."""
    return type_url.startswith(_GROUPS)


@dataclass(slots=True)
class Watch:
    """One subscription."""

    names: frozenset[str]
    sent: str = ""  # nonce
    acked: str = ""  # nonce
    version: str = ""  # that the client accepted
    versions: dict[str, str] = field(default_factory=dict)  # of responses that are not answered yet, by nonce
    error: str = ""
    size: int = 0  # of the last response, bytes
    sent_at: float = 0.0
    always_respond: bool = False


class Session:
    """The part of a stream that does not depend on the variant."""

    delta: ClassVar[bool]

    def __init__(self, backend: Backend, peer: str = "", caller: Caller | None = None) -> None:
        self._backend = backend
        self._caller = caller
        self._numbers = itertools.count(1)
        self._seen = backend.state.number
        self.version = backend.state.version
        self.peer = peer
        self.client: Client | None = None
        self.watches: dict[str, Watch] = {}
        self.rejected = 0
        self.began = backend.now()
        self._owed: dict[str, Changes] = {}
        self._introduced = False

    @property
    def seen(self) -> int:
        """The number of the state that the client is being told of."""
        return self._seen

    @property
    def node(self) -> Node | None:
        return self.client.node if self.client else None

    def _identify(self, node: core_v3.Node) -> Client:
        """The client of this stream; its first request says who it is.

        Raises SessionError where it does not, or where nobody of that kind is served.
        """
        if self.client is None:
            if not node.id:
                raise SessionError("missing node information: the first request of a stream must carry a node id")
            place = node.locality
            try:
                locality = (place.region, place.zone, place.sub_zone)
                parsed = parse_node(node.id, struct(node.metadata), node.cluster, locality, node.user_agent_name)
            except NodeError as error:
                raise SessionError(str(error)) from error
            if self._caller is not None:
                _compare(parsed, self._caller)
            state = self._backend.state
            self._seen, self.version = state.number, state.version
            self.client = Client(parsed, state.world, self._backend.resources)
        return self.client

    def _passed_over(self, type_url: str) -> bool:
        """Whether a request is for no resources: agents report the health of their workload on the same stream.

        Raises SessionError for what istiod tells no workload.
        """
        if type_url.startswith(_DEBUG):
            raise SessionError(f"{type_url}: debugging is not for workloads", "PERMISSION_DENIED")
        if _istio_object(type_url):
            raise SessionError(f"{type_url}: Istio's own objects are not for workloads", "PERMISSION_DENIED")
        return type_url == _HEALTH

    def _advance(self) -> Changes | None:
        """Goes on to the newest world; returns what changed for this client, None for nothing."""
        state = self._backend.state
        if self.client is None or state.number == self._seen:
            return None
        changes = self._backend.changes_since(self._seen)
        self._seen, self.version = state.number, state.version
        return self.client.move(state.world, changes) or None

    def changed(self) -> list[Response]:
        """`moved`, as messages."""
        return [told.parsed() for told in self.moved()]

    def moved(self) -> Iterator[Told]:
        """What the newest state of the plane has for this client; each response is made when it is asked for.

        What is not asked for is owed: it is part of what comes of the next call.
        """
        self._fall_due()
        client = self.client
        if client is None:
            return
        for type_, watch in self._watched():
            changes = self._owed.get(type_.url)
            if changes is not None:
                told = self._respond(client, type_, watch, watch.names, changes)
                del self._owed[type_.url]
                yield from told

    def fall_behind(self) -> None:
        """Goes on to the newest state without a response, so that an older one is not held for this client."""
        self._fall_due()

    def _fall_due(self) -> None:
        changes = self._advance()
        if changes is None:
            return
        for url in self.watches:
            # Two steps at once cannot be told in part: what was there before the first is not known any more.
            self._owed[url] = EVERYTHING if url in self._owed else changes

    def _respond(
        self, client: Client, type_: ResourceType, watch: Watch, names: Collection[str], changes: Changes
    ) -> list[Told]:
        raise NotImplementedError

    def _told(self, type_: ResourceType, watch: Watch, head: Head, answer: Answer) -> Told:
        if not self._introduced:  # who reads it keeps it: it need not stand in each response
            self._introduced = True
            head.control_plane.identifier = self._backend.identifier
        body = self._backend.resources.answers.body(type(head), answer)
        made = Told(type_, watch.sent, head.SerializeToString(), body, type(head))
        watch.size, watch.sent_at = len(made), self._backend.now()
        return made

    def _names(self, of: Iterable[str]) -> frozenset[str]:
        return self._backend.resources.answers.names(of)

    def _watched(self) -> Iterator[tuple[ResourceType, Watch]]:
        """Subscriptions in the order of pushes."""
        for type_ in PUSH_ORDER:
            watch = self.watches.get(type_.url)
            if watch is not None:
                yield type_, watch

    def _refused(self, type_url: str, detail: google_rpc.Status) -> None:
        self.rejected += 1
        self._backend.meter.rejects[short(type_url)] += 1
        watch = self.watches.get(type_url)
        if watch is not None:
            watch.error = detail.message or f"code {detail.code}"

    def _expired(self, type_url: str) -> None:
        """An answer to a response that is not the last one."""
        self._backend.meter.expired[short(type_url)] += 1

    def _nonce(self, watch: Watch) -> str:
        nonce = f"{self.version}-{next(self._numbers)}"
        watch.sent = nonce
        watch.versions[nonce] = self.version
        return nonce

    @staticmethod
    def _accepted(watch: Watch, nonce: str) -> None:
        watch.error = ""
        watch.acked = nonce
        watch.version = watch.versions.pop(nonce, watch.version)
        watch.versions.clear()

    def _warm(self, url: str) -> None:
        """A client that asks for a type again waits for what depends on it, though it may hold that already."""
        if TYPES.get(url) is PUSH_ORDER[0]:
            dependent = self.watches.get(PUSH_ORDER[1].url)
            if dependent is not None:
                dependent.always_respond = True


def _compare(node: Node, caller: Caller) -> None:
    """A client is who it has proved to be, or it is told nothing. What it does not say is not compared, as in istiod.

    Raises SessionError.
    """
    account = node.text("SERVICE_ACCOUNT")
    if node.namespace != caller.namespace or (account and account != caller.service_account):
        known = f"{caller.namespace}/{caller.service_account}"
        said = f"{node.namespace}/{account or '*'}"
        raise SessionError(f"the token is for {known} (namespace/account), the node says {said}", "PERMISSION_DENIED")


def short(type_url: str) -> str:
    """What istiod's metrics call a type."""
    return TYPES[type_url].label.lower() if type_url in TYPES else type_url


def struct(message: google_protobuf.Struct) -> dict[str, object]:
    """A Struct as plain values; numbers that are whole become int."""
    return {key: _value(item) for key, item in message.fields.items()}


def _value(item: google_protobuf.Value) -> object:
    match item.WhichOneof("kind"):
        case "struct_value":
            return struct(item.struct_value)
        case "list_value":
            return [_value(each) for each in item.list_value.values]
        case "number_value":
            number = item.number_value
            return int(number) if number.is_integer() else number
        case "string_value":
            return item.string_value
        case "bool_value":
            return item.bool_value
        case _:
            return None
