"""Requests made from the routes of both sides: one that takes each route, and near misses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from urllib.parse import quote

from ..xds.model.listener import Listener
from ..xds.model.matchers import HeaderMatcher, PathMatcher, QueryParameterMatcher, Range, StringMatcher
from ..xds.model.resource import ResourceError
from ..xds.model.route import LazyVirtualHost, Route, RouteConfiguration, RouteMatch, VirtualHost
from .examples import matching, not_matching, of_regex
from .sight import INBOUND, Sight

PATH_CHARACTERS = "/%:@!$&'()*+,;=-._~"


@dataclass(frozen=True, slots=True)
class Asked:
    """One request. `origin` says where it comes from; `client` who sends it, where only one does."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    origin: str = "routes"
    client: tuple[tuple[str, str], ...] = ()

    @property
    def key(self) -> tuple[str, str, tuple[tuple[str, str], ...]]:
        """The same for the same request."""
        return self.method, self.url, self.headers


@dataclass(frozen=True, slots=True)
class Sample:
    """A request for one route, with the near misses; `asked` None: none could be made. `reason` says why."""

    host: str
    port: int
    vhost: str
    index: int
    route: Route
    asked: Asked | None
    near: tuple[Asked, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _Parts:
    method: str = "GET"
    path: str = "/"
    query: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()

    def asked(self, base: str) -> Asked:
        query = "&".join(f"{name}={quote(value, safe='/:@!$,;*()')}" for name, value in self.query)
        path = quote(self.path, safe=PATH_CHARACTERS)
        return Asked(self.method, f"{base}{path}?{query}" if query else f"{base}{path}", self.headers)


class UnmatchableError(Exception):
    """No request can be made for a route."""


@dataclass(frozen=True, slots=True)
class Hosted:
    """A virtual host at a port, and the table that it stands in."""

    table: RouteConfiguration
    port: int
    lazy: LazyVirtualHost

    def samples(self) -> Iterator[Sample]:
        """One for each of its routes."""
        try:
            host = self.lazy.value()
        except ResourceError:
            return
        yield from of_host(host, self.port)


def hosted(sight: Sight) -> Iterator[Hosted]:
    """Each virtual host that outgoing HTTP calls can take."""
    seen: set[tuple[str, int, str]] = set()
    for name, listener in sorted(sight.listeners.items()):
        if name == INBOUND or listener.direction == "INBOUND" or listener.address is None:
            continue
        for table in _tables(sight, listener):
            port = listener.address.port
            for lazy in table.virtual_hosts:
                key = table.name, port, lazy.name
                if key not in seen:
                    seen.add(key)
                    yield Hosted(table, port, lazy)


def _tables(sight: Sight, listener: Listener) -> Iterator[RouteConfiguration]:
    for chain in listener.all_chains():
        http = chain.http
        if http is None:
            continue
        if http.route_config is not None:
            yield http.route_config
            continue
        resource = sight.snapshot.routes.get(http.rds)
        if resource is not None:
            try:
                yield resource.get()
            except ResourceError:
                continue


def of_host(vhost: VirtualHost, port: int) -> Iterator[Sample]:
    """One for each of its routes."""
    host = host_of(vhost.domains)
    base = f"http://{host}" if port == 80 else f"http://{host}:{port}"
    for index, route in enumerate(vhost.routes):
        try:
            parts = parts_of(route.match)
        except UnmatchableError as error:
            yield Sample(host, port, vhost.name, index, route, None, (), str(error))
            continue
        near = tuple(each.asked(base) for each in near_misses(parts, route.match))
        yield Sample(host, port, vhost.name, index, route, parts.asked(base), near)


def host_of(domains: tuple[str, ...]) -> str:
    """A name that one of the domains takes."""
    said = domains[0] if domains else "*"
    if said == "*":
        return "unknown.example"
    said = said.replace("*", "any")
    name, mark, port = said.rpartition(":")
    return name if mark and port.isdigit() and "]" not in port and ":" not in name else said


def parts_of(match: RouteMatch) -> _Parts:
    """What a request needs to be taken.

    Raises:
        UnmatchableError: nothing is known that would be.
    """
    if match.never is not None:
        raise UnmatchableError(match.never)
    parts = _Parts(path=_path(match.path))
    if match.grpc:
        parts = replace(parts, method="POST", headers=(("content-type", "application/grpc"),))
    for header in match.headers:
        value = _header_value(header)
        name = header.name.lower()
        if name == ":method":
            parts = replace(parts, method=value or "GET")
        elif name == ":path":
            parts = replace(parts, path=value or parts.path)
        elif value is not None and name != ":scheme":
            parts = replace(parts, headers=(*parts.headers, ("host" if name == ":authority" else name, value)))
    cookies = [f"{each.name}={_text(each.spec, each.name)}" for each in match.cookies if not each.invert]
    if cookies:
        parts = replace(parts, headers=(*parts.headers, ("cookie", "; ".join(cookies))))
    query = tuple((each.name, _query_value(each)) for each in match.query_parameters if each.spec is not False)
    return replace(parts, query=query)


def _path(path: PathMatcher) -> str:
    if path.kind in ("safe_regex", "uri_template"):
        made = of_regex(path.value)
        if made is None:
            raise UnmatchableError(f"no example can be made of the path's expression {path.value!r}")
        return made
    if path.kind == "connect":
        raise UnmatchableError("it takes CONNECT alone")
    return path.value if path.value.startswith("/") else f"/{path.value}"


def _header_value(header: HeaderMatcher) -> str | None:
    """A value that it takes; None where the header must be absent."""
    spec = header.spec
    if isinstance(spec, bool):
        return "1" if spec != header.invert else None
    if isinstance(spec, Range):
        return str(spec.end if header.invert else spec.start)
    if header.invert:
        return None if header.treat_missing_as_empty else not_matching(spec) or "x"
    return _text(spec, header.name)


def _query_value(parameter: QueryParameterMatcher) -> str:
    return "1" if isinstance(parameter.spec, bool) else _text(parameter.spec, parameter.name)


def _text(matcher: StringMatcher, name: str) -> str:
    made = matching(matcher)
    if made is None:
        raise UnmatchableError(f"no example can be made of the expression {matcher.value!r} of {name}")
    return made


def near_misses(parts: _Parts, match: RouteMatch) -> Iterator[_Parts]:
    """The same request without one thing that the route asks for."""
    for name, _ in parts.headers:
        yield replace(parts, headers=tuple(each for each in parts.headers if each[0] != name))
    for name, _ in parts.query:
        yield replace(parts, query=tuple(each for each in parts.query if each[0] != name))
    for header in match.headers:
        wanted = header.spec is not True if header.invert else header.spec is True
        if header.name.lower() == ":method":
            yield replace(parts, method="POST" if parts.method != "POST" else "GET")
        elif not wanted and header.name[:1] != ":" and header.name.lower() not in dict(parts.headers):
            yield replace(parts, headers=(*parts.headers, (header.name.lower(), "1")))
    path = match.path
    if (path.kind, path.value) != ("prefix", "/"):
        yield replace(parts, path=f"{parts.path.rstrip('/')}-near")
        if path.kind in ("path", "safe_regex"):
            yield replace(parts, path=f"{parts.path.rstrip('/')}/near")
        yield replace(parts, path="/")
