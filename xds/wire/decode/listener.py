"""Listeners (envoy.config.listener.v3)."""

from __future__ import annotations

from typing import Literal

from ...model.listener import DETECTION_S, FilterChain, FilterChainMatch, Listener, UnknownNetworkFilter
from ...model.matching import MatcherTree
from ..opening import checked, open_any
from ..refused import NotUnderstoodError, RefusedError
from ..schema import types as pb
from .extensions import FILTER_CHAIN_TREE_ACTIONS, LISTENER_FILTERS, NETWORK_INPUTS, extension
from .filter_chains import filter_chain, refuse_ambiguous, refuse_nameless
from .http_connection_manager import http_connection_manager
from .trees import Place, matcher_tree
from .values import address, named, optional, resolved_address, seconds

DIRECTIONS: tuple[Literal["UNSPECIFIED", "INBOUND", "OUTBOUND"], ...] = ("UNSPECIFIED", "INBOUND", "OUTBOUND")

UDP = 1

DEFAULT_BUFFER = 1024 * 1024
"""Listener.per_connection_buffer_limit_bytes when unset."""


def listener(raw: bytes) -> Listener:
    """envoy.config.listener.v3.Listener from its bytes."""
    message = pb.listener_v3.Listener.FromString(raw)
    checked(message)
    api = _api_listener(message) if message.HasField("api_listener") else None
    if api is None:
        _refuse_unreachable(message)
    matcher = None
    try:
        if message.HasField("filter_chain_matcher"):
            matcher = _chain_matcher(message)
        chains, default = _chains(message)
    except NotUnderstoodError as error:
        # Which chain the tree would choose is not known: none is, and connections find out why.
        closed = UnknownNetworkFilter("filter_chain_matcher", "", f"filter_chain_matcher: {error}")
        chains, default = (), FilterChain("filter_chain_matcher", FilterChainMatch(), closed_by=(closed,))
    return Listener(
        name=message.name,
        address=address(message.address) if message.HasField("address") else None,
        chains=chains,
        default_chain=default,
        chain_matcher=matcher,
        api_listener=api,
        direction=named(DIRECTIONS, message.traffic_direction),
        use_original_dst=message.use_original_dst.value,
        bind_to_port=not message.HasField("bind_to_port") or message.bind_to_port.value,
        listener_filters=tuple(each.name for each in message.listener_filters),
        detection_timeout_s=_detection_timeout(message),
        goes_on_undetected=message.continue_on_listener_filters_timeout,
        buffer_limit=optional(message, "per_connection_buffer_limit_bytes", DEFAULT_BUFFER),
    )


def _detection_timeout(message: pb.listener_v3.Listener) -> float | None:
    if not message.HasField("listener_filters_timeout"):
        return DETECTION_S
    return seconds(message.listener_filters_timeout) or None


def _chains(message: pb.listener_v3.Listener) -> tuple[tuple[FilterChain, ...], FilterChain | None]:
    by_name = message.HasField("filter_chain_matcher")
    default = filter_chain(message.default_filter_chain) if message.HasField("default_filter_chain") else None
    chains = tuple(filter_chain(each, by_name=by_name) for each in message.filter_chains)
    (refuse_nameless if by_name else refuse_ambiguous)(message.filter_chains)
    return chains, default


def _chain_matcher(message: pb.listener_v3.Listener) -> MatcherTree[str]:
    try:
        return matcher_tree(message.filter_chain_matcher, Place(_chain_name, NETWORK_INPUTS))
    except RefusedError as error:
        raise error.within("cannot create a filter chain matcher") from error


def _chain_name(message: pb.xds_core_v3.TypedExtensionConfig) -> str:
    opened = extension(message.name, message.typed_config, FILTER_CHAIN_TREE_ACTIONS)
    if not isinstance(opened, pb.google_protobuf.StringValue):
        raise NotUnderstoodError(f"action {message.typed_config.type_url} is not supported")
    return opened.value


def _refuse_unreachable(message: pb.listener_v3.Listener) -> None:
    for each in message.listener_filters:
        if not each.HasField("config_discovery"):
            extension(each.name, each.typed_config, LISTENER_FILTERS)
    if message.HasField("internal_listener"):
        if message.HasField("address"):
            raise RefusedError("address should not be used when an internal listener config is provided")
        return
    if not message.HasField("address"):
        raise RefusedError("address is necessary")
    resolved_address(message.address)
    udp = message.address.socket_address.protocol == UDP
    if udp and message.filter_chains and not message.udp_listener_config.HasField("quic_options"):
        raise RefusedError(f"{len(message.filter_chains)} filter chain(s) specified for connection-less UDP listener.")
    if not udp and not message.filter_chains and not message.HasField("default_filter_chain"):
        raise RefusedError("no filter chains specified")


def _api_listener(message: pb.listener_v3.Listener) -> FilterChain:
    """What istiod sends to a gRPC client: a connection manager without a connection.

    istiod leaves its `stat_prefix` empty, which Envoy would refuse; gRPC's own clients do not look at it.
    """
    packed = message.api_listener.api_listener
    opened = open_any(packed, without=("stat_prefix",))
    if not isinstance(opened, pb.http_connection_manager_v3.HttpConnectionManager):
        raise RefusedError(f"api_listener is no HttpConnectionManager but {packed.type_url or 'empty'}")
    return FilterChain("api_listener", FilterChainMatch(), http=http_connection_manager(opened))
