"""When a field that is not done matters, and when the content of one that is done is looked into."""

from __future__ import annotations

from typing import Any

from ..decode.inert import INERT_NAMES, INERT_NETWORK_FILTERS, INERT_NETWORK_TYPES, INERT_TYPES
from ..schema import type_of

INBOUND_ADDRESSES = frozenset({"127.0.0.6", "::6"})
"""Where Istio's inbound clusters come from, so that iptables knows them."""


def effective_filter(value: Any, message: Any) -> bool:
    """An HTTP filter that is not switched off, and none of those that mean nothing in process."""
    del value
    inert = message.name in INERT_NAMES or type_of(message.typed_config) in INERT_TYPES
    return not (inert or message.disabled)


def effective_network_filter(value: Any, message: Any) -> bool:
    """A network filter that is none of those that mean nothing in process."""
    del value
    return message.name not in INERT_NETWORK_FILTERS and type_of(message.typed_config) not in INERT_NETWORK_TYPES


def not_plaintext(value: Any, message: Any) -> bool:
    """A transport socket other than the plain one."""
    del message
    return not type_of(value.typed_config).endswith(".RawBuffer")


def not_the_codec(value: Any, message: Any) -> bool:
    """An upstream HTTP filter other than the one that ends the chain."""
    del message
    return not type_of(value.typed_config).endswith(".UpstreamCodec")


def not_without_query(value: Any, message: Any) -> bool:
    """A formatter other than the one of `%REQ_WITHOUT_QUERY(...)%`."""
    del message
    return str(value.name) != "envoy.formatter.req_without_query"


def not_websocket(value: Any, message: Any) -> bool:
    """An upgrade to something else."""
    del message
    return str(value).lower() != "websocket"


def switched_on(value: Any, message: Any) -> bool:
    """A BoolValue that says yes."""
    del message
    return bool(value.value)


def switched_off(value: Any, message: Any) -> bool:
    """A BoolValue that says no."""
    del message
    return not value.value


def binds(value: Any, message: Any) -> bool:
    """Source addresses that are not just the mark of Istio's inbound clusters, whose endpoint is this very program."""
    del message
    addresses = {value.source_address.address, *(each.address.address for each in value.extra_source_addresses)}
    return not addresses <= set(INBOUND_ADDRESSES) or any(
        field.name not in ("source_address", "extra_source_addresses") for field, _ in value.ListFields()
    )


def limits_streams(value: Any, message: Any) -> bool:
    """Options of HTTP/2 that say how many streams a connection may have."""
    del message
    return bool(value.max_concurrent_streams.value)


def injects(value: Any, message: Any) -> bool:
    """A fault with a percentage."""
    del message
    return bool(value.percentage.numerator)


def formatted(value: Any, message: Any) -> bool:
    """A text with commands (`%...%`)."""
    del message
    return "%" in value
