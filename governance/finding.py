"""The route of an outgoing call, found first or found anew because a filter has changed the request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..xds.model.resource import ResourceError, ResourceType
from .plan import BadAuthorityError, Missing
from .request import RequestView
from .routing import CompiledRoute, CompiledVirtualHost, Target

if TYPE_CHECKING:
    from .call import OutgoingCall


def take_route(call: OutgoingCall, vhost: CompiledVirtualHost | None) -> tuple[CompiledRoute | None, Target | None]:
    """Match and draw."""
    request, runtime = call.request, call.runtime
    route = call.route = vhost.match(request, runtime.uniform) if vhost is not None else None
    target = call.target = None
    if route is not None and route.action is not None:
        target = call.target = route.draw(request, runtime.uniform, runtime.options.workload.address)
    return route, target


def find_again(call: OutgoingCall) -> None:
    """Find the route anew; filters that come later are those of the place where it leads.

    Raises:
        ResourceError: there are no routes any more, or the authority has become one that nobody may have.
    """
    destination = call.destination
    http = destination.http if destination is not None else None
    table = http.table(call.runtime.plan) if http is not None else None
    if destination is None or http is None or table is None or isinstance(table, Missing):
        raise gone(call.request)
    try:
        call.vhost = destination.virtual_host(call.request, table)
    except BadAuthorityError:
        raise gone(call.request) from None
    route, target = take_route(call, call.vhost)
    call.named = None
    call.filters = http.filters_for(call.policies).at(target if target is not None else route)
    call.moved = True


def gone(request: RequestView) -> ResourceError:
    """Why a route cannot be found anew."""
    name = request.authority.decode("latin-1")
    return ResourceError(ResourceType.ROUTE, name, "there is no route table to find the changed request in")
