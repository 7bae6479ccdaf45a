"""The commands of Envoy's formats, each compiled to a function of what is known of a request (governance.subject).

As Envoy 1.40 fills them in where headers are formatted (docs/envoy-facts.md, "Formats"): what is not there is None.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ipaddress import ip_network
from typing import TYPE_CHECKING

from ..xds.model.values import FilterMetadata
from .durations import between, elapsed, elapsed_of_response
from .grpc_statuses import CAMEL, SNAKE, name_of, status_of
from .log_commands import OF_LOGS, unless_secret
from .moments import clock_format
from .peer_formats import PEER, VALIDITY
from .plain import plain_text
from .request import PSEUDO, RequestView
from .subject import Subject
from .wordings import FLAGS_LONG

if TYPE_CHECKING:
    from .balancing.host import Host

Command = Callable[[Subject], "bytes | None"]
Compile = Callable[[str], Command]
"""From the parameters of a command."""


class UnsupportedFormatError(ValueError):
    """A command that cannot be filled in here; the text names it."""


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


ORIGINAL_PATH = b"x-envoy-original-path"


def nothing(subject: Subject) -> bytes | None:
    """What commands say whose subject is nothing here."""
    del subject
    return None


def _always(value: bytes) -> Command:
    return lambda subject: value


def _text(read: Callable[[Subject], str | None]) -> Command:
    def command(subject: Subject) -> bytes | None:
        found = read(subject)
        return found.encode("utf-8", "surrogateescape") if found else None

    return command


# -- headers, paths and queries --------------------------------------------------------------------------------------


def _names(parameters: str) -> tuple[bytes, ...]:
    first, _, second = parameters.lower().partition("?")
    return tuple(part.encode() for part in (first, second) if part)


def _request_header(parameters: str) -> Command:
    names = _names(parameters)
    return unless_secret(_first([_header(name) for name in names]), names)


def _header(name: bytes) -> Command:
    if name in PSEUDO:
        return lambda subject: subject.request.header(name)
    return lambda subject: subject.request.headers.get(name)


def _first(commands: list[Command]) -> Command:
    """What the first command says, or else the second."""
    if not commands:
        return nothing
    first, *others = commands
    if not others:
        return first
    second = others[0]
    return lambda subject: second(subject) if (found := first(subject)) is None else found


def _response_header(parameters: str) -> Command:
    names = _names(parameters)
    return unless_secret(_first([_response_line(name) for name in names]), names)


def _response_line(name: bytes) -> Command:
    return lambda subject: _answered(subject, name)


def _answered(subject: Subject, name: bytes) -> bytes | None:
    if subject.response is None:
        return None
    if name == b":status":
        status = subject.status or subject.local_status
        return b"%d" % status if status else None
    for key, value in subject.response:
        if key.lower() == name:
            return value
    return None


def _path_of(request: RequestView, which: str) -> bytes | None:
    original = request.header(ORIGINAL_PATH)
    if which == "PATH":
        return request.path
    return original if original is not None or which == "ORIG" else request.path


def _path(parameters: str) -> Command:
    query, _, which = parameters.partition(":")
    if query not in ("", "WQ", "NQ") or which not in ("", "ORIG", "PATH", "ORIG_OR_PATH"):
        raise UnsupportedFormatError(f"%PATH({parameters})% is not supported")

    def command(subject: Subject) -> bytes | None:
        path = _path_of(subject.request, which)
        return path.partition(b"?")[0] if path is not None and query == "NQ" else path

    return command


def _without_query(parameters: str) -> Command:
    header = _request_header(parameters)

    def command(subject: Subject) -> bytes | None:
        found = header(subject)
        return found.partition(b"?")[0] if found is not None else None

    return command


def _query_parameter(parameters: str) -> Command:
    name = parameters.encode()
    return lambda subject: subject.request.query.get(name)


def _query(parameters: str) -> Command:
    del parameters
    return lambda subject: (_path_of(subject.request, "PATH") or b"").partition(b"?")[2] or None


# -- addresses -------------------------------------------------------------------------------------------------------


def _remote(subject: Subject) -> str:
    return subject.request.remote or subject.request.source


def _direct(subject: Subject) -> str:
    return subject.request.source


def _local(subject: Subject) -> str:
    return subject.local.rpartition(":")[0].strip("[]")


def _peer(subject: Subject) -> Host | None:
    """The endpoint, once there is a connection to it."""
    return subject.host if subject.connected else None


def _upstream(subject: Subject) -> str:
    found = _peer(subject)
    return found.host.decode() if found is not None else ""


def _masked(read: Callable[[Subject], str]) -> Compile:
    def compiled(parameters: str) -> Command:
        if not parameters.isdigit():
            return _text(read)

        def network(subject: Subject) -> str:
            try:
                return str(ip_network(f"{read(subject)}/{parameters}", strict=False))
            except ValueError:
                return read(subject)

        return _text(network)

    return compiled


def _named(subject: Subject) -> str:
    """The name of the endpoint, or its address."""
    if subject.host is None:
        return ""
    return subject.host.endpoint.hostname or subject.host.address


def _host_of(authority: bytes) -> str:
    colon = authority.rfind(b":")
    return (authority if colon < authority.rfind(b"]") or colon < 0 else authority[:colon]).decode("latin-1")


def _server_name(parameters: str) -> Command:
    # Plaintext has no server name but its Host.
    if parameters.partition(":")[0] in ("", "SNI_ONLY"):
        return _text(lambda subject: subject.peer.server_name if subject.log_type and subject.peer is not None else "")
    return _text(lambda subject: _host_of(subject.request.authority))


# -- metadata --------------------------------------------------------------------------------------------------------


def _value_of(read: Callable[[Subject], FilterMetadata | None], parameters: str) -> Callable[[Subject], object]:
    namespace, *path = parameters.split(":")

    def value(subject: Subject) -> object:
        found: object = (read(subject) or {}).get(namespace)
        for key in path:
            found = found.get(key) if isinstance(found, Mapping) else None
        return found

    return value


def _metadata(read: Callable[[Subject], FilterMetadata | None]) -> Compile:
    def compiled(parameters: str) -> Command:
        value = _value_of(read, parameters)

        def command(subject: Subject) -> bytes | None:
            found = value(subject)
            return plain_text(found) if found is not None else None

        return command

    return compiled


def _of_route(subject: Subject) -> FilterMetadata | None:
    return subject.route.route.metadata if subject.route is not None else None


def _of_virtual_host(subject: Subject) -> FilterMetadata | None:
    return subject.vhost.metadata if subject.vhost is not None else None


def _of_cluster(subject: Subject) -> FilterMetadata | None:
    return subject.cluster.metadata if subject.cluster is not None else None


def _of_host(subject: Subject) -> FilterMetadata | None:
    return subject.host.endpoint.metadata if subject.host is not None else None


METADATA: Mapping[str, Callable[[Subject], FilterMetadata | None]] = {
    "ROUTE": _of_route,
    "VIRTUAL_HOST": _of_virtual_host,
    "CLUSTER": _of_cluster,
    "UPSTREAM_HOST": _of_host,
    "DYNAMIC": lambda subject: subject.dynamic,
}
METADATA_COMMANDS = {"CLUSTER_METADATA": "CLUSTER", "UPSTREAM_METADATA": "UPSTREAM_HOST", "DYNAMIC_METADATA": "DYNAMIC"}


def metadata_value(name: str, parameters: str) -> Callable[[Subject], object] | None:
    """What a command about metadata reads, as it is; None for any other command, and for metadata of no known kind."""
    kind, rest = METADATA_COMMANDS.get(name, ""), parameters
    if name == "METADATA":
        kind, _, rest = parameters.partition(":")
    return _value_of(METADATA[kind], rest) if kind in METADATA else None


def _any_metadata(parameters: str) -> Command:
    kind, _, rest = parameters.partition(":")
    if kind not in METADATA:
        raise UnsupportedFormatError(f"%METADATA({parameters})% is not supported")
    return _metadata(METADATA[kind])(rest)


# -- times and results -----------------------------------------------------------------------------------------------


def _moment(read: Callable[[Subject], float], *, utc: bool) -> Compile:
    def compiled(parameters: str) -> Command:
        spelled = clock_format(parameters, utc=utc)
        return lambda subject: spelled(read(subject))

    return compiled


def _flags(subject: Subject) -> bytes:
    return ",".join(subject.flags).encode() if subject.flags else b"-"


def _flags_long(subject: Subject) -> str:
    return ",".join(FLAGS_LONG.get(each, each) for each in subject.flags) or "-"


def _grpc(names: tuple[str, ...] = ()) -> Command:
    def command(subject: Subject) -> bytes | None:
        if not subject.request.is_grpc or subject.response is None:
            return None
        said = _answered(subject, b"grpc-status")
        if said is None and not subject.status:
            return None
        return name_of(status_of(said, subject.status), names).encode()

    return command


def _grpc_status(parameters: str) -> Command:
    return _grpc({"": CAMEL, "CAMEL_STRING": CAMEL, "SNAKE_STRING": SNAKE}.get(parameters, ()))


def _header_bytes(subject: Subject) -> bytes:
    request = subject.request
    size = sum(len(name) + len(value) for name, value in request.raw_headers if name.lower() != b"host")
    for name, value in (
        (b":authority", request.authority),
        (b":path", request.path),
        (b":method", request.method),
        (b":scheme", request.scheme),
    ):
        size += len(name) + len(value)
    return b"%d" % size


def _response_bytes(subject: Subject) -> bytes:
    if subject.response is None:
        return b"0"
    status = len(":status") + 3
    return b"%d" % (status + sum(len(name) + len(value) for name, value in subject.response))


def _route_name(subject: Subject) -> str:
    return subject.route.route.name if subject.route is not None else ""


WITH_PARAMETERS: Mapping[str, Compile] = {
    **VALIDITY,
    "REQ": _request_header,
    "REQUEST_HEADER": _request_header,
    "STREAM_INFO_REQ": _request_header,
    "REQ_WITHOUT_QUERY": _without_query,
    "RESP": _response_header,
    "RESPONSE_HEADER": _response_header,
    "PATH": _path,
    "QUERY_PARAM": _query_parameter,
    "QUERY_PARAMS": _query,
    "METADATA": _any_metadata,
    **{name: _metadata(METADATA[kind]) for name, kind in METADATA_COMMANDS.items()},
    "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT": _masked(_remote),
    "DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT": _masked(_direct),
    "DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT": _masked(_local),
    "DOWNSTREAM_DIRECT_LOCAL_ADDRESS_WITHOUT_PORT": _masked(_local),
    "UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT": _masked(_upstream),
    "REQUESTED_SERVER_NAME": _server_name,
    "GRPC_STATUS": _grpc_status,
    "START_TIME": _moment(lambda subject: subject.started, utc=True),
    "START_TIME_LOCAL": _moment(lambda subject: subject.started, utc=False),
    "EMIT_TIME": _moment(lambda subject: subject.now, utc=True),
    "EMIT_TIME_LOCAL": _moment(lambda subject: subject.now, utc=False),
    "COMMON_DURATION": lambda parameters: between(parameters) or nothing,
}
"""Commands that may have parameters."""

PLAIN: Mapping[str, Command] = {
    **PEER,
    **OF_LOGS,
    "CUSTOM_FLAGS": _always(b""),
    "DOWNSTREAM_DIRECT_LOCAL_ADDRESS": _text(lambda subject: subject.local),
    "DOWNSTREAM_DIRECT_LOCAL_PORT": _text(lambda subject: subject.local.rpartition(":")[2]),
    "DOWNSTREAM_LOCAL_ADDRESS": _text(lambda subject: subject.local),
    "DOWNSTREAM_LOCAL_PORT": _text(lambda subject: subject.local.rpartition(":")[2]),
    "DURATION": elapsed,
    "FILTER_CHAIN_NAME": _text(lambda subject: subject.chain),
    "GRPC_STATUS_NUMBER": _grpc(),
    "HOSTNAME": _text(lambda subject: subject.workload.host),
    "LISTENER_NAME": _text(lambda subject: subject.listener),
    "LOCAL_REPLY_BODY": lambda subject: subject.body,
    "REQUEST_DURATION": _always(b"0"),
    "REQUEST_HEADERS_BYTES": _header_bytes,
    "RESPONSE_CODE": lambda subject: b"%d" % subject.status,
    "RESPONSE_CODE_DETAILS": _text(lambda subject: subject.details),
    "RESPONSE_DURATION": elapsed_of_response,
    "RESPONSE_FLAGS": _flags,
    "RESPONSE_FLAGS_LONG": _text(_flags_long),
    "RESPONSE_HEADERS_BYTES": _response_bytes,
    "RESPONSE_TRAILERS_BYTES": _always(b"0"),
    "ROUTE_NAME": _text(_route_name),
    "ROUTE_RESOLUTION_COUNT": _always(b"1"),
    "STREAM_ID": lambda subject: subject.request.header(b"x-request-id"),
    "UNIQUE_ID": lambda subject: subject.new_id() or None,
    "UPSTREAM_CLUSTER": _text(
        lambda subject: (subject.cluster.alt_stat_name or subject.cluster.name) if subject.cluster is not None else ""
    ),
    "UPSTREAM_CLUSTER_RAW": _text(lambda subject: subject.cluster.name if subject.cluster is not None else ""),
    "UPSTREAM_HOST": _text(lambda subject: subject.host.address if subject.host is not None else ""),
    "UPSTREAM_HOSTS_ATTEMPTED": _text(lambda subject: ",".join(subject.tried)),
    "UPSTREAM_HOSTS_ATTEMPTED_WITHOUT_PORT": _text(
        lambda subject: ",".join(each.rpartition(":")[0] for each in subject.tried)
    ),
    "UPSTREAM_HOST_NAME": _text(_named),
    "UPSTREAM_HOST_NAME_WITHOUT_PORT": _text(lambda subject: _host_of(_named(subject).encode())),
    "UPSTREAM_PROTOCOL": _text(
        lambda subject: ("HTTP/2" if subject.http2 else "HTTP/1.1") if _peer(subject) is not None else ""
    ),
    "UPSTREAM_REMOTE_ADDRESS": _text(lambda subject: found.address if (found := _peer(subject)) is not None else ""),
    "UPSTREAM_REMOTE_PORT": _text(lambda subject: str(found.port) if (found := _peer(subject)) is not None else ""),
    "UPSTREAM_REQUEST_ATTEMPT_COUNT": lambda subject: b"%d" % subject.attempts,
}
"""Commands without parameters."""

UNKNOWN_HERE = frozenset(
    _words(
        "BYTES_RETRANSMITTED CONNECTION_ID DOWNSTREAM_CX_RTT DOWNSTREAM_DECOMPRESSED_HEADER_BYTES_RECEIVED "
        "DOWNSTREAM_DECOMPRESSED_HEADER_BYTES_SENT DOWNSTREAM_DETECTED_CLOSE_TYPE "
        "DOWNSTREAM_HEADER_BYTES_RECEIVED DOWNSTREAM_HEADER_BYTES_SENT "
        "DOWNSTREAM_WIRE_BYTES_RECEIVED DOWNSTREAM_WIRE_BYTES_SENT "
        "PACKETS_RETRANSMITTED REQUEST_TX_DURATION ROUTE_RESOLUTION_TIME_US UPSTREAM_CONNECTION_ID "
        "UPSTREAM_CONNECTION_IDS_ATTEMPTED UPSTREAM_CONNECTION_POOL_READY_DURATION "
        "UPSTREAM_DECOMPRESSED_HEADER_BYTES_RECEIVED UPSTREAM_DECOMPRESSED_HEADER_BYTES_SENT "
        "UPSTREAM_DETECTED_CLOSE_TYPE UPSTREAM_HEADER_BYTES_RECEIVED UPSTREAM_HEADER_BYTES_SENT UPSTREAM_LOCAL_ADDRESS "
        "UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT UPSTREAM_LOCAL_PORT UPSTREAM_WIRE_BYTES_RECEIVED UPSTREAM_WIRE_BYTES_SENT "
        "UPSTREAM_HOST_NAMES_ATTEMPTED UPSTREAM_HOST_NAMES_ATTEMPTED_WITHOUT_PORT"
    )
)
"""What only a proxy's own sockets know: formats to nothing here."""

REFUSED = frozenset(
    _words(
        "CEL COALESCE ENVIRONMENT XFCC_VALUE DOWNSTREAM_LOCAL_OTHERNAME_SAN DOWNSTREAM_PEER_ISSUER_FINGERPRINT_256 "
        "DOWNSTREAM_PEER_ISSUER_SERIAL DOWNSTREAM_PEER_OTHERNAME_SAN DOWNSTREAM_TLS_GROUP UPSTREAM_TLS_GROUP"
    )
)
"""Expressions; the environment of this process, no control plane's business; what Python's ssl does not say."""


def command(name: str, parameters: str | None) -> Command:
    """A command with its parameters; one that Envoy knows and that has nothing to say in a header gives nothing.

    Raises:
        UnsupportedFormatError: it cannot be filled in here.
    """
    if name in REFUSED:
        raise UnsupportedFormatError(f"%{name}% is not supported")
    compiled = WITH_PARAMETERS.get(name)
    if compiled is not None:
        return compiled(parameters or "")
    return PLAIN.get(name, nothing)
