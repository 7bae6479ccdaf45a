"""Matchers compiled to closures over bytes, once per configuration.

Each function takes the data of a matcher and returns a callable that answers for one value or one request. What Envoy
would refuse raises `BadRegexError` here, so that a resource with a bad pattern never comes into force.
"""

from collections.abc import Callable, Sequence

from ..xds.model.matchers import (
    CookieMatcher,
    HeaderMatcher,
    PathMatcher,
    QueryParameterMatcher,
    Range,
    StringMatcher,
    TlsMatcher,
)
from ..xds.model.route import RouteMatch
from .regex import compile_regex, literal_prefix
from .request import PSEUDO, RequestView

ValueTest = Callable[[bytes], bool]
RequestTest = Callable[[RequestView], bool]
RouteTest = Callable[[RequestView, bytes], bool]
"""Of a request and its path without query and fragment."""


def string_test(matcher: StringMatcher) -> ValueTest:
    """envoy.type.matcher.v3.StringMatcher; case is folded for ASCII only, a regex matches the whole value."""
    if matcher.kind == "safe_regex":
        return regex_test(matcher.value)
    wanted = matcher.value.encode()
    if matcher.ignore_case:
        folded = wanted.lower()
        match matcher.kind:
            case "exact":
                return lambda value: value.lower() == folded
            case "prefix":
                return lambda value: value.lower().startswith(folded)
            case "suffix":
                return lambda value: value.lower().endswith(folded)
            case _:
                return lambda value: folded in value.lower()
    match matcher.kind:
        case "exact":
            return lambda value: value == wanted
        case "prefix":
            return lambda value: value.startswith(wanted)
        case "suffix":
            return lambda value: value.endswith(wanted)
        case _:
            return lambda value: wanted in value


def regex_test(pattern: str) -> ValueTest:
    """RE2 on the whole value; what lacks the pattern's literal beginning is not even tried."""
    fullmatch = compile_regex(pattern).fullmatch
    prefix = literal_prefix(pattern).encode()
    if not prefix:
        return lambda value: fullmatch(value) is not None
    return lambda value: value.startswith(prefix) and fullmatch(value) is not None


def range_test(bounds: Range) -> ValueTest:
    """A signed decimal within [start, end)."""
    start, end = bounds.start, bounds.end

    def test(value: bytes) -> bool:
        number = decimal(value)
        return number is not None and start <= number < end and number < 2**63

    return test


def decimal(value: bytes) -> int | None:
    """As absl::SimpleAtoi reads it: optional surrounding white space and sign, decimal digits; at most 64 bits."""
    text = value.strip(b" \t\n\v\f\r")
    digits = text[1:] if text[:1] in (b"+", b"-") else text
    if not digits.isdigit():
        return None
    digits = digits.lstrip(b"0")
    if len(digits) > 20:
        return None  # Python refuses to read thousands of them
    number = int(digits or b"0")
    if text[:1] == b"-":
        return -number if number <= 2**63 else None
    return number if number < 2**64 else None


def header_test(matcher: HeaderMatcher) -> RequestTest:
    """envoy.config.route.v3.HeaderMatcher.

    A repeated header matches by any of its values. A missing one matches nothing, inverted or not, unless it is treated
    as empty; presence and absence are the exception, since they ask for just that.
    """
    name = matcher.name.lower().encode()
    invert = matcher.invert
    spec = matcher.spec
    empty_if_missing = matcher.treat_missing_as_empty

    if isinstance(spec, bool):
        wanted = spec != invert
        if empty_if_missing:
            # Every header is then present, be it empty.
            return lambda request: wanted
        return lambda request: (request.header(name) is not None) == wanted

    test = range_test(spec) if isinstance(spec, Range) else string_test(spec)
    if name == b":method":
        return lambda request: test(request.method) != invert
    plain = name not in PSEUDO

    def check(request: RequestView) -> bool:
        value = request.headers.get(name) if plain else request.header(name)
        if value is None:
            return empty_if_missing and test(b"") != invert
        if test(value):
            return not invert
        return any(test(each) for each in request.values(name)[1:]) != invert

    return check


def query_test(matcher: QueryParameterMatcher) -> RequestTest:
    """envoy.config.route.v3.QueryParameterMatcher, on the first value of the parameter, undecoded."""
    name = matcher.name.encode()
    spec = matcher.spec
    if isinstance(spec, bool):
        return lambda request: (name in request.query) == spec
    test = string_test(spec)

    def check(request: RequestView) -> bool:
        value = request.query.get(name)
        return value is not None and test(value)

    return check


def cookie_test(matcher: CookieMatcher) -> RequestTest:
    """envoy.config.route.v3.CookieMatcher: a cookie that is missing matches only inverted."""
    name = matcher.name.encode()
    test = string_test(matcher.spec)
    invert = matcher.invert

    def check(request: RequestView) -> bool:
        value = request.cookie(name)
        return (value is not None and test(value)) != invert

    return check


def tls_test(matcher: TlsMatcher) -> RequestTest:
    """RouteMatch.TlsContextMatchOptions, of requests that come without a certificate, as all do here."""
    matches = not matcher.presented and not matcher.validated
    return lambda request: matches


def path_test(matcher: PathMatcher) -> ValueTest:
    """RouteMatch.path_specifier, on the path without query and fragment.

    Raises:
        ValueError: the kind needs what is not there (CONNECT matchers).
    """
    wanted = matcher.value.encode()
    fold = not matcher.case_sensitive
    match matcher.kind:
        case "prefix":
            if wanted == b"/":
                return lambda path: path.startswith(b"/")
            return string_test(StringMatcher("prefix", matcher.value, fold))
        case "path":
            return string_test(StringMatcher("exact", matcher.value, fold))
        case "safe_regex":
            return string_test(StringMatcher("safe_regex", matcher.value))
        case "path_separated_prefix":
            size = len(wanted)
            starts = string_test(StringMatcher("prefix", matcher.value, fold))
            return lambda path: starts(path) and (len(path) == size or path[size] == 0x2F)
        case "uri_template":
            return regex_test(matcher.value)
        case _:
            raise ValueError(f"path matcher {matcher.kind} is not supported")


def all_of(tests: Sequence[RequestTest]) -> RequestTest | None:
    """One test for several; None where there is nothing to test."""
    if not tests:
        return None
    if len(tests) == 1:
        return tests[0]
    fixed = tuple(tests)

    def check(request: RequestView) -> bool:
        for test in fixed:
            if not test(request):
                return False
        return True

    return check


def route_test(match: RouteMatch) -> RouteTest:
    """Whether a request, with its path without query and fragment, is one for the route."""
    if match.never is not None:
        return lambda request, path: False
    takes = path_test(match.path)
    rest: list[RequestTest] = [header_test(matcher) for matcher in match.headers]
    rest += [query_test(matcher) for matcher in match.query_parameters]
    rest += [cookie_test(matcher) for matcher in match.cookies]
    if match.tls is not None:
        rest.append(tls_test(match.tls))
    if match.grpc:
        rest.append(lambda request: request.is_grpc)
    others = all_of(rest)
    if others is None:
        return lambda request, path: takes(path)
    if match.path.kind == "prefix" and match.path.value == "/":
        return lambda request, path: others(request) and takes(path)
    return lambda request, path: takes(path) and others(request)


def plain_prefix(match: RouteMatch) -> bytes | None:
    """What the path begins with, of a route that looks at nothing else: most do not. None for all others."""
    path = match.path
    others = match.headers or match.query_parameters or match.cookies or match.tls is not None or match.grpc
    if match.never is not None or path.kind != "prefix" or not path.case_sensitive or others:
        return None
    return path.value.encode()
