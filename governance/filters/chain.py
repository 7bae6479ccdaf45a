"""A connection manager's filters, compiled: what runs, what closes the chain, what has no effect here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar, cast

from ...xds.model.ext_authz import ExtAuthz
from ...xds.model.extension import Extension
from ...xds.model.filters import (
    Buffer,
    Cors,
    DisabledFilter,
    DynamicForwardProxy,
    Fault,
    FilterConfig,
    GlobalRateLimit,
    HttpFilter,
    LocalRateLimit,
    MutateHeaders,
    UnenforceableFilter,
)
from ...xds.model.jwt import JwtAuthentication
from ...xds.model.overload import AdaptiveConcurrency, AdmissionControl
from ...xds.model.rbac import Rbac
from ...xds.model.records import dataclass
from ...xds.model.resource import Resource
from ...xds.model.values import Note
from ..headers import HeaderList
from ..replies import LocalReply
from ..replies import closed as closed_by_filter
from ..routing import CompiledRoute, Target
from .adaptive_concurrency import AdaptiveConcurrencyFilter
from .admission_control import AdmissionControlFilter
from .buffer import BufferFilter
from .cors import CorsFilter
from .dynamic_forward_proxy import DynamicForwardProxyFilter
from .ext_authz import ExtAuthzFilter
from .extension import ExtensionFilter
from .fault import FaultFilter
from .global_ratelimit import GlobalRateLimitFilter
from .header_mutation import HeaderMutationFilter
from .jwt_authn import JwtAuthnFilter
from .local_ratelimit import LocalRateLimitFilter
from .rbac import RbacFilter
from .stream import EndFilter, RequestFilter, ResponseFilter, Steps, Stream, of_route

if TYPE_CHECKING:
    from ..runtime import Runtime


def _said(stream: Stream, reply: LocalReply) -> LocalReply:
    """What a filter says. Where the route is a redirect or a direct response it goes out as it is: the response headers
    of those are the answer's own, not the route's."""
    itself = stream.target is None and (stream.route is None or stream.route.kind != "none")
    return replace(reply, plain=True) if itself else reply


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
    order: tuple[RequestFilter, ...] = ()
    """All filters of the connection manager, where `active` are those of a place."""

    def at(self, place: Target | CompiledRoute | None) -> FilterChainRuntime:
        """Those filters that have something to do for what goes to a place; None is where no route is."""
        if place is None:
            return self._narrowed(None)
        kept = place.chain
        if kept is None or kept[0] is not self:
            kept = place.chain = (self, self._narrowed(place))
        return kept[1]

    def _narrowed(self, place: Target | CompiledRoute | None) -> FilterChainRuntime:
        found: list[RequestFilter] = []
        for each in self.active:
            config = place.filters.get(each.name) if place is not None else None
            if isinstance(config, DisabledFilter):
                continue
            if isinstance(config, UnenforceableFilter):
                found.append(SwitchedOnByRoute(each.name))
                continue
            applies = getattr(each, "applies", None)
            if applies is None or applies(place):
                found.append(each)
        return replace(chain_of(found), order=self.active)

    def request(self, stream: Stream, first: int = 0) -> LocalReply | Steps | None:
        """The way in, from the filter `first` on: the first answer ends it. Where a filter has to wait, what goes on
        from there is returned."""
        active = self.active if not first else self.active[first:]
        for index, each in enumerate(active, first):
            reply = each.on_request(stream)
            if reply is not None:
                return _said(stream, reply) if isinstance(reply, LocalReply) else self._wait(stream, index, reply)
        return None

    def _wait(self, stream: Stream, index: int, steps: Steps) -> Steps:
        reply = yield from steps
        if reply is not None:
            return _said(stream, reply)
        if stream.moved:
            stream.moved = False
            found = self._after(self.active[index], stream).request(stream)
        else:
            found = self.request(stream, index + 1)
        return found if found is None or isinstance(found, LocalReply) else (yield from found)

    def _after(self, last: RequestFilter, stream: Stream) -> FilterChainRuntime:
        """The filters behind one that has had the route found anew, for where the request goes now."""
        place = stream.target if stream.target is not None else stream.route
        return chain_of(self.order[self.order.index(last) + 1 :])._narrowed(place)

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
        if not isinstance(config, UnenforceableFilter) or _allowed(self.name, config, stream.runtime):
            return None
        return closed_by_filter(_why_closed(self.name, config))


T = TypeVar("T")

Factory = Callable[[HttpFilter, FilterConfig | None, str, "Runtime"], RequestFilter]

FACTORIES: Mapping[type, Factory] = {
    AdaptiveConcurrency: lambda http_filter, config, scope, runtime: AdaptiveConcurrencyFilter(
        http_filter.name, _own(AdaptiveConcurrency, http_filter, config), scope, runtime, on=config is not None
    ),
    AdmissionControl: lambda http_filter, config, scope, runtime: AdmissionControlFilter(
        http_filter.name, _own(AdmissionControl, http_filter, config), scope, runtime, on=config is not None
    ),
    Buffer: lambda http_filter, config, scope, runtime: BufferFilter(
        http_filter.name, config if isinstance(config, Buffer) else None
    ),
    Cors: lambda http_filter, config, scope, runtime: CorsFilter(http_filter.name),
    ExtAuthz: lambda http_filter, config, scope, runtime: ExtAuthzFilter(
        http_filter.name, cast("ExtAuthz", _own(ExtAuthz, http_filter, config)), runtime, on=config is not None
    ),
    Extension: lambda http_filter, config, scope, runtime: ExtensionFilter(
        http_filter.name, config if isinstance(config, Extension) else None
    ),
    Fault: lambda http_filter, config, scope, runtime: FaultFilter(
        http_filter.name, config if isinstance(config, Fault) else None
    ),
    DynamicForwardProxy: lambda http_filter, config, scope, runtime: DynamicForwardProxyFilter(
        http_filter.name, config if isinstance(config, DynamicForwardProxy) else None, runtime.names, runtime.resolver
    ),
    GlobalRateLimit: lambda http_filter, config, scope, runtime: GlobalRateLimitFilter(
        http_filter.name, config if isinstance(config, GlobalRateLimit) else None, runtime
    ),
    JwtAuthentication: lambda http_filter, config, scope, runtime: JwtAuthnFilter(
        http_filter.name, _own(JwtAuthentication, http_filter, config), runtime, on=config is not None
    ),
    MutateHeaders: lambda http_filter, config, scope, runtime: HeaderMutationFilter(
        http_filter.name,
        config if isinstance(config, MutateHeaders) else None,
        wins=getattr(_own(MutateHeaders, http_filter, config), "most_specific_wins", False),
    ),
    LocalRateLimit: lambda http_filter, config, scope, runtime: LocalRateLimitFilter(
        http_filter.name, config if isinstance(config, LocalRateLimit) else None, scope, runtime.limiters
    ),
    Rbac: lambda http_filter, config, scope, runtime: RbacFilter(
        http_filter.name, _own(Rbac, http_filter, config), on=config is not None
    ),
}
"""By the filter's configuration; the factory gets none where the filter is switched off but for single routes."""


def _own(kind: type[T], http_filter: HttpFilter, config: FilterConfig | None) -> T | None:
    """The chain's configuration of a filter that routes only switch on and off."""
    found = config if config is not None else http_filter.config
    return found if isinstance(found, kind) else None


def _allowed(name: str, config: UnenforceableFilter, runtime: Runtime) -> bool:
    return not runtime.options.allow_unenforced.isdisjoint((name, config.type_url))


def _why_closed(name: str, config: UnenforceableFilter) -> str:
    return f"filter {name} ({config.type_url}) cannot be enforced: {config.reason}"


def compile_chain(
    filters: Sequence[HttpFilter],
    scope: str,
    runtime: Runtime,
    extensions: Mapping[str, Resource[FilterConfig]],
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
            if (each.optional and not config.known) or _allowed(each.name, config, runtime):
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
    return chain_of(active, closed, tuple(notes))


def chain_of(
    active: Sequence[RequestFilter], closed: str | None = None, notes: tuple[Note, ...] = ()
) -> FilterChainRuntime:
    """A chain of filters; which of them look at responses and ends is worked out once."""
    responders: list[Any] = [each for each in reversed(active) if hasattr(each, "on_response")]
    enders: list[Any] = [each for each in active if hasattr(each, "on_end")]
    return FilterChainRuntime(tuple(active), closed, notes, None, tuple(responders), tuple(enders))
