"""Incremental ADS: subscriptions and acknowledgements travel apart, responses hold what changed.

The first request of a type on a stream says what is subscribed and, with versions, what is held, so that a reconnect
moves only what changed while the stream was away.
"""

from collections.abc import Sequence

from ..model.resource import ResourceType
from .events import Rejection, Request, Response, error_text
from .sotw import FIRST, ORDER


class DeltaMachine:
    """AdsMachine for `DeltaAggregatedResources`."""

    def __init__(self) -> None:
        self._names: dict[ResourceType, dict[str, None]] = {each: {} for each in ResourceType}
        self._asked: set[ResourceType] = set()
        self._open = False
        self._sent_node = False

    def opened(self, held: dict[ResourceType, dict[str, str]]) -> list[Request]:
        """What is subscribed and what is held, type by type."""
        self._open = True
        self._sent_node = False
        self._asked = set()
        return [self._initial(each, held.get(each, {})) for each in ORDER if each in FIRST or self._names[each]]

    def closed(self) -> None:
        """Nothing to send; the next stream starts from what is subscribed."""
        self._open = False

    def subscribe(self, type_: ResourceType, names: Sequence[str]) -> list[Request]:
        """The new names only."""
        own = self._names[type_]
        new = tuple(name for name in dict.fromkeys(names) if name not in own)
        if type_.is_wildcard or not new:
            return []
        own.update(dict.fromkeys(new))
        if not self._open:
            return []
        if type_ not in self._asked:
            return [self._initial(type_, {})]
        return [self._request(Request(type_.value, subscribe=new))]

    def unsubscribe(self, type_: ResourceType, names: Sequence[str]) -> list[Request]:
        """The names that go."""
        own = self._names[type_]
        gone = tuple(name for name in names if name in own)
        for name in gone:
            del own[name]
        if not gone or not self._open:
            return []
        return [self._request(Request(type_.value, unsubscribe=gone))]

    def answer(self, response: Response, rejections: Sequence[Rejection]) -> list[Request]:
        """ACK, or NACK with the reasons; never with names."""
        if response.type is None:
            return []
        return [self._request(Request(response.type.value, nonce=response.nonce, error=error_text(rejections)))]

    def _initial(self, type_: ResourceType, held: dict[str, str]) -> Request:
        self._asked.add(type_)
        names = self._names[type_]
        known = held.items() if type_.is_wildcard else ((name, held[name]) for name in names if name in held)
        return self._request(Request(type_.value, subscribe=tuple(names), held=tuple(known)))

    def _request(self, request: Request) -> Request:
        if self._sent_node:
            return request
        self._sent_node = True
        return Request(
            request.type_url,
            nonce=request.nonce,
            error=request.error,
            subscribe=request.subscribe,
            unsubscribe=request.unsubscribe,
            held=request.held,
            first=True,
        )
