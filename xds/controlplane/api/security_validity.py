"""Istio's admission rules for security policies, and for the selectors and targets that other kinds have too."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterable, Iterator
from typing import Protocol
from urllib.parse import urlsplit

from .problems import Problem
from .security import (
    AuthorizationPolicy,
    Condition,
    JWTRule,
    Operation,
    PeerAuthentication,
    RequestAuthentication,
    Rule,
    Source,
)
from .selectors import LabelSelector, PolicyTargetReference

_TARGETS = frozenset(
    {
        ("core", "Service"),
        ("networking.istio.io", "ServiceEntry"),
        ("gateway.networking.k8s.io", "Gateway"),
        ("gateway.networking.k8s.io", "GatewayClass"),
    }
)
_MOST_ACCOUNTS = 16
_LONGEST_ACCOUNT = 320
_LAST_PORT = 65535


class Targeted(Protocol):
    """A kind that is for the workloads that it selects, or for what it names."""

    @property
    def selector(self) -> LabelSelector | None: ...

    @property
    def target_refs(self) -> tuple[PolicyTargetReference, ...]: ...


def selector(made: LabelSelector) -> Iterator[Problem]:
    for key, value in made.match_labels.items():
        if not key:
            yield ("matchLabels",), "has an empty key"
        if "*" in key or "*" in value:
            yield ("matchLabels", key), "cannot be a wildcard"


def target(made: PolicyTargetReference) -> Iterator[Problem]:
    if made.namespace:
        yield ("namespace",), "cannot be set: a policy is for targets of its own namespace"
    if made.kind and (made.group or "core", made.kind) not in _TARGETS:
        kinds = ", ".join(sorted(f"{group}/{kind}" for group, kind in _TARGETS))
        yield ("kind",), f"must be one of {kinds}, not {made.group or 'core'}/{made.kind}"


def one_of(made: Targeted) -> Iterator[Problem]:
    """A selector, or targets."""
    given = [("selector", made.selector), ("targetRef", getattr(made, "target_ref", None))]
    if made.target_refs:
        given.append(("targetRefs", made.target_refs))
    said = [key for key, value in given if value is not None]
    if len(said) > 1:
        yield (said[1],), f"cannot be set together with {said[0]}"


# -- PeerAuthentication ----------------------------------------------------------------------------------------------


def peer_authentication(made: PeerAuthentication) -> Iterator[Problem]:
    if made.port_level_mtls and not (made.selector and made.selector.match_labels):
        yield ("portLevelMtls",), "needs a selector"
    if 0 in made.port_level_mtls:
        yield ("portLevelMtls", "0"), f"must be a port from 1 to {_LAST_PORT}"


# -- RequestAuthentication -------------------------------------------------------------------------------------------

_HEADER = re.compile(r"[-!#$%&'*+.^_`|~0-9A-Za-z]+")


def request_authentication(made: RequestAuthentication) -> Iterator[Problem]:
    yield from one_of(made)


def jwt_rule(made: JWTRule) -> Iterator[Problem]:
    if not made.issuer and not made.jwks_uri:
        yield ("issuer",), "is required where jwksUri is not set"
    if made.jwks and not _has_keys(made.jwks):
        yield ("jwks",), "is no JSON Web Key Set with a key, and Envoy refuses the listener that holds it"
    if made.jwks_uri and not _is_web(made.jwks_uri):
        yield ("jwksUri",), f'"{made.jwks_uri}" is no URL of http or https'
    for key, values in (
        ("audiences", made.audiences),
        ("fromParams", made.from_params),
        ("fromCookies", made.from_cookies),
    ):
        yield from _not_empty(key, values)
    for index, each in enumerate(made.output_claim_to_headers):
        if each.header and not _HEADER.fullmatch(each.header):
            yield ("outputClaimToHeaders", index, "header"), f'"{each.header}" is no name of a header'


def _has_keys(jwks: str) -> bool:
    try:
        keys = json.loads(jwks)["keys"]
    except (ValueError, TypeError, KeyError):
        return False
    return isinstance(keys, list) and bool(keys)


def _is_web(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and (parts.port is None or parts.port >= 0)
    except ValueError:
        return False


# -- AuthorizationPolicy ---------------------------------------------------------------------------------------------


def authorization(made: AuthorizationPolicy) -> Iterator[Problem]:
    yield from one_of(made)
    if made.action == "CUSTOM":
        if made.provider is None:
            yield ("provider",), "is required for action CUSTOM"
        elif not made.provider.name:
            yield ("provider", "name"), "is required for action CUSTOM"
        for index, each in enumerate(made.rules):
            yield from _unasked(index, each)
    elif made.provider is not None:
        yield ("provider",), "is for action CUSTOM only"
    if made.action in ("DENY", "CUSTOM") and not made.rules:
        yield ("rules",), f"is required for action {made.action}, which does nothing without"


_IDENTITIES = {
    "namespaces": "namespaces",
    "not_namespaces": "notNamespaces",
    "service_accounts": "serviceAccounts",
    "not_service_accounts": "notServiceAccounts",
    "trust_domains": "trustDomains",
    "not_trust_domains": "notTrustDomains",
    "principals": "principals",
    "not_principals": "notPrincipals",
    "request_principals": "requestPrincipals",
    "not_request_principals": "notRequestPrincipals",
}
_UNASKED = ("source.namespace", "source.serviceAccount", "source.trustDomain", "source.principal")


def _unasked(index: int, rule: Rule) -> Iterator[Problem]:
    """What an external authorizer cannot be asked by: identities are known after it only."""
    for place, each in enumerate(rule.from_):
        for name, key in _IDENTITIES.items():
            if each.source is not None and getattr(each.source, name):
                yield ("rules", index, "from", place, "source", key), "cannot be used with action CUSTOM"
    for place, when in enumerate(rule.when):
        if when.key in _UNASKED or when.key.startswith("request.auth."):
            yield ("rules", index, "when", place, "key"), f"{when.key} cannot be used with action CUSTOM"


def rule(made: Rule) -> Iterator[Problem]:
    for key, parts, name in (("from", made.from_, "source"), ("to", made.to, "operation")):
        for index, part in enumerate(parts):
            if getattr(part, name) is None:
                yield (key, index, name), "is required"


def source(made: Source) -> Iterator[Problem]:
    yield from _some(made, Source.__slots__)
    accounts = made.service_accounts or made.not_service_accounts
    if accounts and (made.principals or made.not_principals or made.namespaces or made.not_namespaces):
        yield ("serviceAccounts",), "cannot be set together with principals or namespaces"
    for name, key in _IDENTITIES.items():
        values = getattr(made, name)
        if name.endswith("service_accounts"):
            yield from _accounts(key, values)
        elif name.endswith("trust_domains"):
            yield from _patterns(key, values)
            yield from ((problem, "cannot contain /") for problem in _with(key, values, "/"))
        else:
            yield from _not_empty(key, values)
    for name, key in (
        ("ip_blocks", "ipBlocks"),
        ("not_ip_blocks", "notIpBlocks"),
        ("remote_ip_blocks", "remoteIpBlocks"),
        ("not_remote_ip_blocks", "notRemoteIpBlocks"),
    ):
        yield from _blocks(key, getattr(made, name))


def operation(made: Operation) -> Iterator[Problem]:
    yield from _some(made, Operation.__slots__)
    for name, key in (("ports", "ports"), ("not_ports", "notPorts")):
        yield from _ports(key, getattr(made, name))
    for name, key in (
        ("methods", "methods"),
        ("not_methods", "notMethods"),
        ("paths", "paths"),
        ("not_paths", "notPaths"),
        ("hosts", "hosts"),
        ("not_hosts", "notHosts"),
    ):
        yield from _not_empty(key, getattr(made, name))
    for name, key in (("paths", "paths"), ("not_paths", "notPaths")):
        for index, path in enumerate(getattr(made, name)):
            fault = _path_fault(path)
            if fault:
                yield (key, index), fault


_ONE, _REST = "{*}", "{**}"
_LITERAL = re.compile(r"[a-zA-Z0-9\-._~%!$&'()+,;:@=]+")


def _path_fault(path: str) -> str:
    """What is wrong with a path as a template; empty for a right one, and for a path without braces."""
    is_template = _ONE in path or _REST in path
    ended = False
    for part in path.strip("/").split("/"):
        if part in (_ONE, _REST):
            if ended:
                return f"has more after {_REST}, which must be the last"
            ended = part == _REST
        elif "{" in part or "}" in part:
            return f"may have braces only as {_ONE} or {_REST}, each a segment of its own"
        elif is_template and not _LITERAL.fullmatch(part):
            return f'has a segment "{part}" that no template can have'
    return ""


_PLAIN = frozenset(
    {
        "source.ip",
        "remote.ip",
        "source.namespace",
        "source.trustDomain",
        "source.serviceAccount",
        "source.principal",
        "request.auth.principal",
        "request.auth.audiences",
        "request.auth.presenter",
        "destination.ip",
        "destination.port",
        "connection.sni",
    }
)
_BRACKETED = ("request.headers", "request.auth.claims", "experimental.envoy.filters.")


def condition(made: Condition) -> Iterator[Problem]:
    key = made.key
    if key and key not in _PLAIN and not (key.startswith(_BRACKETED) and _has_brackets(key)):
        yield ("key",), f'"{key}" is no attribute'
    if not made.values and not made.not_values:
        yield (), "must have one of values, notValues"
    for name, values in (("values", made.values), ("notValues", made.not_values)):
        match key:
            case "source.ip" | "remote.ip" | "destination.ip":
                yield from _blocks(name, values)
            case "destination.port":
                yield from _ports(name, values)
            case "source.serviceAccount":
                yield from _accounts(name, values)
            case "source.trustDomain":
                yield from _patterns(name, values)
            case _:
                yield from _not_empty(name, values)


def _has_brackets(key: str) -> bool:
    return key.endswith("]") and 0 < key.find("[") < len(key) - 2


# -- values ----------------------------------------------------------------------------------------------------------


def _some(made: Source | Operation, names: Iterable[str]) -> Iterator[Problem]:
    if not any(getattr(made, name) for name in names):
        yield (), "must say something: an empty one is refused"


def _not_empty(key: str, values: Iterable[str]) -> Iterator[Problem]:
    for index, value in enumerate(values):
        if not value:
            yield (key, index), "cannot be empty"


def _with(key: str, values: Iterable[str], part: str) -> Iterator[tuple[str | int, ...]]:
    return ((key, index) for index, value in enumerate(values) if part in value)


def _blocks(key: str, values: Iterable[str]) -> Iterator[Problem]:
    for index, block in enumerate(values):
        try:
            ipaddress.ip_interface(block)
        except ValueError:
            yield (key, index), f"{block} is neither an IP address nor a range"


def _ports(key: str, values: Iterable[str]) -> Iterator[Problem]:
    for index, port in enumerate(values):
        if not port.isdecimal() or int(port) > _LAST_PORT:
            yield (key, index), f"{port} is no port"


def _patterns(key: str, values: Iterable[str]) -> Iterator[Problem]:
    """A wildcard may stand at one end."""
    for index, value in enumerate(values):
        if not value:
            yield (key, index), "cannot be empty"
        elif value.count("*") > 1 or ("*" in value and not value.startswith("*") and not value.endswith("*")):
            yield (key, index), f'"{value}" may have one wildcard, at its start or end'


def _accounts(key: str, values: tuple[str, ...]) -> Iterator[Problem]:
    if len(values) > _MOST_ACCOUNTS:
        yield (key,), f"may have at most {_MOST_ACCOUNTS} values, not {len(values)}"
    for index, value in enumerate(values):
        if not value:
            yield (key, index), "cannot be empty"
        elif "*" in value:
            yield (key, index), "cannot be a wildcard"
        elif value.count("/") > 1 or value.startswith("/") or value.endswith("/"):
            yield (key, index), f'"{value}" must be the account of this namespace, or NAMESPACE/ACCOUNT'
        elif len(value) > _LONGEST_ACCOUNT:
            yield (key, index), f"cannot have more than {_LONGEST_ACCOUNT} characters"
