"""envoy.extensions.filters.http.rbac.v3."""

from __future__ import annotations

from ....model.filters import UnenforceableFilter
from ....model.rbac import Rbac, RbacPerRoute
from ...refused import NotUnderstoodError
from ...schema import types as pb
from ..extensions import HTTP_INPUTS
from ..rbac import engines, verdict
from ..trees import OF_PEERS, Place

TYPE = "envoy.extensions.filters.http.rbac.v3."


def _refuse_input(type_name: str) -> str | None:
    if type_name in INPUTS:
        return None
    return f"RBAC HTTP filter cannot match on 'type.googleapis.com/{type_name}'"


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
                "DynamicMetadataInput",
            )
        ),
        *(_TLS + each for each in ("UriSanInput", "DnsSanInput", "SubjectInput")),
        "envoy.type.matcher.v3.HttpRequestHeaderMatchInput",
        "xds.type.matcher.v3.HttpAttributesCelMatchInput",
    }
)
"""What a tree may look at."""

PLACE = Place(
    verdict,
    HTTP_INPUTS,
    refuse_input=_refuse_input,
    violation=lambda why: f"requirement violation while creating RBAC match tree: {why}",
    understood=OF_PEERS,
    of_requests=True,
)


def rbac(message: pb.http_rbac_v3.RBAC) -> Rbac | UnenforceableFilter:
    """Who may do what."""
    try:
        return _rbac(message)
    except NotUnderstoodError as error:
        return UnenforceableFilter(TYPE + "RBAC", str(error))


def rbac_per_route(message: pb.http_rbac_v3.RBACPerRoute) -> RbacPerRoute | UnenforceableFilter:
    """The same for a route."""
    try:
        return RbacPerRoute(_rbac(message.rbac))
    except NotUnderstoodError as error:
        return UnenforceableFilter(TYPE + "RBACPerRoute", str(error))


def _rbac(message: pb.http_rbac_v3.RBAC) -> Rbac:
    enforced, shadow = engines(message, PLACE)
    return Rbac(
        enforced, shadow, message.rules_stat_prefix, message.shadow_rules_stat_prefix, message.track_per_rule_stats
    )
