"""Envoy's `%...%` formats: what its parser refuses when a configuration is loaded (source: substitution_formatter).

Only the grammar is known here. Which commands can be filled in is governance's business; what it cannot do it names.
The commands are those of Envoy 1.40 in headers, each asked of the real one (tests/xds/wire/decode/test_formats.py).
"""

from __future__ import annotations

import re

from ...model.formats import COMMAND
from ..refused import RefusedError

_COMMAND = re.compile(COMMAND, re.DOTALL)
_BAD_IN_HEADER = re.compile(r"[^!#$%&'*+\-.^_`|~0-9A-Za-z:]")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


PLAIN = _words(
    "ACCESS_LOG_TYPE BYTES_RECEIVED BYTES_RETRANSMITTED BYTES_SENT CONNECTION_ID CONNECTION_TERMINATION_DETAILS "
    "CUSTOM_FLAGS DOWNSTREAM_CX_RTT DOWNSTREAM_DECOMPRESSED_HEADER_BYTES_RECEIVED "
    "DOWNSTREAM_DECOMPRESSED_HEADER_BYTES_SENT DOWNSTREAM_DETECTED_CLOSE_TYPE DOWNSTREAM_DIRECT_LOCAL_ADDRESS "
    "DOWNSTREAM_DIRECT_LOCAL_ADDRESS_ENDPOINT_ID DOWNSTREAM_DIRECT_LOCAL_PORT DOWNSTREAM_DIRECT_REMOTE_ADDRESS "
    "DOWNSTREAM_DIRECT_REMOTE_PORT DOWNSTREAM_HANDSHAKE_DURATION DOWNSTREAM_HEADER_BYTES_RECEIVED "
    "DOWNSTREAM_HEADER_BYTES_SENT DOWNSTREAM_LOCAL_ADDRESS DOWNSTREAM_LOCAL_ADDRESS_ENDPOINT_ID "
    "DOWNSTREAM_LOCAL_CLOSE_REASON DOWNSTREAM_LOCAL_DNS_SAN DOWNSTREAM_LOCAL_EMAIL_SAN DOWNSTREAM_LOCAL_IP_SAN "
    "DOWNSTREAM_LOCAL_OTHERNAME_SAN DOWNSTREAM_LOCAL_PORT DOWNSTREAM_LOCAL_SUBJECT DOWNSTREAM_LOCAL_URI_SAN "
    "DOWNSTREAM_PEER_CERT DOWNSTREAM_PEER_CHAIN_FINGERPRINTS_1 DOWNSTREAM_PEER_CHAIN_FINGERPRINTS_256 "
    "DOWNSTREAM_PEER_CHAIN_SERIALS DOWNSTREAM_PEER_DNS_SAN DOWNSTREAM_PEER_EMAIL_SAN DOWNSTREAM_PEER_FINGERPRINT_1 "
    "DOWNSTREAM_PEER_FINGERPRINT_256 DOWNSTREAM_PEER_IP_SAN DOWNSTREAM_PEER_ISSUER "
    "DOWNSTREAM_PEER_ISSUER_FINGERPRINT_256 DOWNSTREAM_PEER_ISSUER_SERIAL DOWNSTREAM_PEER_OTHERNAME_SAN "
    "DOWNSTREAM_PEER_SERIAL DOWNSTREAM_PEER_SUBJECT DOWNSTREAM_PEER_URI_SAN DOWNSTREAM_REMOTE_ADDRESS "
    "DOWNSTREAM_REMOTE_PORT DOWNSTREAM_TLS_CIPHER DOWNSTREAM_TLS_GROUP DOWNSTREAM_TLS_SESSION_ID "
    "DOWNSTREAM_TLS_VERSION DOWNSTREAM_TRANSPORT_FAILURE_REASON DOWNSTREAM_WIRE_BYTES_RECEIVED "
    "DOWNSTREAM_WIRE_BYTES_SENT DURATION FILTER_CHAIN_NAME GRPC_STATUS_NUMBER HOSTNAME LISTENER_NAME LOCAL_REPLY_BODY "
    "PACKETS_RETRANSMITTED PROTOCOL REQUEST_DURATION REQUEST_HEADERS_BYTES REQUEST_TX_DURATION RESPONSE_CODE "
    "RESPONSE_DURATION RESPONSE_FLAGS RESPONSE_FLAGS_LONG RESPONSE_HEADERS_BYTES RESPONSE_TRAILERS_BYTES "
    "RESPONSE_TX_DURATION ROUNDTRIP_DURATION ROUTE_NAME ROUTE_RESOLUTION_COUNT ROUTE_RESOLUTION_TIME_US SPAN_ID "
    "STREAM_ID TLS_JA3_FINGERPRINT TLS_JA4_FINGERPRINT TRACE_ID UNIQUE_ID UPSTREAM_CLUSTER UPSTREAM_CLUSTER_RAW "
    "UPSTREAM_CONNECTION_ID UPSTREAM_CONNECTION_IDS_ATTEMPTED UPSTREAM_CONNECTION_POOL_READY_DURATION "
    "UPSTREAM_DECOMPRESSED_HEADER_BYTES_RECEIVED UPSTREAM_DECOMPRESSED_HEADER_BYTES_SENT UPSTREAM_DETECTED_CLOSE_TYPE "
    "UPSTREAM_HEADER_BYTES_RECEIVED UPSTREAM_HEADER_BYTES_SENT UPSTREAM_HOST UPSTREAM_HOSTS_ATTEMPTED "
    "UPSTREAM_HOSTS_ATTEMPTED_WITHOUT_PORT UPSTREAM_HOST_NAME UPSTREAM_HOST_NAMES_ATTEMPTED "
    "UPSTREAM_HOST_NAMES_ATTEMPTED_WITHOUT_PORT UPSTREAM_HOST_NAME_WITHOUT_PORT UPSTREAM_LOCAL_ADDRESS "
    "UPSTREAM_LOCAL_CLOSE_REASON UPSTREAM_LOCAL_DNS_SAN UPSTREAM_LOCAL_IP_SAN UPSTREAM_LOCAL_PORT "
    "UPSTREAM_LOCAL_URI_SAN UPSTREAM_PEER_CERT UPSTREAM_PEER_DNS_SAN UPSTREAM_PEER_IP_SAN UPSTREAM_PEER_ISSUER "
    "UPSTREAM_PEER_SUBJECT UPSTREAM_PEER_URI_SAN UPSTREAM_PROTOCOL UPSTREAM_REMOTE_ADDRESS "
    "UPSTREAM_REMOTE_ADDRESS_ENDPOINT_ID UPSTREAM_REMOTE_PORT UPSTREAM_REQUEST_ATTEMPT_COUNT UPSTREAM_SERVER_NAME "
    "UPSTREAM_TLS_CIPHER UPSTREAM_TLS_GROUP UPSTREAM_TLS_SESSION_ID UPSTREAM_TLS_VERSION "
    "UPSTREAM_TRANSPORT_FAILURE_REASON UPSTREAM_WIRE_BYTES_RECEIVED UPSTREAM_WIRE_BYTES_SENT "
    "VIRTUAL_CLUSTER_NAME"
)
"""Commands that take neither parameters nor a length."""

HEADERS = _words("REQ REQUEST_HEADER RESP RESPONSE_HEADER RESPONSE_TRAILER TRAILER")
"""Commands whose parameter is `name?alternative`."""

REQUIRED = HEADERS | _words(
    "CLUSTER_METADATA COALESCE COMMON_DURATION DYNAMIC_METADATA ENVIRONMENT QUERY_PARAM STREAM_INFO_REQ "
    "UPSTREAM_METADATA"
)
"""Commands that need parameters."""

WITHOUT_LENGTH = _words(
    "DOWNSTREAM_DIRECT_LOCAL_ADDRESS_WITHOUT_PORT DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT "
    "DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT DOWNSTREAM_PEER_CERT_V_END DOWNSTREAM_PEER_CERT_V_START "
    "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT EMIT_TIME EMIT_TIME_LOCAL GRPC_STATUS REQUESTED_SERVER_NAME "
    "RESPONSE_CODE_DETAILS START_TIME START_TIME_LOCAL UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT "
    "UPSTREAM_PEER_CERT_V_END UPSTREAM_PEER_CERT_V_START UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT"
)
"""Commands that may have parameters but no length."""

OTHERS = _words("CEL FILTER_STATE METADATA PATH QUERY_PARAMS UPSTREAM_FILTER_STATE XFCC_VALUE")
"""Commands whose parameters follow rules of their own, which are not looked at."""


def checked_format(text: str) -> str:
    """The text, after Envoy's parser would have accepted it.

    Raises:
        RefusedError: with Envoy's own words.
    """
    position = text.find("%")
    while position >= 0:
        if text.startswith("%%", position):
            position = text.find("%", position + 2)
            continue
        match = _COMMAND.match(text, position)
        if match is None:
            raise RefusedError(f"Incorrect configuration: {text}. Couldn't find valid command at position {position}")
        _check(match[1], match[2] or "", match[3] is not None)
        position = text.find("%", match.end())
    return text


def refuse_format(text: str, formatter: str) -> None:
    """The same for formats that are named when they are refused."""
    try:
        checked_format(text)
    except RefusedError as error:
        raise RefusedError(f"Failed to create {formatter} formatter: INVALID_ARGUMENT: {error}") from error


def _check(command: str, parameters: str, length: bool) -> None:
    if command in PLAIN:
        if parameters or length:
            raise RefusedError(f"{command} does not take any parameters or length")
    elif command in REQUIRED:
        if not parameters:
            raise RefusedError(f"{command} requires parameters")
        if command in HEADERS:
            _check_names(parameters)
    elif command in WITHOUT_LENGTH:
        if length:
            raise RefusedError(f"{command} does not allow length to be specified.")
    elif command not in OTHERS:
        raise RefusedError(f"Not supported field in StreamInfo: {command}")


def _check_names(parameters: str) -> None:
    names = parameters.split("?")
    if len(names) > 2:
        raise RefusedError(f"More than 1 alternative header specified in token: {parameters}")
    if any(_BAD_IN_HEADER.search(name) for name in names):
        raise RefusedError("Invalid header configuration. Format string contains invalid characters.")
