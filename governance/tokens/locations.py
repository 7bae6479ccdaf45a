"""Where tokens are looked for in a request (envoy source: jwt_authn Extractor), and how they are taken out of it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import field
from typing import final
from urllib.parse import unquote_to_bytes

from ...xds.model.jwt import JwtProvider
from ...xds.model.records import dataclass
from ..request import RequestView

_TOKEN = re.compile(rb"[-_.0-9A-Za-z]")
_UNFIT = re.compile(rb"[^!-~]")


@final
@dataclass(frozen=True, slots=True)
class Found:
    """A token of a request. `issuers`: who may have issued what is found there; None: anybody."""

    token: bytes = field(repr=False)
    issuers: frozenset[str] | None
    header: bytes = b""
    parameter: bytes = b""

    def remove(self, request: RequestView) -> None:
        """Take it out of the request. Envoy leaves cookies as they are."""
        if self.header:
            kept = [pair for pair in request.raw_headers if pair[0].lower() != self.header]
            request.replace_headers(kept)
        elif self.parameter:
            request.replace_path(_without(request.path, self.parameter))


class Locations:
    """The places that some providers look at."""

    __slots__ = ("_cookies", "_headers", "_parameters", "_sanitized")

    def __init__(self, providers: Iterable[JwtProvider]) -> None:
        headers: dict[bytes, tuple[bytes, bytes, set[str]]] = {}
        parameters: dict[bytes, set[str]] = {}
        cookies: dict[bytes, set[str]] = {}
        sanitized: dict[bytes, None] = {}
        for each in providers:
            for name, prefix in each.headers:
                key = (name + prefix).encode()
                headers.setdefault(key, (name.encode(), prefix.encode(), set()))[2].add(each.issuer)
            for parameter in each.parameters:
                parameters.setdefault(parameter.encode(), set()).add(each.issuer)
            for cookie in each.cookies:
                cookies.setdefault(cookie.encode(), set()).add(each.issuer)
            if each.payload_header:
                sanitized[each.payload_header.encode()] = None
            for header, _ in each.claims:
                sanitized[header.encode()] = None
        self._headers = [(name, prefix, _issuers(held)) for _, (name, prefix, held) in sorted(headers.items())]
        self._parameters = [(name, _issuers(held)) for name, held in sorted(parameters.items())]
        self._cookies = [(name, _issuers(held)) for name, held in sorted(cookies.items())]
        self._sanitized = frozenset(sanitized)

    def sanitize(self, request: RequestView) -> None:
        """What only a verified token may say is removed, whoever said it."""
        if not self._sanitized.isdisjoint(request.headers):
            kept = [pair for pair in request.raw_headers if pair[0].lower() not in self._sanitized]
            request.replace_headers(kept)

    def find(self, request: RequestView) -> list[Found]:
        """All tokens, in the order in which they are verified: cookies, parameters, headers, each from the last."""
        found = []
        for name, prefix, issuers in self._headers:
            for raw in request.values(name):
                value = raw.strip(b" \t")  # not every server does it
                if prefix:
                    at = value.find(prefix)
                    if at < 0:
                        continue
                    start = _TOKEN.search(value, at + len(prefix))
                    value = value if start is None else value[start.start() :]
                found.append(Found(value, issuers, header=name))
        if self._parameters and b"?" in request.path:
            decoded = dict(reversed(_parameters(request.path)))
            found += [
                Found(decoded[name], issuers, parameter=name) for name, issuers in self._parameters if name in decoded
            ]
        for name, issuers in self._cookies:
            cookie = request.cookie(name)
            if cookie is not None:
                found.append(Found(cookie, issuers))
        found.reverse()
        return found


def _issuers(held: set[str]) -> frozenset[str] | None:
    return None if "" in held else frozenset(held)


def _parameters(path: bytes) -> list[tuple[bytes, bytes]]:
    query = path.partition(b"?")[2].partition(b"#")[0]
    pairs = [each.partition(b"=") for each in query.split(b"&") if each]
    return [(unquote_to_bytes(key), unquote_to_bytes(value)) for key, _, value in pairs]


def _without(path: bytes, name: bytes) -> bytes:
    """Envoy writes the others decoded, in the order of their names; what no request line may hold is encoded here."""
    kept = sorted((pair for pair in _parameters(path) if pair[0] != name), key=lambda pair: pair[0])
    query = b"&".join(key + b"=" + value for key, value in kept)
    query = _UNFIT.sub(lambda found: b"%%%02X" % found[0][0], query)
    return path.partition(b"?")[0] + (b"?" + query if kept else b"")
