"""One request under way in the httpx suite: what sync and async have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from copy import copy
from typing import Any, Self

from ..actions import Bypass, Deliver, Failure, Head, OpenConnection, Send
from ..call import OutgoingCall
from ..composition.compose import Policies
from ..copies import CopyCall
from ..headers import HeaderList
from ..mirroring import Copy
from ..replies import LocalReply, reply_body, reply_headers
from ..request import RequestView
from ..runtime import Runtime
from ..spelling import spell
from ..trace_context import carrying
from ._httpcore import AsyncBody, Body, Clamp, Connection, DeadlineError, IdleError, Library, Timeouts
from ._underway import DEFAULT_PORTS, NO_TIMEOUTS, ErrorMode, Underway, checked_mode
from ._upload import Upload, upload_of

Launch = Callable[["Exchange"], None]
"""Has the machine of an exchange driven in the background."""


class Exchange(Underway):
    """One request under way: what sync and async have in common."""

    __slots__ = (
        "beside",
        "clamp",
        "connection",
        "copies",
        "given",
        "request",
        "upload",
    )

    def __init__(self, pool: PoolBase, request: Any) -> None:
        url = request.url
        scheme = url.scheme
        view = RequestView(request.method, scheme, url.host, url.target, request.headers)
        known = view.headers
        view.authority = known.get(b"host", url.host)
        self.pool = pool
        self.library = pool.library
        self.request = request
        self.given: HeaderList = request.headers
        self.call = OutgoingCall(
            pool.runtime, pool.owner(), view, url.host, url.port or DEFAULT_PORTS.get(scheme, 0), pool.policies
        )
        self.call.uploading = b"transfer-encoding" in known or known.get(b"content-length", b"0") != b"0"
        self.machine = self.call.run()
        self.timeouts = request.extensions.get("timeout", NO_TIMEOUTS)
        self.caller_deadline = None
        self.beside = False
        """Whether it is a try that runs beside others."""
        self.clamp: Clamp | None = None
        self.connection: Connection | None = None
        self.upload: Upload | None = None
        self.copies: list[tuple[Copy, Launch]] = []
        """What is to be sent once more as soon as the body is there."""

    @classmethod
    def of_copy(cls, pool: PoolBase, copy: Copy, body: Any) -> Self:
        """A copy of a request on its way: nobody waits for it, and so nobody loses patience."""
        made = object.__new__(cls)
        upstream, core = copy.upstream, pool.library.core
        made.pool, made.library = pool, pool.library
        made.call = CopyCall(pool.runtime, pool.owner(), copy)
        made.machine = made.call.run()
        url = core.URL(scheme=b"http", host=b"copy", port=80, target=upstream.path)
        made.request = core.Request(method=upstream.method, url=url, content=body)
        made.timeouts = NO_TIMEOUTS
        made.caller_deadline = made.clamp = made.upload = made.connection = None
        made.beside = False
        made.copies, made.given = [], []
        return made

    def start(self, copy: Copy, launch: Launch) -> None:
        """Begin a copy of the request: at once if its body is at hand, else when that has been sent."""
        body = self.request.stream
        if isinstance(body, self.library.byte_stream):
            self._launch(copy, launch, body)
        elif self.call.uploading:
            self.copies.append((copy, launch))
        else:
            self._launch(copy, launch, None)

    def _launch(self, copy: Copy, launch: Launch, body: Any) -> None:
        if self.pool.runtime.background.begin():
            launch(type(self).of_copy(self.pool, copy, body))

    def _uploaded(self, clamp: Clamp) -> None:
        """The request has been sent whole."""
        upload, copies = self.upload, self.copies
        until = self.call.uploaded(replayable=upload is None or upload.replayable)
        clamp.until(until, self._patience_from_now(), self.call.idle_s())
        if upload is not None:
            self.call.sent = upload.size
        if copies and upload is not None:
            self.copies = []
            body = upload.kept()
            for copy, launch in copies:
                if body is None:
                    self.pool.runtime.background.drop()
                else:
                    self._launch(copy, launch, self.library.byte_stream(body))

    def branch(self) -> Exchange:
        """The same request for a try that runs beside others: what it changes is its own."""
        if self.call.uploading:
            self._upload()
        request, core = self.request, self.library.core
        url = request.url
        other = copy(self)
        other.beside = True
        other.request = core.Request(
            request.method,
            core.URL(scheme=url.scheme, host=url.host, port=url.port, target=url.target),
            headers=request.headers,
            content=request.stream,
            extensions=request.extensions,
        )
        return other

    def origin(self, action: OpenConnection) -> Any:
        """As the library names a host; a Unix socket has no port."""
        return self.library.origin(b"http", action.host.host, action.host.port or 80)

    def head(self, response: Any) -> Head:
        """What the machine is told of a response."""
        replayable = self.upload is None or self.upload.replayable
        if self.beside:
            response.extensions["proxyless.clamp"] = self.clamp
        return Head(response.status, response.headers, response, replayable)

    def prepare(self, action: Send) -> Connection:
        """Aim the request at the endpoint, and set the deadlines."""
        request = self.request
        url = request.url
        host = action.host
        if action.method != request.method:
            request.method = action.method
            if self.call.redirects:  # one of them has made it a GET
                request.stream, self.upload = self.library.byte_stream(b""), None
        url.host, url.port, url.target = host.host, host.port, action.path
        headers = [(b"Host", action.authority), *action.headers]
        made: Any = action.slot.connection  # of this suite: what its pools hold
        connection: Connection = made
        self.connection = connection
        if connection.http2:
            # One connection, many requests: the deadline travels with the request.
            clamp = Clamp(self.library.read_timeout)
            request.extensions = {**request.extensions, "timeout": Timeouts(self.timeouts, clamp)}
            request.headers = headers
        else:
            clamp = connection.clamp
            spelled = spell(self.call, action, headers, self.given)
            checked = self.library.checked
            request.headers = checked(headers, in_lower_case=True) if spelled is None else checked(spelled)
        self.clamp = clamp
        call = self.call
        if call.uploading:
            clamp.until(action.deadline, None, action.idle_s)
            self._upload().on_end = lambda: self._uploaded(clamp)
        else:
            clamp.until(action.deadline, self.caller_deadline or self._patience_from_now(), action.idle_s)
        return connection

    def _upload(self) -> Upload:
        """The request's body, which says when it has been sent."""
        upload = self.upload
        if upload is None:
            request = self.request
            again = isinstance(request.stream, self.library.byte_stream)
            upload = self.upload = request.stream = upload_of(
                self.call, request.stream, again=again, copied=bool(self.copies)
            )
        return upload

    def unrouted(self, action: Bypass) -> Any:
        """The request as it goes out by the library's own means: the program's, with what is added to it, or as
        policies of the user's left it."""
        request, changed = self.request, action.changed
        if hasattr(request, "own"):  # that knows by itself
            return request
        if changed is None:
            if action.told:
                request.headers = carrying(request.headers, action.told)
        else:
            url = request.url
            request.url = self.library.core.URL(scheme=url.scheme, host=url.host, port=url.port, target=changed.path)
            others = [pair for pair in changed.raw_headers if pair[0].lower() != b"host"]
            request.headers = [(b"Host", changed.authority), *others]
        return request

    def failure(self, error: Exception) -> Failure:
        """What the machine makes of an error."""
        replayable = self.upload is None or self.upload.replayable
        if isinstance(error, DeadlineError):
            return Failure("timeout", "", error, replayable)
        if isinstance(error, IdleError):
            return Failure("idle", "", error, replayable)
        made: Failure = self.library.failure(error, replayable)
        return made

    def local(self, reply: LocalReply) -> Any:
        """A reply of the mesh's own as the library's response, or as its exception."""
        if self.pool.errors == "raise":
            self.pool.raise_for(reply)
        head = self.call.request.method == b"HEAD"
        headers = reply_headers(reply, head=head)
        extensions = {"http_version": b"HTTP/1.1", "proxyless": self.call}
        body = reply_body(reply, head=head)
        return self.library.response(reply.status, headers=headers, content=body, extensions=extensions)

    def respond(self, deliver: Deliver, body: type[Body | AsyncBody]) -> Any:
        """The library's response with our body around its own."""
        head = deliver.head
        response = head.handle
        clamp = response.extensions.pop("proxyless.clamp", self.clamp)
        if clamp is not None:
            clamp.until(deliver.deadline, None, deliver.idle_s)
        response.headers = head.headers
        response.stream = body(response.stream, self.machine, self.call, clamp, self.library)
        response.extensions["proxyless"] = self.call
        return response


class PoolBase(ABC):
    """What takes the place of httpcore's pool inside a transport."""

    def __init__(
        self, runtime: Runtime, inner: Any, library: Library, errors: ErrorMode, policies: Policies | None = None
    ) -> None:
        checked_mode(errors)
        self.runtime = runtime
        self.inner = inner
        self.library = library
        self.errors = errors
        self.policies = policies

    @abstractmethod
    def owner(self) -> Any:
        """Whose connections a call may use."""

    def raise_for(self, reply: LocalReply) -> None:
        """errors="raise": the library's own exception for what would be one without a mesh."""
        core = self.library.core
        for flag in reply.flags:
            text = f"{reply.flag}: {reply.body.decode('utf-8', 'replace')}"
            if reply.transport:
                text += f", transport failure reason: {reply.transport}"
            if flag == "UF":
                raise core.ConnectError(text)
            if flag == "UC":
                raise core.RemoteProtocolError(text)
            if flag == "UT":
                raise core.ReadTimeout(text)
