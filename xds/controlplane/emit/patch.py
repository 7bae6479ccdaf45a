"""EnvoyFilter patches, compiled: what each applies to, where, and the message that it adds or merges.

A patch's value is JSON in an EnvoyFilter and one of Envoy's messages here. As in istiod, fields that nobody knows are
passed over, and a value of an unknown type takes the patch out of force; `check` names both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import re2
from google.protobuf import json_format
from google.protobuf.message import Message

from ...wire.schema import pool
from ...wire.schema.types import cluster_v3, core_v3, http_connection_manager_v3, listener_v3, route_v3
from ..api.envoy_filter import (
    ApplyTo,
    ClusterMatch,
    EnvoyConfigObjectMatch,
    EnvoyConfigObjectPatch,
    EnvoyFilter,
    ListenerMatch,
    Operation,
    PatchContext,
    RouteConfigurationMatch,
)
from ..objects import Object
from ..registry.proxy import Proxy

INSERTIONS = frozenset({"INSERT_AFTER", "INSERT_BEFORE", "INSERT_FIRST"})
ORDERED = frozenset({"HTTP_FILTER", "NETWORK_FILTER", "HTTP_ROUTE", "LISTENER_FILTER"})
_LONGEST_VERSION = 1024

MESSAGES: dict[ApplyTo, Callable[[], Message]] = {
    "CLUSTER": cluster_v3.Cluster,
    "LISTENER": listener_v3.Listener,
    "LISTENER_FILTER": listener_v3.ListenerFilter,
    "FILTER_CHAIN": listener_v3.FilterChain,
    "NETWORK_FILTER": listener_v3.Filter,
    "HTTP_FILTER": http_connection_manager_v3.HttpFilter,
    "ROUTE_CONFIGURATION": route_v3.RouteConfiguration,
    "VIRTUAL_HOST": route_v3.VirtualHost,
    "HTTP_ROUTE": route_v3.Route,
    "EXTENSION_CONFIG": core_v3.TypedExtensionConfig,
}

_ANYWHERE = EnvoyConfigObjectMatch()


class PatchError(ValueError):
    """A patch's value is none of Envoy's."""


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """One patch of one EnvoyFilter. `value` is shared: copy it before it goes anywhere."""

    apply_to: ApplyTo
    operation: Operation
    match: EnvoyConfigObjectMatch
    value: Message

    @property
    def merges(self) -> bool:
        return self.operation in ("MERGE", "MERGE_AND_REPLACE_LIST")

    @property
    def listener(self) -> ListenerMatch | None:
        return self.match.listener

    @property
    def table(self) -> RouteConfigurationMatch | None:
        return self.match.route_configuration

    @property
    def cluster(self) -> ClusterMatch | None:
        return self.match.cluster

    def within(self, context: PatchContext) -> bool:
        return self.match.context in (context, "ANY")

    def adds(self, context: PatchContext) -> bool:
        """A new listener or cluster that names no context comes once, outbound."""
        return (
            self.operation == "ADD"
            and self.within(context)
            and (self.match.context != "ANY" or context == "SIDECAR_OUTBOUND")
        )


def compiled(source: Object[EnvoyFilter]) -> tuple[Patch, ...]:
    """The patches of an EnvoyFilter, without those whose value cannot be understood."""
    out = []
    for written in source.spec.config_patches:
        try:
            patch = _compiled(written)
        except PatchError:
            continue
        if patch is not None:
            out.append(patch)
    return tuple(out)


def _compiled(written: EnvoyConfigObjectPatch) -> Patch | None:
    if written.patch is None or written.apply_to not in MESSAGES:
        return None
    operation = written.patch.operation
    if operation in INSERTIONS and written.apply_to not in ORDERED:
        operation = "ADD"
    value = patch_value(written.apply_to, written.patch.value, strict=False)
    return Patch(written.apply_to, operation, written.match or _ANYWHERE, value)


def patch_value(apply_to: ApplyTo, value: dict[str, object], *, strict: bool) -> Message:
    """A patch's value as the message that it stands for.

    Raises:
        PatchError: a field has the wrong type, a type is unknown, or (strict) there is no such field.
    """
    made = MESSAGES[apply_to]()
    try:
        json_format.ParseDict(value, made, ignore_unknown_fields=not strict, descriptor_pool=pool())
    except (json_format.ParseError, TypeError, ValueError) as error:
        raise PatchError(" ".join(str(error).split())) from error
    return made


def applicable(patches: Iterable[Patch], proxy: Proxy) -> tuple[Patch, ...]:
    """Those that match a proxy's version and metadata."""
    return tuple(patch for patch in patches if _for_proxy(patch.match, proxy))


def _for_proxy(match: EnvoyConfigObjectMatch, proxy: Proxy) -> bool:
    wanted = match.proxy
    if wanted is None:
        return True
    if wanted.proxy_version:
        version = proxy.node.text("ISTIO_VERSION")
        if not version or len(wanted.proxy_version) > _LONGEST_VERSION:
            return False
        if re2.search(wanted.proxy_version, version) is None:
            return False
    return all(proxy.node.metadata.get(key) == value for key, value in wanted.metadata.items())
