"""State of the world: a request names everything of a type that the client wants.

The rules are istiod's: an empty list of names of a type that is not a wildcard ends the subscription; an answer with
an error, or to a response that is not the last one, gets no response; new names are answered alone.
"""

from __future__ import annotations

from collections.abc import Collection

from ...wire.schema.types import discovery_v3
from .answers import Response, Told
from .changes import EVERYTHING, Changes
from .client import Client
from .rules import TYPES, ResourceType
from .session import Session, Watch

Request = discovery_v3.DiscoveryRequest


class SotwSession(Session):
    """One stream of StreamAggregatedResources."""

    delta = False

    def receive(self, request: Request | bytes) -> list[Response]:
        """`take`, as messages."""
        return [told.parsed() for told in self.take(request)]

    def take(self, request: Request | bytes) -> list[Told]:
        """Responses to a request, at most one. Raises SessionError where the client cannot be served."""
        if isinstance(request, bytes):
            request = Request.FromString(request)
        if self._passed_over(request.type_url):
            return []
        client = self._identify(request.node)
        names = self._due(request, client)
        type_ = TYPES.get(request.type_url)
        if names is None or type_ is None:
            return []
        return self._respond(client, type_, self.watches[type_.url], names, EVERYTHING)

    def _due(self, request: Request, client: Client) -> Collection[str] | None:
        """The names that a request must be answered with; None for no answer."""
        url, names = request.type_url, self._names(request.resource_names)
        if request.HasField("error_detail"):
            self._refused(url, request.error_detail)
            return None
        type_ = TYPES.get(url)
        wildcard = type_ is None or type_.wildcard
        named = type_ is not None and client.named(type_)
        if not names and not wildcard:
            self.watches.pop(url, None)
            return None
        watch = self.watches.get(url)
        if watch is None or not request.response_nonce:
            self.watches[url] = Watch(names)
            self._warm(url)
            return names
        if request.response_nonce != watch.sent:
            self._expired(url)
            return None
        added, removed = names - watch.names, watch.names - names
        watch.names = names
        self._accepted(watch, request.response_nonce)
        if watch.always_respond:
            watch.always_respond = False
            return names
        if not added:
            return names if removed and wildcard else None
        return names if named else added

    def _respond(
        self, client: Client, type_: ResourceType, watch: Watch, names: Collection[str], changes: Changes
    ) -> list[Told]:
        answer = client.answer(type_, names, changes)
        if answer is None or not (answer.resources or client.named(type_)):
            return []
        nonce = self._nonce(watch)
        head = discovery_v3.DiscoveryResponse(version_info=self.version, type_url=type_.url, nonce=nonce)
        return [self._told(type_, watch, head, answer)]
