"""Which object a change comes from, where that can be told: for what is shown beside the lines of a file.

Only objects that differ between the folders are asked. Several may have a part in one change: the kind that usually
says such a thing is named before others.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from ..xds.controlplane.api.destination_rule import DestinationRule
from ..xds.controlplane.api.service_entry import ServiceEntry
from ..xds.controlplane.api.virtual_service import VirtualService
from ..xds.controlplane.objects import Object, Place, Ref
from .changes import Change

SERVICE_NAME = "kubernetes.io/service-name"

POLICIES: Mapping[str, str] = {
    "mtls": "PeerAuthentication",
    "jwt": "RequestAuthentication",
    "authorization": "AuthorizationPolicy",
}
"""The kind that says a policy of incoming requests; others are patches."""

ROUTES = ("VirtualService", "HTTPRoute", "GRPCRoute", "TCPRoute", "TLSRoute", "ServiceEntry", "Service")
ENDPOINTS = ("EndpointSlice", "Endpoints", "ServiceEntry", "Service")
RULES = ("DestinationRule", "BackendTLSPolicy", "ServiceEntry", "Service")


@dataclass(frozen=True, slots=True)
class Origin:
    """An object that differs. `folder` is the one where it stands: the new one, if it is there."""

    ref: Ref
    folder: str
    place: Place
    hosts: frozenset[str]


def origins(
    old: Mapping[Ref, Object[object]], new: Mapping[Ref, Object[object]], paths: tuple[str, str]
) -> list[Origin]:
    """Every object that differs; `old` and `new` are what each folder says, `paths` where they are."""
    found: list[Origin] = []
    for ref in {**new, **old}:
        one, other = old.get(ref), new.get(ref)
        item = other or one
        if item is not None and (one is None or other is None or not alike(one, other)):
            found.append(Origin(ref, paths[other is not None], item.place, _hosts(item)))
    return sorted(found, key=lambda each: (each.folder, each.place))


def alike(one: Object[object], other: Object[object]) -> bool:
    """Whether two objects say the same, wherever they stand."""
    return one is other or (one.meta, one.spec, one.status, one.group, one.version) == (
        other.meta,
        other.spec,
        other.status,
        other.group,
        other.version,
    )


def origin_of(change: Change, among: Sequence[Origin]) -> Origin | None:
    """The object that a change comes from; None if none of those that differ says so."""
    if len(among) == 1:
        return among[0]
    document = change.document
    if document.get("of") == "inbound":
        kind = POLICIES.get(document["policy"], "EnvoyFilter")
        if document.get("policy_name"):
            namespace, _, name = document["policy_name"].partition("/")
            return next((each for each in among if each.ref == (kind, namespace, name)), None)
        return _only([each for each in among if each.ref.kind == kind])
    host = change.host.rpartition(":")[0] if change.host.rpartition(":")[2].isdigit() else change.host
    about = [each for each in among if host in each.hosts]
    kinds = RULES if document.get("of") == "cluster" else ENDPOINTS if change.section == "services" else ROUTES
    for kind in kinds:
        found = [each for each in about if each.ref.kind == kind]
        if found:
            return found[0]
    return _only(about)


def _only(found: list[Origin]) -> Origin | None:
    return found[0] if len(found) == 1 else None


def _hosts(item: Object[object]) -> frozenset[str]:
    """The hosts that an object speaks of."""
    spec, namespace = item.spec, item.meta.namespace
    said: Collection[str] = ()
    if isinstance(spec, VirtualService | ServiceEntry):
        said = spec.hosts
    elif isinstance(spec, DestinationRule):
        said = (spec.host,)
    elif item.kind in ("Service", "Endpoints"):
        said = (item.meta.name,)
    elif item.kind == "EndpointSlice":
        said = (item.meta.labels.get(SERVICE_NAME, ""),)
    elif item.kind in ROUTES:
        said = [each.name for each in getattr(spec, "parent_refs", ())]
    return frozenset(name for each in said for name in (each, f"{each}.{namespace}.svc.cluster.local"))
