"""envoy.extensions.filters.network.rbac.v3: whom a filter chain lets in."""

from __future__ import annotations

from ...model.rbac import AllOf, AnyOf, Condition, Negated, NetworkRbac, Rbac, Rules, WithHeader
from ..refused import RefusedError
from ..schema import types as pb
from .extensions import NETWORK_INPUTS
from .rbac import engines, verdict
from .trees import OF_PEERS, Place
from .values import seconds

_NETWORK = "envoy.extensions.matching.common_inputs.network.v3."
_TLS = "envoy.extensions.matching.common_inputs.ssl.v3."
INPUTS = frozenset(
    {
        *(
            _NETWORK + each
            for each in (
                "DestinationIPInput",
                "DestinationPortInput",
                "SourceIPInput",
                "SourcePortInput",
                "DirectSourceIPInput",
                "ServerNameInput",
                "NetworkNamespaceInput",
                "FilterStateInput",
            )
        ),
        *(_TLS + each for each in ("UriSanInput", "DnsSanInput", "SubjectInput")),
    }
)
"""What a tree may look at."""


def _refuse_input(type_name: str) -> str | None:
    return None if type_name in INPUTS else f"RBAC network filter cannot match 'type.googleapis.com/{type_name}'"


PLACE = Place(
    verdict,
    NETWORK_INPUTS,
    refuse_input=_refuse_input,
    violation=lambda why: f"requirement violation while creating RBAC match tree: {why}",
    understood=OF_PEERS,
)


def network_rbac(name: str, message: pb.network_rbac_v3.RBAC) -> NetworkRbac:
    """A filter of connections.

    Raises:
        NotUnderstoodError: a condition, an input or a matcher that nothing here understands.
    """
    enforced, shadow = engines(message, PLACE)
    for engine in (enforced, shadow):
        if isinstance(engine, Rules):
            for _, policy in engine.policies:
                _refuse_headers((*policy.permissions, *policy.principals))
    rbac = Rbac(enforced, shadow, shadow_prefix=message.shadow_rules_stat_prefix)
    return NetworkRbac(name, rbac, seconds(message.delay_deny))


def _refuse_headers(conditions: tuple[Condition, ...]) -> None:
    for each in conditions:
        match each:
            case WithHeader(matcher):
                raise RefusedError(f"Found header({matcher.name}) rule,not supported by RBAC network filter")
            case AllOf(parts) | AnyOf(parts):
                _refuse_headers(parts)
            case Negated(part):
                _refuse_headers((part,))
