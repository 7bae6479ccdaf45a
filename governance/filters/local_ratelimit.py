"""The local rate limit filter (envoy source: extensions/filters/http/local_ratelimit).

A token bucket refills continuously at tokens_per_fill / fill_interval. A request first pays every descriptor that it
matches, the slowest first, then the default bucket. The buckets belong to the process: all its threads and tasks share
them, and they keep their level while their configuration stays the same.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from threading import Lock

from ...xds.model.filters import LimitDescriptor, LocalRateLimit, TokenBucket
from ..descriptors import NOBODY, Descriptor, LimitPolicy, subject_of
from ..grpc_statuses import RESOURCE_EXHAUSTED
from ..headers import compile_additions
from ..replies import LocalReply
from ..routing import CompiledRoute, Target, Uniform
from .stream import Stream

Clock = Callable[[], float]

BODY = b"local_rate_limited"

NO_LIMITS = LimitPolicy(())

MOST_KEPT = 1024
"""Routes, or configurations of theirs, for which something is worked out once."""


class Bucket:
    """Tokens that come back with time (envoy source: AtomicTokenBucketImpl)."""

    __slots__ = ("_clock", "_lock", "_since", "_tokens", "max_tokens", "rate")

    def __init__(self, config: TokenBucket, clock: Clock) -> None:
        self.max_tokens = config.max_tokens
        self.rate = config.tokens_per_fill / config.fill_interval_s if config.fill_interval_s > 0 else 0.0
        self._clock = clock
        self._lock = Lock()
        self._tokens = float(config.max_tokens)
        self._since = clock()

    def consume(self) -> bool:
        """Take one token if there is a whole one."""
        with self._lock:
            now = self._clock()
            level = self._tokens + (now - self._since) * self.rate
            self._since = now
            if level > self.max_tokens:
                level = float(self.max_tokens)
            allowed = level >= 1.0
            self._tokens = level - 1.0 if allowed else level
            return allowed

    def _level(self) -> float:
        now = self._clock()
        level = self._tokens + (now - self._since) * self.rate
        self._tokens = level = level if level < self.max_tokens else float(self.max_tokens)
        self._since = now
        return level

    def remaining(self) -> int:
        """Whole tokens left."""
        with self._lock:
            return int(self._level())

    def reset_s(self) -> int:
        """Whole seconds until the next token (envoy source: nextTokenAvailable), 0 when there is one."""
        with self._lock:
            lack = 1.0 - self._level()
        if lack <= 0 or not self.rate:
            return 0
        return -int(-lack / self.rate // 1)


class Limiter:
    """The buckets of one LocalRateLimit configuration."""

    __slots__ = ("_clock", "_default", "_deny", "_dynamic", "_exact", "_most", "_wild", "consume_default")

    def __init__(self, config: LocalRateLimit, clock: Clock) -> None:
        self._clock = clock
        bucket = config.bucket
        self._deny = bucket is not None and bucket.max_tokens == 0
        self._default = Bucket(bucket, clock) if bucket is not None and bucket.max_tokens else None
        self._exact: dict[Descriptor, Bucket] = {}
        self._wild: list[LimitDescriptor] = []
        for descriptor in config.descriptors:
            if all(value for _, value in descriptor.entries):
                self._exact[descriptor.entries] = Bucket(descriptor.bucket, clock)
            else:
                self._wild.append(descriptor)
        self._dynamic: OrderedDict[tuple[LimitDescriptor, Descriptor], Bucket] = OrderedDict()
        self._most = config.max_dynamic_descriptors
        self.consume_default = config.always_consume_default

    def allow(self, descriptors: Sequence[Descriptor]) -> tuple[bool, Bucket | None]:
        """Whether the request may pass, and the bucket that says so to the client."""
        first = self._default
        if descriptors:
            exact, wild = self._exact, self._wild
            matched = []
            for each in descriptors:
                bucket = exact.get(each)
                if bucket is None and wild:
                    bucket = self._of_wild(each)
                if bucket is not None:
                    matched.append(bucket)
            if len(matched) > 1:
                matched.sort(key=lambda bucket: bucket.rate)
            for bucket in matched:
                if not bucket.consume():
                    return False, bucket
            if matched:
                first = matched[0]
                if not self.consume_default:
                    return True, first
        if self._default is None:
            return not self._deny, first
        if not self._default.consume():
            return False, self._default
        return True, first

    def _of_wild(self, descriptor: Descriptor) -> Bucket | None:
        for wild in self._wild:
            if _matches(wild.entries, descriptor):
                key = (wild, descriptor)
                bucket = self._dynamic.get(key)
                if bucket is None:
                    bucket = self._dynamic[key] = Bucket(wild.bucket, self._clock)
                    while len(self._dynamic) > self._most * len(self._wild):
                        self._dynamic.popitem(last=False)
                else:
                    self._dynamic.move_to_end(key)
                return bucket
        return None


def _matches(wanted: Descriptor, descriptor: Descriptor) -> bool:
    return len(wanted) == len(descriptor) and all(
        key == own_key and (not value or value == own_value)
        for (key, value), (own_key, own_value) in zip(wanted, descriptor, strict=True)
    )


class Limiters:
    """All limiters of a process, kept from one configuration to the next; asked by scope and configuration."""

    __slots__ = ("_clock", "_limiters", "_lock", "uniform")

    def __init__(self, clock: Clock, uniform: Uniform) -> None:
        self._clock = clock
        self._lock = Lock()
        self._limiters: dict[tuple[str, LocalRateLimit], Limiter] = {}
        self.uniform = uniform

    def get(self, scope: str, config: LocalRateLimit) -> Limiter:
        """The limiter of a configuration at a place (chain, virtual host, route)."""
        key = (scope, config)
        limiter = self._limiters.get(key)
        if limiter is None:
            with self._lock:
                limiter = self._limiters.setdefault(key, Limiter(config, self._clock))
        return limiter


class _Applied:
    """One LocalRateLimit configuration at one place, compiled."""

    __slots__ = (
        "_by_route",
        "_keys",
        "_own",
        "config",
        "enabled",
        "enforced",
        "limiter",
        "response",
        "sampled",
        "when_not_enforced",
    )

    def __init__(self, config: LocalRateLimit, limiter: Limiter) -> None:
        self.config = config
        self.limiter = limiter
        self.enabled = enabled = config.enabled
        self.sampled = enabled is not None and enabled.numerator < enabled.denominator
        """Whether chance decides which requests are counted."""
        self.enforced = config.enforced
        self._keys = {tuple(key for key, _ in each.entries) for each in config.descriptors}
        own = LimitPolicy(config.rate_limits)
        self._own = None if own.empty else own.within(config.stage, self._keys)
        self._by_route: dict[int, tuple[LimitPolicy, LimitPolicy]] = {}
        self.response = compile_additions(config.response_headers)
        self.when_not_enforced = compile_additions(config.request_headers_when_not_enforced)

    def limits(self, route: CompiledRoute | None) -> LimitPolicy:
        """What makes the descriptors of a request: without those that no bucket is for."""
        if not self._keys:
            return NO_LIMITS
        if self._own is not None:
            return self._own
        action = route.action if route is not None else None
        if route is None or action is None:
            return NO_LIMITS
        # Keyed by identity: the entry holds the limits, so the number cannot be reused while it is here.
        kept = self._by_route.get(id(route.limits))
        if kept is not None and kept[0] is route.limits:
            return kept[1]
        config = self.config
        include = action.include_vh_rate_limits or config.vh_rate_limits == "INCLUDE"
        if include or (config.vh_rate_limits == "OVERRIDE" and route.limits.empty):
            made = route.limits.within(config.stage, self._keys, route.vhost_limits)
        else:
            made = route.limits.within(config.stage, self._keys)
        if len(self._by_route) > MOST_KEPT:
            self._by_route.clear()
        self._by_route[id(route.limits)] = (route.limits, made)
        return made


_Here = tuple[CompiledRoute | None, Target | None, _Applied | None, LimitPolicy]
"""What is in force for requests of a route, and for what it has drawn."""


class LocalRateLimitFilter:
    """The filter in a chain; its routes may each bring a configuration of their own."""

    __slots__ = ("_base", "_last", "_limiters", "_per_route", "_scope", "name")

    def __init__(self, name: str, config: LocalRateLimit | None, scope: str, limiters: Limiters) -> None:
        self.name = name
        self._scope = scope
        self._limiters = limiters
        self._base = _Applied(config, limiters.get(scope, config)) if config is not None else None
        self._per_route: dict[int, tuple[object, _Applied]] = {}
        limits = self._base.limits(None) if self._base is not None else NO_LIMITS
        self._last: _Here = (None, None, self._base, limits)
        """What is in force where the last request went: chains of incoming requests mostly lead to one place."""

    def on_request(self, stream: Stream) -> LocalReply | None:
        """429 (or the configured status) with flag RL when a bucket is empty."""
        request, route, target = stream.request, stream.route, stream.target
        at, of, applied, limits = self._last
        if at is not route or of is not target:
            applied = self._applied(route, target)
            limits = applied.limits(route) if applied is not None else NO_LIMITS
            self._last = (route, target, applied, limits)
        if applied is None or applied.enabled is None:
            return None
        if applied.sampled and not applied.enabled.hit(int(self._limiters.uniform() * applied.enabled.denominator)):
            return None
        config = applied.config
        descriptors: Sequence[Descriptor] = ()
        if not limits.empty:
            descriptors = limits.descriptors(request, config.stage, NOBODY if limits.alone else subject_of(stream))
        allowed, bucket = applied.limiter.allow(descriptors)
        if config.x_ratelimit_headers and bucket is not None:
            stream.response_headers += [
                (b"x-ratelimit-limit", b"%d" % bucket.max_tokens),
                (b"x-ratelimit-remaining", b"%d" % bucket.remaining()),
                (b"x-ratelimit-reset", b"%d" % bucket.reset_s()),
            ]
        if allowed:
            return None
        enforced = applied.enforced
        if enforced is None or not enforced.hit(int(self._limiters.uniform() * enforced.denominator)):
            request.replace_headers(applied.when_not_enforced.apply(list(request.raw_headers), request))
            return None
        headers = applied.response.apply([], request)
        grpc_status = RESOURCE_EXHAUSTED if config.resource_exhausted else None
        return LocalReply(config.status, BODY, ("RL",), tuple(headers), "local_rate_limited", grpc_status)

    def _applied(self, route: CompiledRoute | None, target: Target | None) -> _Applied | None:
        if route is None:
            return self._base
        config = (target.filters if target is not None else route.filters).get(self.name)
        if config is None:
            return self._base
        # Keyed by identity: the entry holds the configuration, so the number cannot be reused while it is here.
        kept = self._per_route.get(id(config))
        if kept is not None and kept[0] is config:
            return kept[1]
        if not isinstance(config, LocalRateLimit):
            return None  # disabled for this route
        scope = f"{self._scope}/{_place(self.name, config, route, target)}"
        applied = _Applied(config, self._limiters.get(scope, config))
        if len(self._per_route) > MOST_KEPT:
            self._per_route.clear()
        self._per_route[id(config)] = (config, applied)
        return applied


def _place(name: str, config: LocalRateLimit, route: CompiledRoute, target: Target | None) -> str:
    """Whose configuration it is: its buckets are shared by all that is below."""
    vhost = route.vhost
    if vhost.filters.get(name) is config:
        return vhost.name
    if route.route.filters.get(name) is config:
        return f"{vhost.name}/{route.index}"
    if target is not None and target.config.filters.get(name) is config:
        return f"{vhost.name}/{route.index}/{target.cluster}"
    return ""
