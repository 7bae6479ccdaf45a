"""What becomes of a request by the word of an authorization service (envoy source: filters/http/ext_authz).

Headers of the request are set first, then those are appended to that are there, then some are removed; the query comes
last. An answer with a header that no message may carry is no answer: Envoy says so where `validate_mutations` is set,
and here always.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from ..xds.model.authorization_service import CheckAnswer, HeaderChange, HttpVerdict
from ..xds.model.ext_authz import HttpAuthorizer, Names
from .check_request import NameTest
from .headers import HeaderList
from .matching import string_test
from .request import RequestView

if TYPE_CHECKING:
    from .filters.stream import Stream

TO_REMOVE = b"x-envoy-auth-headers-to-remove"
FRAMING = frozenset({b"connection", b"keep-alive", b"transfer-encoding"})
CLIENT_ALWAYS = frozenset({b"content-length", b"www-authenticate", b"location"})
"""What a client gets of a denial beside what is configured."""
SERVER_ERRORS = range(500, 600)

_NAME = re.compile(rb":?[-!#$%&'*+.^_`|~0-9a-z]+")
_BAD_VALUE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_ENCODED = re.compile(rb"(?:[A-Za-z0-9._~*-]|%[0-9A-Fa-f]{2}|\+)*")
_UNFIT = re.compile(rb"[^!-~]")

PSEUDO = {b":path", b":method", b":scheme", b":authority", b"host"}


def any_of(names: Names) -> NameTest:
    """Whether one of them matches."""
    tests = tuple(string_test(each) for each in names)
    return lambda name: any(test(name) for test in tests)


class HttpReader:
    """Makes an answer of what a service that speaks plain HTTP has said."""

    __slots__ = ("_append", "_client", "_metadata", "_on_success", "_upstream")

    def __init__(self, config: HttpAuthorizer) -> None:
        self._upstream = any_of(config.upstream)
        self._append = any_of(config.upstream_append)
        self._on_success = any_of(config.client_on_success)
        self._metadata = any_of(config.metadata)
        of_client = any_of(config.client)
        self._client: NameTest = (
            (lambda name: name in CLIENT_ALWAYS or of_client(name)) if config.client else lambda name: name != b"host"
        )

    def __call__(self, said: HttpVerdict) -> CheckAnswer:
        """Only 200 lets a request pass; what a server cannot do is an error."""
        if said.status in SERVER_ERRORS:
            return CheckAnswer("error")
        known = [pair for pair in said.headers if pair[0] not in FRAMING and pair[0] != TO_REMOVE]
        metadata = {name.decode("latin-1"): value.decode("latin-1") for name, value in known if self._metadata(name)}
        if said.status != 200:
            headers = changes(pair for pair in known if self._client(pair[0]))
            return CheckAnswer("denied", headers, metadata=metadata, status=said.status, body=said.body)
        remove = b",".join(value for name, value in said.headers if name == TO_REMOVE)
        return CheckAnswer(
            "ok",
            (
                *changes(pair for pair in known if self._upstream(pair[0])),
                *(HeaderChange(name, value, "add") for name, value in known if self._append(name)),
            ),
            tuple(each.strip().lower() for each in remove.split(b",") if each.strip()),
            tuple(HeaderChange(name, value, "add") for name, value in known if self._on_success(name)),
            metadata=metadata,
        )


def changes(pairs: Iterable[tuple[bytes, bytes]]) -> tuple[HeaderChange, ...]:
    """Headers to set."""
    return tuple(HeaderChange(name, value) for name, value in pairs)


def proper(wanted: Sequence[HeaderChange]) -> bool:
    """Whether a message may carry them."""
    return all(_NAME.fullmatch(each.name) and not _BAD_VALUE.search(each.value) for each in wanted)


def encoded(parameters: Sequence[tuple[bytes, bytes]]) -> bool:
    """Whether they are as a query has them."""
    return all(_ENCODED.fullmatch(each) for pair in parameters for each in pair)


def change_request(stream: Stream, answer: CheckAnswer) -> None:
    """Headers, then the query."""
    request = stream.request
    if answer.headers or answer.remove:
        headers = list(request.raw_headers)
        for action in ("set", "add", "append"):
            for each in answer.headers:
                if each.action == action:
                    headers = _changed(request, headers, each)
        if answer.remove:
            gone = {name for name in answer.remove if name not in PSEUDO and not name.startswith(b":")}
            headers = [pair for pair in headers if pair[0].lower() not in gone]
        request.replace_headers(headers)
    if answer.set_parameters or answer.remove_parameters:
        request.replace_path(_with_query(request.path, answer))


def _changed(request: RequestView, headers: HeaderList, change: HeaderChange) -> HeaderList:
    name, value = change.name, change.value
    if name in PSEUDO:
        return _with_pseudo(request, headers, change)
    if change.action == "set":
        return placed(headers, name, value)
    if change.action == "add":
        return [*headers, (name, value)]
    held = [each for key, each in headers if key.lower() == name]
    return placed(headers, name, b",".join([*held, value])) if held else headers


def _with_pseudo(request: RequestView, headers: HeaderList, change: HeaderChange) -> HeaderList:
    name, value = change.name, change.value
    if change.action == "append":
        value = b",".join([request.header(name) or b"", value])
    if name == b":path":
        request.replace_path(_UNFIT.sub(_percent, value))
    elif name == b":method":
        request.method = value
    elif name == b":scheme":
        request.scheme = value
    else:
        request.authority = value
        return [(key, value if key.lower() == b"host" else each) for key, each in headers]
    return headers


def placed(headers: HeaderList, name: bytes, value: bytes) -> HeaderList:
    """With one value of a header: where its first is, else at the end."""
    found: HeaderList = []
    done = False
    for pair in headers:
        if pair[0].lower() != name:
            found.append(pair)
        elif not done:
            found.append((name, value))
            done = True
    return found if done else [*found, (name, value)]


def change_response(headers: HeaderList, wanted: Sequence[HeaderChange]) -> HeaderList:
    """The headers of the answer to a request that may pass."""
    for action in _RESPONSE:
        for each in wanted:
            if each.action == action:
                headers = _RESPONSE[action](headers, each.name, each.value)
    return headers


def _holds(headers: HeaderList, name: bytes) -> bool:
    return any(key.lower() == name for key, _ in headers)


_RESPONSE: dict[str, Callable[[HeaderList, bytes, bytes], HeaderList]] = {
    "add": lambda headers, name, value: [*headers, (name, value)],
    "set": placed,
    "add if absent": lambda headers, name, value: headers if _holds(headers, name) else [*headers, (name, value)],
    "overwrite if exists": lambda headers, name, value: (
        placed(headers, name, value) if _holds(headers, name) else headers
    ),
}


def _with_query(path: bytes, answer: CheckAnswer) -> bytes:
    """Parameters in the order of their names, as Envoy keeps them."""
    bare, _, query = path.partition(b"?")
    parameters: dict[bytes, list[bytes]] = {}
    for pair in filter(None, query.partition(b"#")[0].split(b"&")):
        key, _, value = pair.partition(b"=")
        parameters.setdefault(key, []).append(value)
    for key, value in answer.set_parameters:
        parameters[key] = [value]
    for key in answer.remove_parameters:
        parameters.pop(key, None)
    pairs = [key + b"=" + value for key, values in sorted(parameters.items()) for value in values]
    return _UNFIT.sub(_percent, bare + (b"?" + b"&".join(pairs) if pairs else b""))


def _percent(match: re.Match[bytes]) -> bytes:
    return b"%%%02X" % match[0][0]
