"""AuthorizationPolicies and RequestAuthentications: which of them hold for a workload."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from ..api.security import AuthorizationPolicy, JWTRule, RequestAuthentication
from ..mesh import MeshConfig
from ..objects import Object, by_namespace
from .attachment import attaches

S = TypeVar("S", AuthorizationPolicy, RequestAuthentication)
PolicyObject = Object[AuthorizationPolicy]
TokenObject = Object[RequestAuthentication]


@dataclass(frozen=True, slots=True)
class Applied:
    """A workload's authorization policies by what they do."""

    custom: tuple[PolicyObject, ...] = ()
    audit: tuple[PolicyObject, ...] = ()
    deny: tuple[PolicyObject, ...] = ()
    allow: tuple[PolicyObject, ...] = ()


class Policies:
    """All policies of a mesh, the oldest first."""

    def __init__(self, policies: Iterable[PolicyObject], tokens: Iterable[TokenObject], mesh: MeshConfig) -> None:
        self._root = mesh.root_namespace
        self._policies = by_namespace(sorted(policies, key=lambda item: item.age))
        self._tokens = by_namespace(sorted(tokens, key=lambda item: item.age))

    def of_workload(self, namespace: str, labels: Mapping[str, str]) -> Applied:
        """Those of the root namespace, then the workload's own."""
        by_action: dict[str, list[PolicyObject]] = {"CUSTOM": [], "AUDIT": [], "DENY": [], "ALLOW": []}
        for policy in _attached(self._policies, (self._root, namespace), namespace, labels):
            by_action[policy.spec.action].append(policy)
        return Applied(
            tuple(by_action["CUSTOM"]), tuple(by_action["AUDIT"]), tuple(by_action["DENY"]), tuple(by_action["ALLOW"])
        )

    def tokens_of_workload(self, namespace: str, labels: Mapping[str, str]) -> tuple[JWTRule, ...]:
        """The token rules that hold together, by issuer."""
        found = _attached(self._tokens, (namespace, self._root), namespace, labels)
        return tuple(sorted((rule for source in found for rule in source.spec.jwt_rules), key=lambda rule: rule.issuer))


def _attached(
    objects: Mapping[str, list[Object[S]]], namespaces: Iterable[str], namespace: str, labels: Mapping[str, str]
) -> Iterator[Object[S]]:
    """Those of the namespaces, in their order, that are for a workload."""
    for home in dict.fromkeys(namespaces):
        for source in objects.get(home, ()):
            if attaches(source.spec, home, namespace, labels):
                yield source
