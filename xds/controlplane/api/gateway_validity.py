"""What makes a route of the Gateway API invalid beyond the types of its fields, as the API server refuses it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from .gateway_api import (
    AnyBackendRef,
    BackendObjectReference,
    BackendRef,
    Fraction,
    GRPCBackendRef,
    GRPCMethodMatch,
    GRPCRouteFilter,
    GRPCRouteMatch,
    GRPCRouteRule,
    GRPCRouteSpec,
    HTTPBackendRef,
    HTTPCORSFilter,
    HTTPHeader,
    HTTPHeaderFilter,
    HTTPHeaderMatch,
    HTTPPathMatch,
    HTTPPathModifier,
    HTTPRequestRedirectFilter,
    HTTPRouteFilter,
    HTTPRouteMatch,
    HTTPRouteRule,
    HTTPRouteSpec,
    HTTPRouteTimeouts,
    ParentReference,
    TCPRouteSpec,
    TLSRouteSpec,
)
from .problems import Problem
from .regexes import regex_fault

_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,256}")
_VALUE = re.compile(r"[!-~]+([\t ]?[!-~]+)*")
_HOST = re.compile(r"(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_SECTION = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_PATH = re.compile(r"(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|%[0-9a-fA-F]{2})+")
_SERVICE = re.compile(r"\.?[a-z_][a-z_0-9]*(\.[a-z_][a-z_0-9]*)*", re.IGNORECASE)
_METHOD = re.compile(r"[A-Za-z_][A-Za-z_0-9]*")
_ORIGIN = re.compile(r"\*|https?://(((\*\.)?([a-zA-Z0-9-]+\.)*[a-zA-Z0-9-]+|\*)(:[0-9]{1,5})?)")
_NEVER = ("//", "/./", "/../", "%2f", "%2F", "#")
_CODES = (301, 302, 303, 307, 308)
_MOST_RULES = 16
_MOST_MATCHES = 128

_MEMBERS: Mapping[str, tuple[str, str]] = {
    "RequestHeaderModifier": ("request_header_modifier", "requestHeaderModifier"),
    "ResponseHeaderModifier": ("response_header_modifier", "responseHeaderModifier"),
    "RequestMirror": ("request_mirror", "requestMirror"),
    "RequestRedirect": ("request_redirect", "requestRedirect"),
    "URLRewrite": ("url_rewrite", "urlRewrite"),
    "CORS": ("cors", "cors"),
    "ExternalAuth": ("external_auth", "externalAuth"),
    "ExtensionRef": ("extension_ref", "extensionRef"),
}
"""The member of each type of filter, in Python and in JSON."""

_ONCE = ("RequestHeaderModifier", "ResponseHeaderModifier", "RequestRedirect", "URLRewrite", "CORS")


def _parents(refs: Sequence[ParentReference]) -> Iterator[Problem]:
    """Several references to one parent are told apart by section or port."""
    seen: dict[tuple[str, str, str, str], list[tuple[str, int]]] = {}
    for index, ref in enumerate(refs):
        sections = seen.setdefault((ref.group, ref.kind, ref.namespace, ref.name), [])
        here = (ref.section_name, ref.port)
        if here in sections or (sections and (here == ("", 0) or ("", 0) in sections)):
            yield ("parentRefs", index), f"names {ref.kind} {ref.name} again: sectionName or port must differ"
        sections.append(here)


def _hostnames(names: Sequence[str]) -> Iterator[Problem]:
    for index, name in enumerate(names):
        if not _HOST.fullmatch(name):
            yield ("hostnames", index), f'"{name}" is no host name'


def _rules(rules: Sequence[HTTPRouteRule | GRPCRouteRule]) -> Iterator[Problem]:
    if len(rules) > _MOST_RULES:
        yield ("rules",), f"must be at most {_MOST_RULES}, not {len(rules)}"
    matches = sum(len(rule.matches) for rule in rules)
    if matches > _MOST_MATCHES:
        yield ("rules",), f"must have at most {_MOST_MATCHES} matches in all, not {matches}"
    names: set[str] = set()
    for index, rule in enumerate(rules):
        if rule.name in names:
            yield ("rules", index, "name"), f'"{rule.name}" is given twice'
        elif rule.name:
            names.add(rule.name)
            if not _SECTION.fullmatch(rule.name):
                yield ("rules", index, "name"), f'"{rule.name}" is no DNS name'


def _http_route(made: HTTPRouteSpec) -> Iterator[Problem]:
    yield from _parents(made.parent_refs)
    yield from _hostnames(made.hostnames)
    if not made.rules:
        yield ("rules",), "must be at least one"
    yield from _rules(made.rules)


def _grpc_route(made: GRPCRouteSpec) -> Iterator[Problem]:
    yield from _parents(made.parent_refs)
    yield from _hostnames(made.hostnames)
    yield from _rules(made.rules)


def _tcp_route(made: TCPRouteSpec) -> Iterator[Problem]:
    yield from _parents(made.parent_refs)
    yield from _connection_rules(made)


def _tls_route(made: TLSRouteSpec) -> Iterator[Problem]:
    yield from _parents(made.parent_refs)
    yield from _hostnames(made.hostnames)
    yield from _connection_rules(made)


def _connection_rules(made: TCPRouteSpec | TLSRouteSpec) -> Iterator[Problem]:
    for index, rule in enumerate(made.rules):
        if not rule.backend_refs:
            yield ("rules", index, "backendRefs"), "must be at least one"


def _http_rule(made: HTTPRouteRule) -> Iterator[Problem]:
    if made.backend_refs and any(each.type == "RequestRedirect" for each in made.filters):
        yield ("backendRefs",), "cannot be set together with a filter RequestRedirect"
    prefixed = len(made.matches) == 1 and made.matches[0].path.type == "PathPrefix"
    here = [(("filters", index), each) for index, each in enumerate(made.filters)]
    below = [
        (("backendRefs", place, "filters", index), each)
        for place, backend in enumerate(made.backend_refs)
        for index, each in enumerate(backend.filters)
    ]
    for keys, each in [*here, *below]:
        for name, held in (("requestRedirect", each.request_redirect), ("urlRewrite", each.url_rewrite)):
            if held is not None and held.path is not None and held.path.type == "ReplacePrefixMatch" and not prefixed:
                yield (*keys, name, "path"), "ReplacePrefixMatch needs exactly one match, of type PathPrefix"
    yield from _once(made.filters)


def _grpc_rule(made: GRPCRouteRule) -> Iterator[Problem]:
    yield from _once(made.filters)


def _once(filters: Sequence[HTTPRouteFilter | GRPCRouteFilter]) -> Iterator[Problem]:
    seen: set[str] = set()
    for index, each in enumerate(filters):
        if each.type in seen and each.type in _ONCE:
            yield ("filters", index), f"is a second {each.type}"
        seen.add(each.type)
    if {"RequestRedirect", "URLRewrite"} <= seen:
        yield ("filters",), "cannot hold both RequestRedirect and URLRewrite"


def _filter(made: HTTPRouteFilter | GRPCRouteFilter) -> Iterator[Problem]:
    for kind, (attribute, name) in _MEMBERS.items():
        held = getattr(made, attribute, None)
        if kind == made.type and held is None:
            yield (name,), f"is required for type {kind}"
        elif kind != made.type and held is not None:
            yield (name,), f"cannot be set for type {made.type}"


def _backend(made: AnyBackendRef) -> Iterator[Problem]:
    if not made.group and made.kind == "Service" and not made.port:
        yield ("port",), "is required for a Service"


def _routed_backend(made: HTTPBackendRef | GRPCBackendRef) -> Iterator[Problem]:
    yield from _backend(made)
    yield from _once(made.filters)


def _headers(made: HTTPHeaderFilter) -> Iterator[Problem]:
    for name, headers in (("set", made.set), ("add", made.add)):
        for index, header in enumerate(headers):
            if not _NAME.fullmatch(header.name):
                yield (name, index, "name"), f'"{header.name}" is no name of a header'
            if not _VALUE.fullmatch(header.value):
                yield (name, index, "value"), "has characters that a header cannot have"
        yield from _unique(name, headers)


def _unique(key: str, named: Iterable[HTTPHeader | HTTPHeaderMatch]) -> Iterator[Problem]:
    seen: set[str] = set()
    for index, each in enumerate(named):
        if each.name in seen:
            yield (key, index, "name"), f'"{each.name}" is given twice'
        seen.add(each.name)


def _modifier(made: HTTPPathModifier) -> Iterator[Problem]:
    for kind, name, held in (
        ("ReplaceFullPath", "replaceFullPath", made.replace_full_path),
        ("ReplacePrefixMatch", "replacePrefixMatch", made.replace_prefix_match),
    ):
        if kind == made.type and held is None:
            yield (name,), f"is required for type {kind}"
        elif kind != made.type and held is not None:
            yield (name,), f"cannot be set for type {made.type}"


def _redirect(made: HTTPRequestRedirectFilter) -> Iterator[Problem]:
    if made.status_code not in _CODES:
        yield ("statusCode",), f"must be one of {', '.join(map(str, _CODES))}, not {made.status_code}"


def _fraction(made: Fraction) -> Iterator[Problem]:
    if made.numerator > made.denominator:
        yield ("numerator",), f"must be at most the denominator, {made.denominator}"


def _cors(made: HTTPCORSFilter) -> Iterator[Problem]:
    for name, values in (
        ("allowOrigins", made.allow_origins),
        ("allowMethods", made.allow_methods),
        ("allowHeaders", made.allow_headers),
    ):
        if "*" in values and len(values) > 1:
            yield (name,), 'cannot hold "*" and others'
    for index, origin in enumerate(made.allow_origins):
        if not _ORIGIN.fullmatch(origin):
            yield ("allowOrigins", index), f'"{origin}" is no origin'


def _path(made: HTTPPathMatch) -> Iterator[Problem]:
    if made.type == "RegularExpression":
        fault = regex_fault(made.value)
        if fault:
            yield ("value",), f"is not a regular expression of RE2: {fault}"
        return
    if not made.value.startswith("/"):
        yield ("value",), "must begin with /"
        return
    for part in _NEVER:
        if part in made.value:
            yield ("value",), f"must not contain {part}"
            return
    if made.value.endswith(("/..", "/.")):
        yield ("value",), "must not end with a segment of dots"
    elif not _PATH.fullmatch(made.value):
        yield ("value",), "has characters that a path cannot have"


def _condition(made: HTTPHeaderMatch) -> Iterator[Problem]:
    if not _NAME.fullmatch(made.name):
        yield ("name",), f'"{made.name}" is no name'
    fault = regex_fault(made.value) if made.type == "RegularExpression" else ""
    if fault:
        yield ("value",), f"is not a regular expression of RE2: {fault}"


def _match(made: HTTPRouteMatch | GRPCRouteMatch) -> Iterator[Problem]:
    yield from _unique("headers", made.headers)
    if isinstance(made, HTTPRouteMatch):
        yield from _unique("queryParams", made.query_params)


def _method(made: GRPCMethodMatch) -> Iterator[Problem]:
    if not made.service and not made.method:
        yield (), "must have one of service, method"
    for name, value, pattern in (("service", made.service, _SERVICE), ("method", made.method, _METHOD)):
        if not value:
            continue
        if made.type == "Exact" and not pattern.fullmatch(value):
            yield (name,), f'"{value}" is no name of a {name}'
        elif made.type == "RegularExpression" and regex_fault(value):
            yield (name,), f"is not a regular expression of RE2: {regex_fault(value)}"


def _timeouts(made: HTTPRouteTimeouts) -> Iterator[Problem]:
    if made.request and made.backend_request and made.backend_request > made.request:
        yield ("backendRequest",), "cannot be longer than request"


RULES: dict[type, Callable[[Any], Iterator[Problem]]] = {
    HTTPRouteSpec: _http_route,
    GRPCRouteSpec: _grpc_route,
    TCPRouteSpec: _tcp_route,
    TLSRouteSpec: _tls_route,
    HTTPRouteRule: _http_rule,
    GRPCRouteRule: _grpc_rule,
    HTTPRouteFilter: _filter,
    GRPCRouteFilter: _filter,
    BackendObjectReference: _backend,
    BackendRef: _backend,
    HTTPBackendRef: _routed_backend,
    GRPCBackendRef: _routed_backend,
    HTTPHeaderFilter: _headers,
    HTTPPathModifier: _modifier,
    HTTPRequestRedirectFilter: _redirect,
    Fraction: _fraction,
    HTTPCORSFilter: _cors,
    HTTPPathMatch: _path,
    HTTPHeaderMatch: _condition,
    HTTPRouteMatch: _match,
    GRPCRouteMatch: _match,
    GRPCMethodMatch: _method,
    HTTPRouteTimeouts: _timeouts,
}
