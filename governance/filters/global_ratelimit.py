"""The rate limit filter that asks a service (envoy source: extensions/filters/http/ratelimit).

What the route's limits make of a request is put to the service, which counts for the whole fleet. An answer that does
not come in time, or none at all, lets the request pass unless the filter says otherwise (`failure_mode_deny`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...xds.model.filters import GlobalRateLimit, RateLimitPerRoute
from ...xds.model.rate_limit_service import DescriptorStatus, LimitedDescriptor, RateLimitAnswer, RateLimitQuery
from ...xds.model.route import RateLimit
from ..actions import Ask, Told
from ..descriptors import LimitPolicy, subject_of
from ..grpc_statuses import RESOURCE_EXHAUSTED
from ..headers import HeaderList, compile_additions
from ..replies import LocalReply
from ..routing import CompiledRoute, Target
from .stream import Steps, Stream, of_route

if TYPE_CHECKING:
    from ..runtime import Runtime

RATE_LIMITED = (b"x-envoy-ratelimited", b"true")
INTERNAL = b"x-envoy-internal"

Made = list[tuple[RateLimit, LimitedDescriptor]]


class GlobalRateLimitFilter:
    """The filter in a chain; a route may bring limits and a domain of its own."""

    __slots__ = ("_config", "_limits", "_own_limits", "_response", "_service", "name")

    def __init__(self, name: str, config: GlobalRateLimit | None, runtime: Runtime) -> None:
        self.name = name
        self._config = config
        self._service: Told | None = runtime.rate_limiter(config.service) if config is not None else None
        self._limits = LimitPolicy(config.rate_limits if config is not None else ())
        self._own_limits: dict[RateLimitPerRoute, LimitPolicy] = {}
        self._response = compile_additions(config.response_headers if config is not None else ())

    def applies(self, place: Target | CompiledRoute | None) -> bool:
        """Only what goes to a cluster is limited."""
        return self._config is not None and isinstance(place, Target)

    def on_request(self, stream: Stream) -> Steps | None:
        """Ask, where there is something to ask."""
        config, service, target = self._config, self._service, stream.target
        if config is None or service is None or target is None:
            return None
        enabled = config.enabled
        if enabled is not None and not enabled.hit(stream.runtime.draw(enabled.denominator)):
            return None
        internal = stream.request.header(INTERNAL) == b"true"
        if config.request_type == ("external" if internal else "internal"):
            return None
        cluster = target.name_for(stream.request)
        if cluster not in stream.runtime.plan.snapshot.clusters:
            return None
        own = of_route(self.name, stream)
        per_route = own if isinstance(own, RateLimitPerRoute) else None
        domain = (per_route.domain if per_route is not None else "") or config.domain
        made = self._descriptors(stream, config, per_route, done=False)
        later = self._descriptors(stream, config, per_route, done=True)
        if later:
            stream.kept[self] = RateLimitQuery(domain, tuple(each for _, each in later))
        return self._ask(stream, config, service, domain, made) if made else None

    def on_end(self, stream: Stream) -> None:
        """Tell the service what counts only now; nobody waits for its answer."""
        query = stream.kept.pop(self, None)
        if query is not None and self._config is not None and self._service is not None:
            self._service.tell(query, self._config.timeout_s)

    def _descriptors(
        self, stream: Stream, config: GlobalRateLimit, per_route: RateLimitPerRoute | None, *, done: bool
    ) -> Made:
        route, request = stream.route, stream.request
        if route is None or route.action is None:
            return []
        subject = subject_of(stream)
        own = self._limits
        if per_route is not None and per_route.rate_limits:
            own = self._own_limits.get(per_route) or self._own_limits.setdefault(
                per_route, LimitPolicy(per_route.rate_limits)
            )
        if not own.empty:
            return own.limited(request, None, subject, done=done)
        found = route.limits.limited(request, config.stage, subject, done=done)
        of_host = per_route.vh_rate_limits if per_route is not None else "OVERRIDE"
        if (
            route.action.include_vh_rate_limits
            or of_host == "INCLUDE"
            or (of_host == "OVERRIDE" and route.limits.empty)
        ):
            found += route.vhost_limits.limited(request, config.stage, subject, done=done)
        return found

    def _ask(self, stream: Stream, config: GlobalRateLimit, service: Told, domain: str, made: Made) -> Steps:
        query = RateLimitQuery(domain, tuple(each for _, each in made))
        answer = yield Ask(service, query, config.timeout_s)
        if answer is None:
            return None  # a dry run: nobody was asked
        if not isinstance(answer, RateLimitAnswer):
            return self._failed(stream, config)
        headers: HeaderList = list(answer.response_headers)
        over = answer.code == "OVER_LIMIT"
        if over and config.x_envoy_ratelimited:
            headers.append(RATE_LIMITED)
        headers += limit_headers(answer.statuses, [limit for limit, _ in made], config.x_ratelimit_headers)
        enforced = config.enforced
        if not over or (enforced is not None and not enforced.hit(stream.runtime.draw(enforced.denominator))):
            stream.response_headers += headers
            if answer.request_headers:
                stream.request.replace_headers([*stream.request.raw_headers, *answer.request_headers])
            return None
        own = tuple(self._response.apply(headers, stream.request))
        grpc_status = RESOURCE_EXHAUSTED if config.resource_exhausted else None
        return LocalReply(config.status, answer.body, ("RL",), own, "request_rate_limited", grpc_status)

    def _failed(self, stream: Stream, config: GlobalRateLimit) -> LocalReply | None:
        share = config.failure_mode_deny_share
        if share is None:
            denied = config.failure_mode_deny
        else:
            denied = share.hit(stream.runtime.draw(share.denominator))
        return LocalReply(config.status_on_error, b"", ("RLSE",), details="rate_limiter_error") if denied else None


def limit_headers(statuses: Sequence[DescriptorStatus], limits: Sequence[RateLimit], always: bool) -> HeaderList:
    """The x-ratelimit headers of the limit that is nearest (draft 03), where they are asked for."""
    told = [
        status
        for at, status in enumerate(statuses)
        if status.requests_per_unit is not None and _tells(limits[at] if at < len(limits) else None, always)
    ]
    if not told:
        return []
    nearest = min(told, key=lambda status: status.remaining)
    policy = b"".join(
        b", %d;w=%d%s" % (status.requests_per_unit or 0, status.window_s, _name(status.name))
        for status in told
        if status.window_s
    )
    return [
        (b"x-ratelimit-limit", b"%d%s" % (nearest.requests_per_unit or 0, policy)),
        (b"x-ratelimit-remaining", b"%d" % nearest.remaining),
        (b"x-ratelimit-reset", b"%d" % nearest.reset_s),
    ]


def _tells(limit: RateLimit | None, always: bool) -> bool:
    own = limit.x_ratelimit_headers if limit is not None else None
    return always if own is None else own


def _name(name: str) -> bytes:
    return b';name="%s"' % name.encode() if name else b""
