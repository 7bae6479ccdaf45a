"""Expressions of CEL about a request that is over (envoy source: extensions/filters/common/expr/context.cc).

cel-cpp evaluates them, as in Envoy. It is given maps of what the expression may name. An attribute that has no value is
not there: to read it is an error, and `has` is false.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Protocol

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from ..xds.model.local_reply import Expression
from .client_cert import encoded
from .commands import METADATA, PLAIN
from .durations import MOMENTS
from .grpc_statuses import grpc_status
from .peer import Peer
from .peer_formats import downstream, upstream
from .request import HeaderList
from .subject import Subject

Test = Callable[[Subject], bool]
Read = Callable[[Subject], object]
Attributes = Mapping[str, Read]

FLAGS = (
    *("LH", "UH", "UT", "LR", "UR", "UF", "UC", "UO", "NR", "DI", "FI", "RL", "UAEX", "RLSE", "DC", "URX", "SI", "IH"),
    *("DPE", "UMSDR", "RFCF", "NFCF", "DT", "UPE", "NC", "OM", "DF", "DO", "DR"),
)
"""Response flags by their bits, the lowest first (envoy source: stream_info.h, CoreResponseFlag)."""

_LITERAL = re.compile(r"'([^']*)'|\"([^\"]*)\"|\.\s*([A-Za-z_]\w*)")
_EXTRACTS = re.compile(r"\bre\s*\.\s*(?:extract|capture|captureN)\b")


class ExpressionError(ValueError):
    """It cannot be evaluated here; the text says why."""


class Program(Protocol):
    """A compiled expression of cel_expr_python."""

    def eval(self, *, data: Mapping[str, object]) -> Value: ...


class Value(Protocol):
    """What an expression comes to, errors included."""

    def value(self) -> object: ...


# -- what is read ----------------------------------------------------------------------------------------------------


def _decoded(found: bytes | None) -> str | None:
    return None if found is None else found.decode("utf-8", "replace")


def _text(command: str) -> Read:
    said = PLAIN[command]
    return lambda subject: _decoded(said(subject))


def _number(command: str) -> Callable[[Subject], int | None]:
    said = PLAIN[command]
    return lambda subject: int(found) if (found := said(subject)) else None


def _header(name: bytes) -> Read:
    return lambda subject: _decoded(subject.request.header(name))


def _request_headers(subject: Subject) -> HeaderList:
    request = subject.request
    named = ((b":method", request.method), (b":path", request.path), (b":scheme", request.scheme))
    host = ((b":authority", request.authority), (b"host", request.authority))
    others = [pair for pair in request.raw_headers if pair[0].lower() != b"host"]
    return [pair for pair in (*named, *host) if pair[1]] + others


def _response_headers(subject: Subject) -> HeaderList:
    status = subject.status or subject.local_status
    return [*([(b":status", b"%d" % status)] if status else ()), *(subject.response or ())]


def _map(pairs: HeaderList, spelled: frozenset[str]) -> dict[str, str]:
    """By lower-case names, and as the expression spells them; several values of a name are one."""
    found: dict[str, str] = {}
    for key, value in pairs:
        name, text = key.lower().decode("latin-1"), value.decode("utf-8", "replace")
        found[name] = f"{found[name]},{text}" if name in found else text
    found.update({each: found[each.lower()] for each in spelled if each.lower() in found})
    return found


def _request_size(subject: Subject) -> object:
    said = subject.request.header(b"content-length")
    if said is None:
        return subject.received
    return int(said) if said.isdigit() else None


def _between(begins: str, ends: str) -> Read:
    since, until = MOMENTS[begins], MOMENTS[ends]

    def read(subject: Subject) -> object:
        first, last = since(subject), until(subject)
        if first is None or last is None:
            return None
        duration = Duration()
        duration.FromMilliseconds(last - first)
        return duration

    return read


def _started(subject: Subject) -> object:
    moment = Timestamp()
    moment.FromNanoseconds(int(subject.started * 1_000_000) * 1000)
    return moment


def _flags(subject: Subject) -> int:
    return sum(1 << FLAGS.index(each) for each in set(subject.flags) if each in FLAGS)


def _metadata(kind: str) -> Read:
    read = METADATA[kind]

    def message(subject: Subject) -> object:
        found = read(subject)
        return None if found is None else {"filter_metadata": _plain(found)}

    return message


def _plain(value: object) -> object:
    """Lists and dictionaries, which CEL takes no others of."""
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, tuple) else value


def _locality(subject: Subject) -> object:
    if subject.host is None:
        return None
    place = subject.host.locality
    return {"region": place.region, "zone": place.zone, "sub_zone": place.sub_zone}


def _of(side: Callable[[Subject], Peer | None], read: Callable[[Peer], str]) -> Read:
    return lambda subject: (read(peer) or None) if (peer := side(subject)) is not None else None


def _tls(side: Callable[[Subject], Peer | None]) -> Attributes:
    def first(names: Callable[[Peer], tuple[str, ...]]) -> Read:
        return _of(side, lambda peer: next(iter(names(peer)), ""))

    return {
        "tls_version": _of(side, lambda peer: peer.version),
        "subject_local_certificate": _of(side, lambda peer: peer.local_subject),
        "subject_peer_certificate": _of(side, lambda peer: peer.subject),
        "uri_san_local_certificate": first(lambda peer: peer.local_uri_sans),
        "uri_san_peer_certificate": first(lambda peer: peer.uri_sans),
        "dns_san_local_certificate": first(lambda peer: peer.local_dns_sans),
        "dns_san_peer_certificate": first(lambda peer: peer.dns_sans),
        "sha256_peer_certificate_digest": _of(
            side, lambda peer: sha256(peer.certificate).hexdigest() if peer.presented else ""
        ),
        "peer_certificate": _of(side, lambda peer: encoded(peer.certificate) if peer.presented else ""),
    }


def _attributes(spelled: frozenset[str]) -> Mapping[str, Attributes]:
    remote = _text("DOWNSTREAM_REMOTE_ADDRESS")
    asked, answered = _number("REQUEST_HEADERS_BYTES"), _number("RESPONSE_HEADERS_BYTES")
    return {
        "request": {
            "headers": lambda subject: _map(_request_headers(subject), spelled),
            "headers_bytes": asked,
            "time": _started,
            "size": _request_size,
            "total_size": lambda subject: subject.received + (asked(subject) or 0),
            "duration": _between("DS_RX_BEG", "DS_TX_END"),
            "protocol": _text("PROTOCOL"),
            "path": _header(b":path"),
            "url_path": lambda subject: _path(subject).partition("?")[0],
            "host": _header(b":authority"),
            "scheme": _header(b":scheme"),
            "method": _header(b":method"),
            "referer": _header(b"referer"),
            "id": _header(b"x-request-id"),
            "useragent": _header(b"user-agent"),
            "query": lambda subject: _path(subject).partition("?")[2].partition("#")[0],
        },
        "response": {
            "code": lambda subject: subject.status or subject.local_status or None,
            "size": lambda subject: subject.sent,
            "headers": lambda subject: _map(_response_headers(subject), spelled),
            "headers_bytes": answered,
            "trailers": lambda subject: {},
            "flags": _flags,
            "grpc_status": grpc_status,
            "total_size": lambda subject: subject.sent + (answered(subject) or 0),
            "code_details": lambda subject: subject.details or None,
            "backend_latency": _between("DS_RX_END", "US_RX_END"),
        },
        "connection": {
            "mtls": lambda subject: subject.peer is not None and subject.peer.presented,
            "requested_server_name": lambda subject: subject.peer.server_name if subject.peer is not None else "",
            **_tls(downstream),
        },
        "upstream": {
            "address": lambda subject: subject.host.address if subject.host is not None else None,
            "port": lambda subject: subject.host.port if subject.host is not None else None,
            "locality": _locality,
            "transport_failure_reason": lambda subject: subject.transport if subject.host is not None else None,
            "request_attempt_count": lambda subject: subject.attempts,
            **_tls(upstream),
        },
        "source": {"address": remote, "port": lambda subject: subject.source_port if remote(subject) else None},
        "destination": {
            "address": lambda subject: subject.local or None,
            "port": _number("DOWNSTREAM_LOCAL_PORT"),
        },
        "metadata": {"filter_metadata": lambda subject: _plain(subject.dynamic)},
        "filter_state": {},
        "upstream_filter_state": {},
        "xds": {
            "cluster_name": lambda subject: subject.cluster.name if subject.cluster is not None else None,
            "cluster_metadata": _metadata("CLUSTER"),
            "route_name": lambda subject: subject.route.route.name if subject.route is not None else None,
            "route_metadata": _metadata("ROUTE"),
            "virtual_host_name": lambda subject: subject.vhost.name if subject.vhost is not None else None,
            "virtual_host_metadata": _metadata("VIRTUAL_HOST"),
            "upstream_host_metadata": _metadata("UPSTREAM_HOST"),
            "filter_chain_name": lambda subject: subject.chain,
        },
    }


def _path(subject: Subject) -> str:
    return subject.request.path.decode("utf-8", "replace")


# -- evaluation ------------------------------------------------------------------------------------------------------


def expression_test(wanted: Expression) -> Test:
    """Whether an expression is true of a request; what is an error, or no truth value, is not.

    Raises:
        ExpressionError: cel_expr_python is not installed, or the expression calls what it does not have.
    """
    text = wanted.text
    if found := _EXTRACTS.search(text):
        raise ExpressionError(f"the expression calls {found[0]}, which is not known here")
    try:
        from cel_expr_python import cel
    except ImportError:
        raise ExpressionError("expressions are evaluated by cel-expr-python: pip install 'proxyless[cel]'") from None
    spelled = frozenset(each for match in _LITERAL.finditer(text) for each in match.groups() if each)
    named = {
        root: tuple(attributes.items())
        for root, attributes in _attributes(frozenset(each for each in spelled if each != each.lower())).items()
        if root in text
    }
    environment = cel.NewEnv(variables=dict.fromkeys(named, cel.Type.DYN))
    program: Program = environment.compile(text, disable_check=True)

    def test(subject: Subject) -> bool:
        data = {
            root: {name: value for name, read in attributes if (value := read(subject)) is not None}
            for root, attributes in named.items()
        }
        return program.eval(data=data).value() is True

    return test
