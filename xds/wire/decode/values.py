"""Durations, fractions, headers, metadata and addresses (envoy.config.core.v3, envoy.type.v3)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from ipaddress import ip_address, ip_network
from typing import Protocol, TypeVar, overload

from google.protobuf.message import Message

from ...model.values import (
    Address,
    AppendAction,
    Cidr,
    FilterMetadata,
    Fraction,
    HeaderMutation,
    HeaderMutations,
    Locality,
    MetadataValue,
)
from ..refused import NotUnderstoodError, RefusedError
from ..schema import types as pb
from .formats import checked_format

DENOMINATORS = (100, 10_000, 1_000_000)

_IPV4 = re.compile(r"(?:(?:0|[1-9]\d?|1\d\d|2[0-4]\d|25[0-5])(?:\.(?!$)|$)){4}", re.ASCII)
"""An IPv4 address as it is written; `ip_address` would need ten times as long, and there may be thousands."""

LONGEST_PATH = 108
"""Bytes of a Unix socket's path, with the one that ends it (Linux)."""

T = TypeVar("T")


def named(names: Sequence[T], number: int) -> T:
    """An enum's name; a number that Envoy does not know counts as the first, as in Envoy where no rule refuses it."""
    return names[number] if 0 <= number < len(names) else names[0]


def seconds(duration: pb.google_protobuf.Duration) -> float:
    """A Duration in seconds; Envoy counts whole milliseconds and drops what is below."""
    return (duration.seconds * 1000 + duration.nanos // 1_000_000) / 1000


@overload
def optional(message: Message, name: str) -> int | None: ...
@overload
def optional(message: Message, name: str, default: int) -> int: ...
def optional(message: Message, name: str, default: int | None = None) -> int | None:
    """A wrapped number of a message, and what it is where it is not set."""
    if not message.HasField(name):
        return default
    value: int = getattr(message, name).value
    return value


def fraction(percent: pb.type_v3.FractionalPercent) -> Fraction:
    """envoy.type.v3.FractionalPercent."""
    return Fraction(percent.numerator, named(DENOMINATORS, percent.denominator))


def runtime_fraction(value: pb.core_v3.RuntimeFractionalPercent) -> Fraction:
    """The default value: there is no runtime to override it."""
    return fraction(value.default_value)


class HasHeaderMutations(Protocol):
    """What weighted clusters, routes, virtual hosts and route configurations have in common."""

    @property
    def request_headers_to_add(self) -> Iterable[pb.core_v3.HeaderValueOption]: ...
    @property
    def request_headers_to_remove(self) -> Iterable[str]: ...
    @property
    def response_headers_to_add(self) -> Iterable[pb.core_v3.HeaderValueOption]: ...
    @property
    def response_headers_to_remove(self) -> Iterable[str]: ...


def header_mutations(message: HasHeaderMutations) -> HeaderMutations:
    """The mutations of one level."""
    return HeaderMutations(
        header_options(message.request_headers_to_add),
        _removals(message.request_headers_to_remove),
        header_options(message.response_headers_to_add),
        _removals(message.response_headers_to_remove),
    )


def _removals(names: Iterable[str]) -> tuple[str, ...]:
    removed = tuple(names)
    if any(_untouchable(name) for name in removed):
        raise RefusedError(":-prefixed or host headers may not be removed")
    return removed


def _untouchable(name: str) -> bool:
    return name.startswith(":") or name.lower() == "host"


def header_options(options: Iterable[pb.core_v3.HeaderValueOption]) -> tuple[HeaderMutation, ...]:
    """envoy.config.core.v3.HeaderValueOption; the deprecated `append` wins where it is set, as in Envoy."""
    return tuple(_header_option(option) for option in options)


def _header_option(option: pb.core_v3.HeaderValueOption) -> HeaderMutation:
    action = AppendAction(option.append_action)
    if option.HasField("append"):
        if option.append_action:
            raise RefusedError("Both append and append_action are set and it's not allowed")
        if not option.append.value:
            action = AppendAction.OVERWRITE_IF_EXISTS_OR_ADD
    if _untouchable(option.header.key):
        raise RefusedError(":-prefixed or host headers may not be modified")
    value = checked_format(option.header.value or option.header.raw_value.decode("latin-1"))
    return HeaderMutation(option.header.key, value, action, option.keep_empty_value)


def metadata(message: pb.core_v3.Metadata) -> FilterMetadata:
    """The filter metadata as plain values."""
    return {name: struct(fields) for name, fields in message.filter_metadata.items()}


def struct(message: pb.google_protobuf.Struct) -> dict[str, MetadataValue]:
    """A Struct as a dictionary."""
    return {key: _value(value) for key, value in message.fields.items()}


def _value(value: pb.google_protobuf.Value) -> MetadataValue:
    match value.WhichOneof("kind"):
        case "string_value":
            return value.string_value
        case "number_value":
            return value.number_value
        case "bool_value":
            return value.bool_value
        case "struct_value":
            return struct(value.struct_value)
        case "list_value":
            return tuple(_value(each) for each in value.list_value.values)
        case _:
            return None


def address(message: pb.core_v3.Address) -> Address:
    """A socket address or a pipe; an internal address is kept by its listener's name."""
    match message.WhichOneof("address"):
        case "socket_address":
            return Address(message.socket_address.address, message.socket_address.port_value)
        case "pipe":
            return Address(_pipe(message.pipe.path), 0)
        case _:
            return Address(f"internal/{message.envoy_internal_address.server_listener_name}", 0)


def _pipe(path: str) -> str:
    if len(path.encode()) >= LONGEST_PATH:
        raise RefusedError(f'Path "{path}" exceeds maximum UNIX domain socket path size of {LONGEST_PATH}.')
    return path if path[:1] in ("/", ".", "@") else f"./{path}"


def resolved_address(message: pb.core_v3.Address, hint: str = "") -> Address:
    """The same where Envoy resolves no names: an IP address, in its canonical form, and a port.

    Raises:
        RefusedError: with Envoy's words; `hint` is what it adds.
    """
    match message.WhichOneof("address"):
        case None:
            raise RefusedError(f"Address must be set: {hint}")
        case "socket_address":
            socket = message.socket_address
            if socket.resolver_name:
                raise RefusedError(f"Unknown address resolver: {socket.resolver_name}{hint}")
            if socket.WhichOneof("port_specifier") == "named_port":
                raise RefusedError(f"IP resolver can't handle port specifier type 4{hint}")
            return Address(_canonical(socket.address, hint), socket.port_value)
    return address(message)


def _canonical(text: str, hint: str) -> str:
    if _IPV4.fullmatch(text):
        return text
    try:
        return str(ip_address(text))
    except ValueError:
        raise RefusedError(f"malformed IP address: {text}{hint}") from None


def cidrs(ranges: Iterable[pb.core_v3.CidrRange]) -> tuple[Cidr, ...]:
    """CIDR ranges; a missing prefix length is 0 and one that is too long is all of the address, as in Envoy."""
    return tuple(_cidr(each) for each in ranges)


def xds_cidrs(ranges: Iterable[pb.xds_core_v3.CidrRange]) -> tuple[Cidr, ...]:
    """The same of xds.core.v3.CidrRange, which is spelled on the wire as Envoy's own."""
    return cidrs(pb.core_v3.CidrRange.FromString(each.SerializeToString()) for each in ranges)


def _cidr(message: pb.core_v3.CidrRange) -> Cidr:
    try:
        longest = ip_address(message.address_prefix).max_prefixlen
    except ValueError:
        raise RefusedError(f"malformed IP address: {message.address_prefix}") from None
    length = min(message.prefix_len.value, longest)
    return Cidr(str(ip_network(f"{message.address_prefix}/{length}", strict=False).network_address), length)


def locality(message: pb.core_v3.Locality) -> Locality:
    """envoy.config.core.v3.Locality."""
    return Locality(message.region, message.zone, message.sub_zone)


def data_source(message: pb.core_v3.DataSource) -> bytes:
    """Inline data.

    Raises:
        NotUnderstoodError: a file or an environment variable of the control plane's choosing: these are not read.
    """
    match message.WhichOneof("specifier"):
        case "inline_bytes":
            return message.inline_bytes
        case "inline_string":
            return message.inline_string.encode()
        case None:
            return b""
        case other:
            raise NotUnderstoodError(f"data from {other}: only inline data is taken from a control plane")
