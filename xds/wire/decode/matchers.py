"""Matchers (envoy.type.matcher.v3 and the matchers of envoy.config.route.v3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

import re2

from ...model.matchers import (
    HeaderMatcher,
    QueryParameterMatcher,
    Range,
    RegexRewrite,
    ResponsePredicate,
    StringMatcher,
)
from ..refused import NotUnderstoodError, RefusedError
from ..schema import types as pb
from .extensions import STRING_MATCHERS, extension

MAX_PROGRAM_SIZE = 32768
"""Runtime key re2.max_program_size.error_level, as the bootstrap of Istio's sidecar sets it."""

M = TypeVar("M")
D = TypeVar("D")


def regex(message: pb.matcher_v3.RegexMatcher) -> str:
    """The pattern, after RE2 has accepted it; Envoy's RE2 takes bytes for characters (Latin-1)."""
    pattern = message.regex
    options = re2.Options()
    options.log_errors = False
    options.encoding = re2.Options.Encoding.LATIN1
    try:
        program = re2.compile(pattern.encode(), options)
    except re2.error as error:
        reason = error.args[0]
        raise RefusedError(reason.decode("latin-1") if isinstance(reason, bytes) else str(reason)) from error
    own = message.google_re2.HasField("max_program_size")
    most = message.google_re2.max_program_size.value if own else MAX_PROGRAM_SIZE
    if program.programsize > most:
        level = "" if own else " set for the error level threshold"
        raise RefusedError(
            f"regex '{pattern}' RE2 program size of {program.programsize} > max program size of {most}{level}. "
            "Increase configured max program size if necessary."
        )
    return pattern


def string_matcher(message: pb.matcher_v3.StringMatcher) -> StringMatcher:
    """envoy.type.matcher.v3.StringMatcher.

    Raises:
        NotUnderstoodError: a matcher that is an extension.
    """
    match message.WhichOneof("match_pattern"):
        case "prefix":
            return StringMatcher("prefix", message.prefix, message.ignore_case)
        case "suffix":
            return StringMatcher("suffix", message.suffix, message.ignore_case)
        case "contains":
            return StringMatcher("contains", message.contains, message.ignore_case)
        case "safe_regex":
            if message.ignore_case:
                raise RefusedError("ignore_case has no effect for safe_regex.")
            return StringMatcher("safe_regex", regex(message.safe_regex))
        case "custom":
            extension(message.custom.name, message.custom.typed_config, STRING_MATCHERS)
            raise NotUnderstoodError(f"string matcher {message.custom.name} is not supported")
        case _:
            return StringMatcher("exact", message.exact, message.ignore_case)


def header_matcher(message: pb.route_v3.HeaderMatcher) -> HeaderMatcher:
    """envoy.config.route.v3.HeaderMatcher; without a specifier it asks for presence.

    Raises:
        NotUnderstoodError: a matcher that is an extension.
    """
    spec: StringMatcher | Range | bool
    match message.WhichOneof("header_match_specifier"):
        case "string_match":
            spec = string_matcher(message.string_match)
        case "exact_match":
            spec = StringMatcher("exact", message.exact_match)
        case "prefix_match":
            spec = StringMatcher("prefix", message.prefix_match)
        case "suffix_match":
            spec = StringMatcher("suffix", message.suffix_match)
        case "contains_match":
            spec = StringMatcher("contains", message.contains_match)
        case "safe_regex_match":
            spec = StringMatcher("safe_regex", regex(message.safe_regex_match))
        case "range_match":
            spec = Range(message.range_match.start, message.range_match.end)
        case "present_match":
            spec = message.present_match
        case _:
            spec = True
    return HeaderMatcher(message.name, spec, message.invert_match, message.treat_missing_header_as_empty)


def query_matcher(message: pb.route_v3.QueryParameterMatcher) -> QueryParameterMatcher:
    """envoy.config.route.v3.QueryParameterMatcher.

    Raises:
        NotUnderstoodError: a matcher that is an extension.
    """
    match message.WhichOneof("query_parameter_match_specifier"):
        case "string_match":
            return QueryParameterMatcher(message.name, string_matcher(message.string_match))
        case "present_match":
            return QueryParameterMatcher(message.name, message.present_match)
        case _:
            return QueryParameterMatcher(message.name)


def understood(decode: Callable[[M], D], messages: Iterable[M]) -> tuple[D, ...]:
    """Alternatives, of which one is enough: what is not understood is one fewer, and so matches nothing."""
    found = []
    for each in messages:
        try:
            found.append(decode(each))
        except NotUnderstoodError:
            continue
    return tuple(found)


def regex_rewrite(message: pb.matcher_v3.RegexMatchAndSubstitute) -> RegexRewrite:
    """envoy.type.matcher.v3.RegexMatchAndSubstitute."""
    return RegexRewrite(regex(message.pattern), message.substitution)


def response_predicate(message: pb.common_matcher_v3.MatchPredicate) -> ResponsePredicate:
    """envoy.config.common.matcher.v3.MatchPredicate for the head of a response."""
    match message.WhichOneof("rule"):
        case "or_match":
            return ResponsePredicate("any", tuple(response_predicate(each) for each in message.or_match.rules))
        case "and_match":
            return ResponsePredicate("all", tuple(response_predicate(each) for each in message.and_match.rules))
        case "not_match":
            return ResponsePredicate("not", (response_predicate(message.not_match),))
        case "any_match":
            return ResponsePredicate("always")
        case "http_response_headers_match":
            try:
                headers = tuple(header_matcher(each) for each in message.http_response_headers_match.headers)
            except NotUnderstoodError:
                return ResponsePredicate("never")
            return ResponsePredicate("headers", headers=headers)
        case _:
            return ResponsePredicate("never")
