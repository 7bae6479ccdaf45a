"""One request under way in the httpx suite: what sync and async have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from copy import copy
from time import monotonic
from typing import Any, Literal, Self

from ..actions import AwaitSlot, Deliver, Failure, Head, OpenConnection, Send
from ..bodies import most_kept
from ..call import Machine, OutgoingCall
from ..copies import CopyCall
from ..headers import HeaderList
from ..mirroring import Copy
from ..replies import LocalReply, reply_body, reply_headers
from ..request import RequestView
from ..runtime import Runtime
from ..securing import InsecureError
from ..spelling import lower, spell
from ._httpcore import AsyncBody, Body, Clamp, Connection, DeadlineError, IdleError, Library, Timeouts
from ._steps import Steps, closing, open_connection, secured
from ._upload import Upload

try:
    from ._h11 import checked
except ImportError:

    def checked(pairs: HeaderList, *, in_lower_case: bool = False) -> Any:
        """With another h11, a plain list."""
        return lower(pairs) if in_lower_case else pairs


ErrorMode = Literal["response", "raise"]

Launch = Callable[["Exchange"], None]
"""Has the machine of an exchange driven in the background."""

DEFAULT_PORTS = {b"http": 80, b"https": 443, b"ws": 80, b"wss": 443}
NO_TIMEOUTS: dict[str, float | None] = {}


def not_secured(error: Exception, cluster: str, address: str) -> Failure:
    """A connection that was made, and could not be secured: nothing has gone over it."""
    transport = f"TLS_error:cluster {cluster}, endpoint {address}: {str(error) or type(error).__name__}:TLS_error_end"
    return Failure("connect-failure", str(error), error, transport=transport)


class Exchange:
    """One request under way: what sync and async have in common."""

    __slots__ = (
        "beside",
        "call",
        "caller_deadline",
        "clamp",
        "connection",
        "copies",
        "given",
        "library",
        "machine",
        "pool",
        "request",
        "timeouts",
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
        self.call = OutgoingCall(pool.runtime, pool.owner(), view, url.host, url.port or DEFAULT_PORTS.get(scheme, 0))
        self.call.uploading = b"transfer-encoding" in known or known.get(b"content-length", b"0") != b"0"
        self.machine: Machine = self.call.run()
        self.timeouts: dict[str, float | None] = request.extensions.get("timeout", NO_TIMEOUTS)
        self.caller_deadline: float | None = None
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
        clamp.until(self.call.uploaded(), self._patience_from_now(), self.call.idle_s())
        upload, copies = self.upload, self.copies
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

    def patience(self, started: float) -> float | None:
        """What is left of the caller's connect timeout; None without one."""
        limit = self.timeouts.get("connect")
        if limit is None:
            return None
        left = started + limit - monotonic()
        if left <= 0:
            raise self.library.connect_timeout("timed out")
        return left

    def opening(self, action: OpenConnection) -> Steps[Any]:
        """A connection to the host: the library's stream, or a `Failure`."""
        core = self.library.core
        host = action.host
        patience = self.patience(monotonic())
        own = patience is not None and patience < action.timeout_s
        timeout_s = patience if own else action.timeout_s
        secure = action.pool.secure
        until = monotonic() + (action.timeout_s if timeout_s is None else timeout_s)
        stream: Any = None
        try:
            stream = yield open_connection(
                host.endpoint.address, host.port, timeout_s, {"socket_options": action.options}
            )
            if secure is None:
                return stream
            return (yield secured(stream, self.pool.runtime, secure, host.address, until - monotonic()))
        except InsecureError as error:
            yield closing(stream)
            return not_secured(error, action.pool.host.cluster, host.address)
        except core.ConnectTimeout as error:
            if own:
                raise
            return Failure("connect-timeout", str(error), error)
        except core.ConnectError as error:
            if stream is not None:
                return not_secured(error, action.pool.host.cluster, host.address)
            return Failure("connect-failure", str(error), error)

    def origin(self, action: OpenConnection) -> Any:
        """As the library names a host; a Unix socket has no port."""
        return self.library.origin(b"http", action.host.host, action.host.port or 80)

    def slot_limit(self, action: AwaitSlot) -> tuple[float | None, bool]:
        """How long to wait for a connection, and whether it is the caller who waits no longer."""
        patience = self.patience(self.call.started)
        own = patience is not None and (action.timeout_s is None or patience < action.timeout_s)
        return (patience if own else action.timeout_s), own

    def without_slot(self, *, own: bool) -> bool:
        """The time is over: the caller's, who is told, or the machine's."""
        if own:
            raise self.library.connect_timeout("timed out waiting for a connection")
        return False

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
            route = self.call.route
            follows = route is not None and route.internal_redirect is not None
            most = most_kept(self.call) if self.call.retry is not None or follows else 0
            upload = self.upload = request.stream = Upload(
                request.stream, again=again, most=most, copied=bool(self.copies)
            )
        return upload

    def _patience_from_now(self) -> float | None:
        """Until when the caller waits for the head, all attempts together: its read timeout, once there is something
        to read."""
        read_s = self.timeouts.get("read")
        if read_s is not None:
            self.caller_deadline = monotonic() + read_s
        return self.caller_deadline

    def unreachable(self, error: Exception) -> Exception:
        """The library's own error about a host that the mesh does not govern, saying so: a name may be misspelt."""
        self.call.unreached = getattr(error, "flag", "UF")
        route = self.call.bypass
        if (route is not None and route.cluster) or self.call.destination is None:
            return error
        host = self.call.url_host.decode("latin-1")
        return type(error)(f"{error} (nothing in the mesh takes {host}:{self.call.port}, so it was dialled as it is)")

    def failure(self, error: Exception) -> Failure:
        """What the machine makes of an error."""
        replayable = self.upload is None or self.upload.replayable
        if isinstance(error, DeadlineError):
            return Failure("timeout", "", error, replayable)
        if isinstance(error, IdleError):
            return Failure("idle", "", error, replayable)
        return self.library.failure(error, replayable)

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

    def __init__(self, runtime: Runtime, inner: Any, library: Library, errors: ErrorMode) -> None:
        if errors not in ("response", "raise"):
            raise ValueError(f"errors={errors!r}: it is 'response' or 'raise'")
        self.runtime = runtime
        self.inner = inner
        self.library = library
        self.errors = errors

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
