"""AuthorizationPolicies as RBAC filters: custom, audit, deny, then allow, each action in one filter."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ...wire.schema.types import http_rbac_v3, listener_v3, network_rbac_v3, rbac_v3
from ..mesh import MeshConfig
from ..registry.policies import Applied, PolicyObject
from .filters import HttpFilter
from .messages import pack
from .rbac_rule import Context, translate

RBAC = rbac_v3.RBAC
_DRY_RUN = "istio.io/dry-run"
_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_SHADOW_PREFIX = {RBAC.ALLOW: "istio_dry_run_allow_", RBAC.DENY: "istio_dry_run_deny_"}


@dataclass(frozen=True, slots=True)
class _Built:
    """What is enforced and what is only counted."""

    enforced: RBAC | None
    shadow: RBAC | None = None
    shadow_prefix: str = ""


def http_filters(applied: Applied, mesh: MeshConfig) -> list[HttpFilter]:
    """Before these come the filters of `custom_http_filters`, and between them those that read tokens."""
    return [_http(built) for built in _built(applied, mesh, tcp=False)]


def custom_http_filters(applied: Applied, mesh: MeshConfig) -> list[HttpFilter]:
    return [_http(built) for built in _custom(applied.custom, mesh, tcp=False)]


def tcp_filters(applied: Applied, mesh: MeshConfig) -> list[listener_v3.Filter]:
    every = (*_custom(applied.custom, mesh, tcp=True), *_built(applied, mesh, tcp=True))
    return [_tcp(built) for built in every]


def _http(built: _Built) -> HttpFilter:
    config = http_rbac_v3.RBAC(
        rules=built.enforced, shadow_rules=built.shadow, shadow_rules_stat_prefix=built.shadow_prefix
    )
    return HttpFilter(name="envoy.filters.http.rbac", typed_config=pack(config))


def _tcp(built: _Built) -> listener_v3.Filter:
    config = network_rbac_v3.RBAC(
        rules=built.enforced,
        shadow_rules=built.shadow,
        shadow_rules_stat_prefix=built.shadow_prefix,
        stat_prefix="tcp.",
    )
    return listener_v3.Filter(name="envoy.filters.network.rbac", typed_config=pack(config))


def _built(applied: Applied, mesh: MeshConfig, *, tcp: bool) -> Iterable[_Built]:
    for action, policies in ((RBAC.LOG, applied.audit), (RBAC.DENY, applied.deny), (RBAC.ALLOW, applied.allow)):
        if not policies:
            continue
        dry = [policy for policy in policies if _is_dry(policy)]
        real = [policy for policy in policies if not _is_dry(policy)]
        shadow = _rules(action, dry, mesh, tcp=tcp) if dry else None
        yield _Built(
            _rules(action, real, mesh, tcp=tcp) if real else None,
            shadow,
            # istiod names the prefix of an allowing filter also where nothing is counted.
            _SHADOW_PREFIX.get(action, "") if shadow is not None else _SHADOW_PREFIX[RBAC.ALLOW],
        )


def _rules(
    action: int, policies: Sequence[PolicyObject], mesh: MeshConfig, *, tcp: bool, prefix: str = "", suffix: str = ""
) -> RBAC:
    made = RBAC(action=action)
    for policy in policies:
        context = Context(policy.meta.namespace, mesh, tcp, allows=action == RBAC.ALLOW)
        name = f"{prefix}ns[{policy.meta.namespace}]-policy[{policy.meta.name}]"
        for index, rule in enumerate(policy.spec.rules):
            translated = translate(rule, context)
            if translated is not None:
                made.policies[f"{name}-rule[{index}]{suffix}"].CopyFrom(translated)
        if not policy.spec.rules:
            made.policies[f"{name}-rule[0]{suffix}"].CopyFrom(_never())
    if not policies or not made.policies:
        made.SetInParent()
    return made


def _never() -> rbac_v3.Policy:
    """A policy without rules matches nothing, which for ALLOW means that nobody gets in."""
    return rbac_v3.Policy(
        permissions=[rbac_v3.Permission(not_rule=rbac_v3.Permission(any=True))],
        principals=[rbac_v3.Principal(not_id=rbac_v3.Principal(any=True))],
    )


def _is_dry(policy: PolicyObject) -> bool:
    return policy.meta.annotations.get(_DRY_RUN, "") in _TRUE


def _custom(policies: Sequence[PolicyObject], mesh: MeshConfig, *, tcp: bool) -> Iterable[_Built]:
    """The mesh has no external authorizers, so whatever one would have to decide is denied."""
    by_provider: dict[str, list[PolicyObject]] = {}
    for policy in policies:
        by_provider.setdefault(policy.spec.provider.name if policy.spec.provider else "", []).append(policy)
    for provider, mine in sorted(by_provider.items()):
        prefix = f"istio-ext-authz-{provider}-" if provider else "istio-ext-authz-"
        real = [policy for policy in mine if not _is_dry(policy)]
        yield _Built(_rules(RBAC.DENY, real, mesh, tcp=tcp, prefix=prefix, suffix="-deny-due-to-bad-CUSTOM-action"))
