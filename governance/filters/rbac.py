"""Authorization of requests (envoy source: extensions/filters/http/rbac).

What is only tried (shadow rules) is asked first and changes nothing but what is told of it: metadata for formats and
other filters, and `decisions_of` for metrics and `explain`.
"""

from __future__ import annotations

from ...xds.model.rbac import Rbac, RbacPerRoute
from ..authorization.decisions import BODY, DECISIONS, Decision, denied_details
from ..authorization.engine import Decide, Outcome, engine_of
from ..authorization.question import Question, question_of
from ..replies import LocalReply
from .stream import Stream, of_route

METADATA = "envoy.filters.http.rbac"
COMMON = "envoy.common"
HINT = "access_log_hint"


def decisions_of(stream: Stream) -> tuple[Decision, ...]:
    """All that was decided about a request, in order."""
    found: tuple[Decision, ...] = stream.kept.get(DECISIONS, ())
    return found


class Applied:
    """One configuration, compiled. A route's own names its metadata as the chain's where it says nothing."""

    __slots__ = ("_name", "_per_rule", "_prefix", "_rules", "_shadow", "_shadow_prefix")

    def __init__(self, name: str, config: Rbac, chain: Rbac | None = None) -> None:
        self._name = name
        self._per_rule = config.per_rule
        self._prefix = config.prefix or (chain.prefix if chain is not None else "")
        self._shadow_prefix = config.shadow_prefix or (chain.shadow_prefix if chain is not None else "")
        self._rules: Decide | None = engine_of(config.rules) if config.rules is not None else None
        self._shadow: Decide | None = engine_of(config.shadow) if config.shadow is not None else None

    @property
    def decides(self) -> bool:
        """Whether there is anything to ask."""
        return self._rules is not None or self._shadow is not None

    def on_request(self, stream: Stream) -> LocalReply | None:
        """403 where it is enforced that nobody may."""
        question = question_of(stream)
        if self._shadow is not None:
            self._told(stream, self._shadow(question), enforced=False)
        if self._rules is None:
            return None
        found = self._asked(stream, question, self._rules)
        if found.allowed:
            return None
        return LocalReply(403, BODY, details=denied_details(found.policy))

    def _asked(self, stream: Stream, question: Question, rules: Decide) -> Outcome:
        found = rules(question)
        if found.logged is not None:
            stream.dynamic.setdefault(COMMON, {})[HINT] = found.logged
        self._told(stream, found, enforced=True)
        return found

    def _told(self, stream: Stream, found: Outcome, *, enforced: bool) -> None:
        prefix = self._prefix if enforced else self._shadow_prefix
        start = prefix + ("enforced_" if enforced else "shadow_")
        written = stream.dynamic.setdefault(METADATA, {})
        if found.policy:
            written[start + "effective_policy_id"] = found.policy
        written[start + "engine_result"] = "allowed" if found.allowed else "denied"
        one = Decision(self._name, enforced, found.allowed, found.policy, prefix, self._per_rule)
        stream.kept[DECISIONS] = (*stream.kept.get(DECISIONS, ()), one)


class RbacFilter:
    """The filter in a chain; a route's configuration takes its place."""

    __slots__ = ("_applied", "_config", "_per_route", "name")

    def __init__(self, name: str, config: Rbac | None, *, on: bool = True) -> None:
        """`on`: it is not for single routes alone."""
        self.name = name
        self._config = config
        self._applied = Applied(name, config) if config is not None and on else None
        self._per_route: dict[int, tuple[object, Applied]] = {}

    def on_request(self, stream: Stream) -> LocalReply | None:
        """403 for those who may not."""
        own = of_route(self.name, stream)
        applied = self._of_route(own) if isinstance(own, RbacPerRoute) else self._applied
        if applied is None or not applied.decides:
            return None
        return applied.on_request(stream)

    def _of_route(self, own: RbacPerRoute) -> Applied:
        # Keyed by identity: the entry holds the configuration, so the number cannot be reused while it is here.
        kept = self._per_route.get(id(own))
        if kept is not None and kept[0] is own:
            return kept[1]
        applied = Applied(self.name, own.rbac, self._config)
        if len(self._per_route) > 1024:
            self._per_route.clear()
        self._per_route[id(own)] = (own, applied)
        return applied
