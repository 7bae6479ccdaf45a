"""The messages of an authorization service (envoy.service.auth.v3), to and from bytes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..model.authorization_service import Action, CheckAnswer, CheckQuery, HeaderChange, Party
from ..model.values import FilterMetadata
from .decode.values import struct
from .schema import types as pb

METHOD = "/envoy.service.auth.v3.Authorization/Check"

OF_REQUEST: tuple[Action, Action] = ("set", "append")
"""By `append`: what a header of a request is to do; Envoy looks at nothing else there."""

OF_RESPONSE: tuple[Action, ...] = ("add", "add if absent", "set", "overwrite if exists")
"""By the number of `append_action`."""


def encode_query(query: CheckQuery) -> bytes:
    """A CheckRequest."""
    message = pb.auth_v3.CheckRequest()
    attributes = message.attributes
    _party(attributes.source, query.source)
    _party(attributes.destination, query.destination)
    time = attributes.request.time
    time.seconds = int(query.time_s)
    time.nanos = int((query.time_s - time.seconds) * 1e9)
    http = attributes.request.http
    http.id = query.id
    http.method, http.path = text(query.method), text(query.path)
    http.host, http.scheme = text(query.host), text(query.scheme)
    http.protocol, http.size = query.protocol, query.size
    if query.raw_headers:
        for name, value in query.headers:
            http.header_map.headers.add(key=text(name), raw_value=value)
    else:
        for name, value in query.headers:
            http.headers[text(name)] = text(value)
    if query.body is not None:
        if query.raw_body:
            http.raw_body = query.body
        else:
            http.body = text(query.body)
    for key, said in query.context.items():
        attributes.context_extensions[key] = said
    _metadata(attributes.metadata_context, query.metadata)
    _metadata(attributes.route_metadata_context, query.route_metadata)
    if query.server_name is not None:
        attributes.tls_session.sni = query.server_name
    return message.SerializeToString()


def text(raw: bytes) -> str:
    """As Envoy makes UTF-8 of anything: an exclamation mark for each byte that is none."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return "".join("!" if "\udc80" <= each <= "\udcff" else each for each in raw.decode(errors="surrogateescape"))


def _party(message: pb.auth_v3.AttributeContext.Peer, party: Party) -> None:
    if party.address.startswith(("/", "@")):
        message.address.pipe.path = party.address
    else:
        message.address.socket_address.address = party.address
        message.address.socket_address.port_value = party.port
    message.principal, message.service = party.principal, party.service
    message.certificate = party.certificate


def _metadata(message: pb.core_v3.Metadata, metadata: FilterMetadata) -> None:
    message.SetInParent()
    for name, fields in metadata.items():
        _fill(message.filter_metadata[name], fields)


def _fill(message: pb.google_protobuf.Struct, fields: Mapping[str, Any]) -> None:
    message.SetInParent()
    for key, value in fields.items():
        _value(message.fields[key], value)


def _value(message: pb.google_protobuf.Value, value: Any) -> None:
    if value is None:
        message.null_value = 0
    elif isinstance(value, bool):
        message.bool_value = value
    elif isinstance(value, int | float):
        message.number_value = value
    elif isinstance(value, str):
        message.string_value = value
    elif isinstance(value, Mapping):
        _fill(message.struct_value, value)
    else:
        message.list_value.SetInParent()
        for each in value:
            _value(message.list_value.values.add(), each)


def decode_answer(raw: bytes) -> CheckAnswer:
    """A CheckResponse.

    Raises:
        google.protobuf.message.DecodeError: it is none.
    """
    message = pb.auth_v3.CheckResponse.FromString(raw)
    ok = message.ok_response
    own = message.HasField("ok_response") and ok.HasField("dynamic_metadata")
    metadata = struct(ok.dynamic_metadata if own else message.dynamic_metadata)
    if message.status.code == 0:
        return CheckAnswer(
            "ok",
            _of_request(ok.headers),
            tuple(each.lower().encode() for each in ok.headers_to_remove),
            tuple(_of_response(each) for each in ok.response_headers_to_add),
            tuple((each.key.encode(), each.value.encode()) for each in ok.query_parameters_to_set),
            tuple(each.encode() for each in ok.query_parameters_to_remove),
            metadata,
            invalid=any(
                not each.HasField("append") and not 0 <= each.append_action < len(OF_RESPONSE)
                for each in ok.response_headers_to_add
            ),
        )
    denied = message.denied_response
    return CheckAnswer(
        "denied",
        # What is to be appended has nothing to be appended to.
        tuple(each for each in _of_request(denied.headers) if each.action == "set"),
        metadata=metadata,
        status=denied.status.code or 403,
        body=denied.body.encode(),
    )


def _of_request(messages: Iterable[pb.core_v3.HeaderValueOption]) -> tuple[HeaderChange, ...]:
    return tuple(
        HeaderChange(each.header.key.lower().encode(), _said(each), OF_REQUEST[each.append.value]) for each in messages
    )


def _of_response(message: pb.core_v3.HeaderValueOption) -> HeaderChange:
    if message.HasField("append"):
        action: Action = "add" if message.append.value else "set"
    elif 0 <= message.append_action < len(OF_RESPONSE):
        action = OF_RESPONSE[message.append_action]
    else:
        action = "set"
    return HeaderChange(message.header.key.lower().encode(), _said(message), action)


def _said(message: pb.core_v3.HeaderValueOption) -> bytes:
    return message.header.value.encode()
