"""What the machine of a call asks its driver to do, and what it is told back.

The machine (`governance.call`) yields an action; the driver performs it with its library and sends the result in.
Nothing that a machine decides depends on the library, so sync and async suites share every rule.
"""

from collections import deque
from collections.abc import Callable, Generator
from threading import Lock
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, final

from ..xds.model.records import dataclass
from .balancing.host import Host
from .headers import HeaderList
from .passing import TcpRoute
from .pool import Pool, Slot, Waiter
from .request import RawHeaders, RequestView
from .sockets import SocketOptions

if TYPE_CHECKING:
    from .mirroring import Copy

# Indices of the drivers' tables.
AWAIT_CONFIG, CONNECT, AWAIT_SLOT, SEND, DISCARD, SLEEP, BYPASS = range(7)
ASK, START, RUN, AWAIT_RACE, COLLECT, DELIVER = range(7, 13)


class AwaitConfig:
    """Wait until the next snapshot, no later than the caller's connect timeout allows. Result: None."""

    __slots__ = ("missing", "seen", "started")
    kind: ClassVar[int] = AWAIT_CONFIG

    def __init__(self, missing: str, seen: int, started: float) -> None:
        self.missing = missing
        self.seen = seen
        self.started = started


class OpenConnection:
    """Make a connection to the host within `timeout_s`. Result: a `pool.Connection`, or a `Failure`.

    `options`: of its socket, as `setsockopt` takes them.
    """

    __slots__ = ("host", "http2", "options", "pool", "timeout_s")
    kind: ClassVar[int] = CONNECT

    def __init__(self, host: Host, pool: Pool, timeout_s: float, http2: bool, options: SocketOptions = ()) -> None:
        self.host = host
        self.pool = pool
        self.timeout_s = timeout_s
        self.http2 = http2
        self.options = options

    @property
    def negotiates(self) -> bool:
        """Whether ALPN says which protocol is spoken (HttpProtocolOptions.auto_config)."""
        return self.pool.settings is not None and self.pool.settings.protocol == "auto"


class AwaitSlot:
    """Wait until the waiter has its grant, at most `timeout_s`. Result: True, or False when the time is over."""

    __slots__ = ("timeout_s", "waiter")
    kind: ClassVar[int] = AWAIT_SLOT

    def __init__(self, waiter: Waiter, timeout_s: float | None) -> None:
        self.waiter = waiter
        self.timeout_s = timeout_s


class Send:
    """Send the request over the slot's connection. Result: a `Head` or a `Failure`.

    `deadline` is the moment (of the machine's clock) until which the head of the response must be there, None for no
    bound; no single operation may take longer than `idle_s`. The caller's own timeout is the driver's business and ends
    in the library's exception.
    """

    __slots__ = ("authority", "deadline", "headers", "host", "idle_s", "method", "path", "slot")
    kind: ClassVar[int] = SEND

    def __init__(
        self,
        slot: Slot,
        host: Host,
        method: bytes,
        authority: bytes,
        path: bytes,
        headers: HeaderList,
        deadline: float | None,
        idle_s: float | None = None,
    ) -> None:
        self.slot = slot
        self.host = host
        self.method = method
        self.authority = authority
        self.path = path
        self.headers = headers
        self.deadline = deadline
        self.idle_s = idle_s


class Discard:
    """Throw a response away before the next attempt. Result: None."""

    __slots__ = ("head",)
    kind: ClassVar[int] = DISCARD

    def __init__(self, head: "Head") -> None:
        self.head = head


class Sleep:
    """Result: None."""

    __slots__ = ("seconds",)
    kind: ClassVar[int] = SLEEP

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds


class Deliver:
    """Hand the response to the caller; the machine is resumed with a `BodyEnd` when its body is over.

    `deadline`: the moment until which the whole body must have come; `idle_s`: how long no byte may come.
    """

    __slots__ = ("deadline", "head", "idle_s")
    kind: ClassVar[int] = DELIVER

    def __init__(self, head: "Head", deadline: float | None, idle_s: float | None = None) -> None:
        self.head = head
        self.deadline = deadline
        self.idle_s = idle_s


class Bypass:
    """Send the request with the library's own means. Result: a `Head`; the library raises what fails.

    `tcp` says to whose endpoints the connections shall go, and how; None leaves the address to the library.
    """

    __slots__ = ("changed", "tcp", "told")
    kind: ClassVar[int] = BYPASS

    def __init__(self, tcp: TcpRoute | None, changed: RequestView | None = None, told: RawHeaders = ()) -> None:
        self.tcp = tcp
        self.changed = changed
        """The request as a policy of the user's has changed it: its authority, path and headers are what is sent."""
        self.told = told
        """Headers to add to the program's own, in the place of any of the same names, where `changed` is None."""

    @property
    def cluster(self) -> str | None:
        """The cluster of those endpoints."""
        return None if self.tcp is None else self.tcp.cluster


class Service(Protocol):
    """Something outside that a filter asks before it decides (rate limits, external authorization)."""

    def ask(self, request: Any, timeout_s: float) -> Any:
        """Its answer, or a `Failure`; never raises."""

    async def ask_async(self, request: Any, timeout_s: float) -> Any:
        """The same for a task."""


class Told(Service, Protocol):
    """One that may be told something too."""

    def tell(self, request: Any, timeout_s: float) -> None:
        """Ask, and wait for no answer."""


class Asked:
    """What became of the questions to one service."""

    __slots__ = ("answers", "failures", "last_failure")

    def __init__(self) -> None:
        self.answers = 0
        self.failures = 0
        self.last_failure: str | None = None

    def count(self, outcome: Any) -> None:
        """One question more: its answer, or a `Failure`."""
        if isinstance(outcome, Failure):
            self.failures += 1
            self.last_failure = outcome.reason
        else:
            self.answers += 1


class Nobody:
    """Stands where no service can be asked: in tests and dry runs, which ask none."""

    def ask(self, request: Any, timeout_s: float) -> Any:
        """A failure."""
        del request, timeout_s
        return Failure("unreachable", "there is nobody to ask")

    async def ask_async(self, request: Any, timeout_s: float) -> Any:
        """A failure."""
        return self.ask(request, timeout_s)

    def tell(self, request: Any, timeout_s: float) -> None:
        """Nothing."""


class Ask:
    """Ask a service. Result: its answer, a `Failure`, or None where nobody is asked (a dry run)."""

    __slots__ = ("request", "service", "timeout_s")
    kind: ClassVar[int] = ASK

    def __init__(self, service: Service, request: Any, timeout_s: float) -> None:
        self.service = service
        self.request = request
        self.timeout_s = timeout_s


class Collect:
    """Have the whole body of the request at hand, if it is no longer than `most` bytes.

    Result: its length, or a greater number than `most` as soon as that is known; None where nobody has a body (a dry
    run). What has been read by then is in `body`. `whole`: it came at once and with its end, so that nobody had to hold
    it.
    """

    __slots__ = ("body", "most", "whole")
    kind: ClassVar[int] = COLLECT

    def __init__(self, most: int) -> None:
        self.most = most
        self.body = b""
        self.whole = False


class Start:
    """Begin a copy of the request in the background, once its body is there. Result: None, at once."""

    __slots__ = ("copy",)
    kind: ClassVar[int] = START

    def __init__(self, copy: "Copy") -> None:
        self.copy = copy


class Race:
    """What machines that run beside each other tell the one that waits for them; its driver sets `wake`.

    An entry is the runner that it is about, or a word of the call itself.
    """

    __slots__ = ("events", "lock", "wake")

    def __init__(self) -> None:
        self.events: deque[Any] = deque()
        self.lock = Lock()
        self.wake: Callable[[], object] | None = None

    def put(self, event: Any) -> None:
        """From any thread."""
        self.events.append(event)
        self.wakes()

    def wakes(self) -> None:
        """There is something to take."""
        wake = self.wake
        if wake is not None:
            wake()

    def take(self) -> Any:
        """The next entry; None without one."""
        return self.events.popleft() if self.events else None


class Running(Protocol):
    """A machine that runs beside."""

    def abandon(self) -> None:
        """Nobody waits for it any more: end it soon, from any thread, never blocking."""


class Runner(Protocol):
    """Whose machine it is."""

    ended: bool
    error: BaseException | None


class Run:
    """Run a machine beside this one; what it raises goes to its runner and the race. Result: a `Running`."""

    __slots__ = ("machine", "race", "runner")
    kind: ClassVar[int] = RUN

    def __init__(self, machine: "Generator[Action, Any, None]", race: Race, runner: Runner) -> None:
        self.machine = machine
        self.race = race
        self.runner = runner

    def failed(self, error: BaseException) -> None:
        """The machine has raised."""
        self.runner.error = error
        self.runner.ended = True
        self.race.put(self.runner)


class AwaitRace:
    """Wait until the race has something to tell, at most until a moment of the machine's clock. Result: None."""

    __slots__ = ("race", "until")
    kind: ClassVar[int] = AWAIT_RACE

    def __init__(self, race: Race, until: float | None) -> None:
        self.race = race
        self.until = until


Action = (
    AwaitConfig
    | OpenConnection
    | AwaitSlot
    | Send
    | Discard
    | Sleep
    | Deliver
    | Bypass
    | Ask
    | Start
    | Run
    | AwaitRace
    | Collect
)


@final
class Head:
    """Status and headers of a response; `handle` is the library's own object, opaque to the machine.

    `replayable`: whether the request could be sent once more.
    """

    __slots__ = ("handle", "headers", "replayable", "status")

    def __init__(self, status: int, headers: HeaderList, handle: Any, replayable: bool = True) -> None:
        self.status = status
        self.headers = headers
        self.handle = handle
        self.replayable = replayable


@dataclass(frozen=True, slots=True)
class Failure:
    """An attempt without a response. `kind` is one of `replies.RESETS`, `timeout` or `idle`; `reason` is for people.

    `transport`: what was wrong with the TLS of the connection, where it was that.
    """

    kind: str
    reason: str
    error: BaseException | None = None
    replayable: bool = True
    transport: str = ""


@dataclass(slots=True)  # one for every call: to be frozen would take it three times as long
class BodyEnd:
    """How the response body ended: complete, cut by a deadline, by the upstream or by the caller."""

    complete: bool
    sent: int = 0
    received: int = 0
    kind: str = ""
