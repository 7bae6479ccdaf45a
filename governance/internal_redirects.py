"""A redirect that is followed inside the mesh: the caller sees only where it led (envoy source: Filter::setupRedirect).

The request goes through everything once more with the new URL: route, filters, cluster, timeouts, attempts. It keeps
the headers as they went out the first time, with what the routes have added to them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from ..xds.model.listener import HttpConnectionManager
from ..xds.model.route import InternalRedirectPolicy
from .actions import Head
from .admission import elsewhere
from .forwarding import put
from .headers import HeaderList
from .passing import PASSTHROUGH
from .paths import BadPathError, EscapedSlashesError, normalize
from .plan import BadAuthorityError, Missing
from .replies import LocalReply, bad_path
from .request import RequestView

if TYPE_CHECKING:
    from .call import OutgoingCall

ORIGINAL_URL = b"x-envoy-original-url"
SEE_OTHER = 303

_URL = re.compile(rb"(https?)://([^/?#@]+)([^#]*)", re.IGNORECASE)


class Redirected:
    """The call begins anew."""


REDIRECTED: Final = Redirected()


def follow(call: OutgoingCall, policy: InternalRedirectPolicy, head: Head) -> tuple[RequestView, str] | None:
    """(the request to go on with, the name of the route that takes it); None where the response goes to the caller."""
    location = next((value for name, value in head.headers if name.lower() == b"location"), b"")
    url = _URL.match(location)
    upstream = call.upstream
    if url is None or upstream is None or call.uploading or not head.replayable:
        return None
    scheme, authority, path = url[1].lower(), url[2], url[3]
    if scheme == b"https" and (not policy.allow_cross_scheme or policy.safe_cross_scheme):
        return None  # the program's connection to its sidecar is never encrypted
    if len(call.redirects) >= policy.max_redirects:
        return None
    headers = _with_copied(upstream.headers, policy.copied_headers, head.headers)
    if b"content-length" not in call.request.headers:
        headers = [pair for pair in headers if pair[0] != b"content-length"]  # that was the codec's
    method = upstream.method
    if head.status == SEE_OTHER and method not in (b"GET", b"HEAD"):
        method = b"GET"
        headers = [pair for pair in headers if pair[0].lower() != b"content-length"]
    request = call.request.having(headers)
    request.method, request.scheme, request.authority = method, scheme, authority
    request.path = path if path.startswith(b"/") else b"/" + path
    target = _target_route(call, request)
    if target is None or not _accepted(call, policy, target):
        return None
    put(headers, ORIGINAL_URL, b"http://" + upstream.authority + upstream.path)
    return request, target


def again(request: RequestView, config: HttpConnectionManager) -> LocalReply | None:
    """What is left of admission the second time: the path is normalized."""
    try:
        request.path = normalize(request.path, config)
    except BadPathError:
        return bad_path()
    except EscapedSlashesError as error:
        return elsewhere(request, error.redirect)
    return None


def _with_copied(headers: HeaderList, names: tuple[bytes, ...], response: HeaderList) -> HeaderList:
    """The request's headers, with these as the response has them: gone where it has none."""
    if not names:
        return list(headers)
    kept = [pair for pair in headers if pair[0].lower() not in names]
    return kept + [(name, value) for name in names for key, value in response if key.lower() == name]


def _target_route(call: OutgoingCall, request: RequestView) -> str | None:
    """The name of the route that would take the request; None without one, and for one that leads out of the mesh."""
    destination = call.destination
    if destination is None or destination.http is None:
        raise AssertionError("a response without a destination")
    table = destination.http.table(call.runtime.plan)
    if type(table) is Missing:
        return None
    try:
        vhost = destination.virtual_host(request, table)
    except BadAuthorityError:
        return None
    route = vhost.match(request, call.runtime.uniform) if vhost is not None else None
    if route is None or any(each.cluster == PASSTHROUGH for each in route.targets):
        return None  # out of the mesh the library sends only what the program asked for
    return route.route.name


def _accepted(call: OutgoingCall, policy: InternalRedirectPolicy, target: str) -> bool:
    """Whether the policy's predicates accept the target; each route may send the same call to a target only once."""
    if policy.allowed_routes is not None and target not in policy.allowed_routes:
        return False
    if not policy.previous_routes:
        return True
    return (call.route.route.name if call.route is not None else "", target) not in call.redirects
