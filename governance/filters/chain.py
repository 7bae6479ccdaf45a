"""A connection manager's filters, compiled: what runs, what closes the chain, what has no effect here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

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
from .local_ratelimit import LocalRateLimitFilter
from .stream import EndFilter, RequestFilter, ResponseFilter, Steps, Stream, of_route

if TYPE_CHECKING:
    from ..runtime import Runtime


@dataclass(frozen=True, slots=True)
class FilterChainRuntime:
    """What an HTTP connection manager's filters amount to here."""

    active: tuple[RequestFilter, ...] = ()
    closed: str | None = None
    notes: tuple[Note, ...] = ()
    missing: str | None = None
    """An ECDS resource that has to come first."""
    responders: tuple[ResponseFilter, ...] = ()
    """Those of `active` that look at responses, in the order in which they do."""
    enders: tuple[EndFilter, ...] = ()

    def request(self, stream: Stream) -> Steps:
        """The way in: the first answer ends it."""
        for each in self.active:
            reply = each.on_request(stream)
            if reply is not None and not isinstance(reply, LocalReply):
                reply = yield from reply
            if reply is not None:
                return reply
        return None

    def response(self, stream: Stream, status: int, headers: HeaderList) -> HeaderList:
        """The way out."""
        for each in self.responders:
            headers = each.on_response(stream, status, headers)
        return headers

    def end(self, stream: Stream) -> None:
        """The stream is over."""
        for each in self.enders:
            each.on_end(stream)


class SwitchedOnByRoute:
    """A filter that cannot be enforced and is switched off, until a route switches it on (HttpFilter.disabled)."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def on_request(self, stream: Stream) -> LocalReply | None:
        """Nothing goes through where a route wants it."""
        config = of_route(self.name, stream)
        if isinstance(config, UnenforceableFilter):
            return closed_by_filter(_why_closed(self.name, config))
        return None


Factory = Callable[[HttpFilter, FilterConfig | None, str, "Runtime"], RequestFilter]

FACTORIES: Mapping[type, Factory] = {
    LocalRateLimit: lambda http_filter, config, scope, runtime: LocalRateLimitFilter(
        http_filter.name, config if isinstance(config, LocalRateLimit) else None, scope, runtime.limiters
    ),
}
"""By the filter's configuration; the factory gets none where the filter is switched off but for single routes."""


def _why_closed(name: str, config: UnenforceableFilter) -> str:
    return f"filter {name} ({config.type_url}) cannot be enforced: {config.reason}"


def compile_chain(
    filters: Sequence[HttpFilter],
    scope: str,
    runtime: Runtime,
    extensions: Mapping[str, Resource[FilterConfig]],
) -> FilterChainRuntime:
    """The filters of one chain. `scope` names the chain in notes and keeps its token buckets apart from others'."""
    allowed = runtime.options.allow_unenforced
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
            active.append(factory(each, None if each.disabled else config, scope, runtime))
    responders: list[Any] = [each for each in reversed(active) if hasattr(each, "on_response")]
    enders: list[Any] = [each for each in active if hasattr(each, "on_end")]
    return FilterChainRuntime(tuple(active), closed, tuple(notes), None, tuple(responders), tuple(enders))
