"""Which rules of a VirtualService are never reached: what they match is taken by rules before them.

Envoy takes the first route that matches. One condition is only said to be covered by another where that is sure: the
same, or a prefix of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from typing import TypeVar

from ..api.virtual_service import (
    HTTPMatchRequest,
    L4MatchAttributes,
    StringMatch,
    TLSMatchAttributes,
    VirtualService,
)
from ..registry.virtual_services import MESH
from .finding import Keys, Said

M = TypeVar("M", HTTPMatchRequest, L4MatchAttributes, TLSMatchAttributes)
L4 = L4MatchAttributes | TLSMatchAttributes

EVERYTHING = (".*", "*")
"""Regular expressions that Istio takes for any path."""


def never_reached(spec: VirtualService) -> Iterator[Said]:
    """Rules and single matches that others take before them, and matches that are for gateways alone."""
    yield from _of_kind("http", [each.match for each in spec.http], HTTPMatchRequest(), _http)
    yield from _of_kind("tls", [each.match for each in spec.tls], TLSMatchAttributes(), _tls)
    yield from _of_kind("tcp", [each.match for each in spec.tcp], L4MatchAttributes(), _l4)
    for kind in ("http", "tls", "tcp"):
        for index, route in enumerate(getattr(spec, kind)):
            matches: Sequence[HTTPMatchRequest | L4] = route.match
            for place, match in enumerate(matches):
                if match.gateways and MESH not in match.gateways:
                    at: Keys = ("spec", kind, index, "match", place, "gateways")
                    yield "warning", at, "has no effect: only the gateway mesh is served"


def _of_kind(kind: str, rules: Sequence[Sequence[M]], anything: M, takes: Callable[[M, M], bool]) -> Iterator[Said]:
    before: list[tuple[Keys, M]] = []
    for index, matches in enumerate(rules):
        at: Keys = ("spec", kind, index)
        taken: list[tuple[int, str]] = []
        for place, match in enumerate(matches or (anything,)):
            found = next((each for each in before if takes(each[1], match)), None)
            if found is None:
                before.append(((*at, "match", place) if matches else at, match))
            else:
                keys, other = found
                taken.append((place, f"{_text(keys)} takes {'it first' if _says(other) else 'everything'}"))
        if len(taken) == max(len(matches), 1):
            yield "warning", at, f"is never reached: {taken[0][1]}"
        else:
            for place, why in taken:
                yield "warning", (*at, "match", place), f"is never reached: {why}"


def _text(keys: Keys) -> str:
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys).lstrip(".")


def _says(match: HTTPMatchRequest | L4) -> bool:
    """Whether anything is asked for."""
    if isinstance(match, HTTPMatchRequest) and match.uri is not None and _any_path(match.uri):
        match = replace(match, uri=None)
    return any(getattr(match, each.name) for each in fields(match) if each.name not in ("name", "stat_prefix"))


def _same_or_unsaid(one: object, other: object) -> bool:
    return not one or one == other


def _within(one: Mapping[str, object], other: Mapping[str, object]) -> bool:
    return one.items() <= other.items()


def _everywhere(gateways: tuple[str, ...]) -> bool:
    return not gateways or MESH in gateways


def _l4(first: L4, then: L4) -> bool:
    """Whether what `then` matches is all matched by `first`."""
    return (
        _everywhere(first.gateways)
        and _same_or_unsaid(first.port, then.port)
        and _same_or_unsaid(first.destination_subnets, then.destination_subnets)
        and _same_or_unsaid(first.source_namespace, then.source_namespace)
        and _within(first.source_labels, then.source_labels)
    )


def _tls(first: TLSMatchAttributes, then: TLSMatchAttributes) -> bool:
    """Of server names the most specific counts, whichever comes first: only the same ones are taken."""
    return set(then.sni_hosts) <= set(first.sni_hosts) and _l4(first, then)


def _http(first: HTTPMatchRequest, then: HTTPMatchRequest) -> bool:
    return (
        _everywhere(first.gateways)
        and (_any_path(first.uri) or (_path(first.uri, then.uri) and first.ignore_uri_case == then.ignore_uri_case))
        and _same_or_unsaid(first.scheme, then.scheme)
        and _same_or_unsaid(first.method, then.method)
        and _same_or_unsaid(first.authority, then.authority)
        and _same_or_unsaid(first.port, then.port)
        and _same_or_unsaid(first.source_namespace, then.source_namespace)
        and _within(first.headers, then.headers)
        and _within(first.without_headers, then.without_headers)
        and _within(first.query_params, then.query_params)
        and _within(first.source_labels, then.source_labels)
    )


def _any_path(uri: StringMatch | None) -> bool:
    return uri is None or uri.prefix == "/" or uri.regex in EVERYTHING


def _path(first: StringMatch | None, then: StringMatch | None) -> bool:
    if first is None or then is None:
        return False
    said = then.prefix or then.exact
    return first == then or bool(first.prefix and said and said.startswith(first.prefix))
