"""Filter chains: what ends one, what closes it, which connections it takes (envoy.config.listener.v3.FilterChain)."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product
from typing import Literal

from google.protobuf import json_format

from ...model.listener import (
    FilterChain,
    FilterChainMatch,
    HttpConnectionManager,
    TcpProxy,
    UnknownNetworkFilter,
)
from ...model.rbac import NetworkRbac
from ...model.route import BackOff
from ...model.tls import DownstreamTls
from ..opening import type_of
from ..refused import NotUnderstoodError, RefusedError
from ..schema import types as pb
from .access_log import END_OF_TCP, access_logs
from .extensions import DOWNSTREAM_TRANSPORT_SOCKETS, NETWORK_FILTERS, TERMINAL_NETWORK_FILTERS, extension
from .http_connection_manager import http_connection_manager
from .inert import INERT_NETWORK_FILTERS, INERT_NETWORK_TYPES, NOT_DONE
from .network_rbac import network_rbac
from .tls import downstream_tls
from .values import cidrs, metadata, named, seconds

SOURCES: tuple[Literal["ANY", "SAME_IP_OR_LOOPBACK", "EXTERNAL"], ...] = ("ANY", "SAME_IP_OR_LOOPBACK", "EXTERNAL")


def filter_chain(message: pb.listener_v3.FilterChain, *, by_name: bool = False) -> FilterChain:
    """envoy.config.listener.v3.FilterChain, reduced to what ends it and what closes it.

    `by_name`: a tree of matchers leads to it, and nobody looks at its own match.
    """
    http: HttpConnectionManager | None = None
    tcp: TcpProxy | None = None
    closed: list[UnknownNetworkFilter] = []
    doors: list[NetworkRbac] = []
    for index, each in enumerate(message.filters):
        try:
            _refuse_misplaced(each, last=index == len(message.filters) - 1)
            found = _network_filter(each)
        except RefusedError as error:
            raise error.within(f"filter chain {message.name!r}, filter {each.name}") from error
        if isinstance(found, HttpConnectionManager):
            http = found
        elif isinstance(found, TcpProxy):
            tcp = found
        elif isinstance(found, NetworkRbac):
            doors.append(found)
        elif found is not None:
            closed.append(found)
    downstream, unknown = _transport(message)
    return FilterChain(
        name=message.name,
        match=FilterChainMatch() if by_name else _match(message.filter_chain_match),
        http=http,
        tcp=tcp,
        downstream=downstream,
        unknown_socket=unknown,
        closed_by=tuple(closed),
        rbac=tuple(doors),
        handshake_timeout_s=seconds(message.transport_socket_connect_timeout) or None,
    )


def _transport(message: pb.listener_v3.FilterChain) -> tuple[DownstreamTls | None, str]:
    """The TLS of a chain, and what is not supported: plaintext must not get in where it is not meant to."""
    if not message.HasField("transport_socket"):
        return None, ""
    socket = message.transport_socket
    opened = extension(socket.name, socket.typed_config, DOWNSTREAM_TRANSPORT_SOCKETS)
    match opened:
        case pb.raw_buffer_v3.RawBuffer():
            return None, ""
        case pb.tls_v3.DownstreamTlsContext():
            try:
                return downstream_tls(opened), ""
            except NotUnderstoodError as error:
                return None, f"{socket.name}: {error}"
    return None, socket.name


def _match(message: pb.listener_v3.FilterChainMatch) -> FilterChainMatch:
    names = tuple(each.lower() for each in message.server_names)
    for name in names:
        if "*" in name and not (name.startswith("*.") and "*" not in name[2:]):
            raise RefusedError('partial wildcards are not supported in "server_names"')
    return FilterChainMatch(
        destination_port=message.destination_port.value if message.HasField("destination_port") else None,
        prefix_ranges=cidrs(message.prefix_ranges),
        server_names=names,
        transport_protocol=message.transport_protocol,
        application_protocols=tuple(message.application_protocols),
        direct_source_prefix_ranges=cidrs(message.direct_source_prefix_ranges),
        source_type=named(SOURCES, message.source_type),
        source_prefix_ranges=cidrs(message.source_prefix_ranges),
        source_ports=tuple(message.source_ports),
    )


def refuse_nameless(messages: Iterable[pb.listener_v3.FilterChain]) -> None:
    """Chains that a tree of matchers cannot tell apart."""
    names: set[str] = set()
    for message in messages:
        _refuse_unimplemented(message)
        if not message.name:
            raise RefusedError('"name" field is required when using a listener matcher')
        if message.name in names:
            raise RefusedError(f"\"name\" field is duplicated with value '{message.name}'")
        names.add(message.name)


def _refuse_unimplemented(message: pb.listener_v3.FilterChain) -> None:
    if message.filter_chain_match.address_suffix or message.filter_chain_match.HasField("suffix_len"):
        raise RefusedError(f"filter chain '{message.name}' contains unimplemented fields")


def refuse_ambiguous(messages: Iterable[pb.listener_v3.FilterChain]) -> None:
    """Two chains that would take the same connection."""
    same: dict[bytes, str] = {}
    taken: set[tuple[object, ...]] = set()
    for message in messages:
        match = message.filter_chain_match
        _refuse_unimplemented(message)
        raw = match.SerializeToString(deterministic=True)
        if raw in same:
            spelled = json_format.MessageToJson(match, preserving_proto_field_name=True, indent=None)
            spelled = spelled.replace('": ', '":').replace(', "', ',"')
            raise RefusedError(
                f"filter chain '{message.name}' has the same matching rules defined as '{same[raw]}'. "
                f"duplicate matcher is: {spelled}"
            )
        same[raw] = message.name
        for leaf in _leaves(_match(match)):
            if leaf in taken:
                raise RefusedError("multiple filter chains with overlapping matching rules are defined")
            taken.add(leaf)


def _leaves(match: FilterChainMatch) -> Iterable[tuple[object, ...]]:
    """Every combination of criteria that leads to a chain."""
    return product(
        (match.destination_port,),
        match.prefix_ranges or (None,),
        match.server_names or ("",),
        (match.transport_protocol,),
        match.application_protocols or ("",),
        match.direct_source_prefix_ranges or (None,),
        (match.source_type,),
        match.source_prefix_ranges or (None,),
        match.source_ports or (0,),
    )


def _refuse_misplaced(message: pb.listener_v3.Filter, *, last: bool) -> None:
    type_name = type_of(message.typed_config)
    kind = NETWORK_FILTERS.get(type_name)
    if kind is None or (type_name in TERMINAL_NETWORK_FILTERS) == last:
        return
    what, must = ("non-terminal", "is the last filter") if last else ("terminal", "must be the last filter")
    raise RefusedError(f"Error: {what} filter named {message.name} of type {kind} {must} in a network filter chain.")


def _network_filter(
    message: pb.listener_v3.Filter,
) -> HttpConnectionManager | TcpProxy | NetworkRbac | UnknownNetworkFilter | None:
    if message.HasField("config_discovery"):
        return UnknownNetworkFilter(message.name, "", "network filters by ECDS are not supported")
    type_name = type_of(message.typed_config)
    opened = extension(message.name, message.typed_config, NETWORK_FILTERS)
    match opened:
        case (
            pb.http_connection_manager_v3.HttpConnectionManager()
            | pb.tcp_proxy_v3.TcpProxy()
            | pb.network_rbac_v3.RBAC()
        ):
            try:
                return (
                    network_rbac(message.name, opened) if isinstance(opened, pb.network_rbac_v3.RBAC) else _last(opened)
                )
            except NotUnderstoodError as error:
                return UnknownNetworkFilter(message.name, type_name, str(error))
    if isinstance(opened, pb.mongo_proxy_v3.MongoProxy) and not opened.HasField("delay"):
        return None  # it counts and logs what passes, and lets pass what it does not understand
    if message.name in INERT_NETWORK_FILTERS or type_name in INERT_NETWORK_TYPES:
        return None
    return UnknownNetworkFilter(message.name, type_name, NOT_DONE)


def _last(
    message: pb.http_connection_manager_v3.HttpConnectionManager | pb.tcp_proxy_v3.TcpProxy,
) -> HttpConnectionManager | TcpProxy:
    if isinstance(message, pb.http_connection_manager_v3.HttpConnectionManager):
        return http_connection_manager(message)
    if message.upstream_connect_mode and not message.HasField("max_early_data_bytes"):
        raise RefusedError("max_early_data_bytes must be set when upstream_connect_mode is not IMMEDIATE")
    if message.HasField("tunneling_config"):
        raise NotUnderstoodError("tunneling_config is not supported")
    return TcpProxy(
        access_logs=access_logs(message.access_log, END_OF_TCP),
        cluster=message.cluster,
        weighted_clusters=tuple((each.name, each.weight) for each in message.weighted_clusters.clusters),
        weighted_metadata=tuple(
            metadata(each.metadata_match).get("envoy.lb", {}) for each in message.weighted_clusters.clusters
        ),
        stat_prefix=message.stat_prefix,
        idle_timeout_s=seconds(message.idle_timeout) or None if message.HasField("idle_timeout") else 3600.0,
        max_duration_s=seconds(message.max_downstream_connection_duration) or None,
        max_duration_jitter=message.max_downstream_connection_duration_jitter_percentage.value / 100,
        max_connect_attempts=message.max_connect_attempts.value or 1,
        back_off=_back_off(message.backoff_options) if message.HasField("backoff_options") else None,
        hash_source_ip=any(each.HasField("source_ip") for each in message.hash_policy),
        metadata_match=metadata(message.metadata_match).get("envoy.lb", {}),
    )


def _back_off(message: pb.core_v3.BackoffStrategy) -> BackOff:
    base_s = seconds(message.base_interval)
    longest_s = seconds(message.max_interval) if message.HasField("max_interval") else 10 * base_s
    if int(longest_s * 1000) < int(base_s * 1000):  # Envoy has milliseconds
        raise RefusedError("max_backoff_interval must be greater or equal to base_backoff_interval")
    return BackOff(base_s, longest_s)
