"""The life of a copy: a call of its own to a cluster that is known, without retries, of which telemetry does not hear.

Its machine is driven like a call's (governance.call), in the background. However it ends, the call that it is a copy of
never hears of it; `Background.counts` does.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from ..xds.model.matchers import PathMatcher
from ..xds.model.resource import ResourceError, ResourceType
from ..xds.model.route import Route, RouteAction, RouteConfiguration, RouteMatch, VirtualHost
from .actions import Action, AwaitConfig, BodyEnd, Deliver, Head
from .attempts import attempt_until_done
from .background import Outcome
from .call import Machine, OutgoingCall
from .cluster import ClusterRuntime
from .descriptors import LimitPolicy
from .mirroring import Copy
from .plan import Missing
from .replies import LocalReply, no_cluster
from .request import RequestView
from .routing import CompiledRoute
from .runtime import Runtime

ROUTE = CompiledRoute(
    0,
    Route(RouteMatch(PathMatcher("prefix", "/")), RouteAction(timeout_s=None)),
    VirtualHost("mirror", ("*",)),
    RouteConfiguration("mirror"),
    LimitPolicy(()),
)
"""What a copy has in place of a route: nothing that would be retried, rewritten or mirrored again."""


class CopyCall(OutgoingCall):
    """One copy under way."""

    def __init__(self, runtime: Runtime, owner: Any, copy: Copy, scheme: bytes = b"http") -> None:
        upstream = copy.upstream
        request = RequestView(upstream.method, scheme, upstream.authority, upstream.path, upstream.headers)
        super().__init__(runtime, owner, request, upstream.authority, 0)
        self.policies = None
        self.copy = copy
        self.route = ROUTE
        self.upstream = upstream
        self.background = runtime.background
        self.complete = False

    def run(self) -> Machine:
        """The machine, for which there is room (`Background.begin`)."""
        outcome: Outcome = "failed"
        try:
            cluster = yield from self._cluster()
            if cluster is None:
                return no_cluster(503)
            self.cluster = cluster
            cluster.state.used_at = self.runtime.clock()
            if self.copy.timeout_s is not None:
                self.deadline = self.runtime.clock() + self.copy.timeout_s
            done = yield from attempt_until_done(self)
            reply = done if isinstance(done, LocalReply) else None
            if reply is None and self.complete:
                outcome = "answered"
            return reply
        except ResourceError:
            return no_cluster(503)
        finally:
            self.background.ended(outcome)

    def _cluster(self) -> Generator[Action, Any, ClusterRuntime | None]:
        runtime = self.runtime
        name = self.copy.cluster
        changes = runtime.changes
        seen = changes.generation
        while isinstance(found := runtime.plan.cluster(name), Missing):
            runtime.require(Missing(ResourceType.CLUSTER, (name,), found.what))
            if runtime.closed:
                return None
            yield AwaitConfig(found.what, seen, self.started)  # no wait at all where it has changed meanwhile
            seen = changes.generation
        return found

    def deliver(self, head: Head) -> Deliver:
        """The response as it came: it is read and thrown away."""
        return Deliver(head, self.deadline)

    def finished(self, end: BodyEnd) -> None:
        """The body has ended."""
        self.complete = end.complete
