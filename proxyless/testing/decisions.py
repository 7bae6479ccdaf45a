"""What the mesh has decided for each call and request, and assertions that say what was there instead."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self, TypeVar, overload

from ..governance.call import OutgoingCall
from ..governance.explain import as_text, cluster_name
from ..governance.inbound import InboundRequest

EXPLAINED = "explain"
"""Whose calls are none: they only ask."""


@dataclass(frozen=True, slots=True)
class Decision:
    """One call, once its response has been read to the end.

    `host`, `path`: as the program has asked. `route`: the name of the route. `cluster`: its full name; of it `service`
    (the host) and `subset`. `endpoint`: `address:port` of the last try, None where there was none. `status`: what the
    caller got. `flags`: Envoy's response flags (UO, UH, FI ...). `tries`: how often it was sent. `fallback`: what has
    answered in place of a failure.
    """

    method: str
    host: str
    path: str
    route: str | None
    cluster: str | None
    endpoint: str | None
    status: int
    flags: tuple[str, ...]
    tries: int
    fallback: str | None

    @property
    def service(self) -> str | None:
        """The host of the cluster: `catalog.shop.svc.cluster.local`."""
        return self._part(3) or self.cluster

    @property
    def subset(self) -> str | None:
        """The subset of the cluster, None without one."""
        return self._part(2)

    def _part(self, index: int) -> str | None:
        parts = (self.cluster or "").split("|")
        return (parts[index] or None) if len(parts) == 4 else None

    def __str__(self) -> str:
        flags = ",".join(self.flags) or "-"
        where = f"{self.cluster or 'no cluster'} at {self.endpoint or 'no endpoint'}"
        tries = "1 try" if self.tries == 1 else f"{self.tries} tries"
        return f"{self.method} {self.host}{self.path}: {self.status} {flags}, route {self.route}, {where}, {tries}"


def decision_of(call: OutgoingCall) -> Decision:
    """What became of a call that has ended."""
    original = call.passage.original if call.passage is not None else call.request
    return Decision(
        as_text(original.method),
        as_text(original.authority),
        as_text(original.path),
        call.route.route.name or None if call.route is not None else None,
        cluster_name(call),
        call.host.address if call.host is not None else None,
        call.status,
        call.flags,
        call.attempts,
        call.fallback or None,
    )


@dataclass(frozen=True, slots=True)
class Received:
    """One incoming request, once its response is over.

    `host`, `path`: as the app gets them. `port`: that it came to. `source`: the address that it came from, `principal`
    the SPIFFE identity by mTLS, None without. `allowed`: whether it reached the app. `status`: what the client got.
    `details`: Envoy's word for a reply of the mesh's own (`rbac_access_denied_matched_policy[...]`), else empty.
    """

    method: str
    host: str
    path: str
    port: int
    source: str
    principal: str | None
    route: str | None
    allowed: bool
    status: int
    flags: tuple[str, ...]
    details: str

    def __str__(self) -> str:
        outcome = "reached the app" if self.allowed else f"refused: {self.details or 'no reason'}"
        who = self.principal or self.source or "nobody"
        flags = ",".join(self.flags) or "-"
        return f"{self.method} {self.host}{self.path} to port {self.port} from {who}: {self.status} {flags}, {outcome}"


def received(inbound: InboundRequest) -> Received:
    """What became of a request that is over."""
    request, peer, reply = inbound.request, inbound.peer, inbound.reply
    return Received(
        as_text(request.method),
        as_text(request.authority),
        as_text(request.path),
        inbound.port,
        request.source,
        next(iter(peer.uri_sans), None) if peer is not None and peer.validated else None,
        inbound.route.route.name or None if inbound.route is not None else None,
        reply is None,
        inbound.status,
        inbound.flags,
        reply.details if reply is not None else "",
    )


ASKED = frozenset({*(each.name for each in fields(Decision)), "service", "subset"})
RECEIVED = frozenset(each.name for each in fields(Received))

D = TypeVar("D", Decision, Received)


class Told(Sequence[D]):
    """Of a mesh, in the order in which they have ended. Any thread may add meanwhile."""

    asked: ClassVar[frozenset[str]]
    one: ClassVar[str]
    hint: ClassVar[str]

    def __init__(self, found: Sequence[D] = ()) -> None:
        self._found: list[D] = list(found)

    @overload
    def __getitem__(self, index: int) -> D: ...
    @overload
    def __getitem__(self, index: slice) -> Self: ...
    def __getitem__(self, index: int | slice) -> D | Self:
        return type(self)(self._found[index]) if isinstance(index, slice) else self._found[index]

    def __len__(self) -> int:
        return len(self._found)

    def __iter__(self) -> Iterator[D]:
        return iter(list(self._found))

    def __repr__(self) -> str:
        return "\n".join([f"{len(self)} {self.one}s", *(f"  {each}" for each in self)])

    @property
    def last(self) -> D:
        """The newest one."""
        __tracebackhide__ = True
        if not self._found:
            raise AssertionError(self.hint)
        return self._found[-1]

    def _checked(self, wanted: dict[str, object]) -> None:
        unknown = sorted(wanted.keys() - self.asked)
        if unknown:
            raise TypeError(f"a {self.one} has no {', '.join(unknown)}: it has {', '.join(sorted(self.asked))}")

    def clear(self) -> None:
        """Forget those so far."""
        self._found.clear()

    def where(self, **wanted: object) -> Self:
        """Those of which all this is so: `where(host="catalog", status=503)`."""
        self._checked(wanted)
        return type(self)([each for each in self if not _differing(each, wanted)])

    def count_by(self, field: str) -> dict[Any, int]:
        """How many have each value: `count_by("subset")`."""
        self._checked({field: None})
        return dict(Counter(getattr(each, field) for each in self))

    def assert_last(self, **wanted: object) -> D:
        """The newest decision is as wanted; the error says what differs. `flags` may be a text: `"UH"`, `""`."""
        __tracebackhide__ = True
        self._checked(wanted)
        last = self.last
        differing: list[str] = _differing(last, wanted)
        if differing:
            raise AssertionError("\n".join([f"the last {self.one} differs:", *differing, f"  decided: {last}"]))
        return last

    def assert_any(self, **wanted: object) -> D:
        """One of them is as wanted; returns the first that is."""
        __tracebackhide__ = True
        found = self.where(**wanted)
        if not found:
            raise AssertionError(f"no {self.one} with {_said(wanted)} among {self!r}")
        return found[0]

    def assert_none(self, **wanted: object) -> None:
        """None of them is so."""
        __tracebackhide__ = True
        found = self.where(**wanted)
        if found:
            raise AssertionError(f"{self.one}s with {_said(wanted)}: {found!r}")


class Decisions(Told[Decision]):
    """What was decided for each call."""

    asked = ASKED
    one = "decision"
    hint = "no call has been decided: does the client have the mesh, and was the response read?"

    def on_call(self, call: Any) -> None:
        """A call has ended."""
        if isinstance(call, OutgoingCall) and call.owner != EXPLAINED:
            self._found.append(decision_of(call))

    def on_request(self, request: Any) -> None:
        """Incoming requests are no calls."""


class Requests(Told[Received]):
    """What was decided for each incoming request."""

    asked = RECEIVED
    one = "request"
    hint = "no request has come: is the app wrapped in a suite that has the mesh, and was the response read?"

    def on_call(self, call: Any) -> None:
        """Calls do not come in."""

    def on_request(self, request: Any) -> None:
        """A request is over."""
        if isinstance(request, InboundRequest):
            self._found.append(received(request))


def _differing(decision: Decision | Received, wanted: dict[str, object]) -> list[str]:
    found = []
    for name, value in wanted.items():
        own = getattr(decision, name)
        if name == "flags":
            value = tuple(value.replace(",", " ").split()) if isinstance(value, str) else value
            if isinstance(value, list | tuple | set | frozenset) and set(own) == set(value):
                continue
        if own != value:
            found.append(f"  {name}: {own!r}, where {value!r} is wanted")
    return found


def _said(wanted: dict[str, object]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in wanted.items())
