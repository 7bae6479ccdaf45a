"""CORS (envoy source: extensions/filters/http/cors): answers preflights and marks responses for the browser.

A request of an origin that is not allowed is not refused: its response lacks the headers, and the browser keeps it from
the page. What a policy leaves open the next more general level says.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...xds.model.filters import CorsPolicy
from ...xds.model.values import Fraction
from ..headers import HeaderList
from ..matching import ValueTest, string_test
from ..replies import LocalReply
from ..request import RequestView
from ..routing import CompiledRoute, Target
from .stream import Stream

ORIGIN = b"origin"
ASKED_METHOD = b"access-control-request-method"
ASKED_HEADERS = b"access-control-request-headers"
ASKED_PRIVATE = b"access-control-request-private-network"
ALLOW_ORIGIN = b"access-control-allow-origin"
ALLOW_CREDENTIALS = b"access-control-allow-credentials"
ALLOW_METHODS = b"access-control-allow-methods"
ALLOW_HEADERS = b"access-control-allow-headers"
ALLOW_PRIVATE = b"access-control-allow-private-network"
EXPOSE_HEADERS = b"access-control-expose-headers"
MAX_AGE = b"access-control-max-age"


class Policy:
    """The policies of all levels of a place as one."""

    __slots__ = (
        "_origins",
        "credentials",
        "enabled",
        "expose",
        "forwards",
        "headers",
        "max_age",
        "methods",
        "private",
    )

    def __init__(self, levels: Sequence[CorsPolicy]) -> None:
        """`levels`: the most specific first."""
        own = levels[0]
        self.enabled = own.enabled if own.enabled is not None else Fraction(100)
        origins = next((each.allow_origins for each in levels if each.allow_origins), ())
        self._origins: list[ValueTest] = [string_test(each) for each in origins]
        self.methods = next((each.allow_methods for each in levels if each.allow_methods), "").encode()
        self.headers = next((each.allow_headers for each in levels if each.allow_headers), "").encode()
        self.expose = next((each.expose_headers for each in levels if each.expose_headers), "").encode()
        self.max_age = next((each.max_age for each in levels if each.max_age), "").encode()
        self.credentials = _said([each.allow_credentials for each in levels], unsaid=False)
        self.private = _said([each.allow_private_network for each in levels], unsaid=False)
        self.forwards = _said([each.forward_not_matching_preflights for each in levels], unsaid=True)

    def allows(self, origin: bytes) -> bool:
        """A matcher that would match `*` takes every origin."""
        return any(test(b"*") or test(origin) for test in self._origins)

    def preflight(self, request: RequestView, origin: bytes | None) -> LocalReply:
        """The answer to a preflight; without an origin that is allowed it names none."""
        headers: HeaderList = []
        if origin is not None:
            headers.append((ALLOW_ORIGIN, origin))
        if self.credentials:
            headers.append((ALLOW_CREDENTIALS, b"true"))
        if self.methods:
            headers.append((ALLOW_METHODS, _asked(self.methods, request, ASKED_METHOD)))
        if self.headers:
            headers.append((ALLOW_HEADERS, _asked(self.headers, request, ASKED_HEADERS)))
        if self.max_age:
            headers.append((MAX_AGE, self.max_age))
        if self.private and request.header(ASKED_PRIVATE) == b"true":
            headers.append((ALLOW_PRIVATE, b"true"))
        return LocalReply(200, headers=tuple(headers), details="cors_response", plain=True, as_it_is=True)


class CorsFilter:
    """The filter in a chain; without a policy of a route or virtual host it does nothing."""

    __slots__ = ("_policies", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self._policies: dict[int, tuple[Target, Policy]] = {}

    def applies(self, place: Target | CompiledRoute | None) -> bool:
        """Whether there is a policy for what goes this way; redirects and direct responses have none."""
        return isinstance(place, Target) and bool(self._levels(place))

    def on_request(self, stream: Stream) -> LocalReply | None:
        """Answer a preflight; remember an origin that is allowed until there is a response."""
        target, request = stream.target, stream.request
        if target is None:
            return None
        policy = self._policy(target)
        share = policy.enabled
        if share.numerator < share.denominator and not share.hit(stream.runtime.draw(share.denominator)):
            return None
        origin = request.header(ORIGIN)
        if not origin:
            return None
        allowed = policy.allows(origin)
        if allowed:
            stream.kept[self] = (origin, policy)
        if request.method != b"OPTIONS" or not request.header(ASKED_METHOD):
            return None
        if not allowed and policy.forwards:
            return None
        return policy.preflight(request, origin if allowed else None)

    def on_response(self, stream: Stream, status: int, headers: HeaderList) -> HeaderList:
        """What lets a page of an allowed origin read the response."""
        del status
        kept = stream.kept.get(self)
        if kept is None:
            return headers
        origin, policy = kept
        headers = put(headers, ALLOW_ORIGIN, origin)
        if policy.credentials:
            headers = put(headers, ALLOW_CREDENTIALS, b"true")
        if policy.expose:
            headers = put(headers, EXPOSE_HEADERS, policy.expose)
        return headers

    def _levels(self, target: Target) -> list[CorsPolicy]:
        found = [each.get(self.name) for each in target.filter_levels]
        typed = [each for each in found if isinstance(each, CorsPolicy)]
        return typed or [each for each in target.cors if each is not None]

    def _policy(self, target: Target) -> Policy:
        # Keyed by identity: the entry holds the target, so the number cannot be reused while it is here.
        kept = self._policies.get(id(target))
        if kept is None:
            if len(self._policies) > 1024:
                self._policies.clear()
            kept = self._policies[id(target)] = (target, Policy(self._levels(target)))
        return kept[1]


def put(headers: HeaderList, name: bytes, value: bytes) -> HeaderList:
    """The headers with this one set where it stands, or at the end."""
    result: HeaderList = []
    found = False
    for pair in headers:
        if pair[0].lower() != name:
            result.append(pair)
        elif not found:
            result.append((pair[0], value))
            found = True
    if not found:
        result.append((name, value))
    return result


def _said(levels: Sequence[bool | None], *, unsaid: bool) -> bool:
    return next((each for each in levels if each is not None), unsaid)


def _asked(value: bytes, request: RequestView, name: bytes) -> bytes:
    """`*` is what was asked for, since browsers take no star from a response with credentials."""
    return value if value != b"*" else request.header(name) or b""
