"""State of the world: each request repeats all names, each response of LDS and CDS is all there is.

A request that carries names does so in full, with the version that was last accepted and the nonce that was last seen.
istiod ignores a change of names that comes with an error or with a stale nonce (seen), and whether a nonce was stale
when it arrived cannot be known here; so a rejection is followed by a plain request with the names where they have ever
changed beside a response on this stream.
"""

from collections.abc import Sequence

from ..model.resource import ResourceType
from .events import Rejection, Request, Response, error_text

FIRST = (ResourceType.CLUSTER, ResourceType.LISTENER, ResourceType.NAMES)
"""Wildcards, asked for at once and in Envoy's order: clusters before listeners, so that a route finds its cluster."""

ORDER = (
    ResourceType.CLUSTER,
    ResourceType.ENDPOINT,
    ResourceType.SECRET,
    ResourceType.LISTENER,
    ResourceType.NAMES,
    ResourceType.ROUTE,
    ResourceType.EXTENSION,
)


class _Subscription:
    __slots__ = ("active", "names", "nonce", "unsure", "version")

    def __init__(self) -> None:
        self.names: dict[str, None] = {}
        self.version = ""
        self.nonce = ""
        self.active = False
        self.unsure = False
        """The names changed on this stream with a nonce that may have been stale by then, as may be any since."""


class SotwMachine:
    """AdsMachine for `StreamAggregatedResources`."""

    def __init__(self) -> None:
        self._subscriptions = {each: _Subscription() for each in ResourceType}
        for each in FIRST:
            self._subscriptions[each].active = True
        self._open = False
        self._sent_node = False

    def opened(self, held: dict[ResourceType, dict[str, str]]) -> list[Request]:
        """All subscriptions again, with the versions that were accepted."""
        del held
        self._open = True
        self._sent_node = False
        for subscription in self._subscriptions.values():
            subscription.nonce = ""
            subscription.unsure = False
        return [self._request(each) for each in ORDER if self._subscriptions[each].active]

    def closed(self) -> None:
        """Nothing to send; the next stream starts from what is subscribed."""
        self._open = False

    def subscribe(self, type_: ResourceType, names: Sequence[str]) -> list[Request]:
        """The full list of names, with the new ones."""
        subscription = self._subscriptions[type_]
        new = [name for name in names if name not in subscription.names]
        if type_.is_wildcard or not new:
            return []
        subscription.names.update(dict.fromkeys(new))
        subscription.active = True
        return self._change(type_)

    def unsubscribe(self, type_: ResourceType, names: Sequence[str]) -> list[Request]:
        """The full list of names, without those."""
        subscription = self._subscriptions[type_]
        gone = [name for name in names if name in subscription.names]
        if not gone:
            return []
        for name in gone:
            del subscription.names[name]
        # An empty list ends the subscription, but for the first request of a type on a stream, where it means all there
        # is. Without it the server would take the same name, asked for again later, for an acknowledgement.
        requests = self._change(type_)
        if not subscription.names:
            subscription.active = False
            subscription.nonce = subscription.version = ""
            subscription.unsure = False
        return requests

    def answer(self, response: Response, rejections: Sequence[Rejection]) -> list[Request]:
        """ACK with the new version, or NACK with the old one and the reasons."""
        type_ = response.type
        if type_ is None:
            return []
        subscription = self._subscriptions[type_]
        if not subscription.active:
            return []  # it was on its way when the subscription ended, and that was told already
        subscription.nonce = response.nonce
        if not rejections:
            subscription.version = response.version
            return [self._request(type_)]
        refusal = self._request(type_, error_text(rejections))
        return [refusal, self._request(type_)] if subscription.unsure else [refusal]

    def _change(self, type_: ResourceType) -> list[Request]:
        if not self._open:
            return []
        subscription = self._subscriptions[type_]
        subscription.unsure |= bool(subscription.nonce)
        return [self._request(type_)]

    def _request(self, type_: ResourceType, error: str = "") -> Request:
        subscription = self._subscriptions[type_]
        names = tuple(subscription.names)
        first, self._sent_node = not self._sent_node, True
        return Request(type_.value, subscription.version, subscription.nonce, names, error, first=first)
