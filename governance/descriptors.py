"""Descriptors of a request for rate limiting (envoy source: RateLimitPolicyEntryImpl::populateDescriptors).

Each `RateLimit` makes one descriptor from its actions, or none if one of its actions has nothing to say.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from ipaddress import ip_network
from typing import TYPE_CHECKING, NamedTuple

from ..xds.model.matching import IpRanges
from ..xds.model.rate_limit_service import LimitedDescriptor
from ..xds.model.route import RateLimit, RateLimitAction
from ..xds.model.values import FilterMetadata
from .matching import all_of, header_test, query_test
from .request import PSEUDO, RequestView
from .trees import value_test

if TYPE_CHECKING:
    from .filters.stream import Stream

Descriptor = tuple[tuple[str, str], ...]
Entry = tuple[str, str]


class Subject(NamedTuple):
    """What a request is besides itself: who sends it, where it goes, what the route says of it."""

    address: str
    source_cluster: str
    destination_cluster: str
    metadata: FilterMetadata


NOBODY = Subject("", "", "", {})

_EntryOf = Callable[[RequestView, Subject], "Entry | tuple[()] | None"]
"""The entry of an action; an empty one to go on without it, None to give the descriptor up."""


_OF_REQUESTS = frozenset(
    ["generic_key", "request_headers", "header_value_match", "query_parameter_value_match", "query_parameters"]
)
"""Actions that look at nothing but the request."""


_UNNAMED = {
    "header_value_match": "header_match",
    "query_parameter_value_match": "query_match",
    **{
        kind: kind
        for kind in (
            "generic_key",
            "remote_address",
            "masked_remote_address",
            "remote_address_match",
            "source_cluster",
            "destination_cluster",
        )
    },
}
"""The keys of entries whose actions name none."""


class LimitPolicy:
    """The rate limits of a route or a virtual host, compiled. `alone`: nothing but the request is looked at."""

    __slots__ = ("_limits", "_of_process", "alone", "empty", "on_stream_done")

    def __init__(self, limits: Sequence[RateLimit]) -> None:
        self._limits = [(limit, [_entry_of(action) for action in limit.actions]) for limit in limits]
        self._of_process = [
            (limit.stage, actions[0] if len(actions) == 1 else None, actions)
            for limit, actions in self._limits
            if not limit.disable_key
        ]
        self.empty = not limits
        self.alone = all(action.kind in _OF_REQUESTS for limit in limits for action in limit.actions)
        self.on_stream_done = any(limit.on_stream_done for limit, _ in self._limits)

    def descriptors(self, request: RequestView, stage: int, subject: Subject = NOBODY) -> list[Descriptor]:
        """The descriptors of a request at a stage, in order, for limits of the process: those that could be switched
        off count for nothing there."""
        found: list[Descriptor] = []
        for at, only, actions in self._of_process:
            if at != stage:
                continue
            if only is not None:
                entry = only(request, subject)
                if entry:
                    found.append((entry,))
            elif entries := _entries(actions, request, subject):
                found.append(entries)
        return found

    def within(self, stage: int, keys: Container[tuple[str, ...]], *more: LimitPolicy) -> LimitPolicy:
        """Those at a stage, and those of `more`, that may make a descriptor of such keys, for limits of the process."""
        limits = [limit for each in (self, *more) for limit, _ in each._limits]
        return LimitPolicy([each for each in limits if each.stage == stage and _may_be_of(each, keys)])

    def limited(
        self, request: RequestView, stage: int | None, subject: Subject, *, done: bool
    ) -> list[tuple[RateLimit, LimitedDescriptor]]:
        """The same for a rate limit service, with what each counts for: those of requests that come, or of those that
        are `done`. Without a stage, of all."""
        return [
            (limit, LimitedDescriptor(entries, limit.hits, limit.gives_back))
            for limit, entries in self._made(request, stage, subject)
            if limit.on_stream_done == done
        ]

    def _made(
        self, request: RequestView, stage: int | None, subject: Subject
    ) -> Iterator[tuple[RateLimit, Descriptor]]:
        for limit, actions in self._limits:
            if stage is None or limit.stage == stage:
                entries = _entries(actions, request, subject)
                if entries:
                    yield limit, entries


def _may_be_of(limit: RateLimit, keys: Container[tuple[str, ...]]) -> bool:
    if any(action.skip_if_absent for action in limit.actions):
        return True
    return tuple(map(_key, limit.actions)) in keys


def _key(action: RateLimitAction) -> str:
    return action.key or _UNNAMED.get(action.kind, "")


def _entries(actions: Sequence[_EntryOf], request: RequestView, subject: Subject) -> Descriptor:
    """Empty where an action gives the descriptor up."""
    entries: list[Entry] = []
    for action in actions:
        entry = action(request, subject)
        if entry is None:
            return ()
        if entry:
            entries.append(entry)
    return tuple(entries)


def _entry_of(action: RateLimitAction) -> _EntryOf:
    match action.kind:
        case "generic_key":
            fixed = (_key(action), action.value)
            return lambda request, subject: fixed
        case "request_headers":
            return _from_header(action)
        case "remote_address":
            return lambda request, subject: ("remote_address", subject.address) if subject.address else None
        case "masked_remote_address":
            return lambda request, subject: _masked(action, subject.address)
        case "remote_address_match":
            return _within(action)
        case "header_value_match":
            headers = all_of([header_test(matcher) for matcher in action.headers])
            return _when(headers, action)
        case "query_parameter_value_match":
            queries = all_of([query_test(matcher) for matcher in action.query_parameters])
            return _when(queries, action)
        case "query_parameters":
            return _from_query(action)
        case "source_cluster":
            return lambda request, subject: ("source_cluster", subject.source_cluster)
        case "destination_cluster":
            return lambda request, subject: ("destination_cluster", subject.destination_cluster)
        case "metadata":
            return _from_metadata(action)
        case _:
            return lambda request, subject: None


def _within(action: RateLimitAction) -> _EntryOf:
    fixed = (_key(action), action.value)
    inside = value_test(IpRanges(action.ranges))
    return lambda request, subject: fixed if inside(subject.address.encode()) == action.expect_match else None


def _from_header(action: RateLimitAction) -> _EntryOf:
    name = action.header.lower().encode()
    plain = name not in PSEUDO

    def entry(request: RequestView, subject: Subject) -> Entry | tuple[()] | None:
        del subject
        value = request.headers.get(name) if plain else request.header(name)
        if value is None:
            return () if action.skip_if_absent else None
        return (action.key, value.decode("utf-8", "replace"))

    return entry


def _from_query(action: RateLimitAction) -> _EntryOf:
    name = action.header.encode()

    def entry(request: RequestView, subject: Subject) -> Entry | tuple[()] | None:
        del subject
        value = request.query.get(name)
        if value is None:
            return () if action.skip_if_absent else None
        return (action.key, value.decode("utf-8", "replace"))

    return entry


def _from_metadata(action: RateLimitAction) -> _EntryOf:
    """Only a route has metadata here: no filter makes any."""
    namespace, *keys = action.path

    def entry(request: RequestView, subject: Subject) -> Entry | tuple[()] | None:
        del request
        found: object = subject.metadata.get(namespace) if action.of_route else None
        for key in keys:
            found = found.get(key) if isinstance(found, Mapping) else None
        value = found if isinstance(found, str) and found else action.default_value
        if value:
            return (action.key, value)
        return () if action.skip_if_absent else None

    return entry


def _when(test: Callable[[RequestView], bool] | None, action: RateLimitAction) -> _EntryOf:
    fixed = (_key(action), action.value)
    return lambda request, subject: fixed if (test is None or test(request)) == action.expect_match else None


def _masked(action: RateLimitAction, source: str) -> Entry | None:
    v6 = ":" in source
    bits = action.v6_prefix_len if v6 else action.prefix_len
    if bits is None:
        bits = 128 if v6 else 32
    try:
        return ("masked_remote_address", str(ip_network(f"{source}/{bits}", strict=False)))
    except ValueError:
        return None  # a Unix socket, or what a test client calls itself


def subject_of(stream: Stream) -> Subject:
    """That of a request on its way; an outgoing one comes from this workload."""
    request, route, target = stream.request, stream.route, stream.target
    workload = stream.runtime.options.workload
    return Subject(
        request.remote or request.source,
        workload.cluster,
        target.name_for(request) if target is not None else "",
        route.route.metadata if route is not None else {},
    )
