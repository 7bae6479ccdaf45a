"""Routes compiled for selection: a request finds its route in order.

(envoy source: RouteMatcher, RouteEntryImplBase; decisions 3 and 5 of the design.) A virtual host is compiled when it is
first hit. Nothing here keeps state: the random draws come in as arguments.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate, groupby
from typing import TYPE_CHECKING, Literal

from ..xds.model.filters import FilterConfig
from ..xds.model.matchers import PathMatcher
from ..xds.model.route import (
    DirectResponseAction,
    InternalRedirectPolicy,
    LazyVirtualHost,
    RedirectAction,
    Route,
    RouteAction,
    RouteConfiguration,
    RouteMatch,
    StreamDuration,
    VirtualHost,
    WeightedCluster,
)
from ..xds.model.values import HeaderMutations, MetadataValue
from .descriptors import LimitPolicy
from .direct_response import DirectAnswer
from .formatter import DASH, Formatter, UnsupportedFormatError, compile_value
from .hashing import Caller, HashPolicies, compile_hashing
from .headers import Levels, apply_levels, compile_levels, formats
from .matching import decimal, plain_prefix, route_test
from .mirroring import Mirror, compile_mirrors
from .paths import PathRewrite, has_rewrite
from .redirects import Redirect, ToHttps
from .regex import Rewriter
from .replies import CONTENT_TYPE, LocalReply, closed, no_cluster
from .request import RequestView, strip_query
from .retry import CompiledRetry, compile_retry
from .subject import Subject
from .tracing import Spec
from .trees import compile_tree, read_request

if TYPE_CHECKING:
    from .filters.chain import FilterChainRuntime

    Narrowed = tuple[FilterChainRuntime, FilterChainRuntime]

Uniform = Callable[[], float]
"""A draw from [0, 1)."""

GRPC_UNITS = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}

FORWARDED_PROTO = b"x-forwarded-proto"
LOCATION = b"location"

NO_ROUTE = -1
"""The index of what a virtual host answers before its routes are looked at."""

SUBSETS = "envoy.lb"
"""The namespace of metadata that balancers look at."""

ActionKind = Literal["route", "redirect", "direct_response", "none"]


class Target:
    """A cluster that a route may draw, with what belongs to that choice alone."""

    __slots__ = (
        "chain",
        "cluster",
        "cluster_header",
        "config",
        "cors",
        "filter_levels",
        "filters",
        "host_rewrite",
        "metadata_match",
        "own_levels",
        "request_levels",
        "response_levels",
    )

    def __init__(
        self,
        entry: WeightedCluster,
        route: Route,
        vhost: VirtualHost,
        table: RouteConfiguration,
        problems: list[str],
    ) -> None:
        self.config = entry
        self.cluster = entry.name
        self.cluster_header = entry.cluster_header.lower().encode()
        self.host_rewrite = entry.host_rewrite.encode() if entry.host_rewrite is not None else None
        self.filters: Mapping[str, FilterConfig] = {**table.filters, **vhost.filters, **route.filters, **entry.filters}
        self.filter_levels = (entry.filters, route.filters, vhost.filters, table.filters)
        action = route.action
        self.cors = (action.cors if isinstance(action, RouteAction) else None, vhost.cors)
        """CORS policies as they were written before filters had configurations of routes."""
        self.chain: Narrowed | None = None
        """The filters that have something to do here, with the chain that they are of (governance.filters.chain)."""
        self.metadata_match = _criteria(route, entry)
        self.request_levels, self.response_levels = _levels(entry.headers, route, vhost, table, problems)
        own = entry.headers
        self.own_levels = 1 if own.request_add or own.request_remove else 0
        """How many of the request levels are of this choice alone."""

    def name_for(self, request: RequestView) -> str:
        """The cluster of a request, which may name it itself."""
        return (request.header(self.cluster_header) or b"").decode("latin-1") if self.cluster_header else self.cluster


def _criteria(route: Route, entry: WeightedCluster) -> Mapping[str, MetadataValue] | None:
    """The labels that endpoints must have: the route's, those of the chosen cluster before them."""
    action = route.action
    common = action.metadata_match.get(SUBSETS, {}) if isinstance(action, RouteAction) else {}
    return {**common, **entry.metadata_match.get(SUBSETS, {})} or None


class CompiledRoute:
    """A route ready to match and to act."""

    __slots__ = (
        "action",
        "appends_host",
        "auto_host",
        "body_limit",
        "chain",
        "cluster_not_found",
        "counts_attempts",
        "cumulative",
        "decorator",
        "direct",
        "filter_levels",
        "filters",
        "fraction",
        "hashing",
        "hedges",
        "high_priority",
        "host_format",
        "host_rewrite",
        "host_rewrite_header",
        "host_rewrite_path",
        "idle_timeout_s",
        "index",
        "internal_redirect",
        "kind",
        "limited",
        "limits",
        "limits_grpc",
        "mirrors",
        "path_format",
        "path_rewrite",
        "prefix",
        "problems",
        "redirect",
        "request_levels",
        "response_levels",
        "retry",
        "rewrites",
        "route",
        "stream_duration",
        "targets",
        "tells_attempts",
        "test",
        "timeout_s",
        "tracing",
        "vhost",
        "vhost_limits",
        "weights_by_hash",
        "weights_header",
    )

    def __init__(
        self, index: int, route: Route, vhost: VirtualHost, table: RouteConfiguration, vhost_limits: LimitPolicy
    ) -> None:
        self.index = index
        self.limits = vhost_limits
        self.vhost_limits = vhost_limits
        self.route = route
        self.vhost = vhost
        self.counts_attempts = vhost.include_request_attempt_count
        self.tells_attempts = vhost.include_attempt_count_in_response
        self.decorator = route.decorator.encode() if route.decorator is not None and route.decorator_propagate else None
        self.tracing = Spec(route.tracing, f"route {route.name}") if route.tracing is not None else None
        self.problems: list[str] = [] if self.tracing is None else [each.reason for each in self.tracing.notes]
        self.test = route_test(route.match)
        self.prefix = plain_prefix(route.match)
        self.fraction = route.match.fraction
        self.filters: Mapping[str, FilterConfig] = {**table.filters, **vhost.filters, **route.filters}
        self.filter_levels = (route.filters, vhost.filters, table.filters)
        self.chain: Narrowed | None = None
        self.targets: tuple[Target, ...] = ()
        self.cumulative: tuple[int, ...] = ()
        self.timeout_s: float | None = None
        self.hedges = False
        self.idle_timeout_s: float | None = None
        self.internal_redirect: InternalRedirectPolicy | None = None
        self.stream_duration: StreamDuration | None = None
        self.limited = False
        """Whether something but its timeout ends calls (governance.timing)."""
        self.retry: CompiledRetry | None = None
        self.mirrors: tuple[Mirror, ...] = ()
        self.redirect: Redirect | None = None
        self.direct: DirectAnswer | None = None
        self.action: RouteAction | None = None
        self.hashing: HashPolicies | None = None
        limits = (route.body_limit, vhost.body_limit, route.old_body_limit, vhost.old_body_limit)
        self.body_limit = next((each for each in limits if each is not None), None)
        self.high_priority = False
        self.limits_grpc = False
        self.weights_header = b""
        self.weights_by_hash: HashPolicies | None = None
        self.cluster_not_found = 503
        self.appends_host = False
        self.auto_host = False
        self.rewrites = False
        """Whether the host or the path goes out as another; `auto_host` is for each try."""
        self.path_format: bytes | Formatter | None = None
        self.host_format: bytes | Formatter | None = None
        self.path_rewrite: PathRewrite | None = None
        self.host_rewrite: bytes | None = None
        self.host_rewrite_header: bytes = b""
        self.host_rewrite_path: Rewriter | None = None
        self.request_levels, self.response_levels = _levels(HeaderMutations(), route, vhost, table, self.problems)
        action = route.action
        if isinstance(action, RouteAction):
            self.kind: ActionKind = "route"
            self._compile_action(action, table)
        elif isinstance(action, RedirectAction):
            self.kind = "redirect"
            try:
                self.redirect = Redirect(action, route.match.path)
            except UnsupportedFormatError as error:
                self.problems.append(f"path_rewrite: {error}")
        elif isinstance(action, DirectResponseAction):
            self.kind = "direct_response"
            try:
                self.direct = DirectAnswer(action)
            except UnsupportedFormatError as error:
                self.problems.append(f"direct_response: body_format: {error}")
        else:
            self.kind = "none"
            if action.reason:
                self.problems.append(action.reason)

    def _compile_action(self, action: RouteAction, table: RouteConfiguration) -> None:
        try:
            if action.path_format is not None:
                self.path_format = compile_value(action.path_format)
            if action.host_format is not None:
                self.host_format = compile_value(action.host_format, DASH)
        except UnsupportedFormatError as error:
            # Without its rewrite the request would reach what was not meant.
            self.kind = "none"
            self.problems.append(f"rewrite: {error}")
            return
        self.action = action
        self.limits = LimitPolicy(action.rate_limits)
        self.hashing = compile_hashing(action.hash_policies)
        self.high_priority = action.high_priority
        self.limits_grpc = action.max_grpc_timeout_s is not None and action.stream_duration is None
        self.weights_header = action.weights_header.lower().encode()
        self.weights_by_hash = self.hashing if action.weights_by_hash else None
        self.cluster_not_found = action.cluster_not_found_status
        entries = action.weighted_clusters or (
            WeightedCluster(action.cluster, 1, cluster_header=action.cluster_header),
        )
        # A cluster of weight 0 is never drawn, so it is not even a candidate.
        drawn = [entry for entry in entries if entry.weight > 0]
        self.targets = tuple(Target(entry, self.route, self.vhost, table, self.problems) for entry in drawn)
        self.cumulative = tuple(accumulate(entry.weight for entry in drawn))
        hedges = action.hedge_on_per_try_timeout
        self.hedges = self.vhost.hedge_on_per_try_timeout if hedges is None else hedges
        self.idle_timeout_s = action.idle_timeout_s
        self.internal_redirect = action.internal_redirect
        self.stream_duration = action.stream_duration
        self.limited = action.idle_timeout_s is not None or action.stream_duration is not None
        self.timeout_s = action.timeout_s if action.stream_duration is None else None
        self.mirrors = compile_mirrors(action.mirrors, self.vhost.mirrors, table.mirrors)
        self.retry = compile_retry(action.retry or self.vhost.retry)
        self.appends_host = action.append_x_forwarded_host
        self.auto_host = action.auto_host_rewrite
        if has_rewrite(action):
            self.path_rewrite = PathRewrite(action, self.route.match.path)
        if action.host_rewrite is not None:
            self.host_rewrite = action.host_rewrite.encode()
        if action.host_rewrite_header is not None:
            self.host_rewrite_header = action.host_rewrite_header.lower().encode()
        if action.host_rewrite_path_regex is not None:
            self.host_rewrite_path = Rewriter(action.host_rewrite_path_regex)
        self.rewrites = any(
            each is not None
            for each in (
                self.path_format,
                self.host_format,
                self.path_rewrite,
                self.host_rewrite,
                action.host_rewrite_header,
                self.host_rewrite_path,
            )
        )

    @property
    def label(self) -> str:
        """Its place and name, for people."""
        return f"route {self.index} {self.route.name or '(unnamed)'}" if self.index >= 0 else "what asks for https"

    def draw(self, request: RequestView, uniform: Uniform, address: str = "") -> Target:
        """The cluster of this request (envoy source: pickWeightedCluster); a header or a hash may hold the draw.

        `address`: where the request is from. It is hashed as it came, unlike for a balancer.
        """
        targets = self.targets
        if len(targets) == 1:
            return targets[0]
        cumulative = self.cumulative
        total = cumulative[-1]
        if self.weights_header:
            given = request.values(self.weights_header)
            number = decimal(given[0]) if len(given) == 1 else None  # several are as good as none
            if number is not None and number >= 0:
                return targets[bisect_right(cumulative, number % total)]
        if self.weights_by_hash is not None:
            hash_ = self.weights_by_hash.hash(request, Caller(address))  # Envoy makes no cookie here
            if hash_ is not None:
                return targets[bisect_right(cumulative, hash_ % total)]
        return targets[bisect_right(cumulative, int(uniform() * total))]

    def timeout_of(self, request: RequestView) -> float | None:
        """The timeout of a request; a gRPC request may bring its own (RouteAction.max_grpc_timeout)."""
        action = self.action
        if not self.limits_grpc or action is None or not request.is_grpc:
            return self.timeout_s
        asked_s = grpc_timeout(request.header(b"grpc-timeout"))
        most_s = action.max_grpc_timeout_s
        if asked_s is None:
            return most_s or None
        if action.grpc_timeout_offset_s is not None and asked_s > action.grpc_timeout_offset_s:
            asked_s -= action.grpc_timeout_offset_s
        if most_s and (asked_s > most_s or asked_s == 0):
            asked_s = most_s
        return asked_s or None

    def expected(self, left_s: float | None) -> float | None:
        """How long an attempt may take: its own timeout, or what is left of the route's."""
        per_try_s = self.retry.per_try_timeout_s if self.retry is not None and not self.hedges else None
        return left_s if per_try_s is None else per_try_s if left_s is None else min(left_s, per_try_s)

    def clusters(self) -> tuple[str, ...]:
        """Every cluster that this route can reach, mirrors included."""
        if self.action is None:
            return ()
        names = [target.cluster for target in self.targets if target.cluster]
        names += [mirror.cluster for mirror in self.mirrors if mirror.cluster]
        return tuple(dict.fromkeys(names))

    def answer(self, request: RequestView, describe: Callable[[], Subject] | None = None) -> LocalReply:
        """Redirects and direct responses: the mesh answers itself. `describe` says what formats may ask about."""
        if self.redirect is not None:
            location = (b"location", self.redirect.location(request, describe))
            return LocalReply(self.redirect.status, b"", (), (location,), "direct_response")
        if self.direct is not None:
            return self.direct(request, describe)
        if self.problems:
            return closed("; ".join(self.problems))
        return no_cluster(503)

    def as_answered(self, request: RequestView, describe: Callable[[], Subject] | None = None) -> RequestView:
        """The request as formats of a reply see it: a redirect may have rewritten it."""
        return request if self.redirect is None else self.redirect.rewritten(request, describe)

    def mutated(
        self,
        reply: LocalReply,
        target: Target | None,
        request: RequestView,
        describe: Callable[[], Subject] | None = None,
    ) -> LocalReply:
        """A reply of the mesh's own with the response headers of the route: they apply to every answer.

        `request`: as answered; `describe` says what formats may ask about, this reply included.
        """
        levels = self.response_levels if target is None else target.response_levels
        if not levels or reply.plain:
            return reply
        # What a router or a filter says itself follows what the route adds; where to go comes before.
        own = [pair for pair in reply.headers if pair[0] == LOCATION]
        after = [pair for pair in reply.headers if pair[0] != LOCATION]
        subject = describe() if describe is not None and formats(levels) else None
        if subject is not None:
            subject.response = own
        made = apply_levels(levels, own, request, subject=subject)
        if any(name == CONTENT_TYPE for name, _ in after):
            made = [pair for pair in made if pair[0] != CONTENT_TYPE]
        return replace(reply, headers=(*made, *after))

    def authority(self, request: RequestView) -> bytes:
        """The Host that goes out, of a request that has its mutations; the same object where nothing rewrites it."""
        if self.host_rewrite is not None:
            return self.host_rewrite
        if self.host_rewrite_header:
            value = request.header(self.host_rewrite_header)
            return value if value else request.authority
        if self.host_rewrite_path is not None:
            return self.host_rewrite_path(strip_query(request.path))
        return request.authority


Run = tuple[tuple[bytes, ...] | None, Sequence[CompiledRoute]]  # `_run`


class CompiledVirtualHost:
    """The routes of one virtual host, in order."""

    __slots__ = ("_runs", "_takes_all", "_to_https", "_tree", "_without_parameters", "config", "lazy", "routes")

    def __init__(self, lazy: LazyVirtualHost, table: RouteConfiguration) -> None:
        self.lazy = lazy
        self.config = config = lazy.value()
        self._without_parameters = table.ignore_path_parameters_in_path_matching
        limits = LimitPolicy(config.rate_limits)
        self.routes = tuple(
            CompiledRoute(index, route, config, table, limits) for index, route in enumerate(config.routes)
        )
        self._to_https = None if config.require_tls == "NONE" else _to_https(config, limits)
        self._tree = compile_tree(config.matcher, read_request) if config.matcher is not None else None
        first = self.routes[0] if self.routes and self._tree is None and self._to_https is None else None
        self._takes_all = first if first is not None and first.prefix == b"/" and first.fraction is None else None
        """The first route, where it is that of every path: most virtual hosts of a mesh have no other."""
        self._runs = [_run(tuple(run)) for _, run in groupby(self.routes, lambda route: route.prefix in (None, b"/"))]

    def match(self, request: RequestView, uniform: Uniform) -> CompiledRoute | None:
        """The first route that takes the request; https may be asked for before."""
        if self._takes_all is not None and request.path.startswith(b"/"):
            return self._takes_all
        if self._to_https is not None and self._must_be_secure(request):
            return self._to_https
        path = request.path
        if b"?" in path or b"#" in path:
            path = strip_query(path)
        if self._without_parameters:
            path = path.partition(b";")[0]
        tree = self._tree
        runs = self._runs if tree is None else [(None, [self.routes[index] for index in tree(request) or ()])]
        for prefixes, routes in runs:
            if prefixes is not None and not path.startswith(prefixes):
                continue  # none of these takes it
            for route in routes:
                prefix = route.prefix
                if path.startswith(prefix) if prefix is not None else route.test(request, path):
                    fraction = route.fraction
                    if fraction is None or fraction.hit(int(uniform() * fraction.denominator)):
                        return route
        return None

    def _must_be_secure(self, request: RequestView) -> bool:
        if (request.header(FORWARDED_PROTO) or request.scheme) == b"https":
            return False
        return self.config.require_tls == "ALL" or not request.internal


def _run(routes: Sequence[CompiledRoute]) -> Run:
    """Routes that follow one another; where all of them take their prefix only, one look tells that none does."""
    prefixes = tuple(route.prefix for route in routes if route.prefix is not None)
    return (prefixes if len(prefixes) == len(routes) > 1 else None), routes


def _to_https(vhost: VirtualHost, limits: LimitPolicy) -> CompiledRoute:
    """What stands before the routes of a virtual host that asks for https; nothing that the host says is its own."""
    route = Route(RouteMatch(PathMatcher("prefix", "/")), RedirectAction(https=True))
    bare = VirtualHost(vhost.name, vhost.domains)
    made = CompiledRoute(NO_ROUTE, route, bare, RouteConfiguration(""), limits)
    made.redirect = ToHttps()
    return made


def grpc_timeout(value: bytes | None) -> float | None:
    """A grpc-timeout header in seconds: at most eight digits and a unit; None for anything else."""
    if value is None or len(value) > 9 or not value[:-1].isdigit():
        return None
    scale = GRPC_UNITS.get(value[-1:])
    return int(value[:-1]) * scale if scale is not None else None


def _levels(
    most_specific: HeaderMutations,
    route: Route,
    vhost: VirtualHost,
    table: RouteConfiguration,
    problems: list[str],
) -> tuple[Levels, Levels]:
    return compile_levels(
        (most_specific, route.headers, vhost.headers, table.headers),
        most_specific_wins=table.most_specific_header_mutations_wins,
        problems=problems,
    )
