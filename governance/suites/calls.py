"""`Mesh.call`: calls of libraries with sockets of their own, whose suites stand in other packages (docs/extensions.md).

The machine is that of every suite. What others perform in its driver, a `for` loop does here: each turn is an attempt
with a connection to an endpoint; the loop ends when there is a response to read, or one of the mesh's own. Spoken is
HTTP/1.1, one request at a time over a connection; hedging is one try after the other, and mirrored copies are not sent:
they count as dropped.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from time import monotonic
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

from ..actions import (
    ASK,
    AWAIT_CONFIG,
    AWAIT_SLOT,
    COLLECT,
    CONNECT,
    DISCARD,
    SLEEP,
    START,
    AwaitConfig,
    BodyEnd,
    Bypass,
    Collect,
    Deliver,
    Discard,
    Failure,
    Head,
    Send,
    Sleep,
    Start,
)
from ..call import Machine, OutgoingCall
from ..driver import finish, step
from ..replies import LocalReply, reply_body, reply_headers
from ..request import RawHeaders, RequestView
from ..runtime import Runtime
from ..trace_context import carrying
from . import _awaiting, _blocking
from ._alarms import Alarms
from ._call_links import NAME, Owner, SocketLink, StreamLink, open_link, open_link_async
from ._underway import NO_TIMEOUTS, Underway
from .tcp import ERRORS, LIMIT, dial, dial_async

Pairs = list[tuple[str, str]]

EARLY_S = 0.002
"""An alarm may ring this much too early."""
UNGOVERNED = Bypass(None)
TURNS = (Send, Bypass, Deliver, LocalReply)
"""What the loop does something with; all else is performed."""


class Attempt:
    """One try: what to send, and to whom. `with attempt:` is around sending it and reading the head of the response.

    `method`, `target` and `headers` are what goes out, as the mesh has made it (Host first); `body` what the call was
    given, None where a redirect has dropped it. `address`: of the endpoint.
    """

    def __init__(self, call: Call, action: Send | Bypass) -> None:
        self._call = call
        self._result: Head | Failure | None = None
        self.address, self.method, self.target, self.headers, self.until = call.sending(action)
        self.body = call.body_sent

    @property
    def timeout(self) -> float | None:
        """Seconds until the route gives up on this try; None where nothing bounds it. The connection ends then."""
        return None if self.until is None else max(0.0, self.until - monotonic())

    def responded(self, status: int, headers: Iterable[tuple[str, str]]) -> None:
        """The head of the response has come."""
        self._result = Head(status, _bytes(headers), self._call.link)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if error is not None:
            self._result = self._call.failure_of(error, self.until)
        return error is not None and self._result is not None

    def result(self) -> Head | Failure:
        """What came of it.

        Raises:
            RuntimeError: nobody has said.
        """
        if self._result is None:
            raise RuntimeError("nobody has said what came of an attempt: `with attempt:`, attempt.responded(...)")
        return self._result


class SocketAttempt(Attempt):
    """For threads. `sock`: connected, and secured where the mesh wants that. The mesh keeps it, or closes it."""

    def __init__(self, call: Call, action: Send | Bypass, link: SocketLink) -> None:
        super().__init__(call, action)
        self.sock = link.sock


class StreamAttempt(Attempt):
    """For tasks. `reader` and `writer`: of the connection, as above."""

    def __init__(self, call: Call, action: Send | Bypass, link: StreamLink) -> None:
        super().__init__(call, action)
        self.reader, self.writer = link.reader, link.writer


class Governing(NamedTuple):
    """What `Underway` asks of a suite's pool."""

    runtime: Any


class Call(Underway):
    """One call: `with mesh.call(...) as call:`, in it `for attempt in call:`; on an event loop both with `async`.

    After the loop `status` and `headers` are what the caller gets. `body` is that of a response of the mesh's own; it
    is None where the last attempt's connection has the response, of which `done` tells the end. `flags` are Envoy's
    response flags, `call` what was decided (None where governance is switched off).
    """

    library = ERRORS
    call: Any

    def __init__(
        self,
        runtime: Runtime | None,
        method: str,
        url: str,
        headers: Mapping[str, str] | Iterable[tuple[str, str]],
        body: bytes | None,
        timeout_s: float | None,
        errors: tuple[type[Exception], ...],
    ) -> None:
        self.host, self.port, self.view = _request(method, url, headers, body)
        self.pool = Governing(runtime)
        self.timeouts = NO_TIMEOUTS if timeout_s is None else {"connect": timeout_s}
        self.caller_deadline = None
        self.call = None
        self.body_sent = body
        self.link: Any = None
        self.status = 0
        self.headers: Pairs = []
        self.body: bytes | None = None
        self._errors = errors
        self._loop: asyncio.AbstractEventLoop | None = None
        self._alarm: Callable[[], object] | None = None
        self._until: float | None = None
        self._received: int | None = None

    @property
    def flags(self) -> tuple[str, ...]:
        """Envoy's response flags."""
        return () if self.call is None else self.call.flags

    def done(self, received: int = 0, *, reuse: bool = False) -> None:
        """The response has been read whole: so many bytes. `reuse`: the connection may have another request."""
        self._received = received
        if self.link is not None:
            self.link.idle = reuse

    # -- its life ------------------------------------------------------------------------------------------------

    def _begin(self, owner: Any) -> None:
        runtime = self.pool.runtime
        if runtime is None:
            self.machine = _ungoverned()
        else:
            self.call = OutgoingCall(runtime, owner, self.view, self.host.encode("latin-1", "replace"), self.port)
            self.call.alone = True
            self.machine = self.call.run()

    def _end(self, error: BaseException | None) -> None:
        late = self._late(self._until)
        self._watch(None)
        link, self.link = self.link, None
        if late and link is not None:
            link.idle = False  # the alarm may ring at this very moment: nobody else shall have it then
        if not self.status or self.body is not None:
            self.machine.close()
        else:
            complete = self._received is not None
            cut = isinstance(error, self._errors) and not isinstance(error, TimeoutError)
            kind = "" if complete else "timeout" if late else "reset" if cut else "caller"
            finish(self.machine, BodyEnd(complete, len(self.body_sent or b""), self._received or 0, kind))
        if link is not None and self._passed_on:
            link.close()  # it is in no pool

    def __enter__(self) -> Self:
        self._begin(NAME)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end(error)

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._begin(Owner(self._loop))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end(error)

    # -- its attempts --------------------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[SocketAttempt]:
        action = step(self.machine)
        while True:
            while not isinstance(action, TURNS):
                action = step(self.machine, PERFORM[action.kind](self, action))
            if isinstance(action, (Deliver, LocalReply)):
                self._settled(action)
                return
            self.link = SocketLink(self._dialled(action)) if isinstance(action, Bypass) else _taken(action)
            attempt = SocketAttempt(self, action, self.link)
            self._watch(attempt.until)
            yield attempt
            self._watch(None)
            action = step(self.machine, attempt.result())

    async def __aiter__(self) -> AsyncIterator[StreamAttempt]:
        action = step(self.machine)
        while True:
            while not isinstance(action, TURNS):
                action = step(self.machine, await PERFORM_ASYNC[action.kind](self, action))
            if isinstance(action, (Deliver, LocalReply)):
                self._settled(action)
                return
            self.link = StreamLink(*await self._dialled_async(action)) if isinstance(action, Bypass) else _taken(action)
            attempt = StreamAttempt(self, action, self.link)
            self._watch(attempt.until)
            yield attempt
            self._watch(None)
            action = step(self.machine, attempt.result())

    def _settled(self, outcome: Deliver | LocalReply) -> None:
        if isinstance(outcome, Deliver):
            self.status, self.headers = outcome.head.status, _texts(outcome.head.headers)
            self._watch(outcome.deadline)
        else:
            self.link, head = None, self.view.method == b"HEAD"
            self.status, self.body = outcome.status, reply_body(outcome, head=head)
            self.headers = _texts(reply_headers(outcome, head=head))

    def sending(self, action: Send | Bypass) -> tuple[str, str, str, Pairs, float | None]:
        """Endpoint, method, target, headers and deadline of an attempt."""
        view = self.view
        if isinstance(action, Send):
            if action.method != view.method and self.call.redirects:  # one of them has made it a GET
                self.body_sent = None
            headers = [("Host", action.authority.decode("latin-1")), *_texts(action.headers)]
            return action.host.address, action.method.decode(), action.path.decode("latin-1"), headers, action.deadline
        if action.changed is not None:
            view = action.changed
        others = [pair for pair in view.raw_headers if pair[0].lower() != b"host"]
        if action.changed is None and action.told:
            others = carrying(others, action.told)
        headers = [("Host", view.authority.decode("latin-1")), *_texts(others)]
        return f"{self.host}:{self.port}", view.method.decode(), view.path.decode("latin-1"), headers, None

    def failure_of(self, error: BaseException, until: float | None) -> Failure | None:
        """What an exception of an attempt means to the machine; None: it is the caller's."""
        if not isinstance(error, self._errors) or self._passed_on:
            return None
        if self._late(until):
            return Failure("timeout", "", error)
        # The library's own patience is the caller's.
        return None if isinstance(error, TimeoutError) else Failure("reset", str(error), error)

    @property
    def _passed_on(self) -> bool:
        return self.call is None or self.call.bypass is not None

    def _late(self, until: float | None) -> bool:
        return until is not None and monotonic() >= until - EARLY_S

    def _watch(self, until: float | None) -> None:
        """End the connection at that moment, and no more at the one before."""
        if self._alarm is not None:
            self._alarm()
        self._until, self._alarm = until, None
        if until is None:
            return
        if self._loop is not None:
            self._alarm = self._loop.call_later(max(0.0, until - monotonic()), self.link.shut).cancel
        else:
            alarms = self.pool.runtime.lasting((NAME, "alarms"), Alarms)
            self._alarm = alarms.at(until, self.link.shut).off

    def _dialled(self, action: Bypass) -> socket.socket:
        with _telling(self):
            if action.tcp is None:
                return socket.create_connection((self.host, self.port), self.timeouts.get("connect"))
            return dial(self.pool.runtime, action.tcp, self.host, self.port, self.timeouts.get("connect"))

    async def _dialled_async(self, action: Bypass) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        limit_s = self.timeouts.get("connect")
        with _telling(self):
            if action.tcp is not None:
                return await dial_async(self.pool.runtime, action.tcp, self.host, self.port, limit_s, LIMIT)
            async with asyncio.timeout(limit_s):
                return await asyncio.open_connection(self.host, self.port)


@contextmanager
def _telling(call: Call) -> Iterator[None]:
    """The error of a host that the mesh does not govern says so: a name may be misspelt."""
    try:
        yield
    except OSError as error:
        hint = "" if call.call is None else call.unreached(getattr(error, "flag", "UF"))
        if hint and error.strerror:
            error.strerror += f" {hint}"
        raise


def _request(
    method: str, url: str, headers: Mapping[str, str] | Iterable[tuple[str, str]], body: bytes | None
) -> tuple[str, int, RequestView]:
    """Host, port and what is asked of it."""
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        raise ValueError(f"{url!r} is no http:// URL (what https says is not the mesh's to see: create_connection)")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not (target + parts.netloc).isascii() or any(each <= " " or each == "\x7f" for each in target + method):
        raise ValueError(f"{method!r}, {url!r}: both are sent as they are, and no other character may be in them")
    pairs = _bytes(headers.items() if isinstance(headers, Mapping) else headers)
    names = {name.lower() for name, _ in pairs}
    if body is not None and not names & {b"content-length", b"transfer-encoding"}:
        pairs.append((b"content-length", b"%d" % len(body)))
    host, port = parts.hostname, parts.port or 80
    name = f"[{host}]" if ":" in host else host
    authority = (name if port == 80 else f"{name}:{port}").encode()
    view = RequestView(method.encode("ascii"), b"http", authority, target.encode(), pairs)
    view.authority = view.headers.get(b"host", authority)
    return host, port, view


def _bytes(pairs: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in pairs]


def _texts(pairs: RawHeaders) -> Pairs:
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in pairs]


def _ungoverned() -> Machine:
    """Without a mesh: one attempt, and its response."""
    head: Head = yield UNGOVERNED
    yield Deliver(head, None)
    return None


def _taken(action: Send) -> Any:
    link: Any = action.slot.connection  # of this suite: what its pools hold
    link.idle = False
    return link


# -- actions ---------------------------------------------------------------------------------------------------------


def _await_config(call: Call, action: AwaitConfig) -> None:
    runtime: Runtime = call.pool.runtime
    if not runtime.changes.wait(action.seen, call.patience(action.started)):
        raise TimeoutError(runtime.late(action.missing))


def _discard(call: Call, action: Discard) -> None:
    del call
    action.head.handle.close()


def _sleep(call: Call, action: Sleep) -> None:
    del call
    _blocking.pause(action.seconds)


def _start(call: Call, action: Start) -> None:
    del action
    call.pool.runtime.background.drop()


def _collect(call: Call, action: Collect) -> int:
    action.body = call.body_sent or b""
    return len(action.body)


def _at_once(perform: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    async def performed(call: Call, action: Any) -> Any:
        return perform(call, action)

    return performed


PERFORM: dict[int, Callable[[Any, Any], Any]] = {
    AWAIT_CONFIG: _await_config,
    CONNECT: open_link,
    AWAIT_SLOT: _blocking.await_slot,
    DISCARD: _discard,
    SLEEP: _sleep,
    ASK: _blocking.ask,
    START: _start,
    COLLECT: _collect,
}
PERFORM_ASYNC: dict[int, Callable[[Any, Any], Any]] = {
    AWAIT_CONFIG: _awaiting.await_config,
    CONNECT: open_link_async,
    AWAIT_SLOT: _awaiting.await_slot,
    DISCARD: _at_once(_discard),
    SLEEP: _awaiting.sleep,
    ASK: _awaiting.ask,
    START: _at_once(_start),
    COLLECT: _at_once(_collect),
}
