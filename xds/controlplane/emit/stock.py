"""For an Envoy that is not Istio's build: the same configuration without the filters called `istio.*`.

What they do is statistics, telling peers who they are, and the ALPN of mTLS. Nobody hands such an Envoy certificates
either, unless it has an agent: TLS stays what it is, and fails, but is waited for only so long that the Envoy becomes
ready for all the rest.
"""

from __future__ import annotations

from typing import Any

from ...wire.schema import unpack
from ...wire.schema.types import cluster_v3, core_v3, google_protobuf, listener_v3
from .http_manager import HTTP_MANAGER
from .messages import duration, pack

_LEFT_OUT = "istio."
_SECRETS_S = 1.0


def stock_cluster(cluster: cluster_v3.Cluster) -> cluster_v3.Cluster:
    """Changes the cluster."""
    _strip(cluster.filters)
    if cluster.HasField("transport_socket"):
        _hasten(cluster.transport_socket)
    for match in cluster.transport_socket_matches:
        _hasten(match.transport_socket)
    return cluster


def stock_listener(listener: listener_v3.Listener) -> listener_v3.Listener:
    """Changes the listener."""
    _strip(listener.listener_filters)
    for chain in listener.filter_chains:
        _chain(chain)
    if listener.HasField("default_filter_chain"):
        _chain(listener.default_filter_chain)
    return listener


def _chain(chain: listener_v3.FilterChain) -> None:
    _strip(chain.filters)
    for each in chain.filters:
        if each.name == HTTP_MANAGER:
            manager: Any = unpack(each.typed_config)
            _strip(manager.http_filters)
            each.typed_config.CopyFrom(pack(manager))
    if chain.HasField("transport_socket"):
        _hasten(chain.transport_socket)


def _strip(filters: Any) -> None:
    """Leaves out of a repeated field what only Istio's build has."""
    for index in reversed(range(len(filters))):
        if filters[index].name.startswith(_LEFT_OUT):
            del filters[index]


def _hasten(socket: core_v3.TransportSocket) -> None:
    """Secrets that are asked for without end are asked for so long."""
    context: Any = unpack(socket.typed_config)
    if context is None:
        return
    if "transport_socket" in context.DESCRIPTOR.fields_by_name:  # around another one: PROXY protocol
        _hasten(context.transport_socket)
    elif "common_tls_context" in context.DESCRIPTOR.fields_by_name:
        common = context.common_tls_context
        for secret in common.tls_certificate_sds_secret_configs:
            _limit(secret.sds_config)
        if common.HasField("validation_context_sds_secret_config"):
            _limit(common.validation_context_sds_secret_config.sds_config)
        if common.combined_validation_context.HasField("validation_context_sds_secret_config"):
            _limit(common.combined_validation_context.validation_context_sds_secret_config.sds_config)
    else:
        return
    socket.typed_config.CopyFrom(pack(context))


def _limit(source: core_v3.ConfigSource) -> None:
    if source.initial_fetch_timeout == google_protobuf.Duration():
        source.initial_fetch_timeout.CopyFrom(duration(_SECRETS_S))
