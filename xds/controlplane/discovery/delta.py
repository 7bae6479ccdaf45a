"""The incremental variant: a request adds and removes names, a response holds what is new and names what is gone.

The rules are istiod's: acknowledgements and subscriptions travel apart; what a client says it held before, on a new
stream, counts as subscribed, so what of it is gone is named; clusters of a new stream are followed by assignments,
since a client that warms them may not ask.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ...wire.schema.types import discovery_v3
from . import rules
from .answers import Answer, Response, Told
from .changes import EVERYTHING, Changes
from .client import Client
from .rules import TYPES, ResourceType
from .session import Session, Watch

Request = discovery_v3.DeltaDiscoveryRequest
_ALL = "*"


class DeltaSession(Session):
    """One stream of DeltaAggregatedResources."""

    delta = True

    def receive(self, request: Request | bytes) -> list[Response]:
        """`take`, as messages."""
        return [told.parsed() for told in self.take(request)]

    def take(self, request: Request | bytes) -> list[Told]:
        """Responses to a request. Raises SessionError where the client cannot be served."""
        if isinstance(request, bytes):
            request = Request.FromString(request)
        if self._passed_over(request.type_url):
            return []
        client = self._identify(request.node)
        due = self._due(request)
        type_ = TYPES.get(request.type_url)
        if not due or type_ is None:
            return []
        watch = self.watches[type_.url]
        subscribed = (set(request.resource_names_subscribe) | set(request.initial_resource_versions)) - {_ALL}
        subscribed -= set(request.resource_names_unsubscribe)
        named = bool(subscribed or request.resource_names_unsubscribe)
        out = self._respond(client, type_, watch, subscribed if named else watch.names, EVERYTHING)
        dependent = self.watches.get(rules.ENDPOINT.url)
        if type_ is rules.CLUSTER and dependent is not None:
            out += self._respond(client, rules.ENDPOINT, dependent, dependent.names, EVERYTHING)
        return out

    def _due(self, request: Request) -> bool:
        """Takes the request in; says whether it must be answered."""
        url, nonce = request.type_url, request.response_nonce
        if request.HasField("error_detail"):
            self._refused(url, request.error_detail)
            return False
        watch = self.watches.get(url)
        if watch is None:
            watch = self.watches[url] = Watch(frozenset())
            self._subscribe(watch, request)
            return True
        if nonce and nonce != watch.sent:
            self._expired(url)
            return False
        changed = self._subscribe(watch, request)
        if nonce:
            self._accepted(watch, nonce)
        return changed

    def _subscribe(self, watch: Watch, request: Request) -> bool:
        before = watch.names
        asked = {*request.resource_names_subscribe, *request.initial_resource_versions}
        after = (before | asked) - set(request.resource_names_unsubscribe)
        watch.names = self._names(after - {_ALL})
        return after != before

    def _respond(
        self, client: Client, type_: ResourceType, watch: Watch, names: Collection[str], changes: Changes
    ) -> list[Told]:
        if type_ is rules.CLUSTER and not changes.everything and not client.named(type_):
            answer = client.cluster_delta(watch.names, changes)
        else:
            answer = client.answer(type_, names, changes)
        if answer is None:
            return []
        removed = self._removed(type_, names, answer)
        if not answer.resources and not removed:
            return []
        if type_.wildcard and not client.named(type_):
            watch.names = self._names(
                answer.names if answer.whole else watch.names.difference(removed).union(answer.names)
            )
        head = discovery_v3.DeltaDiscoveryResponse(
            system_version_info=self.version,
            type_url=type_.url,
            nonce=self._nonce(watch),
            removed_resources=removed,
        )
        return [self._told(type_, watch, head, answer)]

    @staticmethod
    def _removed(type_: ResourceType, names: Collection[str], answer: Answer) -> Sequence[str]:
        if type_ is rules.EXTENSION:
            return ()  # Envoy lets go of extensions itself when nothing refers to them
        if not answer.whole:
            return answer.removed
        return sorted(frozenset(names) - answer.names)
