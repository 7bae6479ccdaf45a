"""Small messages that every emitter needs."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from functools import cache

from google.protobuf.message import Message

from ...wire.schema.types import core_v3, google_protobuf, listener_v3, matcher_v3, type_v3, udpa_type_v1
from ..objects import Object

TYPE_URL = "type.googleapis.com/"
ISTIO = "istio"
TRANSPORT_SOCKET_MATCH = "envoy.transport_socket_match"
UNIX = "unix://"


def pack(message: Message) -> google_protobuf.Any:
    return google_protobuf.Any(
        type_url=TYPE_URL + message.DESCRIPTOR.full_name, value=message.SerializeToString(deterministic=True)
    )


def packed(message: type[Message], raw: bytes) -> google_protobuf.Any:
    """The same of an encoded message."""
    return google_protobuf.Any(type_url=TYPE_URL + message.DESCRIPTOR.full_name, value=raw)


def u32(value: int) -> google_protobuf.UInt32Value:
    return google_protobuf.UInt32Value(value=value)


def u64(value: int) -> google_protobuf.UInt64Value:
    return google_protobuf.UInt64Value(value=value)


def flag(value: bool) -> google_protobuf.BoolValue:
    return google_protobuf.BoolValue(value=value)


def percent(value: float) -> type_v3.Percent:
    return type_v3.Percent(value=value)


def duration(seconds: float) -> google_protobuf.Duration:
    nanos = round(seconds * 1e9)
    sign = -1 if nanos < 0 else 1
    whole, rest = divmod(abs(nanos), 1_000_000_000)
    return google_protobuf.Duration(seconds=sign * whole, nanos=sign * rest)


def optional_duration(seconds: float | None) -> google_protobuf.Duration | None:
    return None if seconds is None else duration(seconds)


def balance(exactly: bool) -> listener_v3.Listener.ConnectionBalanceConfig | None:
    """Whether connections are shared out among Envoy's workers one by one."""
    if not exactly:
        return None
    shared = listener_v3.Listener.ConnectionBalanceConfig
    return shared(exact_balance=shared.ExactBalance())


def text(value: str) -> google_protobuf.Value:
    return google_protobuf.Value(string_value=value)


def structure(fields: Mapping[str, google_protobuf.Value]) -> google_protobuf.Struct:
    return google_protobuf.Struct(fields=fields)


def texts(fields: Mapping[str, str]) -> google_protobuf.Struct:
    return google_protobuf.Struct(fields={key: text(value) for key, value in fields.items()})


def value(of: object) -> google_protobuf.Value:
    """A JSON value as a Struct holds it."""
    match of:
        case None:
            return google_protobuf.Value(null_value=0)
        case bool():
            return google_protobuf.Value(bool_value=of)
        case int() | float():
            return google_protobuf.Value(number_value=of)
        case str():
            return text(of)
        case dict():
            fields = {str(key): value(item) for key, item in of.items()}
            return google_protobuf.Value(struct_value=structure(fields))
        case Iterable():
            return google_protobuf.Value(list_value=google_protobuf.ListValue(values=[value(item) for item in of]))
        case _:
            raise TypeError(f"{type(of).__name__} is no JSON value")


def config_path(source: Object[object], namespace: str = "") -> str:
    """How istiod names the object that a resource comes from; a Sidecar is named in the namespace where it holds."""
    meta = source.meta
    kind = _hyphenated(source.kind)
    return f"/apis/{source.group}/{source.version}/namespaces/{namespace or meta.namespace}/{kind}/{meta.name}"


@cache
def _hyphenated(kind: str) -> str:
    return "".join(f"-{char.lower()}" if char.isupper() else char for char in kind).lstrip("-")


def config_metadata(source: Object[object], namespace: str = "") -> core_v3.Metadata:
    made = core_v3.Metadata()
    made.filter_metadata[ISTIO].fields["config"].string_value = config_path(source, namespace)
    return made


@cache
def ads() -> core_v3.ConfigSource:
    """Ask for it on this stream, and wait without end. To be embedded, never changed."""
    return core_v3.ConfigSource(
        ads=core_v3.AggregatedConfigSource(),
        initial_fetch_timeout=google_protobuf.Duration(),
        resource_api_version=core_v3.ApiVersion.Value("V3"),
    )


def exactly(names: Iterable[str]) -> list[matcher_v3.StringMatcher]:
    return [matcher_v3.StringMatcher(exact=name) for name in names]


def socket_address(address: str, port: int) -> core_v3.Address:
    """An IP and port; without a port a Unix socket's path."""
    if port == 0:
        return core_v3.Address(pipe=core_v3.Pipe(path=address.removeprefix(UNIX)))
    return core_v3.Address(socket_address=core_v3.SocketAddress(address=address, port_value=port))


def cidr_range(text: str) -> core_v3.CidrRange:
    """`10.0.0.0/8` or a single address; the address stays as written. Raises ValueError for anything else."""
    found = ipaddress.ip_interface(text)
    return core_v3.CidrRange(address_prefix=str(found.ip), prefix_len=u32(found.network.prefixlen))


def typed_struct(type_url: str, content: Mapping[str, object]) -> google_protobuf.Any:
    """A message whose type nobody outside of Istio's proxy knows, spelled as a Struct."""
    struct = value(dict(content)).struct_value
    return pack(udpa_type_v1.TypedStruct(type_url=TYPE_URL + type_url, value=struct))
