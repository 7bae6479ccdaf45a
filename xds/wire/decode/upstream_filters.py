"""What stands between a cluster and its endpoints: a filter that cannot be enforced closes the cluster (decision 9)."""

from __future__ import annotations

from ..opening import open_any, type_of
from ..refused import RefusedError
from ..schema import types as pb
from .extensions import UPSTREAM_HTTP_FILTERS, extension
from .http_filters import UPSTREAM_CODEC
from .http_protocol import options_of
from .inert import INERT_NAMES, INERT_NETWORK_FILTERS, INERT_NETWORK_TYPES, INERT_TYPES, NOT_DONE

LAST = (
    "The codec filter is the only valid terminal upstream HTTP filter, use "
    "'envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec'"
)


def closing_filter(message: pb.cluster_v3.Cluster) -> str | None:
    """Why nothing may go to the endpoints of a cluster; None where nothing stands in the way."""
    if message.HasField("transport_socket_matcher"):
        return "transport_socket_matcher is not supported"
    for each in message.filters:
        type_name = type_of(each.typed_config)
        open_any(each.typed_config)
        if each.name not in INERT_NETWORK_FILTERS and type_name not in INERT_NETWORK_TYPES:
            return f"upstream filter {each.name} ({type_name}) cannot be enforced: {NOT_DONE}"
    options = options_of(message)
    return _closing_http_filter(options) if options is not None else None


def _closing_http_filter(options: pb.upstreams_http_v3.HttpProtocolOptions) -> str | None:
    filters = options.http_filters
    closed: str | None = None
    for index, each in enumerate(filters):
        type_name = type_of(each.typed_config)
        if (type_name == UPSTREAM_CODEC) != (index == len(filters) - 1):
            raise RefusedError(LAST)
        if not each.HasField("config_discovery") and not each.is_optional:
            extension(each.name, each.typed_config, UPSTREAM_HTTP_FILTERS)
        inert = type_name == UPSTREAM_CODEC or type_name in INERT_TYPES or each.name in INERT_NAMES
        if not (inert or each.is_optional or each.disabled) and closed is None:
            closed = f"upstream HTTP filter {each.name} ({type_name}) cannot be enforced: {NOT_DONE}"
    return closed
