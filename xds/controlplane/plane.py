"""The plane: what is in force, who listens, and the one thread in which everything happens.

A plane holds one immutable state at a time. Its thread looks at the source, makes the next state, and drives every
session, so sessions and caches need no locks and a slow client costs nobody else anything but its share of the work.
Requests are put into the thread's queue; what comes back leaves through the callbacks of their streams.
"""

from __future__ import annotations

import logging
import operator
import os
import queue
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from .api.security import RequestAuthentication
from .checking.gateway_routes import conditions
from .collecting import uncollected
from .discovery.changes import EVERYTHING, Changes, between, merged
from .discovery.resources import Resources
from .discovery.session import Session
from .keys.keeper import Fetch, Keeper, fetched
from .keys.sources import faults as key_faults
from .keys.sources import wanted
from .mesh import MeshConfig
from .meter import Meter
from .names import Names, resolved
from .objects import Fault, Object
from .pushing import Turns
from .registry.gateway_routes import ROUTE_KINDS
from .registry.world import World
from .source import Loaded, Source, Watched
from .status import PlaneStatus, client_status

logger = logging.getLogger(__name__)

_IDLE_S = 0.02  # between two looks at the source
_SELDOM_S = 0.5  # at most
_SHARE = 50  # a look may take at most one in so many parts of the time
_REMEMBERED = 64
_HEAD_START_S = 1.0  # for keys, before anybody is told anything


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """What is in force. `version` is what responses call it; `unfetched` says which keys are missing, and why."""

    number: int
    version: str
    world: World
    faults: tuple[Fault, ...]
    notes: tuple[Fault, ...] = ()
    unfetched: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class Debounce:
    """A change counts when nothing followed for `quiet_s` seconds, but is not put off for longer than `patience_s`.

    istiod's own are 0.1 and 10 seconds (`PILOT_DEBOUNCE_AFTER`, `PILOT_DEBOUNCE_MAX`); a folder is quiet much sooner.
    """

    quiet_s: float = 0.01
    patience_s: float = 0.3


class Driven:
    """A stream as the plane's thread sees it."""

    session: Session

    @property
    def pushing(self) -> bool:
        """Whether a push is under way."""
        return False

    def push(self) -> None:
        """The state is a new one. Called in the plane's thread."""
        raise NotImplementedError


class Plane:
    """The control plane on one source.

    Nothing runs until a stream is opened or `follow` is called. `clock` gives seconds since the epoch, for versions.
    `on_fault` hears of everything that is wrong with the source, `on_note` of what is valid and has no effect: once, in
    whatever thread finds it. `stock_envoy`: Envoys are not Istio's build, so the `istio.*` filters are left out.
    `fetch` gets the keys of RequestAuthentications, `resolve` the addresses of gateways of other networks by their
    names; it raises OSError. `identifier` is what clients are told of who serves them, once a stream.

    Raises:
        SourceError: the source cannot be read at all.
    """

    def __init__(
        self,
        source: Source,
        mesh: MeshConfig | None = None,
        *,
        clock: Callable[[], float] = time.time,
        on_fault: Callable[[Fault], None] = lambda fault: None,
        on_note: Callable[[Fault], None] = lambda note: None,
        stock_envoy: bool = False,
        debounce: Debounce = Debounce(),
        fetch: Fetch = fetched,
        resolve: Callable[[str], tuple[str, ...]] = resolved,
        identifier: str = "",
    ) -> None:
        self._source = source
        self.identifier = identifier
        self._debounce = debounce
        self._mesh = mesh or MeshConfig()
        self._clock = clock
        self._on_fault = on_fault
        self._on_note = on_note
        self._history: deque[tuple[int, Changes]] = deque(maxlen=_REMEMBERED)
        self._streams: dict[Driven, None] = {}
        self._turns: Turns[Driven] = Turns(time.monotonic, self._do)
        self.meter = Meter()
        self._noticed: deque[tuple[int, float]] = deque(maxlen=_REMEMBERED)  # when a state's change was seen first
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._told: queue.SimpleQueue[set[str]] = queue.SimpleQueue()
        self._told_of = False  # the source does tell
        self._changed_at: float | None = None  # what nobody has been pushed yet
        self._quiet_at: float | None = None  # when it is pushed, unless more follows
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._closed = False
        self.resources = Resources(stock_envoy=stock_envoy)
        self._conditioned: tuple[tuple[object, ...], tuple[Fault, ...]] | None = None
        self._keeper = Keeper(self._keys_came, fetch)
        self._keyed: object = None
        self._names = Names(self._addresses_came, resolve)
        with uncollected(lasting=True):
            self._loaded = source.poll() or Loaded(())
            self.state = self._next(self._loaded, None)
        _renew_after_fork(self)

    # -- what is in force -----------------------------------------------------------------------------------------

    def _next(self, loaded: Loaded, before: State | None) -> State:
        keys, reasons = self._keeper.held()
        world = World(loaded.objects, self._mesh, before.world if before else None, keys, self._names.addresses)
        world.settle()
        unfetched = tuple(key_faults(_tokens(world), reasons, keys))
        known = set(before.faults) if before else set()
        for fault in loaded.faults:
            if fault not in known:
                self._on_fault(fault)
        notes = (*loaded.notes, *unfetched, *self._conditions(world))
        known = set(before.notes) if before else set()
        for note in notes:
            if note not in known:
                self._on_note(note)
        number = before.number + 1 if before else 1
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self._clock()))
        return State(number, f"{stamp}/{number}", world, loaded.faults, notes, unfetched)

    def _conditions(self, world: World) -> tuple[Fault, ...]:
        """What of routes has no effect, or another one than it seems; asked again only when they may have changed."""
        routes = [world.of_kind(kind, object) for kind in ROUTE_KINDS]
        parts = (*routes, world.gateway_routes, world.virtual_services, world.services)
        if self._conditioned is None or any(map(operator.is_not, self._conditioned[0], parts)):
            self._conditioned = (parts, conditions(world))
        return self._conditioned[1]

    def poll(self) -> bool:
        """Takes over what changed in the source; says whether anything did. For the plane's thread, and for tests."""
        return self._took(self._source.poll())

    def _took(self, loaded: Loaded | None) -> bool:
        if loaded is None:
            return False
        self._loaded = loaded
        self._advance()
        return True

    def _advance(self) -> None:
        """What the source said last, with the keys that are there, is the next state."""
        before = self.state
        after = self._next(self._loaded, before)
        self._history.append((after.number, between(before.world, after.world)))
        self._noticed.append((after.number, self._changed_at or time.monotonic()))
        self.state = after
        if self._thread is not None:
            self._want_keys()

    # -- keys of tokens, names of gateways ------------------------------------------------------------------------

    def _want_keys(self) -> None:
        self._names.want(self.state.world.gateways.names)
        tokens = _tokens(self.state.world)
        if tokens is not self._keyed:
            self._keyed = tokens
            self._keeper.want(wanted(tokens))

    def _addresses_came(self) -> None:
        """In the thread of the names."""
        self._work.put(self._take_addresses)

    def _take_addresses(self) -> None:
        if self._names.addresses is not self.state.world.addresses:
            self._advance()
            self._push()

    def _keys_came(self) -> None:
        """In a thread of the keeper."""
        self._work.put(self._take_keys)

    def _take_keys(self) -> None:
        keys, reasons = self._keeper.held()
        world = self.state.world
        if keys is world.keys and tuple(key_faults(_tokens(world), reasons, keys)) == self.state.unfetched:
            return
        self._advance()
        self._push()

    def now(self) -> float:
        return self._clock()

    def changes_since(self, number: int) -> Changes:
        """What changed after the state of that number."""
        known = [changes for at, changes in self._history if at > number]
        if len(known) != self.state.number - number:
            return EVERYTHING
        return merged(known)

    def status(self) -> PlaneStatus:
        """Clients, what they took and refused, and what is wrong with the source. For any thread."""
        state = self.state
        kinds: dict[str, int] = {}
        for ref in state.world.by_ref:
            kinds[ref.kind] = kinds.get(ref.kind, 0) + 1
        return PlaneStatus(
            version=state.version,
            objects=dict(sorted(kinds.items())),
            faults=(*state.faults, *state.unfetched),
            clients=tuple(client_status(stream.session) for stream in list(self._streams)),
        )

    # -- the thread -----------------------------------------------------------------------------------------------

    def follow(self) -> None:
        """Starts the thread, if it does not run."""
        with self._starting:
            if self._closed or (self._thread is not None and self._thread.is_alive()):
                return
            self._thread = threading.Thread(target=self._run, name="proxyless-plane", daemon=True)
            self._thread.start()

    def submit(self, work: Callable[[], None]) -> None:
        """Has something done in the plane's thread, in order."""
        self._work.put(work)

    def attach(self, stream: Driven) -> None:
        """For the plane's thread."""
        self._streams[stream] = None

    def detach(self, stream: Driven) -> None:
        self._streams.pop(stream, None)
        self._turns.forget(stream)

    def done(self, stream: Driven, *, again: bool) -> None:
        """A stream has all of a push; `again`: there is a newer state. For the plane's thread."""
        self._turns.done(stream)
        if again:
            self._turns.want([stream])

    def told(self, number: int) -> None:
        """A client that had seen the state of that number has the newest one. For the plane's thread."""
        first = next((moment for at, moment in self._noticed if at > number), None)
        if first is not None:
            self.meter.convergence.observe(time.monotonic() - first)

    def close(self) -> None:
        """Stops the thread; streams hear nothing any more."""
        with self._starting:
            self._closed = True
            thread, self._thread = self._thread, None
        self._keeper.close()
        self._names.close()
        self._work.put(None)
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout=5)

    def _run(self) -> None:
        self._want_keys()
        self._keeper.wait(_HEAD_START_S)
        self._take_keys()
        stop = self._source.watch(self._heard) if isinstance(self._source, Watched) else None
        try:
            self._work_on()
        finally:
            if stop is not None:
                stop()

    def _heard(self, names: set[str]) -> None:
        """Something changed, says the source. In its thread."""
        self._told.put(names)
        self._work.put(self._look_there)

    def _look_there(self) -> None:
        if not self._told.empty():
            self._told_of = True
            self._look(time.monotonic())

    def _hints(self) -> set[str]:
        """What the source has told of since it was asked last."""
        names: set[str] = set()
        while not self._told.empty():
            names |= self._told.get()
        return names

    def _work_on(self) -> None:
        look_at = time.monotonic() + _IDLE_S
        while True:
            now = time.monotonic()
            if self._quiet_at is not None and now >= self._quiet_at:
                self._settle(now)
            elif now >= look_at:
                self._look(now, everywhere=True)
                self._turns.go_on()
                pause = max(_IDLE_S, _SHARE * (time.monotonic() - now))
                look_at = time.monotonic() + min(pause, _SELDOM_S)
            else:
                due = look_at if self._quiet_at is None else min(look_at, self._quiet_at)
                try:
                    work = self._work.get(timeout=due - now)
                except queue.Empty:
                    continue
                if work is None:
                    return
                self._do(work)

    def _look(self, now: float, *, everywhere: bool = False) -> bool:
        """Takes over what changed, and waits for more; says whether anything did. Only where the source tells that
        something did, unless `everywhere`. Whoever asks meanwhile is served.
        """
        try:
            if not (self.poll() if everywhere else self._took(self._source.poll(self._hints()))):
                return False
        except Exception:  # a source must not end the thread that serves everyone
            logger.exception("the configuration could not be read; what was in force stays")
            return False
        if self._changed_at is None:
            self._changed_at = now
        self._quiet_at = min(now + self._debounce.quiet_s, self._changed_at + self._debounce.patience_s)
        return True

    def _settle(self, now: float) -> None:
        """It has been quiet for long enough, unless something changed unheard."""
        last = self._changed_at is None or now >= self._changed_at + self._debounce.patience_s
        if last or self._told_of or not self._look(now, everywhere=True):
            self._changed_at = self._quiet_at = None
            self._push()

    def _push(self) -> None:
        """Those that are told the same follow one another."""
        self._turns.want(sorted(self._streams, key=_view))

    def _do(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception:
            self.meter.errors += 1
            logger.exception("a stream of the control plane failed")


def _view(stream: Driven) -> int:
    client = stream.session.client
    return id(client.view) if client is not None else 0


def _tokens(world: World) -> list[Object[RequestAuthentication]]:
    return world.of_kind("RequestAuthentication", RequestAuthentication)


def _renew_after_fork(plane: Plane) -> None:
    """A child has no thread and perhaps a lock that nobody will release: it starts afresh, without streams."""
    known = weakref.ref(plane)

    def renew() -> None:
        mine = known()
        if mine is not None:
            mine._starting = threading.Lock()
            mine._work = queue.SimpleQueue()
            mine._told = queue.SimpleQueue()
            mine._told_of = False
            mine._changed_at = mine._quiet_at = None
            mine._thread = None
            mine._streams = {}
            mine._turns = Turns(time.monotonic, mine._do)
            mine._keeper = mine._keeper.renewed(mine._keys_came)
            mine._keyed = None
            mine._names = mine._names.renewed(mine._addresses_came)

    os.register_at_fork(after_in_child=renew)
