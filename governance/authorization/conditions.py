"""Conditions compiled to closures (envoy source: extensions/filters/common/rbac/matchers)."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address

from ...xds.model.matchers import StringMatcher
from ...xds.model.rbac import (
    AllOf,
    AnyOf,
    Anything,
    Authenticated,
    Condition,
    MutuallyAuthenticated,
    Negated,
    Policy,
    WithAddress,
    WithHeader,
    WithMetadata,
    WithPath,
    WithPort,
    WithServerName,
    WithTemplate,
)
from ...xds.model.tls import SanMatcher
from ..matching import ValueTest, header_test, regex_test, string_test
from .clues import Shape, every, network, shape_of
from .index import FEW, Index, Test
from .question import Question
from .values import value_at, value_test


def always(question: Question) -> bool:
    """Whatever is asked about."""
    del question
    return True


def never(question: Question) -> bool:
    """Nothing."""
    del question
    return False


def compiled(condition: Condition) -> Test:
    """One test.

    Raises:
        BadRegexError: a pattern that RE2 refuses.
    """
    match condition:
        case Anything():
            return always
        case AllOf(parts):
            return all_of(parts)
        case AnyOf(parts):
            return any_of(parts)
        case Negated(part):
            inner = compiled(part)
            return lambda question: not inner(question)
        case WithHeader(matcher):
            of_request = header_test(matcher)
            return lambda question: of_request(question.request)
        case WithPath(matcher):
            return _path(string_test(matcher))
        case WithTemplate(pattern):
            return _path(regex_test(pattern))
        case WithAddress():
            return _address(condition)
        case WithPort(start, end):
            return lambda question: start <= question.port < end
        case WithServerName(matcher):
            of_name = string_test(matcher)
            return lambda question: of_name(question.server_name)
        case WithMetadata():
            return _metadata(condition)
        case Authenticated(matcher):
            return _authenticated(matcher)
        case MutuallyAuthenticated(san):
            return _mutual(san)
        case _:  # filter state: there is none
            return never


def all_of(parts: Sequence[Condition]) -> Test:
    """All of them, in their order."""
    tests = tuple(test for each in parts if (test := compiled(each)) is not always)
    match tests:
        case ():
            return always
        case (only,):
            return only
        case (first, second):
            return lambda question: first(question) and second(question)

    def check(question: Question) -> bool:
        for test in tests:
            if not test(question):
                return False
        return True

    return check


def any_of(parts: Sequence[Condition]) -> Test:
    """One of them; of many, those that may hold are looked up."""
    tests = tuple(compiled(each) for each in parts)
    if always in tests:
        return always
    if len(tests) == 1:
        return tests[0]
    if len(tests) > FEW:
        first = Index(tests, [shape_of(each) for each in parts]).first
        return lambda question: first(question) >= 0

    def check(question: Question) -> bool:
        for test in tests:
            if test(question):
                return True
        return False

    return check


def policy_test(policy: Policy) -> tuple[Test, Shape | None]:
    """Whether a policy holds, and what it cannot do without."""
    both = (AnyOf(policy.permissions), AnyOf(policy.principals))
    return all_of(both), every(both)


def _path(test: ValueTest) -> Test:
    return lambda question: question.request.path != b"" and test(question.path)


def _address(condition: WithAddress) -> Test:
    which = condition.which
    version, length, wanted = network(condition.within)
    shift = ip_address(condition.within.address).max_prefixlen - length

    def check(question: Question) -> bool:
        found = question.address(which)
        return found is not None and found[0] == version and found[1] >> shift == wanted

    return check


def _metadata(condition: WithMetadata) -> Test:
    name, path, invert = condition.filter, condition.path, condition.invert
    test = value_test(condition.matcher)
    if condition.of_route:
        return lambda question: question.route is not None and test(value_at(question.route, name, path)) != invert
    return lambda question: test(value_at(question.dynamic, name, path)) != invert


def _authenticated(matcher: StringMatcher | None) -> Test:
    if matcher is None:
        return lambda question: question.peer is not None
    test = string_test(matcher)

    def check(question: Question) -> bool:
        for name in question.names:
            if test(name):
                return True
        return False

    return check


def _mutual(san: SanMatcher | None) -> Test:
    if san is None:
        return lambda question: question.peer is not None and question.peer.validated
    wanted = san.value.encode()
    test = string_test(StringMatcher(san.kind, san.value, san.ignore_case))
    by_wildcard = san.san == "DNS" and san.kind == "exact"
    of_uri, of_dns = san.san in ("", "URI"), san.san in ("", "DNS")

    def check(question: Question) -> bool:
        peer = question.peer
        if peer is None or not peer.validated:
            return False
        if of_uri and any(test(each.encode()) for each in peer.uri_sans):
            return True
        if not of_dns:
            return False
        names = [each.encode() for each in peer.dns_sans]
        return any(covers(each, wanted) for each in names) if by_wildcard else any(test(each) for each in names)

    return check


def covers(pattern: bytes, name: bytes) -> bool:
    """Whether the DNS name of a certificate stands for a host: `*` for its first label."""
    pattern, name = pattern.lower(), name.lower()
    if pattern == name:
        return True
    label, dot, rest = name.partition(b".")
    return bool(label and dot) and pattern == b"*." + rest
