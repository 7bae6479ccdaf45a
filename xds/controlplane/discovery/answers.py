"""What clients are told: resources of one type, encoded once for all who are told the same, and an envelope for each.

A response on the wire is the concatenation of its fields, in any order. So the repeated `resources`, which weigh, are
bytes that clients share, and what is a client's own (nonce, version, removed names) is a few bytes in front of them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, cast
from weakref import WeakValueDictionary

from google.protobuf.message import Message

from ...wire.schema.types import discovery_v3, google_protobuf
from .rules import ResourceType

Sotw = discovery_v3.DiscoveryResponse
Delta = discovery_v3.DeltaDiscoveryResponse
Response = Sotw | Delta

_KEPT_BYTES = 64 << 20
_KEPT_RESOURCES = 1 << 20


class Resource(NamedTuple):
    name: str
    content: google_protobuf.Any


class Body:
    """The encoded resources of responses. Lives as long as somebody is about to be sent it."""

    __slots__ = ("__weakref__", "count", "raw")

    def __init__(self, raw: bytes, count: int) -> None:
        self.raw = raw
        self.count = count


class Answer:
    """Resources of one type. `whole`: what the client holds beside them is gone; else `removed` names what is.

    Shared by clients that are told the same; never changed.
    """

    __slots__ = ("_contents", "_names", "removed", "resources", "whole")

    def __init__(self, resources: Sequence[Resource], *, whole: bool = True, removed: Collection[str] = ()) -> None:
        self.resources = tuple(resources)
        self.whole = whole
        self.removed = tuple(removed)
        self._names: frozenset[str] | None = None
        self._contents: tuple[int, ...] | None = None

    @property
    def names(self) -> frozenset[str]:
        if self._names is None:
            self._names = frozenset(resource.name for resource in self.resources)
        return self._names

    @property
    def contents(self) -> tuple[int, ...]:
        """Equal for answers of the same resources, while they live."""
        if self._contents is None:
            self._contents = tuple(id(resource.content) for resource in self.resources)
        return self._contents


@dataclass(frozen=True, slots=True)
class Told:
    """One response to one client, not yet joined."""

    of: ResourceType
    nonce: str
    head: bytes
    body: Body
    message: type[Message]

    def __len__(self) -> int:
        return len(self.head) + len(self.body.raw)

    def encoded(self) -> bytes:
        return self.head + self.body.raw

    def parsed(self) -> Response:
        """For whoever has no wire between."""
        made = self.message()
        made.MergeFromString(self.encoded())
        return cast(Response, made)


class Answers:
    """What was made for the clients of one world, as far as it may weigh. Not for several threads.

    What is forgotten is made again from the resources, which are kept by what they were made of.
    """

    def __init__(self) -> None:
        self._answers: OrderedDict[Hashable, Answer] = OrderedDict()
        self._resources = 0
        self._bodies: OrderedDict[tuple[type[Message], tuple[int, ...]], tuple[Body, Answer]] = OrderedDict()
        self._bytes = 0
        self._sets: WeakValueDictionary[int, frozenset[str]] = WeakValueDictionary()

    def clear(self) -> None:
        """A new world has come. What is encoded may be told in it, too."""
        self._answers.clear()
        self._resources = 0

    def answer(self, key: Hashable, make: Callable[[], Answer]) -> Answer:
        found = self._answers.get(key)
        if found is not None:
            self._answers.move_to_end(key)
            return found
        found = self._answers[key] = make()
        self._resources += len(found.resources)
        while self._resources > _KEPT_RESOURCES and len(self._answers) > 1:
            self._resources -= len(self._answers.popitem(last=False)[1].resources)
        return found

    def body(self, message: type[Message], answer: Answer) -> Body:
        """The resources of an answer as they stand in a response of that variant."""
        key = (message, answer.contents)
        found = self._bodies.get(key)
        if found is not None:
            self._bodies.move_to_end(key)
            return found[0]
        body = Body(_encoded(message, answer), len(answer.resources))
        self._bodies[key] = (body, answer)  # the answer, so that what its contents are known by is nobody else's
        self._bytes += len(body.raw)
        while self._bytes > _KEPT_BYTES and len(self._bodies) > 1:
            self._bytes -= len(self._bodies.popitem(last=False)[1][0].raw)
        return body

    def names(self, of: Iterable[str]) -> frozenset[str]:
        """One set for all who watch the same names."""
        made = frozenset(of)
        known = self._sets.get(hash(made))
        if known == made:
            return known
        self._sets[hash(made)] = made
        return made


def _encoded(message: type[Message], answer: Answer) -> bytes:
    if message is Sotw:
        made: Response = Sotw(resources=[resource.content for resource in answer.resources])
    else:
        made = Delta()
        for resource in answer.resources:
            made.resources.add(name=resource.name, resource=resource.content)
    raw: bytes = made.SerializeToString()
    return raw
