"""grpcio's own channels to endpoints, as the pools of the mesh hold them: one channel is one connection.

Plaintext goes straight to the endpoint. What is secured, or wants options of its socket, goes through a `Pump`. grpcio
neither retries, nor balances, nor asks the environment for a proxy here: the mesh does what is to be done of it.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Callable, Sequence
from threading import Event, local
from typing import Any, NamedTuple
from urllib.parse import quote

import grpc
import grpc.aio

from ...xds.model.own_channels import OWN_CHANNEL
from ...xds.model.values import Address
from ..actions import Failure, OpenConnection
from ..peer import Peer, Principals
from ..runtime import Runtime
from ..securing import InsecureError
from ..services.links import connect
from ..services.reaching import told
from ..services.wire import Wire
from ._grpc_pump import Pump
from ._steps import handshake_of, principals_of
from ._underway import not_secured

Options = tuple[tuple[str, Any], ...]

MOST_METHODS = 256
"""Callables that a connection keeps ready."""

OWN: Options = (
    OWN_CHANNEL,
    ("grpc.enable_retries", 0),
    ("grpc.enable_http_proxy", 0),
    ("grpc.service_config_disable_resolution", 1),
    ("grpc.use_local_subchannel_pool", 1),
)
"""What is the mesh's to do, whatever a program says."""

SPOKEN = (None, "", "h2", "istio-h2", "istio")
"""What may have been agreed on where HTTP/2 is spoken."""


class Shared(NamedTuple):
    """By what channels share connections: the same options; those of asyncio, in one event loop."""

    options: str
    loop: asyncio.AbstractEventLoop | None

    def is_closed(self) -> bool:
        """Whether the event loop has ended."""
        return self.loop is not None and self.loop.is_closed()


class Owner:
    """Whose connections they are, and what they are made with.

    `forked`: raises in a child where grpcio, which has had connections before the fork, cannot go on. `process`: the
    one that has had them.
    """

    __slots__ = ("forked", "key", "options", "process")

    def __init__(
        self,
        options: Sequence[tuple[str, Any]],
        loop: asyncio.AbstractEventLoop | None = None,
        *,
        forked: Callable[[], None] | None = None,
        process: int | None = None,
    ) -> None:
        self.forked = forked
        self.process = process
        self.options = tuple(pair for pair in options if pair[0] != "grpc.default_authority")
        self.key = Shared(repr(self.options), loop)

    def connects(self) -> None:
        """A connection is about to be made."""
        if self.process is None:
            self.process = os.getpid()
        elif self.process != os.getpid() and self.forked is not None:
            self.forked()


def target_of(address: Address) -> str:
    """How grpcio names an endpoint."""
    if address.unix:
        return f"unix:{address.unix}"
    if ":" in address.host:
        return f"ipv6:{quote(f'[{address.host}]:{address.port}', safe=':')}"
    return f"ipv4:{address.host}:{address.port}"


def arguments(owner: Owner, authority: bytes, connect_s: float) -> list[tuple[str, Any]]:
    """What a channel to an endpoint is made with."""
    limit = max(1, int(connect_s * 1000))
    return [
        *owner.options,
        *OWN,
        ("grpc.default_authority", authority.decode("latin-1")),
        ("grpc.min_reconnect_backoff_ms", limit),
        ("grpc.initial_reconnect_backoff_ms", min(limit, 1000)),
    ]


class Heard:
    """Whether a message of a response has come: grpcio does not tell of it when the call fails after that, but it has
    the message decoded first. For one call, which may be read by another thread."""

    __slots__ = ("it",)

    def __init__(self) -> None:
        self.it = False

    def __call__(self, message: bytes) -> bytes:
        self.it = True
        return message


class HeardHere(local):
    """The same for calls that are read by the thread that makes them, one after the other."""

    it = False

    def __call__(self, message: bytes) -> bytes:
        self.it = True
        return message


class Connection:
    """One channel to one endpoint, in a pool. Another authority than the first has a channel of its own beside.

    `heard`: whether this thread's call has had a message, where that can be known.
    """

    __slots__ = (
        "_authority",
        "_handshake",
        "_make",
        "_methods",
        "_native",
        "_peer",
        "_process",
        "_pump",
        "broken",
        "heard",
    )

    http2 = True

    def __init__(self, native: Any, authority: bytes, make: Callable[[bytes], Any], pump: Pump | None) -> None:
        self._native: dict[bytes, Any] = {authority: native}
        self._authority = authority
        self._make = make
        self._methods: dict[tuple[str, bytes, bytes], Any] = {}
        self._pump = pump
        self._process = os.getpid()
        self._handshake: Callable[[], Peer] | None = None
        self._peer: Principals | None = None
        self.broken = False
        self.heard: HeardHere | None = HeardHere()

    def secured_by(self, wire: Wire) -> None:
        """Who is at its ends."""
        self._peer, self._handshake = principals_of(wire), handshake_of(wire)

    @property
    def principals(self) -> Principals | None:
        return self._peer

    def peer(self) -> Peer | None:
        return None if self._handshake is None else self._handshake()

    def callable(self, kind: str, path: bytes, authority: bytes) -> Any:
        """grpcio's own callable of a method, on bytes."""
        key = (kind, path, authority)
        found = self._methods.get(key)
        if found is None:
            if len(self._methods) >= MOST_METHODS:
                self._methods = {}
            found = self._methods[key] = self.hearing(kind, path, authority, self._hears(kind))
        return found

    def _hears(self, kind: str) -> HeardHere | None:
        return self.heard if kind.endswith("_unary") else None

    def hearing(self, kind: str, path: bytes, authority: bytes, heard: Any) -> Any:
        """Such a callable that is not kept, which shows each message to somebody."""
        native = self._native.get(authority)
        if native is None:
            native = self._native.setdefault(authority, self._make(authority))
        return getattr(native, kind)(path.decode("latin-1"), None, heard)

    def usable(self) -> bool:
        return not self.broken and (self._pump is None or self._pump.alive) and self._process == os.getpid()

    fresh = usable

    def close(self) -> None:
        self.broken = True
        if self._process != os.getpid():  # it is the parent's
            return
        natives, self._native = self._native, {}
        self._methods = {}
        self._close(natives.values())
        if self._pump is not None:
            self._pump.close()

    def _close(self, natives: Any) -> None:
        for native in natives:
            native.close()


class AsyncConnection(Connection):
    """The same for the tasks of one event loop."""

    __slots__ = ("_loop",)

    def __init__(self, native: Any, authority: bytes, make: Callable[[bytes], Any], pump: Pump | None) -> None:
        super().__init__(native, authority, make, pump)
        self.heard = None
        self._loop = asyncio.get_running_loop()

    def _close(self, natives: Any) -> None:
        if self._loop.is_closed():
            return
        held = list(natives)

        async def close() -> None:
            for native in held:
                await native.close()

        self._loop.call_soon_threadsafe(lambda: self._loop.create_task(close()))


def pumped(action: OpenConnection) -> bool:
    """Whether the mesh has to make the connection itself."""
    return action.pool.secure is not None or bool(action.options)


def speaks(action: OpenConnection) -> Failure | None:
    """Why gRPC cannot be spoken with an endpoint, where the cluster says HTTP/1.1."""
    settings = action.pool.settings
    if action.http2 or settings is None or settings.protocol in ("downstream", "auto"):
        return None
    why = (
        f"cluster {action.pool.host.cluster}, endpoint {action.host.address}: the mesh speaks HTTP/1.1 to it, gRPC "
        "needs HTTP/2 (name the port grpc or http2, or give it that appProtocol)"
    )
    return Failure("connect-failure", why, transport=why)


def dialled(runtime: Runtime, action: OpenConnection, timeout_s: float) -> Wire | Failure:
    """A connection of the mesh's own, secured as the cluster says; blocks."""
    host = action.host
    try:
        wire = connect(runtime.tls, action.pool.secure, host, host.endpoint.address, timeout_s, action.options)
    except TimeoutError as error:
        return Failure("connect-timeout", f"{host.address}: no connection in time", error)
    except InsecureError as error:
        return not_secured(error, action.pool.host.cluster, host.address)
    except ssl.SSLError as error:
        return not_secured(InsecureError(told(error)), action.pool.host.cluster, host.address)
    except OSError as error:
        return Failure("connect-failure", f"{host.address}: {told(error)}", error)
    alpn = wire.alpn()
    if alpn not in SPOKEN:
        wire.end()
        wire.close()
        chosen = InsecureError(f"it has chosen {alpn!r}, gRPC needs HTTP/2")
        return not_secured(chosen, action.pool.host.cluster, host.address)
    return wire


def opened(runtime: Runtime, owner: Owner, action: OpenConnection, authority: bytes, timeout_s: float) -> Any:
    """A `Connection` to an endpoint that takes calls, or a `Failure`; blocks."""
    owner.connects()
    refusal = speaks(action)
    if refusal is not None:
        return refusal
    pump: Pump | None = None
    target = target_of(action.host.endpoint.address)
    if pumped(action):
        wire = dialled(runtime, action, timeout_s)
        if isinstance(wire, Failure):
            return wire
        pump = Pump(wire)
        target = pump.target

    def make(name: bytes) -> Any:
        return grpc.insecure_channel(target, arguments(owner, name, action.timeout_s))

    native = make(authority)
    failure = ready(native, timeout_s)
    if failure is not None:
        native.close()
        if pump is not None:
            pump.close()
        return failure
    made = Connection(native, authority, make, pump)
    if pump is not None and action.pool.secure is not None:
        made.secured_by(pump.wire)
    return made


def ready(native: Any, timeout_s: float) -> Failure | None:
    """Wait until a channel has its connection."""
    settled = Event()
    states: list[Any] = []

    def changed(state: Any) -> None:
        if state in (grpc.ChannelConnectivity.READY, grpc.ChannelConnectivity.TRANSIENT_FAILURE):
            states.append(state)
            settled.set()

    native.subscribe(changed, try_to_connect=True)
    try:
        if not settled.wait(timeout_s):
            return Failure("connect-timeout", "no connection in time")
    finally:
        native.unsubscribe(changed)
    if states[0] is grpc.ChannelConnectivity.READY:
        return None
    return Failure("connect-failure", "no connection")


async def opened_async(
    runtime: Runtime, owner: Owner, action: OpenConnection, authority: bytes, timeout_s: float
) -> Any:
    """The same for a task."""
    owner.connects()
    refusal = speaks(action)
    if refusal is not None:
        return refusal
    pump: Pump | None = None
    target = target_of(action.host.endpoint.address)
    if pumped(action):
        wire = await asyncio.get_running_loop().run_in_executor(None, dialled, runtime, action, timeout_s)
        if isinstance(wire, Failure):
            return wire
        pump = Pump(wire)
        target = pump.target

    def make(name: bytes) -> Any:
        return grpc.aio.insecure_channel(target, arguments(owner, name, action.timeout_s))

    native = make(authority)
    failure: Failure | None = None
    try:
        failure = await asyncio.wait_for(_ready_async(native), timeout_s)
    except TimeoutError:
        failure = Failure("connect-timeout", "no connection in time")
    except BaseException:
        failure = Failure("connect-failure", "nobody waits for it")
        raise
    finally:
        if failure is not None:
            await native.close()
            if pump is not None:
                pump.close()
    if failure is not None:
        return failure
    made = AsyncConnection(native, authority, make, pump)
    if pump is not None and action.pool.secure is not None:
        made.secured_by(pump.wire)
    return made


async def _ready_async(native: Any) -> Failure | None:
    while True:
        state = native.get_state(try_to_connect=True)
        if state is grpc.ChannelConnectivity.READY:
            return None
        if state is grpc.ChannelConnectivity.TRANSIENT_FAILURE:
            return Failure("connect-failure", "no connection")
        await native.wait_for_state_change(state)
