"""AuthorizationPolicies as RBAC filters: custom, audit, deny, then allow, each action in one filter."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ...wire.schema.types import http_rbac_v3, listener_v3, network_rbac_v3, rbac_v3
from ..mesh import MeshConfig
from ..registry.policies import Applied, PolicyObject
from ..registry.world import World
from .ext_authz import HTTP_RBAC, POLICY_PREFIX, SHADOW_PREFIX, TCP_RBAC, Authorizer
from .filters import HttpFilter
from .messages import pack
from .providers import ProviderError
from .rbac_rule import Context, translate

RBAC = rbac_v3.RBAC
DRY_RUN = "istio.io/dry-run"
_BAD = "-deny-due-to-bad-CUSTOM-action"
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


def custom_http_filters(applied: Applied, world: World) -> list[HttpFilter]:
    out = []
    for asked in _asked(applied.custom, world, tcp=False):
        out.append(_http(asked.built))
        if asked.authorizer is not None:
            out.append(asked.authorizer.http())
    return out


def tcp_filters(applied: Applied, mesh: MeshConfig) -> list[listener_v3.Filter]:
    """Before these come the filters of `custom_tcp_filters`."""
    return [_tcp(built) for built in _built(applied, mesh, tcp=True)]


def custom_tcp_filters(applied: Applied, world: World) -> list[listener_v3.Filter]:
    """The policies of an authorizer that cannot be asked about connections hold for none."""
    out = []
    for asked in _asked(applied.custom, world, tcp=True):
        if asked.authorizer is None:
            out.append(_tcp(asked.built))
        elif (asking := asked.authorizer.tcp()) is not None:
            out += [_tcp(asked.built), asking]
    return out


def _http(built: _Built) -> HttpFilter:
    config = http_rbac_v3.RBAC(
        rules=built.enforced, shadow_rules=built.shadow, shadow_rules_stat_prefix=built.shadow_prefix
    )
    return HttpFilter(name=HTTP_RBAC, typed_config=pack(config))


def _tcp(built: _Built) -> listener_v3.Filter:
    config = network_rbac_v3.RBAC(
        rules=built.enforced,
        shadow_rules=built.shadow,
        shadow_rules_stat_prefix=built.shadow_prefix,
        stat_prefix="tcp.",
    )
    return listener_v3.Filter(name=TCP_RBAC, typed_config=pack(config))


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
    return policy.meta.flag(DRY_RUN)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What one external authorizer is asked about; without one, what is denied in its place."""

    built: _Built
    authorizer: Authorizer | None = None


def _asked(policies: Sequence[PolicyObject], world: World, *, tcp: bool) -> Iterable[_Asked]:
    """By provider. Where there are several istiod asks none of them, as it cannot tell which one is meant."""
    by_provider: dict[str, list[PolicyObject]] = {}
    for policy in policies:
        by_provider.setdefault(policy.spec.provider.name if policy.spec.provider else "", []).append(policy)
    for name, mine in sorted(by_provider.items()):
        prefix = f"{POLICY_PREFIX}-{name}-" if name else f"{POLICY_PREFIX}-"
        dry = [policy for policy in mine if _is_dry(policy)]
        real = [policy for policy in mine if not _is_dry(policy)]
        try:
            if len(by_provider) > 1:
                raise ProviderError("a workload may have one external authorizer")
            authorizer = Authorizer(name, world)
        except ProviderError:
            yield _Asked(_Built(_rules(RBAC.DENY, real, world.mesh, tcp=tcp, prefix=prefix, suffix=_BAD)))
        else:
            # Nothing is denied here: what a shadow rule matches is asked about. Those that only try are asked too.
            trial = _rules(RBAC.DENY, dry, world.mesh, tcp=tcp, prefix=prefix)
            wanted = _rules(RBAC.DENY, real, world.mesh, tcp=tcp, prefix=prefix)
            yield _Asked(_Built(trial if trial.policies else None, wanted, SHADOW_PREFIX), authorizer)
