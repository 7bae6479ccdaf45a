"""Requests need valid tokens (envoy source: extensions/filters/http/jwt_authn).

The first rule that matches says what a request needs; a route may say it by name instead. What a token says is left for
the filters that follow, in the dynamic metadata of `envoy.filters.http.jwt_authn`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from ...xds.model.jwt import JwtAuthentication, JwtPerRoute, JwtProvider, JwtRule
from ..authorization.decisions import DECISIONS, Decision
from ..matching import RequestTest, ValueTest, all_of, header_test, path_test, query_test
from ..replies import LocalReply
from ..request import RequestView, strip_query
from ..routing import CompiledRoute, Target
from ..tokens.locations import Locations
from ..tokens.provider import Provider
from ..tokens.reasons import AUDIENCE_NOT_ALLOWED, MISSING, Reason
from ..tokens.requirements import Providers, Requirement, Verification, compiled
from .rbac import decisions_of
from .stream import Steps, Stream, of_route

if TYPE_CHECKING:
    from ..runtime import Runtime

NAMESPACE = "envoy.filters.http.jwt_authn"
DETAILS = "jwt_authn_access_denied"
AUTHENTICATE = b"www-authenticate"
INVALID = b', error="invalid_token"'
LONGEST_URI = 256
"""Bytes of a path that a refusal repeats."""


@final
class _Rule:
    """Which requests a rule is about, and what they need."""

    __slots__ = ("_path", "_test", "requirement")

    def __init__(self, config: JwtRule, requirement: Requirement | None) -> None:
        match = config.match
        self._path: ValueTest = path_test(match.path)
        tests = [*map(header_test, match.headers), *map(query_test, match.query_parameters)]
        self._test: RequestTest | None = all_of(tests)
        self.requirement = requirement

    def takes(self, request: RequestView, path: bytes) -> bool:
        """Whether a request is one of them."""
        return self._path(path) and (self._test is None or self._test(request))


class JwtAuthnFilter:
    """The filter in a chain."""

    __slots__ = ("_all", "_config", "_named", "_on", "_rules", "name")

    def __init__(self, name: str, config: JwtAuthentication | None, runtime: Runtime, *, on: bool) -> None:
        """`on`: whether it is at work where no route says so."""
        self.name = name
        self._on = on and config is not None
        self._config = config if config is not None else JwtAuthentication()
        providers = Providers({label: _provider(each, runtime) for label, each in self._config.providers})
        self._all = Locations(each for _, each in self._config.providers)
        self._named = {label: compiled(each, providers) for label, each in self._config.named}
        self._rules = [
            _Rule(each, None if each.requirement is None else compiled(each.requirement, providers))
            for each in self._config.rules
        ]

    def applies(self, place: Target | CompiledRoute | None) -> bool:
        """Whether anything may be needed for what goes to a place, or removed from it."""
        own = place.filters.get(self.name) if place is not None else None
        return self._on or isinstance(own, JwtPerRoute)

    def on_request(self, stream: Stream) -> LocalReply | Steps | None:
        """Let through what has what it needs."""
        request, config = stream.request, self._config
        self._all.sanitize(request)
        if config.lets_preflights_pass and is_preflight(request):
            return None
        own = of_route(self.name, stream)
        requirement: Requirement | None
        if isinstance(own, JwtPerRoute):
            name = own.requirement
            if name is None:
                return None
            requirement = self._named.get(name)
            if requirement is None:
                listed = ",".join(self._named)
                return self._unknown(f"Wrong requirement_name: {name}. It should be one of [{listed}]")
        else:
            path = strip_query(request.path)
            rule = next((each for each in self._rules if each.takes(request, path)), None)
            requirement = rule.requirement if rule is not None else None
        return None if requirement is None else self._verify(stream, requirement)

    def _verify(self, stream: Stream, requirement: Requirement) -> Steps:
        request, target = stream.request, stream.target
        if target is not None and target.cluster_header and stream.named is None:
            stream.named = target.name_for(request)
        realm = original_uri(request)
        subject = Verification(request, int(stream.runtime.wall()))
        reason = yield from requirement.verify(subject)
        if subject.metadata:
            stream.dynamic[NAMESPACE] = {**stream.dynamic.get(NAMESPACE, {}), **subject.metadata}
        said = reason.text if reason is not None else ""
        one = Decision(self.name, enforced=True, allowed=reason is None, tokens=True, reason=said)
        stream.kept[DECISIONS] = (*decisions_of(stream), one)
        return None if reason is None else self._refusal(reason, realm)

    def _refusal(self, reason: Reason, realm: bytes) -> LocalReply:
        status = 403 if reason is AUDIENCE_NOT_ALLOWED else 401
        details = _details(reason.text)
        if self._config.strips_replies:
            return LocalReply(status, details=details)
        said = b'Bearer realm="%s"' % realm + (b"" if reason is MISSING else INVALID)
        return LocalReply(status, reason.text.encode(), headers=((AUTHENTICATE, said),), details=details)

    def _unknown(self, what: str) -> LocalReply:
        body = b"" if self._config.strips_replies else f"Failed JWT authentication: {what}".encode()
        return LocalReply(403, body, details=_details(what))


def _provider(config: JwtProvider, runtime: Runtime) -> Provider:
    return Provider(config, None if config.remote is None else runtime.key_set(config.remote), runtime.keys)


def is_preflight(request: RequestView) -> bool:
    """Whether a browser asks what it may ask."""
    return (
        request.method == b"OPTIONS"
        and bool(request.header(b"origin"))
        and bool(request.header(b"access-control-request-method"))
    )


def original_uri(request: RequestView) -> bytes:
    """Where the request was going (envoy source: Http::Utility::buildOriginalUri)."""
    path = request.header(b"x-envoy-original-path") or request.path
    scheme = request.header(b"x-forwarded-proto") or request.scheme
    return b"%s://%s%s" % (scheme, request.authority, path[:LONGEST_URI])


def _details(text: str) -> str:
    return f"{DETAILS}{{{text.replace(' ', '_')}}}"
