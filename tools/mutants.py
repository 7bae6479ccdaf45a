"""What a mutation run switches off: one kind of matcher or one decision each, patched into a process of its own.

A matcher is made to match always or never; a decision is taken from the configuration as it is compiled, or its
function is made to do nothing. Names say what proxyless no longer does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from proxyless.governance import (
    admission,
    call,
    headers,
    matching,
    paths,
    plan,
    redirects,
    route_table,
    routing,
    upstream,
)
from proxyless.governance.regex import compile_regex
from proxyless.governance.replies import LocalReply
from proxyless.governance.request import RequestView
from proxyless.xds.model.matchers import HeaderMatcher, QueryParameterMatcher, Range
from proxyless.xds.model.route import RedirectAction, RouteAction
from proxyless.xds.model.values import AppendAction, Fraction, HeaderMutation, HeaderMutations

Mutant = Callable[[], None]
STRINGS = ("exact", "prefix", "suffix", "contains", "safe_regex")
PATHS = ("path", "prefix", "path_separated_prefix", "safe_regex")


def patch(owner: Any, name: str, value: Any) -> Mutant:
    """Replace one name of a module or class, which must be there."""
    getattr(owner, name)
    return lambda: setattr(owner, name, value)


def wrap(owner: Any, name: str, around: Callable[[Any], Any]) -> Mutant:
    """Replace a function by what `around` makes of it."""
    return lambda: setattr(owner, name, around(getattr(owner, name)))


def kind_of(matcher: HeaderMatcher | QueryParameterMatcher) -> str:
    """`present`, `absent`, `range`, or the kind of string matcher."""
    spec = matcher.spec
    if isinstance(spec, bool):
        return "present" if spec else "absent"
    return "range" if isinstance(spec, Range) else spec.kind


def matches(function: str, chosen: Callable[[Any], bool], answer: bool) -> Mutant:
    """Matchers that `chosen` picks always (or never) match."""

    def around(original: Any) -> Any:
        def compiled(matcher: Any) -> Any:
            test = original(matcher)  # what is refused still is
            return (lambda *_: answer) if chosen(matcher) else test

        return compiled

    return wrap(routing, function, around)


def rewritten(function: str, change: Callable[[Any], Any]) -> Mutant:
    """Matchers are compiled from what `change` makes of them."""
    return wrap(routing, function, lambda original: lambda matcher: original(change(matcher)))


def without_case(matcher: Any) -> Any:
    """The same, no longer ignoring case."""
    spec = matcher.spec
    return matcher if isinstance(spec, (bool, Range)) else replace(matcher, spec=replace(spec, ignore_case=False))


def route(change: Callable[[Any], Any]) -> Mutant:
    """Routes are compiled from what `change` makes of them."""

    def around(original: Any) -> Any:
        def init(self: Any, index: int, one: Any, *rest: Any) -> None:
            original(self, index, change(one), *rest)

        return init

    return wrap(routing.CompiledRoute, "__init__", around)


def action(kind: type, **fields: Any) -> Mutant:
    """These fields of an action are not honoured."""
    return route(
        lambda one: replace(one, action=replace(one.action, **fields)) if isinstance(one.action, kind) else one
    )


def clusters(change: Callable[[Any], Any]) -> Mutant:
    """The entries of weighted clusters are what `change` makes of them."""

    def changed(one: Any) -> Any:
        if not isinstance(one.action, RouteAction):
            return one
        entries = tuple(change(entry) for entry in one.action.weighted_clusters)
        return replace(one, action=replace(one.action, weighted_clusters=entries))

    return route(changed)


def mutations(change: Callable[[HeaderMutation], HeaderMutation]) -> Mutant:
    """Header additions are what `change` makes of them."""

    def around(original: Any) -> Any:
        def compiled(levels: Any, **options: Any) -> Any:
            changed = [
                replace(
                    each,
                    request_add=tuple(map(change, each.request_add)),
                    response_add=tuple(map(change, each.response_add)),
                )
                for each in levels
            ]
            return original(changed, **options)

        return compiled

    return wrap(routing, "compile_levels", around)


def levels(change: Callable[[list[HeaderMutations]], list[HeaderMutations]], **options: Any) -> Mutant:
    """Levels of header mutations are what `change` makes of them."""

    def around(original: Any) -> Any:
        return lambda given, **more: original(change(list(given)), **{**more, **options})

    return wrap(routing, "compile_levels", around)


def no_level(index: int) -> Mutant:
    """One level says nothing."""
    return levels(lambda given: [HeaderMutations() if at == index else each for at, each in enumerate(given)])


def append_as(one: AppendAction, other: AppendAction) -> Mutant:
    """One append action does what another does."""
    return mutations(lambda each: replace(each, action=other) if each.action is one else each)


def no_header(name: bytes) -> Mutant:
    """A header that the mesh adds is not added."""

    def around(original: Any) -> Any:
        def put(given: Any, header: bytes, value: bytes, **options: Any) -> None:
            if header != name:
                original(given, header, value, **options)

        return put

    return wrap(upstream, "put", around)


def all_of(*several: Mutant) -> Mutant:
    """Several patches that are one decision."""

    def apply() -> None:
        for each in several:
            each()

    return apply


def matchers() -> Iterator[tuple[str, Mutant]]:
    """Every kind of matcher, always and never."""
    for word, answer in (("always", True), ("never", False)):
        for kind in PATHS:
            yield f"path {kind} matches {word}", matches("path_test", lambda m, k=kind: m.kind == k, answer)
        for kind in (*STRINGS, "range", "present", "absent"):
            plain = lambda m, k=kind: kind_of(m) == k and not m.name.startswith(":")  # noqa: E731
            yield f"header {kind} matches {word}", matches("header_test", plain, answer)
        for kind in (*STRINGS, "present", "absent"):
            yield f"query {kind} matches {word}", matches("query_test", lambda m, k=kind: kind_of(m) == k, answer)
        for name in (":method", ":path", ":authority", ":scheme"):
            yield f"header {name} matches {word}", matches("header_test", lambda m, n=name: m.name == n, answer)
        yield f"grpc matches {word}", patch(RequestView, "is_grpc", property(lambda self, a=answer: a))
        yield f"runtime fraction hits {word}", patch(Fraction, "hit", lambda self, draw, a=answer: a)
    yield "header invert_match", rewritten("header_test", lambda m: replace(m, invert=False))
    yield (
        "header treat_missing_header_as_empty",
        rewritten("header_test", lambda m: replace(m, treat_missing_as_empty=False)),
    )
    yield "header ignore_case", rewritten("header_test", without_case)
    yield "query ignore_case", rewritten("query_test", without_case)
    yield "path case_sensitive: false", rewritten("path_test", lambda m: replace(m, case_sensitive=True))
    yield "repeated headers match by any value", patch(RequestView, "values", lambda self, name: (self.header(name),))
    yield "a regex matches the whole value", patch(matching, "regex_test", _searching)


def _searching(pattern: str) -> Any:
    search = compile_regex(pattern).search
    return lambda value: search(value, 0) is not None


def hosts() -> Iterator[tuple[str, Mutant]]:
    """Virtual hosts, paths and what is made of a request before its route."""
    add = route_table.RouteTable._add

    def without(chosen: Callable[[bytes], bool]) -> Mutant:
        def kept(self: Any, domain: bytes, vhost: Any) -> None:
            if not chosen(domain):
                add(self, domain, vhost)

        return patch(route_table.RouteTable, "_add", kept)

    yield "virtual host by exact domain", without(lambda domain: b"*" not in domain)
    yield "virtual host by suffix", without(lambda domain: len(domain) > 1 and domain.startswith(b"*"))
    yield "virtual host by prefix", without(lambda domain: len(domain) > 1 and domain.endswith(b"*"))
    yield "virtual host *", without(lambda domain: domain == b"*")
    yield "ports are no part of a host", patch(route_table, "strip_port", lambda authority: authority)
    yield "path normalization", patch(paths, "_canonical", lambda path: path)
    yield "dot segments", patch(paths, "_DOTS", {})
    yield "escapes of unreserved characters", patch(paths, "_characters", lambda segment: segment)
    yield "what is no HTTP is TCP", patch(paths, "is_http", lambda path: True)
    yield "methods that Envoy does not know", patch(admission, "METHODS", _Everything())
    yield "authorities that Envoy refuses", patch(plan, "valid_authority", lambda authority: True)
    yield "headers of the hop and of Envoy itself", patch(admission, "REMOVED", frozenset())
    yield "headers that are one line", patch(admission, "JOINED", frozenset())
    yield "headers that Connection names", patch(admission, "_NO_NAMES", _Everything())
    yield "upgrades other than WebSocket", patch(admission, "WEBSOCKET", _Everything())
    yield "the listener of the address", patch(plan, "find_chain", lambda listener, connection: None)


class _Everything(frozenset):  # type: ignore[type-arg]
    """A set that holds everything, equal to everything."""

    def __contains__(self, item: object) -> bool:
        return True

    def __rsub__(self, other: Any) -> Any:
        return frozenset()

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False

    __hash__ = frozenset.__hash__


def actions() -> Iterator[tuple[str, Mutant]]:
    """What routes do."""
    yield "prefix_rewrite", action(RouteAction, prefix_rewrite=None)
    yield "regex_rewrite", action(RouteAction, regex_rewrite=None)
    yield "host_rewrite_literal", action(RouteAction, host_rewrite=None)
    yield "host_rewrite_header", action(RouteAction, host_rewrite_header=None)
    yield "host_rewrite_path_regex", action(RouteAction, host_rewrite_path_regex=None)
    yield "host_rewrite_literal of a weighted cluster", clusters(lambda each: replace(each, host_rewrite=None))
    yield "weight 0", clusters(lambda each: replace(each, weight=max(each.weight, 1)))
    yield "all but the first of weighted clusters", patch(routing, "bisect_right", lambda cumulative, at: 0)
    yield "weights by header", action(RouteAction, weights_header="")
    yield "cluster_header", action(RouteAction, cluster_header="")
    yield "cluster_not_found_response_code", action(RouteAction, cluster_not_found_status=503)
    yield "timeout of the route", action(RouteAction, timeout_s=None)
    yield "per_try_timeout", patch(routing.CompiledRoute, "expected", lambda self, left_s: left_s)
    yield "max_grpc_timeout", action(RouteAction, max_grpc_timeout_s=None)
    yield "grpc_timeout_offset", action(RouteAction, grpc_timeout_offset_s=None)
    yield "the clusters that do not exist", patch(call, "no_cluster", lambda status: LocalReply(200))
    yield "no route", patch(call, "no_route", lambda: LocalReply(503, flags=("NC",)))
    yield "gRPC's way of telling", patch(call, "as_grpc", lambda reply, **_: reply)
    fields: dict[str, Any] = {"host": "", "port": 0, "scheme": "", "https": False, "path": "", "prefix_rewrite": None}
    fields |= {"regex_rewrite": None, "strip_query": False, "status": 301}
    for name, off in fields.items():
        yield f"redirect: {name}", action(RedirectAction, **{name: off})
    yield "redirect: a scheme's own port", patch(redirects, "DEFAULT_PORTS", {b"http": b":1", b"https": b":2"})
    yield "direct_response: location", patch(routing, "own_url", lambda request: b"")
    yield "decorator", no_header(upstream.DECORATOR)
    yield "x-envoy-attempt-count", no_header(upstream.ATTEMPT_COUNT)
    yield "x-envoy-original-host", no_header(upstream.ORIGINAL_HOST)
    yield "x-envoy-original-path", no_header(upstream.ORIGINAL_PATH)


def header_mutations() -> Iterator[tuple[str, Mutant]]:
    """What is done to headers."""
    for index, level in enumerate(("weighted cluster", "route", "virtual host", "route table")):
        yield f"header mutations of the {level}", no_level(index)
    yield "most_specific_header_mutations_wins", levels(list, most_specific_wins=False)
    yield "request_headers_to_remove", levels(lambda given: [replace(each, request_remove=()) for each in given])
    add, absent, overwrite, existing = AppendAction
    yield "APPEND_IF_EXISTS_OR_ADD", append_as(add, overwrite)
    yield "ADD_IF_ABSENT", append_as(absent, add)
    yield "OVERWRITE_IF_EXISTS_OR_ADD", append_as(overwrite, add)
    yield "OVERWRITE_IF_EXISTS", append_as(existing, overwrite)
    yield "keep_empty_value", mutations(lambda each: replace(each, keep_empty=False))
    yield "values that come to nothing are not written", mutations(lambda each: replace(each, keep_empty=True))
    yield "values see the headers as they are now", patch(RequestView, "having", lambda self, headers: self)
    yield "additions to a header that is one line", patch(headers, "JOINED", frozenset())


def all_mutants() -> dict[str, Mutant]:
    """Every mutation by name."""
    return {name: mutant for part in (matchers, hosts, actions, header_mutations) for name, mutant in part()}
