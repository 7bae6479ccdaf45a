"""One rule of an AuthorizationPolicy as a policy of Envoy's RBAC: what is called, and by whom.

Istio's conditions are either about the call (permissions) or about the caller (principals). `_CALL` and `_CALLER` say
which is which and how each is matched. On a TCP chain HTTP conditions cannot hold: a rule that allows is left out then,
a rule that denies or audits goes on without the condition, so that less is allowed and more is denied.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from ...wire.schema.types import rbac_v3
from ..api.security import Condition, Operation, Rule, Source
from ..mesh import MeshConfig
from . import rbac_match as match
from .rbac_match import Permission, Principal, UnmatchableError

P = TypeVar("P", Permission, Principal)


@dataclass(frozen=True, slots=True)
class _Attribute(Generic[P]):
    """How an attribute is matched: value by value, or (`whole`) all its values at once."""

    one: Callable[[str], P] | None = None
    whole: Callable[[Sequence[str]], P] | None = None
    http: bool = False


@dataclass(frozen=True, slots=True)
class _Term(Generic[P]):
    attribute: _Attribute[P]
    values: tuple[str, ...]
    not_values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Context:
    """What a rule is translated for."""

    namespace: str  # of the policy
    mesh: MeshConfig
    tcp: bool
    allows: bool


@dataclass(frozen=True, slots=True)
class _Logic(Generic[P]):
    """How terms are put together."""

    anything: Callable[[], P]
    every: Callable[[list[P]], P]
    either: Callable[[list[P]], P]
    negated: Callable[[P], P]


_PERMISSIONS = _Logic(
    lambda: Permission(any=True),
    lambda terms: Permission(and_rules=Permission.Set(rules=terms)),
    lambda terms: Permission(or_rules=Permission.Set(rules=terms)),
    lambda term: Permission(not_rule=term),
)
_PRINCIPALS = _Logic(
    lambda: Principal(any=True),
    lambda terms: Principal(and_ids=Principal.Set(ids=terms)),
    lambda terms: Principal(or_ids=Principal.Set(ids=terms)),
    lambda term: Principal(not_id=term),
)

_PORT = _Attribute(match.destination_port)
_HOST = _Attribute(match.host, http=True)
_METHOD = _Attribute(match.method, http=True)
_PATH = _Attribute(match.path, http=True)
_CALL: dict[str, _Attribute[Permission]] = {
    "destination.ip": _Attribute(match.destination_ip),
    "destination.port": _PORT,
    "connection.sni": _Attribute(match.server_name),
}
_CALLER: dict[str, _Attribute[Principal]] = {
    "source.ip": _Attribute(match.source_ip),
    "remote.ip": _Attribute(match.remote_ip),
    "source.namespace": _Attribute(match.namespace),
    "source.trustDomain": _Attribute(match.trust_domain),
    "source.principal": _Attribute(match.principal),
    "request.auth.principal": _Attribute(whole=match.request_principals, http=True),
    "request.auth.audiences": _Attribute(whole=partial(match.claims, ["aud"]), http=True),
    "request.auth.presenter": _Attribute(whole=partial(match.claims, ["azp"]), http=True),
}
_HEADERS, _CLAIMS = "request.headers", "request.auth.claims"
_METADATA = "experimental.envoy.filters."


def translate(rule: Rule, context: Context) -> rbac_v3.Policy | None:
    """None where the rule says nothing that can be matched here."""
    try:
        called, callers = _conditions(rule.when, context)
        permissions = [_all_of(_PERMISSIONS, [*_operation(to.operation), *called], context) for to in rule.to] or [
            _all_of(_PERMISSIONS, called, context)
        ]
        principals = [
            _all_of(_PRINCIPALS, [*_source(from_.source, context), *callers], context) for from_ in rule.from_
        ] or [_all_of(_PRINCIPALS, callers, context)]
    except UnmatchableError:
        return None
    return rbac_v3.Policy(permissions=permissions, principals=principals)


def _conditions(when: Iterable[Condition], context: Context) -> tuple[list[_Term[Permission]], list[_Term[Principal]]]:
    called: list[_Term[Permission]] = []
    callers: list[_Term[Principal]] = []
    for condition in when:
        key, values, not_values = condition.key, condition.values, condition.not_values
        if key in _CALL:
            called += _term(_CALL[key], values, not_values)
        elif key.startswith(_METADATA):
            called += _term(_Attribute(whole=partial(match.filter_metadata, key)), values, not_values)
        else:
            callers += _caller(key, values, not_values, context)
    return called, callers


def _caller(
    key: str, values: tuple[str, ...], not_values: tuple[str, ...], context: Context
) -> Iterable[_Term[Principal]]:
    """Raises UnmatchableError for an attribute that Istio does not know."""
    if key == "source.principal":
        domains = context.mesh.trust_domain, *context.mesh.trust_domain_aliases
        values, not_values = _in_domains(values, domains), _in_domains(not_values, domains)
    if key == "source.trustDomain":
        domains = context.mesh.trust_domain, *context.mesh.trust_domain_aliases
        values, not_values = _expanded(values, domains), _expanded(not_values, domains)
    if key == "source.serviceAccount":
        attribute = _Attribute(partial(_service_account, context.namespace))
    elif key in _CALLER:
        attribute = _CALLER[key]
    elif key.startswith(_HEADERS):
        attribute = _Attribute(partial(match.request_header, _bracketed(key.removeprefix(_HEADERS))), http=True)
    elif key.startswith(_CLAIMS):
        attribute = _Attribute(whole=partial(match.claims, _nested(key.removeprefix(_CLAIMS))), http=True)
    else:
        raise UnmatchableError(f"unknown attribute {key}")
    return _term(attribute, values, not_values)


def _service_account(namespace: str, value: str) -> Principal:
    return match.service_account(value, namespace)


def _operation(operation: Operation | None) -> Iterable[_Term[Permission]]:
    if operation is None:
        return
    yield from _term(_HOST, operation.hosts, operation.not_hosts)
    yield from _term(_METHOD, operation.methods, operation.not_methods)
    yield from _term(_PATH, operation.paths, operation.not_paths)
    yield from _term(_PORT, operation.ports, operation.not_ports)


def _source(source: Source | None, context: Context) -> Iterable[_Term[Principal]]:
    if source is None:
        return
    for key, values, not_values in (
        ("source.principal", source.principals, source.not_principals),
        ("request.auth.principal", source.request_principals, source.not_request_principals),
        ("source.serviceAccount", source.service_accounts, source.not_service_accounts),
        ("source.trustDomain", source.trust_domains, source.not_trust_domains),
        ("source.namespace", source.namespaces, source.not_namespaces),
        ("remote.ip", source.remote_ip_blocks, source.not_remote_ip_blocks),
        ("source.ip", source.ip_blocks, source.not_ip_blocks),
    ):
        yield from _caller(key, values, not_values, context)


def _term(attribute: _Attribute[P], values: tuple[str, ...], not_values: tuple[str, ...]) -> list[_Term[P]]:
    return [_Term(attribute, values, not_values)] if values or not_values else []


def _all_of(logic: _Logic[P], terms: Iterable[_Term[P]], context: Context) -> P:
    made: list[P] = []
    for term in terms:
        for values, negated in ((term.values, False), (term.not_values, True)):
            found = _any_of(logic, term.attribute, values, context)
            if found is not None:
                made.append(logic.negated(found) if negated else found)
    return logic.every(made or [logic.anything()])


def _any_of(logic: _Logic[P], attribute: _Attribute[P], values: tuple[str, ...], context: Context) -> P | None:
    if attribute.whole is not None:
        return _matched(partial(attribute.whole, values), attribute, context) if values else None
    one = attribute.one
    found = [_matched(partial(one, value), attribute, context) for value in values] if one is not None else []
    kept = [each for each in found if each is not None]
    return logic.either(kept) if kept else None


def _matched(make: Callable[[], P], attribute: _Attribute[P], context: Context) -> P | None:
    """None for what may be left out; raises UnmatchableError where the rule must not go on without it."""
    try:
        if context.tcp and attribute.http:
            raise UnmatchableError("is for HTTP only")
        return make()
    except UnmatchableError:
        if context.allows:
            raise
        return None


def _bracketed(text: str) -> str:
    if not text.startswith("[") or not text.endswith("]"):
        raise UnmatchableError(f"{text} must stand in brackets")
    return text[1:-1]


def _nested(text: str) -> list[str]:
    """`[a][b]` is a path of claims; brackets that do not pair up are part of one name."""
    names, rest = [], text
    while rest.startswith("["):
        name, bracket, rest = rest[1:].partition("]")
        if not bracket or "[" in name:
            break
        names.append(name)
        if not rest:
            return names
    return [_bracketed(text)]


def _in_domains(principals: tuple[str, ...], domains: Sequence[str]) -> tuple[str, ...]:
    """A principal of this mesh stands for the same one under each of the mesh's trust domains."""
    out: list[str] = []
    for principal in principals:
        domain, slash, rest = principal.partition("/")
        if principal.count("/") != 4 or domain == "*" or not slash:
            out.append(principal)
        elif domain == "cluster.local" or any(_alike(domain, known) for known in domains):
            under = (
                principal if domain.startswith("*") and known.endswith(domain[1:]) else f"{known}/{rest}"
                for known in domains
            )
            out += dict.fromkeys(under)
        else:
            out.append(principal)
    return tuple(out)


def _alike(one: str, other: str) -> bool:
    """Equal, or one is a pattern for the other."""
    if one == other or other == "*":
        return True
    for text, pattern in ((one, other), (other, one)):
        if pattern.endswith("*") and text.startswith(pattern[:-1]):
            return True
        if pattern.startswith("*") and text.endswith(pattern[1:]):
            return True
    return False


def _expanded(values: tuple[str, ...], domains: Sequence[str]) -> tuple[str, ...]:
    out: list[str] = []
    for value in values:
        out += domains if value in domains else [value]
    return tuple(dict.fromkeys(out))
