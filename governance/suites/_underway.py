"""A call under way in whatever library: what its driver does of itself, and how patient its caller is.

A suite's own class adds how a request is sent and how a response is handed over.
"""

from __future__ import annotations

from time import monotonic
from typing import Any, Literal

from ..actions import AwaitSlot, Failure, OpenConnection
from ..call import Machine, OutgoingCall
from ..securing import InsecureError
from ._steps import Steps, closing, open_connection, secured

ErrorMode = Literal["response", "raise"]

DEFAULT_PORTS = {b"http": 80, b"https": 443, b"ws": 80, b"wss": 443}
NO_TIMEOUTS: dict[str, float | None] = {}


def checked_mode(errors: str) -> None:
    """Raises ValueError for what is no mode."""
    if errors not in ("response", "raise"):
        raise ValueError(f"errors={errors!r}: it is 'response' or 'raise'")


def not_secured(error: Exception, cluster: str, address: str) -> Failure:
    """A connection that was made, and could not be secured: nothing has gone over it."""
    transport = f"TLS_error:cluster {cluster}, endpoint {address}: {str(error) or type(error).__name__}:TLS_error_end"
    return Failure("connect-failure", str(error), error, transport=transport)


class Underway:
    """One call under way: what all libraries have in common."""

    __slots__ = ("call", "caller_deadline", "library", "machine", "pool", "timeouts")

    pool: Any
    """What governs the calls of one client: its `runtime`, and more that its suite knows."""
    library: Any
    """The exceptions `connect_timeout` and `connect_error`, and more that its suite knows."""
    call: OutgoingCall
    machine: Machine
    timeouts: dict[str, float | None]
    """The caller's own: `connect` and `read`."""
    caller_deadline: float | None

    def patience(self, started: float) -> float | None:
        """What is left of the caller's connect timeout; None without one."""
        limit = self.timeouts.get("connect")
        if limit is None:
            return None
        left = started + limit - monotonic()
        if left <= 0:
            raise self.library.connect_timeout("timed out")
        return left

    def patience_to_connect(self) -> float | None:
        """How long the caller waits for a connection that is made now."""
        return self.patience(monotonic())

    def opening(self, action: OpenConnection) -> Steps[Any]:
        """A connection to the host: the library's stream, or a `Failure`."""
        host = action.host
        patience = self.patience_to_connect()
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
        except self.library.connect_timeout as error:
            if own:
                raise
            return Failure("connect-timeout", str(error), error)
        except self.library.connect_error as error:
            if stream is not None:
                return not_secured(error, action.pool.host.cluster, host.address)
            return Failure("connect-failure", str(error), error)

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

    def _patience_from_now(self) -> float | None:
        """Until when the caller waits for the head, all attempts together: its read timeout, once there is something
        to read."""
        read_s = self.timeouts.get("read")
        if read_s is not None:
            self.caller_deadline = monotonic() + read_s
        return self.caller_deadline

    def unreachable(self, error: Exception) -> Exception:
        """The library's own error about a host that the mesh does not govern, saying so: a name may be misspelt."""
        hint = self.unreached(getattr(error, "flag", "UF"))
        return type(error)(f"{error} {hint}") if hint else error

    def unreached(self, flag: str = "UF") -> str:
        """The library's own means have not reached a host: what to add to its error where the mesh knows no such."""
        self.call.unreached = flag
        route = self.call.bypass
        if (route is not None and route.cluster) or self.call.destination is None:
            return ""
        host = self.call.url_host.decode("latin-1")
        return f"(nothing in the mesh takes {host}:{self.call.port}, so it was dialled as it is)"
