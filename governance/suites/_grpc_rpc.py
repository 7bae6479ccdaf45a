"""One gRPC call under way: what channels of sync code and of asyncio have in common.

The call is a POST with its metadata for headers; a message of a unary request is at hand, a stream of them is kept as
far as it may be sent again (`Requests`). Its response has begun with the first message, or with metadata that the
server has sent before; what ends before that may be retried.
"""

from __future__ import annotations

from dataclasses import field
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol, Self, final
from urllib.parse import unquote

from ...xds.model.records import dataclass
from ..actions import AwaitRace, AwaitSlot, BodyEnd, Bypass, Collect, Deliver, Failure, Head, OpenConnection, Send
from ..bodies import most_kept
from ..call import Machine, OutgoingCall
from ..composition.compose import Policies
from ..copies import CopyCall
from ..driver import finish
from ..framing import PREFIX, framed
from ..grpc_statuses import CANCELLED, DEADLINE_EXCEEDED, UNAVAILABLE, known, number_in
from ..headers import HeaderList
from ..mirroring import Copy
from ..passing import TcpRoute
from ..replies import LocalReply
from ..request import RequestView
from ..runtime import Runtime
from ._grpc_metadata import (
    MESSAGE,
    STATUS,
    TRANSPORT,
    UNTIMED,
    Metadata,
    grpc_timeout,
    headers_of,
    metadata_of,
    sent_of,
    telling,
)
from ._grpc_status import (
    SAID,
    Ended,
    failure_of,
    head_of,
    http_status,
)

if TYPE_CHECKING:
    from ._grpc_passage import Passages

CONFIGURATION_S = 15.0
"""How long a call without a deadline waits for its configuration, unless it waits until all is ready."""
EARLY_S = 0.005
"""grpcio's clock and ours differ a little."""
AGAIN_S = (0.02, 1.0)
"""Pauses of a call that waits until somebody is ready: the first, and the longest."""
GRPC_TIMEOUT = b"grpc-timeout"
FRAME = 16_384
"""Bytes that go in one frame of HTTP/2, unless somebody has said otherwise."""
UNCONNECTED = frozenset({"reset", "connect-failure", "connect-timeout"})
"""Failures after which there is no connection, or none that is of use."""
UNREADY = frozenset({"UF", "UH"})


@dataclass(frozen=True, slots=True)
class Place:
    """Where a channel leads. `bare`: a call with no more than what grpcio says of itself and of the program."""

    host: bytes
    port: int
    authority: bytes
    bare: RequestView


@final
class Asked:
    """What a program says with a call."""

    __slots__ = ("compression", "credentials", "metadata", "timeout_s", "wait_for_ready")

    def __init__(
        self,
        timeout_s: float | None = None,
        metadata: Any = None,
        credentials: Any = None,
        wait_for_ready: bool | None = None,
        compression: Any = None,
    ) -> None:
        self.timeout_s = timeout_s
        self.metadata = metadata
        self.credentials = credentials
        self.wait_for_ready = wait_for_ready
        self.compression = compression


@dataclass(slots=True)
class Answer:
    """A response of grpcio's: `message` where the first one has been read, `native` the call that goes on.

    `ended`: how it ended, where it has. `headers`: what it began with. `ends`: who hears how it ends, if somebody does.
    `late`: it failed after it had begun.
    """

    native: Any = None
    message: bytes | None = None
    ended: Ended | None = None
    headers: HeaderList = field(default_factory=list)
    ends: Any = None
    late: bool = False


class RefusedError(Exception):
    """The call ends without a response, for a reason of the caller's own."""

    def __init__(self, ended: Ended) -> None:
        super().__init__(ended.details)
        self.ended = ended


class Calling(Protocol):
    """A channel, as its calls see it."""

    runtime: Runtime
    owner: Any
    place: Place
    policies: Policies | None
    passages: Passages

    def bypassed(self, route: TcpRoute | None) -> Any:
        """grpcio's own channel to the target; over connections that the mesh makes, where it has a route for them."""


class Rpc:
    """`body`: the message of a unary request, else the `Requests` that are streamed. `until`: when the caller gives up,
    by the monotonic clock. `alarm`: what ends it for the mesh, `late`: whether it has.

    `abortable`: another thread may end it while it waits for grpcio. `brief`: where it does well, nobody asks for more
    than its message. `received`: bytes of a stream of responses. These three are of sync code.
    """

    __slots__ = (
        "abortable",
        "alarm",
        "asked",
        "body",
        "brief",
        "call",
        "cancelled",
        "channel",
        "connection",
        "headers",
        "kind",
        "late",
        "machine",
        "native",
        "owner",
        "path",
        "received",
        "started",
        "until",
    )

    def __init__(
        self,
        channel: Calling,
        kind: str,
        path: bytes,
        body: Any,
        asked: Asked,
        abortable: bool = False,
        brief: bool = False,
    ) -> None:
        metadata, timeout_s = asked.metadata, asked.timeout_s
        self.channel = channel
        self.owner = channel.owner
        self.kind = kind
        self.path = path
        self.body = body
        self.asked = asked
        self.abortable = abortable
        self.brief = brief
        self.started = started = monotonic()
        self.until: float | None = None if timeout_s is None else started + timeout_s
        self.headers: HeaderList = headers_of(metadata) if metadata else []
        self.cancelled = self.late = False
        self.native: Any = None
        self.connection: Any = None
        self.alarm: Any = None
        self.received = 0
        self.begin()

    def begin(self) -> None:
        """The machine, from the beginning."""
        channel, until, own = self.channel, self.until, self.headers
        place = channel.place
        view = place.bare.towards(self.path)
        if own or until is not None:
            said = [*view.raw_headers]
            if until is not None:
                said.append((GRPC_TIMEOUT, grpc_timeout(max(0.0, until - monotonic()))))
            view.replace_headers(said + own)
        call = self.call = OutgoingCall(channel.runtime, self.owner.key, view, place.host, place.port, channel.policies)
        call.protocol = "HTTP/2"
        call.uploading = not isinstance(self.body, bytes)
        self.machine: Machine = call.run()

    @classmethod
    def of_copy(cls, rpc: Rpc, copy: Copy, body: Any) -> Self:
        """A copy of a call: nobody waits for it."""
        made = object.__new__(cls)
        made.channel, made.owner, made.kind, made.path = rpc.channel, rpc.owner, rpc.kind, rpc.path
        made.body, made.asked = body, Asked()
        made.abortable, made.brief, made.started, made.until = False, True, monotonic(), None
        made.headers, made.cancelled, made.late, made.received = [], False, False, 0
        made.native = made.connection = made.alarm = None
        made.call = CopyCall(rpc.channel.runtime, rpc.owner.key, copy)
        made.machine = made.call.run()
        return made

    # -- the caller's patience -------------------------------------------------------------------------------------

    def expired(self, what: str = "") -> RefusedError:
        """The caller's own deadline has passed."""
        details = f"Deadline Exceeded{': ' if what else ''}{what}"
        return RefusedError(Ended(DEADLINE_EXCEEDED, details, debug=f"proxyless: {details}"))

    def withdrawn(self) -> RefusedError:
        """The caller has cancelled it."""
        return RefusedError(Ended(CANCELLED, "Locally cancelled by application!"))

    def left(self, what: str = "") -> float | None:
        """Seconds until the caller gives up; None if it never does.

        Raises:
            RefusedError: it has.
        """
        if self.cancelled:
            raise self.withdrawn()
        if self.until is None:
            return None
        left = self.until - monotonic()
        if left <= 0:
            raise self.expired(what and self.channel.runtime.late(what))
        return left

    def patience(self, missing: str) -> float | None:
        """How long to wait for configuration."""
        left = self.left(missing)
        if left is None and not self.asked.wait_for_ready:
            left = self.started + CONFIGURATION_S - monotonic()
            if left <= 0:
                raise self.unconfigured(missing)
        return left

    def unconfigured(self, missing: str) -> RefusedError:
        """What the call is for did not come in time."""
        if self.until is not None:
            return self.expired(self.channel.runtime.late(missing))
        return RefusedError(Ended(UNAVAILABLE, self.channel.runtime.late(missing)))

    def slot_limit(self, action: AwaitSlot) -> tuple[float | None, bool]:
        """How long to wait for a connection, and whether it is the caller who waits no longer."""
        left = self.left()
        own = left is not None and (action.timeout_s is None or left < action.timeout_s)
        return (left if own else action.timeout_s), own

    def without_slot(self, *, own: bool) -> bool:
        """The time is over: the caller's, who is told, or the machine's."""
        if own:
            raise self.expired("waiting for a connection")
        return False

    def connect_limit(self, action: OpenConnection) -> tuple[float, bool]:
        """How long a connection may take, and whether it is the caller who waits no longer."""
        left = self.left()
        return (left, True) if left is not None and left < action.timeout_s else (action.timeout_s, False)

    def bounded(self, action: AwaitRace) -> AwaitRace:
        """The same wait, no longer than the caller waits."""
        self.left()
        until = self.until
        if until is None or (action.until is not None and action.until <= until):
            return action
        return AwaitRace(action.race, until)

    @property
    def authority(self) -> bytes:
        """Whom the request is for, as it goes out."""
        upstream = self.call.upstream
        return self.channel.place.authority if upstream is None else upstream.authority

    def kept(self) -> int | None:
        """How much of a stream of requests is kept, to be sent once more; None for no limit."""
        call = self.call
        return most_kept(call) if call.may_be_sent_again or self.asked.wait_for_ready else 0

    def collected(self, action: Collect) -> int | None:
        """Have the message of a unary request at hand, framed as it travels; None for a stream of them."""
        if not isinstance(self.body, bytes):
            self.body.keep(None)
            return None
        action.body = framed(self.body)
        action.whole = len(action.body) <= FRAME
        return len(action.body)

    @property
    def replayable(self) -> bool:
        """Whether the request could be sent once more: no more than Envoy keeps for that."""
        body = self.body
        if not isinstance(body, bytes):
            return bool(body.replayable)
        most = most_kept(self.call)
        return most is None or len(body) + PREFIX <= most

    def unpassed(self, action: Bypass, ended: Ended) -> RefusedError:
        """grpcio has not reached whom it was led to."""
        self.call.unreached = "UF"
        wrong = self.channel.passages.wrong(action.tcp) if action.tcp is not None else ""
        return RefusedError(Ended(ended.code, wrong or ended.details, ended.initial, ended.trailing, ended.debug))

    def unrouted(self, action: Bypass) -> tuple[str, dict[str, Any]]:
        """(the method, what is said with the call) for grpcio itself: the program's, with what is added to it, or as
        policies of the user's left it.

        The authority stays that of the channel.
        """
        changed, asked = action.changed, self.asked
        path = self.path if changed is None else changed.path
        if changed is not None:
            metadata = metadata_of(list(changed.raw_headers)) or None
        elif action.told:
            metadata = telling(asked.metadata, action.told)
        else:
            metadata = asked.metadata
        return path.decode("latin-1"), {
            "timeout": self.left(),
            "metadata": metadata,
            "credentials": asked.credentials,
            "wait_for_ready": asked.wait_for_ready,
            "compression": asked.compression,
        }

    def waits_again(self, reply: LocalReply, tries: int) -> float | None:
        """After what pause a call that waits until somebody is ready (`wait_for_ready`) begins anew; None: never."""
        if not self.asked.wait_for_ready or not UNREADY.intersection(reply.flags):
            return None
        if not isinstance(self.body, bytes) and not self.body.replayable:
            return None
        first, most = AGAIN_S
        left = self.left()
        pause: float = min(most, first * 2 ** min(tries, 10))
        return pause if left is None else min(left, pause)

    # -- one try -----------------------------------------------------------------------------------------------------

    def prepared(self, action: Send) -> tuple[Any, dict[str, Any], float | None]:
        """(grpcio's callable, what it is called with, until when the mesh waits for the response to begin).

        The caller's deadline goes to grpcio, which tells the server of it, unless the mesh says another to it. Where
        there is none, the server is told what the mesh says, and grpcio keeps out of it.
        """
        held: Any = action.slot.connection
        self.connection = held
        headers, asked = action.headers, self.asked
        left = limit = self.left() if self.until is not None or self.cancelled else None
        if left is not None:
            for name, value in headers:
                if name.lower() == GRPC_TIMEOUT:
                    limit = min(left, _seconds(value, left))
        more = {"timeout": limit, "metadata": sent_of(headers, TRANSPORT if limit is not None else UNTIMED) or None}
        if asked.credentials is not None:
            more["credentials"] = asked.credentials
        if asked.compression is not None:
            more["compression"] = asked.compression
        deadline, idle_s = action.deadline, action.idle_s
        until = None if deadline is None and idle_s is None else self.sooner(deadline, idle_s)
        return held.callable(self.kind, action.path, action.authority), more, until

    def sooner(self, deadline: float | None, idle_s: float | None = None) -> float | None:
        """When the mesh ends what is under way; None where the caller's own deadline does that before, or just then:
        the mesh may have its limit from there (`grpc-timeout`)."""
        until = deadline
        if idle_s is not None:
            idle = monotonic() + idle_s
            until = idle if until is None or idle < until else until
        return None if until is None or (self.until is not None and until >= self.until - EARLY_S) else until

    def end_of(self, deliver: Deliver) -> float | None:
        """When the mesh ends a response; of the route's timeout that is known when the request has been sent whole."""
        own, routes = deliver.deadline, self.call.deadline
        return own if routes is None or (own is not None and own <= routes) else routes

    def judged(self, ended: Ended, error: BaseException | None, *, begun: bool = False) -> Head | Failure:
        """What the machine is told of a call that failed, most of them before their response had begun. `begun`: it is
        known that there was a message before.

        Raises:
            RefusedError: it was the caller who ended it.
        """
        if self.cancelled:
            raise self.withdrawn()
        if ended.code == DEADLINE_EXCEEDED and self.until is not None and monotonic() >= self.until - EARLY_S:
            raise self.expired()
        failure = failure_of(ended, error, replayable=self.replayable)
        if failure is not None and failure.kind in UNCONNECTED and self.connection is not None:
            self.connection.broken = True
        if begun or (ended.initial and http_status(ended) == 200):  # its status is not its head
            headers = headers_of(ended.initial)
            return Head(200, headers, Answer(None, None, ended, headers, late=True), self.replayable)
        return failure or head_of(ended, Answer(ended=ended), replayable=self.replayable)

    def too_late(self, action: Send) -> Failure:
        """The mesh's own limit has ended a try."""
        late = action.deadline is not None and monotonic() >= action.deadline - EARLY_S
        return Failure("timeout" if late or action.idle_s is None else "idle", "", None, self.replayable)

    # -- the end -----------------------------------------------------------------------------------------------------

    def sent(self) -> int:
        """Bytes of the request."""
        return len(self.body) if isinstance(self.body, bytes) else int(self.body.sent)

    def said(self, code: int) -> None:
        """The status that the response ended with, for those who count calls."""
        self.call.grpc_status = b"%d" % code

    def end(self, *, complete: bool, sent: int, received: int, kind: str = "") -> None:
        """The response is over."""
        finish(self.machine, BodyEnd(complete, sent, received, kind))


def _seconds(value: bytes, otherwise: float) -> float:
    from ..routing import grpc_timeout as read

    found = read(value)
    return otherwise if found is None else found


def initial_of(deliver: Deliver, before: HeaderList, own: Metadata) -> Metadata:
    """The metadata at the beginning of a response, with the mesh's changes."""
    headers = deliver.head.headers
    return own if headers is before else metadata_of(headers)


def whole(deliver: Deliver, answer: Answer) -> Ended:
    """How a response without a message ended, with the mesh's changes to its headers."""
    ended, headers = answer.ended, deliver.head.headers
    if ended is None:
        raise AssertionError("a response that goes on")
    if answer.late or answer.headers:
        initial = initial_of(deliver, answer.headers, ended.initial)
        return Ended(ended.code, ended.details, initial, ended.trailing, ended.debug)
    code, details = ended.code, ended.details
    for name, value in headers:
        if name.lower() == STATUS:
            said = number_in(value)
            code = code if said is None else known(said)
        elif name.lower() == MESSAGE:
            details = unquote(value.decode("utf-8", "replace")) if value != ended.details.encode() else ended.details
    return Ended(code, details, ended.initial, metadata_of(headers, SAID), ended.debug)


def whole_unary(rpc: Rpc, deliver: Deliver | None, ended: Ended | None) -> tuple[bytes | None, Ended]:
    """The end of a call with one response, which is there: its message, unless it failed, and how it ended."""
    if deliver is None:
        if ended is None:
            raise AssertionError("a call without an end")
        return None, ended
    answer: Answer = deliver.head.handle
    ended, message = answer.ended, answer.message
    if ended is None:
        raise AssertionError("a response that goes on")
    body = rpc.body
    rpc.said(ended.code)
    if message is None:
        ended = whole(deliver, answer)
    elif deliver.head.headers is not answer.headers:
        initial = metadata_of(deliver.head.headers)
        ended = Ended(ended.code, ended.details, initial, ended.trailing, ended.debug, ended.rest)
    sent = len(body) if isinstance(body, bytes) else int(body.sent)
    finish(rpc.machine, BodyEnd(True, sent, 0 if message is None else len(message)))
    return message, ended


def cut_as(rpc: Rpc, deliver: Deliver, ended: Ended, initial: Metadata, *, late: bool) -> tuple[Ended, str]:
    """How a stream of responses ended as the program gets it, and what has cut it, if it was cut. `late`: the mesh."""
    ended = Ended(ended.code, ended.details, initial, ended.trailing, ended.debug)
    if late:
        end = rpc.end_of(deliver)
        due = end is not None and monotonic() >= end - EARLY_S
        text = "the route's timeout passed" if due else "it stalled for longer than the route allows"
        details = f"{text} before the response was complete"
        return Ended(DEADLINE_EXCEEDED, details, initial, (), f"proxyless: {details}"), "timeout" if due else "idle"
    gave_up = rpc.until is not None and monotonic() >= rpc.until - EARLY_S and ended.code == DEADLINE_EXCEEDED
    if rpc.cancelled or gave_up:
        return ended, "caller"
    failure = failure_of(Ended(ended.code, ended.details, (), ended.trailing, ended.debug), None)
    return ended, "" if failure is None else failure.kind
