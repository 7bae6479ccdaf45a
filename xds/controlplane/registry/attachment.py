"""Which workloads a policy is for: Istio's selectors and references to targets.

Kinds with `targetRefs` are for workloads that a selector picks, or for those that a Gateway of the Gateway API runs,
which bear its name as a label.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from ..api.selectors import LabelSelector, PolicyTargetReference
from .authn import selects

GATEWAY_NAME = "gateway.networking.k8s.io/gateway-name"
_GATEWAY = ("gateway.networking.k8s.io", "Gateway")


class Attachable(Protocol):
    @property
    def selector(self) -> LabelSelector | None: ...

    @property
    def target_refs(self) -> tuple[PolicyTargetReference, ...]: ...


def targets(spec: Attachable) -> Sequence[PolicyTargetReference]:
    """The targets that a policy names; the singular field counts only without the plural."""
    one: PolicyTargetReference | None = getattr(spec, "target_ref", None)
    return spec.target_refs or ((one,) if one is not None else ())


def attaches(spec: Attachable, home: str, namespace: str, labels: Mapping[str, str]) -> bool:
    """Whether a policy of the namespace `home` is for a workload of `namespace` with those labels."""
    named = targets(spec)
    if not named:
        return spec.selector is None or selects(spec.selector.match_labels, labels)
    gateway = labels.get(GATEWAY_NAME)
    return (
        gateway is not None
        and home == namespace
        and any(
            (each.group, each.kind) == _GATEWAY and each.name == gateway and each.namespace in ("", namespace)
            for each in named
        )
    )
