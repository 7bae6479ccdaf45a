"""Conditions of a VirtualService's route as Envoy matches them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...wire.schema.types import matcher_v3, route_v3
from ..api.virtual_service import HTTPMatchRequest, StringMatch
from .messages import flag

RouteMatch = route_v3.RouteMatch
StringMatcher = matcher_v3.StringMatcher

_CLAIMS = "@request.auth.claims"
JWT_FILTER = "envoy.filters.http.jwt_authn"
JWT_PAYLOAD = "payload"


def route_match(wanted: HTTPMatchRequest | None, *, separated: bool = False) -> RouteMatch:
    """Headers sorted by name, then method, authority and scheme; no condition is the prefix `/`.

    `separated`: prefixes end where a segment of the path ends, as the Gateway API has them.
    """
    if wanted is None:
        return RouteMatch(prefix="/")
    made = _path(wanted.uri, separated=separated)
    made.case_sensitive.CopyFrom(flag(not wanted.ignore_uri_case))
    headers = []
    for inverted, conditions in ((False, wanted.headers), (True, wanted.without_headers)):
        for name, condition in sorted(conditions.items()):
            claims = routing_claim(name)
            if claims:
                matcher = claims_matcher(claims, string_matcher(condition))
                matcher.invert = inverted
                made.dynamic_metadata.append(matcher)
            else:
                headers.append(_header(name, condition, inverted=inverted))
    made.headers.extend(sorted(headers, key=lambda header: header.name))
    for name, pseudo in ((":method", wanted.method), (":authority", wanted.authority), (":scheme", wanted.scheme)):
        if pseudo is not None:
            made.headers.append(_header(name, pseudo))
    for name, condition in sorted(wanted.query_params.items()):
        made.query_parameters.append(_parameter(name, condition))
    return made


def is_catch_all(match: RouteMatch) -> bool:
    """Whether nothing gets past a route, so that later ones need not be sent."""
    everything = match.prefix == "/" or match.path_separated_prefix == "/" or match.safe_regex.regex == ".*"
    return everything and not match.headers and not match.query_parameters and not match.dynamic_metadata


def string_matcher(condition: StringMatch) -> StringMatcher | None:
    """None for a condition without a value."""
    if condition.exact is not None:
        return StringMatcher(exact=condition.exact)
    if condition.prefix is not None:
        return StringMatcher(prefix=condition.prefix)
    if condition.regex is not None:
        return StringMatcher(safe_regex=matcher_v3.RegexMatcher(regex=condition.regex))
    return None


def _path(uri: StringMatch | None, *, separated: bool) -> RouteMatch:
    if uri is not None:
        if uri.exact is not None:
            return RouteMatch(path=uri.exact)
        if uri.prefix is not None and separated and uri.prefix != "/":
            return RouteMatch(path_separated_prefix=uri.prefix.removesuffix("/"))
        if uri.prefix is not None:
            return RouteMatch(prefix=uri.prefix)
        if uri.regex is not None:
            return RouteMatch(safe_regex=matcher_v3.RegexMatcher(regex=uri.regex))
    return RouteMatch(prefix="/")


def _present(condition: StringMatch) -> bool:
    """An empty condition means that the name is there; so does the regex `*`, which is none."""
    return condition.regex == "*" or (condition.exact is None and condition.prefix is None and condition.regex is None)


def _header(name: str, condition: StringMatch, *, inverted: bool = False) -> route_v3.HeaderMatcher:
    made = route_v3.HeaderMatcher(name=name, invert_match=inverted)
    if _present(condition):
        made.present_match = True
    else:
        made.string_match.CopyFrom(string_matcher(condition) or StringMatcher())
        made.treat_missing_header_as_empty = inverted
    return made


def _parameter(name: str, condition: StringMatch) -> route_v3.QueryParameterMatcher:
    if _present(condition):
        return route_v3.QueryParameterMatcher(name=name, present_match=True)
    return route_v3.QueryParameterMatcher(name=name, string_match=string_matcher(condition))


def routing_claim(name: str) -> list[str]:
    """The claim that `@request.auth.claims.a.b` or `@request.auth.claims[a][b]` names; empty for a header."""
    if not name.lower().startswith(_CLAIMS):
        return []
    rest = name[len(_CLAIMS) :]
    if rest.startswith(".") and len(rest) > 1:
        return rest[1:].split(".")
    if rest.startswith("[") and rest.endswith("]") and len(rest) > 2:
        return rest[1:-1].split("][")
    return []


def metadata_path(keys: Sequence[str]) -> list[matcher_v3.MetadataMatcher.PathSegment]:
    return [matcher_v3.MetadataMatcher.PathSegment(key=key) for key in keys]


def claims_matcher(claims: Sequence[str], value: StringMatcher | None) -> matcher_v3.MetadataMatcher:
    """A claim of a validated token: equal to the value, or a list that holds it."""
    return claims_value_matcher(claims, matcher_v3.ValueMatcher(string_match=value or StringMatcher()))


def claims_value_matcher(claims: Sequence[str], value: matcher_v3.ValueMatcher) -> matcher_v3.MetadataMatcher:
    listed = matcher_v3.ValueMatcher(list_match=matcher_v3.ListMatcher(one_of=value))
    either = matcher_v3.OrMatcher(value_matchers=[listed, value])
    return matcher_v3.MetadataMatcher(
        filter=JWT_FILTER,
        path=metadata_path([JWT_PAYLOAD, *claims]),
        value=matcher_v3.ValueMatcher(or_match=either),
    )


def source_matches(wanted: HTTPMatchRequest | None, labels: Mapping[str, str], namespace: str) -> bool:
    """The static conditions: a gateway's name goes before source labels, which a gateway has none of."""
    if wanted is None:
        return True
    if wanted.gateways:
        return "mesh" in wanted.gateways
    if not wanted.source_labels.items() <= labels.items():
        return False
    return wanted.source_namespace in ("", namespace)
