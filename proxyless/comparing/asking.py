"""Every kind of client asked about: who is told nothing new is passed over, who is told the same is looked at once."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field

from ..xds.controlplane.discovery.resources import Resources
from ..xds.controlplane.emit.view import View
from .chains import compare_chains
from .changes import Change
from .clients import Client
from .clusters import compare_clusters
from .folders import Folders
from .inbound import compare_inbound
from .requests import compare_requests
from .samples import Asked
from .sight import Pool, Sight, Tables, own_listener, tables
from .standing import Ground, Outgoing
from .touched import Touched, Whole

Given = Callable[[Client], list[Asked]]


@dataclass(slots=True)
class Looked:
    """How many kinds of clients there were; how many of them were `compared` one by one, stood for by one of these
    (`alike`), or passed over, since everything that they are told is made of the same on both sides (`untouched`)."""

    kinds: int = 0
    compared: int = 0
    alike: int = 0
    untouched: int = 0

    def document(self) -> dict[str, int]:
        """As JSON has it."""
        return {
            "kinds": self.kinds,
            "compared": self.compared,
            "alike": self.alike,
            "untouched": self.untouched,
        }


@dataclass(frozen=True, slots=True)
class Standing:
    """One kind of client on both sides: what it sees, and what that rests on."""

    client: Client
    views: tuple[View, View]
    outgoing: tuple[Outgoing, Outgoing]
    incoming: tuple[Hashable, Hashable]


@dataclass
class Asking:
    """The comparison of two folders for some kinds of clients.

    `one_by_one`: each is looked at by itself and whole, and nothing is taken for the same. That is what the quick way
    has to come to, too.
    """

    folders: Folders
    clients: Sequence[Client]
    one_by_one: bool = False
    looked: Looked = field(default_factory=Looked)

    def __post_init__(self) -> None:
        self._pool = Pool()
        self._tables: dict[tuple[int, Hashable], Tables] = {}
        self._same: dict[tuple[int, int], bool] = {}
        self._outgoing: dict[Hashable, list[Change]] = {}
        self._incoming: dict[Hashable, list[Change]] = {}
        self._found: dict[Hashable, list[Change]] = {}

    def changes(self, given: Given) -> Iterator[tuple[int, Change]]:
        """Every change, with the place of the client that sees it among the clients."""
        looked = self.looked
        looked.kinds = len(self.clients)
        if self.one_by_one:
            yield from self._one_by_one(given)
            return
        for index, standing in enumerate(self._standing()):
            asked = tuple(given(standing.client))
            untouched = self._alike(standing)
            calls = self._same_calls(standing)
            known = True
            if not calls:
                key = (standing.outgoing[0].whole, standing.outgoing[1].whole, asked)
                known = key in self._outgoing
                if not known:
                    self._outgoing[key] = self._of_calls(standing, asked)
                for change in self._outgoing[key]:
                    yield index, change
            if not untouched:
                own = (*standing.incoming, standing.client.name)
                known = known and own in self._incoming
                if own not in self._incoming:
                    before, after = map(own_listener, standing.views)
                    self._incoming[own] = list(compare_inbound(before, after, standing.client.name))
                for change in self._incoming[own]:
                    yield index, change
            if calls and untouched:
                looked.untouched += 1
            elif known:
                looked.alike += 1
            else:
                looked.compared += 1

    def _one_by_one(self, given: Given) -> Iterator[tuple[int, Change]]:
        sides = self.folders.old, self.folders.new
        for index, client in enumerate(self.clients):
            sights, own = [], []
            for side, node in zip(sides, (client.old, client.new), strict=True):
                resources = Resources()
                view = Ground(side.world, resources).view(node)
                sights.append(Sight(resources, view, node, self._pool, tables(resources, view, self._pool)))
                own.append(own_listener(view))
            whole = Whole(*sights)
            for found in (
                compare_requests(whole, given(client)),
                compare_chains(whole),
                compare_clusters(whole),
                compare_inbound(own[0], own[1], client.name),
            ):
                for change in found:
                    yield index, change
            self.looked.compared += 1

    def _standing(self) -> list[Standing]:
        """The old side first, whole: what makes resources keeps them for the world before and the world after."""
        folders = self.folders
        grounds = [Ground(side.world, folders.resources) for side in (folders.old, folders.new)]
        found: list[list[tuple[View, Outgoing, Hashable]]] = []
        for ground, side in zip(grounds, ("old", "new"), strict=True):
            views = [ground.view(getattr(client, side)) for client in self.clients]
            found.append([(view, ground.outgoing(view), ground.incoming(view)) for view in views])
        return [
            Standing(client, (one[0], other[0]), (one[1], other[1]), (one[2], other[2]))
            for client, one, other in zip(self.clients, *found, strict=True)
        ]

    @staticmethod
    def _alike(standing: Standing) -> bool:
        return standing.incoming[0] == standing.incoming[1]

    def _same_calls(self, standing: Standing) -> bool:
        """Whether all that a client is told of calls is made of the same on both sides."""
        old, new = standing.views
        if standing.outgoing[0] != standing.outgoing[1]:
            return False
        key = id(old.scope), id(new.scope)
        if key not in self._same:
            one, other = (_seen(view) for view in (old, new))
            self._same[key] = len(one) == len(other) and all(map(_is, one, other))
        return self._same[key]

    def _of_calls(self, standing: Standing, asked: tuple[Asked, ...]) -> list[Change]:
        client = standing.client
        sights = []
        for view, node, outgoing in zip(standing.views, (client.old, client.new), standing.outgoing, strict=True):
            key = id(view.world), outgoing.tables
            told = self._tables.get(key)
            if told is None:
                told = self._tables[key] = tables(self.folders.resources, view, self._pool)
            sights.append(Sight(self.folders.resources, view, node, self._pool, told))
        touched = Touched(*sights)
        if touched.nothing:
            return []
        same = (touched.key, asked)
        if same not in self._found:
            found = self._found[same] = list(compare_requests(touched, asked))
            found += compare_chains(touched)
            found += compare_clusters(touched)
        return self._found[same]


def _is(one: object, other: object) -> bool:
    return one is other


def _seen(view: View) -> tuple[object, ...]:
    """What all of a scope are told of calls comes from these; the same objects on both sides mean no difference."""
    world, scope = view.world, view.scope
    return (
        scope.listeners,
        scope.services,
        *(rule for each in scope.services for rule in scope.rules_of(each.hostname)),
        scope.sidecar,
        world.instances,
        world.gateways,
        world.mesh,
        world.peer_authentications,
        world.by_host,
        world.exported,
    )
