"""Matchers of envoy.type.matcher.v3 and envoy.config.route.v3 as data; `governance.matching` compiles them."""

from typing import Literal

from .records import dataclass

StringKind = Literal["exact", "prefix", "suffix", "contains", "safe_regex"]


@dataclass(frozen=True, slots=True)
class StringMatcher:
    """envoy.type.matcher.v3.StringMatcher; `ignore_case` has no effect on a regex."""

    kind: StringKind
    value: str
    ignore_case: bool = False


@dataclass(frozen=True, slots=True)
class Range:
    """envoy.type.v3.Int64Range: start included, end excluded."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class HeaderMatcher:
    """envoy.config.route.v3.HeaderMatcher. `spec`: a string matcher, a range, presence (True) or absence (False)."""

    name: str
    spec: StringMatcher | Range | bool = True
    invert: bool = False
    treat_missing_as_empty: bool = False


@dataclass(frozen=True, slots=True)
class QueryParameterMatcher:
    """envoy.config.route.v3.QueryParameterMatcher; `spec` None or True is presence."""

    name: str
    spec: StringMatcher | bool = True


@dataclass(frozen=True, slots=True)
class CookieMatcher:
    """envoy.config.route.v3.CookieMatcher."""

    name: str
    spec: StringMatcher
    invert: bool = False


@dataclass(frozen=True, slots=True)
class TlsMatcher:
    """RouteMatch.TlsContextMatchOptions: what is asked of the certificate of whoever sent the request, if anything."""

    presented: bool | None = None
    validated: bool | None = None


PathKind = Literal["prefix", "path", "safe_regex", "path_separated_prefix", "connect", "uri_template"]


@dataclass(frozen=True, slots=True)
class PathMatcher:
    """The path_specifier of envoy.config.route.v3.RouteMatch; of a URI template, its regular expression."""

    kind: PathKind
    value: str
    case_sensitive: bool = True


@dataclass(frozen=True, slots=True)
class RegexRewrite:
    """envoy.type.matcher.v3.RegexMatchAndSubstitute; `substitution` uses RE2's \\N groups."""

    pattern: str
    substitution: str


@dataclass(frozen=True, slots=True)
class ResponsePredicate:
    """envoy.config.common.matcher.v3.MatchPredicate, as far as the head of a response goes: `never` for the rest.

    `parts` are those of `any`, `all` and `not`; all `headers` must match.
    """

    kind: Literal["any", "all", "not", "always", "never", "headers"]
    parts: tuple["ResponsePredicate", ...] = ()
    headers: tuple[HeaderMatcher, ...] = ()
