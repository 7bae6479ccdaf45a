"""A connection manager's filters, compiled: what runs, what closes the chain, what has no effect here."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from ...xds.model.filters import (
    FilterConfig,
    HttpFilter,
    LocalRateLimit,
    UnenforceableFilter,
)
from ...xds.model.resource import Resource
from ...xds.model.values import Note
from ..headers import HeaderList
from ..replies import LocalReply
from ..replies import closed as closed_by_filter
from ..request import RequestView
from ..routing import CompiledRoute, Target
from .local_ratelimit import Limiters, LocalRateLimitFilter


class RequestFilter(Protocol):
    """One filter at work."""

    name: str

    def on_request(
        self, request: RequestView, route: CompiledRoute | None, target: Target | None, response_headers: HeaderList
    ) -> LocalReply | None:
        """Answer the request, or let it pass; what is added to `response_headers` goes onto any response."""


@dataclass(frozen=True, slots=True)
class FilterChainRuntime:
    """What an HTTP connection manager's filters amount to here."""

    active: tuple[RequestFilter, ...] = ()
    closed: str | None = None
    notes: tuple[Note, ...] = ()
    missing: str | None = None
    """An ECDS resource that has to come first."""


class SwitchedOnByRoute:
    """A filter that cannot be enforced and is switched off, until a route switches it on (HttpFilter.disabled)."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def on_request(
        self, request: RequestView, route: CompiledRoute | None, target: Target | None, response_headers: HeaderList
    ) -> LocalReply | None:
        """Nothing goes through where a route wants it."""
        del request, response_headers
        place = target if target is not None else route
        config = place.filters.get(self.name) if place is not None else None
        if isinstance(config, UnenforceableFilter):
            return closed_by_filter(_why_closed(self.name, config))
        return None


Factory = Callable[[HttpFilter, FilterConfig | None, str, Limiters], RequestFilter]

FACTORIES: Mapping[type, Factory] = {
    LocalRateLimit: lambda http_filter, config, scope, limiters: LocalRateLimitFilter(
        http_filter.name, config if isinstance(config, LocalRateLimit) else None, scope, limiters
    ),
}
"""By the filter's configuration; the factory gets none where the filter is switched off but for single routes."""


def _why_closed(name: str, config: UnenforceableFilter) -> str:
    return f"filter {name} ({config.type_url}) cannot be enforced: {config.reason}"


def compile_chain(
    filters: Sequence[HttpFilter],
    scope: str,
    limiters: Limiters,
    extensions: Mapping[str, Resource[FilterConfig]],
    allowed: Collection[str],
) -> FilterChainRuntime:
    """The filters of one chain. `scope` names the chain in notes and keeps its token buckets apart from others'."""
    active: list[RequestFilter] = []
    notes: list[Note] = []
    closed: str | None = None
    for each in filters:
        config = each.config
        if each.discovery:
            resource = extensions.get(each.discovery)
            if resource is not None:
                config = resource.get()
            elif each.default is not None:
                config = each.default
            else:
                return FilterChainRuntime(missing=each.discovery)
        if config is None:
            continue
        if isinstance(config, UnenforceableFilter):
            if each.optional or each.name in allowed or config.type_url in allowed:
                if not each.disabled:
                    notes.append(Note(scope, f"http_filters[{each.name}]", f"not enforced: {config.reason}"))
            elif each.disabled:
                active.append(SwitchedOnByRoute(each.name))
            elif closed is None:
                closed = _why_closed(each.name, config)
            continue
        factory = FACTORIES.get(type(config))
        if factory is not None:
            active.append(factory(each, None if each.disabled else config, scope, limiters))
    return FilterChainRuntime(tuple(active), closed, tuple(notes))
