"""Descriptors of a request for rate limiting (envoy source: RateLimitPolicyEntryImpl::populateDescriptors).

Each `RateLimit` makes one descriptor from its actions, or none if one of its actions has nothing to say.
"""

from collections.abc import Callable, Sequence
from ipaddress import ip_network

from ..xds.model.route import RateLimit, RateLimitAction
from .matching import all_of, header_test, query_test
from .request import RequestView

Descriptor = tuple[tuple[str, str], ...]
Entry = tuple[str, str]

_EntryOf = Callable[[RequestView], "Entry | tuple[()] | None"]
"""The entry of an action; an empty one to go on without it, None to give the descriptor up."""


class LimitPolicy:
    """The rate limits of a route or a virtual host, compiled."""

    __slots__ = ("_limits", "empty")

    def __init__(self, limits: Sequence[RateLimit]) -> None:
        self._limits = [
            (limit.stage, [_entry_of(action) for action in limit.actions]) for limit in limits if not limit.disable_key
        ]
        self.empty = not limits

    def descriptors(self, request: RequestView, stage: int) -> list[Descriptor]:
        """The descriptors of a request at a stage, in order."""
        found: list[Descriptor] = []
        for own_stage, actions in self._limits:
            if own_stage != stage:
                continue
            entries: list[Entry] = []
            for action in actions:
                entry = action(request)
                if entry is None:
                    break
                if entry:
                    entries.append(entry)
            else:
                if entries:
                    found.append(tuple(entries))
        return found


def _entry_of(action: RateLimitAction) -> _EntryOf:
    match action.kind:
        case "generic_key":
            fixed = (action.key or "generic_key", action.value)
            return lambda request: fixed
        case "request_headers":
            return _from_header(action)
        case "remote_address":
            return lambda request: ("remote_address", request.source) if request.source else None
        case "masked_remote_address":
            return lambda request: _masked(action, request.source)
        case "header_value_match":
            headers = all_of([header_test(matcher) for matcher in action.headers])
            return _when(headers, action, "header_match")
        case "query_parameter_value_match":
            queries = all_of([query_test(matcher) for matcher in action.query_parameters])
            return _when(queries, action, "query_match")
        case "query_parameters":
            return _from_query(action)
        case _:
            return lambda request: None


def _from_header(action: RateLimitAction) -> _EntryOf:
    name = action.header.lower().encode()

    def entry(request: RequestView) -> Entry | tuple[()] | None:
        value = request.header(name)
        if value is None:
            return () if action.skip_if_absent else None
        return (action.key, value.decode("utf-8", "replace"))

    return entry


def _from_query(action: RateLimitAction) -> _EntryOf:
    name = action.header.encode()

    def entry(request: RequestView) -> Entry | tuple[()] | None:
        value = request.query.get(name)
        if value is None:
            return () if action.skip_if_absent else None
        return (action.key, value.decode("utf-8", "replace"))

    return entry


def _when(test: Callable[[RequestView], bool] | None, action: RateLimitAction, default_key: str) -> _EntryOf:
    fixed = (action.key or default_key, action.value)
    return lambda request: fixed if (test is None or test(request)) == action.expect_match else None


def _masked(action: RateLimitAction, source: str) -> Entry | None:
    v6 = ":" in source
    bits = action.v6_prefix_len if v6 else action.prefix_len
    if bits is None:
        bits = 128 if v6 else 32
    try:
        return ("masked_remote_address", str(ip_network(f"{source}/{bits}", strict=False)))
    except ValueError:
        return None  # a Unix socket, or what a test client calls itself
