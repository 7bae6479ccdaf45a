"""Route configuration (envoy.config.route.v3)."""

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Literal

from .filters import CorsPolicy, FilterConfig
from .local_reply import BodyFormat
from .matchers import (
    CookieMatcher,
    HeaderMatcher,
    PathMatcher,
    QueryParameterMatcher,
    RegexRewrite,
    StringMatcher,
    TlsMatcher,
)
from .matching import MatcherTree
from .records import dataclass
from .resource import ResourceError
from .tracing import RouteTracing
from .values import Cidr, FilterMetadata, Fraction, HeaderMutation, HeaderMutations, MetadataValue, Note

DEFAULT_ROUTE_TIMEOUT_S = 15.0
"""RouteAction.timeout when unset."""


@dataclass(frozen=True, slots=True)
class RouteMatch:
    """Which requests a route takes (RouteMatch)."""

    path: PathMatcher
    headers: tuple[HeaderMatcher, ...] = ()
    query_parameters: tuple[QueryParameterMatcher, ...] = ()
    fraction: Fraction | None = None
    grpc: bool = False
    cookies: tuple[CookieMatcher, ...] = ()
    tls: TlsMatcher | None = None
    never: str | None = None
    """Why this route can match nothing here: a matcher that is not understood must not widen the route."""


@dataclass(frozen=True, slots=True)
class WeightedCluster:
    """WeightedCluster.ClusterWeight; the name may come from a header (`cluster_header`)."""

    name: str
    weight: int
    cluster_header: str = ""
    headers: HeaderMutations = HeaderMutations()
    host_rewrite: str | None = None
    filters: Mapping[str, FilterConfig] = field(default_factory=dict)
    metadata_match: FilterMetadata = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BackOff:
    """RetryPolicy.RetryBackOff."""

    base_s: float
    max_s: float


@dataclass(frozen=True, slots=True)
class ResetHeader:
    """RetryPolicy.ResetHeader. `is_time`: its value is seconds since 1970, else a number of seconds from now."""

    name: str
    is_time: bool = False


@dataclass(frozen=True, slots=True)
class RateLimitedBackOff:
    """RetryPolicy.RateLimitedRetryBackOff."""

    headers: tuple[ResetHeader, ...]
    max_s: float = 300.0


PREVIOUS_HOSTS = "envoy.retry_host_predicates.previous_hosts"
OMIT_CANARIES = "envoy.retry_host_predicates.omit_canary_hosts"
OMIT_METADATA = "envoy.retry_host_predicates.omit_host_metadata"


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """envoy.config.route.v3.RetryPolicy. `num_retries` does not count the first try; unset it is 1.

    `omitted_metadata`: endpoints that have all of one of these (namespace `envoy.lb`) are passed over.
    `priority_update_frequency`: after so many tries the priorities tried are passed over; 0 without that.
    """

    retry_on: tuple[str, ...] = ()
    num_retries: int = 1
    per_try_timeout_s: float | None = None
    per_try_idle_timeout_s: float | None = None
    retriable_status_codes: tuple[int, ...] = ()
    retriable_headers: tuple[HeaderMatcher, ...] = ()
    retriable_request_headers: tuple[HeaderMatcher, ...] = ()
    host_predicates: tuple[str, ...] = ()
    host_selection_attempts: int = 1
    back_off: BackOff | None = None
    rate_limited: RateLimitedBackOff | None = None
    omitted_metadata: tuple[Mapping[str, MetadataValue], ...] = ()
    priority_update_frequency: int = 0


HashKind = Literal["header", "cookie", "source_ip", "query_parameter", "filter_state"]


@dataclass(frozen=True, slots=True)
class HashPolicy:
    """RouteAction.HashPolicy. `regex` rewrites a header before it is hashed; `ttl_s` None: no cookie is made."""

    kind: HashKind
    name: str = ""
    terminal: bool = False
    regex: RegexRewrite | None = None
    ttl_s: float | None = None
    cookie_path: str = ""
    cookie_attributes: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class MirrorPolicy:
    """RouteAction.RequestMirrorPolicy."""

    cluster: str
    fraction: Fraction | None = None
    append_shadow_suffix: bool = True
    cluster_header: str = ""
    host_rewrite: str = ""
    mutations: tuple[HeaderMutation | str | StringMatcher, ...] = ()
    """One after the other: a header to set, the name of one to remove, or which names to remove."""


@dataclass(frozen=True, slots=True)
class RateLimitAction:
    """RateLimit.Action. `kind` is the oneof's field name; what does not apply to it stays empty."""

    kind: str
    key: str = ""
    value: str = ""
    header: str = ""
    skip_if_absent: bool = False
    expect_match: bool = True
    headers: tuple[HeaderMatcher, ...] = ()
    query_parameters: tuple[QueryParameterMatcher, ...] = ()
    ranges: tuple[Cidr, ...] = ()
    prefix_len: int | None = None
    v6_prefix_len: int | None = None
    default_value: str = ""
    of_route: bool = False
    """metadata: the route's own, not what filters made."""
    path: tuple[str, ...] = ()
    """metadata: the namespace, and the keys below it."""


@dataclass(frozen=True, slots=True)
class RateLimit:
    """envoy.config.route.v3.RateLimit: the actions that make one descriptor."""

    actions: tuple[RateLimitAction, ...]
    stage: int = 0
    disable_key: str = ""
    hits: int | None = None
    """How many a request counts for; None where that is not said."""
    gives_back: bool = False
    """Whether they are given back instead."""
    on_stream_done: bool = False
    x_ratelimit_headers: bool | None = None
    """Whether its limit is told in headers; None: as the filter does."""


@dataclass(frozen=True, slots=True)
class InternalRedirectPolicy:
    """envoy.config.route.v3.InternalRedirectPolicy. `allowed_routes`: None where no predicate names any."""

    max_redirects: int = 1
    codes: frozenset[int] = frozenset({302})
    allow_cross_scheme: bool = False
    copied_headers: tuple[bytes, ...] = ()
    allowed_routes: frozenset[str] | None = None
    previous_routes: bool = False
    safe_cross_scheme: bool = False


@dataclass(frozen=True, slots=True)
class StreamDuration:
    """RouteAction.MaxStreamDuration. `max_s`: 0 for no limit, None for the connection manager's.

    `grpc_header_max_s`: the most that `grpc-timeout` may ask for, 0 for no limit; None where it is not looked at.
    """

    max_s: float | None = None
    grpc_header_max_s: float | None = None
    grpc_header_offset_s: float | None = None


@dataclass(frozen=True, slots=True)
class RouteAction:
    """envoy.config.route.v3.RouteAction. `timeout_s` None means that the route sets no limit (0 on the wire)."""

    cluster: str = ""
    cluster_header: str = ""
    weighted_clusters: tuple[WeightedCluster, ...] = ()
    weights_header: str = ""
    weights_by_hash: bool = False
    cluster_not_found_status: int = 503
    metadata_match: FilterMetadata = field(default_factory=dict)
    prefix_rewrite: str | None = None
    regex_rewrite: RegexRewrite | None = None
    path_template: str | None = None
    """The rewrite of a path that is matched by a URI template (path_rewrite_policy)."""
    path_format: str | None = None
    """path_rewrite, with `%...%` formatters; `host_format` is host_rewrite."""
    host_format: str | None = None
    host_rewrite: str | None = None
    host_rewrite_header: str | None = None
    host_rewrite_path_regex: RegexRewrite | None = None
    auto_host_rewrite: bool = False
    append_x_forwarded_host: bool = False
    timeout_s: float | None = DEFAULT_ROUTE_TIMEOUT_S
    max_grpc_timeout_s: float | None = None
    """The most that `grpc-timeout` of a gRPC request may ask for, 0 for no limit; None where it is not looked at."""
    grpc_timeout_offset_s: float | None = None
    idle_timeout_s: float | None = None
    internal_redirect: InternalRedirectPolicy | None = None
    hedge_on_per_try_timeout: bool | None = None
    """None: as the virtual host says."""
    stream_duration: StreamDuration | None = None
    """Where it is there, `timeout_s` and `max_grpc_timeout_s` do not count."""
    retry: RetryPolicy | None = None
    mirrors: tuple[MirrorPolicy, ...] = ()
    hash_policies: tuple[HashPolicy, ...] = ()
    rate_limits: tuple[RateLimit, ...] = ()
    include_vh_rate_limits: bool = False
    cors: CorsPolicy | None = None
    high_priority: bool = False


@dataclass(frozen=True, slots=True)
class RedirectAction:
    """envoy.config.route.v3.RedirectAction."""

    status: int = 301
    host: str = ""
    port: int = 0
    scheme: str = ""
    https: bool = False
    path: str = ""
    prefix_rewrite: str | None = None
    regex_rewrite: RegexRewrite | None = None
    path_format: str | None = None
    """path_rewrite, with `%...%` formatters."""
    strip_query: bool = False


@dataclass(frozen=True, slots=True)
class DirectResponseAction:
    """envoy.config.route.v3.DirectResponseAction."""

    status: int
    body: bytes = b""
    body_format: BodyFormat | None = None


@dataclass(frozen=True, slots=True)
class NonForwardingAction:
    """envoy.config.route.v3.NonForwardingAction, and actions that are not understood: nothing is sent."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class Route:
    """envoy.config.route.v3.Route; its place in the virtual host is its `route_index`."""

    match: RouteMatch
    action: RouteAction | RedirectAction | DirectResponseAction | NonForwardingAction
    name: str = ""
    headers: HeaderMutations = HeaderMutations()
    filters: Mapping[str, FilterConfig] = field(default_factory=dict)
    decorator: str | None = None
    decorator_propagate: bool = True
    tracing: RouteTracing | None = None
    metadata: FilterMetadata = field(default_factory=dict)
    body_limit: int | None = None
    """request_body_buffer_limit; `old_body_limit` is per_request_buffer_limit_bytes, which counts less."""
    old_body_limit: int | None = None


@dataclass(frozen=True, slots=True)
class VirtualHost:
    """envoy.config.route.v3.VirtualHost. A `matcher` leads to places among `routes`, which are then all of its own."""

    name: str
    domains: tuple[str, ...]
    routes: tuple[Route, ...] = ()
    matcher: MatcherTree[tuple[int, ...]] | None = None
    require_tls: Literal["NONE", "EXTERNAL_ONLY", "ALL"] = "NONE"
    headers: HeaderMutations = HeaderMutations()
    retry: RetryPolicy | None = None
    include_request_attempt_count: bool = False
    include_attempt_count_in_response: bool = False
    include_is_timeout_retry_header: bool = False
    hedge_on_per_try_timeout: bool = False
    rate_limits: tuple[RateLimit, ...] = ()
    mirrors: tuple[MirrorPolicy, ...] = ()
    filters: Mapping[str, FilterConfig] = field(default_factory=dict)
    cors: CorsPolicy | None = None
    metadata: FilterMetadata = field(default_factory=dict)
    body_limit: int | None = None
    """As of a route, where the route says nothing."""
    old_body_limit: int | None = None
    notes: tuple[Note, ...] = ()


class LazyVirtualHost:
    """A virtual host known by name and domains, decoded when it is first hit.

    The same bytes in the next version of the table keep the same object, so nothing is decoded or compiled twice. Bytes
    that Envoy would refuse leave the version before in force, as everywhere.
    """

    __slots__ = ("_describe", "_load", "_on_reject", "_value", "domains", "error", "name", "previous", "raw")

    def __init__(
        self,
        name: str,
        domains: tuple[str, ...],
        raw: bytes,
        load: Callable[[bytes], VirtualHost],
        previous: "LazyVirtualHost | None" = None,
        describe: Callable[[bytes], tuple[Note, ...]] = lambda raw: (),
        on_reject: Callable[[ResourceError], None] | None = None,
    ) -> None:
        self._describe = describe
        self._on_reject = on_reject
        self.name = name
        self.domains = domains
        self.raw = raw
        self.error: ResourceError | None = None
        self.previous: LazyVirtualHost | None = None
        if previous is not None:
            self.previous = previous if previous.decoded else previous.previous
        self._load = load
        self._value: VirtualHost | None = None

    @property
    def decoded(self) -> bool:
        """Whether somebody has used it."""
        return self._value is not None

    def notes(self) -> tuple[Note, ...]:
        """The fields that are set and have no effect here, or not yet; computed anew, for people."""
        return self._describe(self.raw)

    def value(self) -> VirtualHost:
        """The decoded virtual host, or that of the version before.

        Raises:
            ResourceError: Envoy would refuse it, and there is none before it.
        """
        value = self._value
        if value is not None:
            return value
        if self.error is None:
            try:
                self._value = value = self._load(self.raw)
            except ResourceError as error:
                self.error = error
                if self._on_reject is not None:
                    self._on_reject(error)
            else:
                self.previous = None
                return value
        if self.previous is None:
            raise self.error
        return self.previous.value()


@dataclass(frozen=True, slots=True)
class RouteConfiguration:
    """envoy.config.route.v3.RouteConfiguration."""

    name: str
    virtual_hosts: tuple[LazyVirtualHost, ...] = ()
    headers: HeaderMutations = HeaderMutations()
    internal_only_headers: tuple[str, ...] = ()
    most_specific_header_mutations_wins: bool = False
    ignore_port_in_host_matching: bool = False
    vhost_header: str = ""
    ignore_path_parameters_in_path_matching: bool = False
    validate_clusters: bool = False
    max_direct_response_body_size_bytes: int = 4096
    mirrors: tuple[MirrorPolicy, ...] = ()
    filters: Mapping[str, FilterConfig] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()
