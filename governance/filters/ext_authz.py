"""External authorization (envoy source: extensions/filters/http/ext_authz): a service is asked before a request passes.

Whoever cannot be asked lets nothing pass, unless `failure_mode_allow` says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ...xds.model.authorization_service import CheckAnswer, HttpVerdict
from ...xds.model.ext_authz import ExtAuthz, ExtAuthzPerRoute, HttpAuthorizer
from ...xds.model.filters import GrpcTarget
from ..actions import Ask, Collect, Service
from ..authorization.values import value_at, value_test
from ..bodies import ENCODING, may_stream
from ..check_answer import HttpReader, any_of, change_request, change_response, encoded, proper
from ..check_request import Body, NameTest, check_query, http_check
from ..headers import HeaderList, Level, compile_additions
from ..replies import LocalReply, payload_too_large
from ..routing import CompiledRoute, Target
from .stream import Steps, Stream, of_route

if TYPE_CHECKING:
    from ..runtime import Runtime

METADATA = "envoy.filters.http.ext_authz"
DURATION = "ext_authz_duration"
ALLOWED = (b"x-envoy-auth-failure-mode-allowed", b"true")
SHOWN_ALWAYS = frozenset({b"authorization", b":method", b":path", b":authority"})
"""To a service that speaks plain HTTP, beside what is configured."""

LENGTH = b"content-length"


class _Authorizer:
    """A service, how it is asked, and what it may see."""

    __slots__ = ("_config", "_extra", "_read", "service", "timeout_s")

    def __init__(self, target: GrpcTarget | HttpAuthorizer, timeout_s: float, runtime: Runtime) -> None:
        self.service: Service = runtime.authorizer(target)
        self.timeout_s = timeout_s
        self._config = target if isinstance(target, HttpAuthorizer) else None
        self._extra: Level = compile_additions(self._config.headers_to_add if self._config is not None else ())
        self._read = HttpReader(self._config) if self._config is not None else None

    def ask(self, stream: Stream, query: Any) -> Ask:
        """The question."""
        if self._config is not None:
            query = http_check(query, self._config, self._extra, stream.request)
        return Ask(self.service, query, self.timeout_s)

    def read(self, said: object) -> CheckAnswer:
        """What was said; whatever is no answer is an error."""
        if isinstance(said, HttpVerdict) and self._read is not None:
            return self._read(said)
        return said if isinstance(said, CheckAnswer) else CheckAnswer("error")


class ExtAuthzFilter:
    """The filter in a chain; a route may switch it off, say more of itself, or name another service."""

    __slots__ = ("_authorizer", "_config", "_enabled", "_on", "_others", "_runtime", "_shown", "name")

    def __init__(self, name: str, config: ExtAuthz, runtime: Runtime, *, on: bool) -> None:
        """`on`: not switched off but for places."""
        self.name = name
        self._config = config
        self._runtime = runtime
        self._authorizer = _Authorizer(config.service, config.timeout_s, runtime)
        self._others: dict[int, tuple[ExtAuthzPerRoute, _Authorizer]] = {}
        self._shown = _shown(config, config.service)
        condition = config.enabled_metadata
        self._enabled = value_test(condition.matcher) if condition is not None else None
        self._on = on

    def applies(self, place: Target | CompiledRoute | None) -> bool:
        """Where nothing takes a request, nobody is asked; a route's own word switches the filter on."""
        if place is None:
            return False
        own = place.filters.get(self.name)
        if isinstance(own, ExtAuthzPerRoute):
            return not own.disabled
        return self._on

    def on_request(self, stream: Stream) -> Steps | LocalReply | None:
        """Ask, where it is wanted."""
        config = self._config
        if not self._wanted(stream):
            if config.deny_at_disable:
                return LocalReply(config.status_on_error, flags=("UAEX",), details="ext_authz_error")
            return None
        return self._asked(stream)

    def on_response(self, stream: Stream, status: int, headers: HeaderList) -> HeaderList:
        """What the service wants the client to get."""
        del status
        wanted = stream.kept.get(self)
        return change_response(headers, wanted) if wanted else headers

    def _wanted(self, stream: Stream) -> bool:
        config = self._config
        share = config.enabled
        drawn = share is None or share.hit(stream.runtime.draw(share.denominator))
        condition = config.enabled_metadata
        if self._enabled is None or condition is None:
            return drawn
        told = self._enabled(value_at(stream.dynamic, condition.filter, condition.path))
        return drawn and told != condition.invert

    def _asked(self, stream: Stream) -> Steps:
        config = self._config
        found = of_route(self.name, stream)
        own = found if isinstance(found, ExtAuthzPerRoute) else None
        settings = config.body
        if own is not None:
            settings = None if own.no_body else own.body or settings
        body: Body | None = None
        if settings is not None and _has_body(stream):
            collect = Collect(settings.most)
            length: int | None = yield collect
            if length is None:
                return None
            if length > settings.most and not settings.partial:
                return payload_too_large()
            if length or ENCODING in stream.request.headers:
                body = (collect.body[: settings.most], length)
        authorizer = self._of(own)
        as_bytes = config.body.as_bytes if config.body is not None else False
        query = check_query(stream, config, self._shown, self._context(stream), body, as_bytes)
        asked_at = stream.runtime.clock()
        said = yield authorizer.ask(stream, query)
        if said is None:
            return None  # a dry run: nobody was asked
        return self._decided(stream, authorizer.read(said), asked_at)

    def _of(self, own: ExtAuthzPerRoute | None) -> _Authorizer:
        """Who is asked. What is shown to another service than the chain's is what the chain says, as in Envoy."""
        if own is None or own.service is None:
            return self._authorizer
        # Keyed by identity: the entry holds the configuration, so the number cannot be reused while it is here.
        kept = self._others.get(id(own))
        if kept is None:
            if len(self._others) > 1024:
                self._others.clear()
            kept = self._others[id(own)] = (own, _Authorizer(own.service, own.timeout_s, self._runtime))
        return kept[1]

    def _context(self, stream: Stream) -> Mapping[str, str]:
        place = stream.target if stream.target is not None else stream.route
        context: dict[str, str] = {}
        for level in reversed(place.filter_levels) if place is not None else ():
            own = level.get(self.name)
            if isinstance(own, ExtAuthzPerRoute):
                context.update(own.context)
        return context

    def _decided(self, stream: Stream, answer: CheckAnswer, asked_at: float) -> LocalReply | None:
        config = self._config
        if answer.invalid and config.validate_mutations:
            return _rejected()
        if answer.metadata and config.takes_metadata:
            told = stream.dynamic.setdefault(METADATA, {})
            told.update(answer.metadata)
            if answer.verdict == "ok":
                told[DURATION] = float(int((stream.runtime.clock() - asked_at) * 1000))
        if answer.verdict == "error":
            return self._failed(stream)
        if not proper(answer.headers):
            return _rejected()
        if answer.verdict == "denied":
            most = config.max_denied_body
            body = answer.body[:most] if most else answer.body
            headers = tuple((each.name, each.value) for each in answer.headers)
            return LocalReply(answer.status, body, ("UAEX",), headers, "ext_authz_denied")
        if not proper(answer.response_headers):
            return _rejected()
        if config.validate_mutations and not encoded(answer.set_parameters):
            return _rejected()
        change_request(stream, answer)
        if answer.response_headers:
            stream.kept[self] = answer.response_headers
        if config.clear_route_cache and (
            answer.remove
            or answer.set_parameters
            or answer.remove_parameters
            or any(each.action != "add" for each in answer.headers)
        ):
            stream.find_route()
        return None

    def _failed(self, stream: Stream) -> LocalReply | None:
        config = self._config
        if not config.failure_mode_allow:
            return LocalReply(config.status_on_error, flags=("UAEX",), details="ext_authz_error")
        if config.failure_mode_allow_header:
            stream.request.replace_headers([*stream.request.raw_headers, ALLOWED])
        return None


def _rejected() -> LocalReply:
    """The answer is none."""
    return LocalReply(500, flags=("UAEX",), details="ext_authz_invalid")


def _shown(config: ExtAuthz, service: GrpcTarget | HttpAuthorizer) -> NameTest:
    """Which headers the service may see."""
    hidden = any_of(config.disallowed_headers)
    if isinstance(service, HttpAuthorizer):
        allowed = any_of(service.allowed_headers or config.allowed_headers or ())
        return lambda name: (name in SHOWN_ALWAYS or allowed(name)) and not hidden(name)
    if config.allowed_headers is None:
        return lambda name: not hidden(name)
    wanted = any_of(config.allowed_headers)
    return lambda name: wanted(name) and not hidden(name)


def _has_body(stream: Stream) -> bool:
    """Whether there may be one."""
    known = stream.request.headers
    length = known.get(LENGTH)
    if b"websocket" in known.get(b"upgrade", b"").lower():
        return False
    return length != b"0" if length is not None else may_stream(stream)
