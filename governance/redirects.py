"""Where a redirect sends the client (envoy source: SslRedirector, RouteEntryImplBase::newUri)."""

from collections.abc import Callable

from ..xds.model.matchers import PathMatcher
from ..xds.model.route import RedirectAction
from .formatter import compile_value
from .regex import Rewriter
from .request import RequestView, strip_query
from .subject import Subject

ORIGINAL_PATH = b"x-envoy-original-path"
DEFAULT_PORTS = {b"http": b":80", b"https": b":443"}


class Redirect:
    """envoy.config.route.v3.RedirectAction, compiled."""

    __slots__ = ("_action", "_format", "_host", "_matched", "_path", "_prefix", "_regex", "status")

    def __init__(self, action: RedirectAction, matcher: PathMatcher) -> None:
        self._action = action
        self.status = action.status
        self._host = action.host.encode()
        self._path = action.path.encode()
        self._prefix = action.prefix_rewrite.encode() if action.prefix_rewrite is not None else None
        self._regex = Rewriter(action.regex_rewrite) if action.regex_rewrite else None
        self._format = compile_value(action.path_format) if action.path_format is not None else None
        self._matched = None if matcher.kind == "safe_regex" else len(matcher.value.encode())

    def location(self, request: RequestView, describe: Callable[[], Subject] | None = None) -> bytes:
        """The value of the Location header; `describe` says what formats may ask about."""
        action = self._action
        came = scheme_of(request)
        scheme = b"https" if action.https else action.scheme.encode() or came
        host, port = _split_port(request.authority)
        if self._host:
            host = self._host
        if action.port:
            port = b":%d" % action.port
        elif self._host:
            port = b""
        elif scheme != came and port == DEFAULT_PORTS.get(came):
            port = b""  # it would be wrong for the new scheme
        path = self._new_path(request, describe)
        return scheme + b"://" + host + port + (path if path.startswith(b"/") else b"/" + path)

    def rewritten(self, request: RequestView, describe: Callable[[], Subject] | None = None) -> RequestView:
        """The request as the response's mutations see it: with its path rewritten, if it is, and the original kept."""
        if self._regex is None and self._prefix is None and self._format is None:
            return request
        only = strip_query(request.path)
        kept = [pair for pair in request.raw_headers if pair[0].lower() != ORIGINAL_PATH]
        seen = request.having([*kept, (ORIGINAL_PATH, request.path)])
        seen.path = self._rewrite(only, request, describe) + request.path[len(only) :]
        return seen

    def _new_path(self, request: RequestView, describe: Callable[[], Subject] | None) -> bytes:
        only = strip_query(request.path)
        query = request.path[len(only) :]
        if self._path:
            path, mark, own_query = self._path.partition(b"?")
            return path + (mark + own_query if mark else b"" if self._action.strip_query else query)
        path = self._rewrite(only, request, describe)
        return strip_query(path) if self._action.strip_query else path + query

    def _rewrite(self, only: bytes, request: RequestView, describe: Callable[[], Subject] | None) -> bytes:
        made = self._format
        if made is not None:
            return made if isinstance(made, bytes) else made(describe() if describe else Subject(request))
        if self._regex is not None:
            return self._regex(only)
        if self._prefix is not None:
            return self._prefix + only[len(only) if self._matched is None else self._matched :]
        return only


class ToHttps(Redirect):
    """VirtualHost.require_tls: the same URL by https, with the port as it was sent."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(RedirectAction(https=True), PathMatcher("prefix", "/"))

    def location(self, request: RequestView, describe: Callable[[], Subject] | None = None) -> bytes:
        """The value of the Location header."""
        del describe
        return b"https://" + request.authority + request.path


def scheme_of(request: RequestView) -> bytes:
    """The scheme as the connection manager sees it: what `x-forwarded-proto` says, if that is one."""
    said = (request.header(b"x-forwarded-proto") or b"").lower()
    return said if said in DEFAULT_PORTS else request.scheme


def own_url(request: RequestView) -> bytes:
    """The request's own URL: where a direct response with status 201 or 3xx points."""
    return scheme_of(request) + b"://" + request.authority + request.path


def _split_port(authority: bytes) -> tuple[bytes, bytes]:
    colon = authority.rfind(b":")
    if colon < 0 or authority.endswith(b"]"):
        return authority, b""
    return authority[:colon], authority[colon:]
