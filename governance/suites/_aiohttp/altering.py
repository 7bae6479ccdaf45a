"""Requests and responses of aiohttp's, with other headers than they came with."""

from __future__ import annotations

from functools import lru_cache

from aiohttp import ClientRequest, ClientResponse, hdrs
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from ...headers import HeaderList
from ...request import RawHeaders, RequestView


def cloned(request: ClientRequest) -> ClientRequest:
    """The same request; what is set on it is set on nobody else's."""
    made: ClientRequest = object.__new__(type(request))
    made.__dict__ = request.__dict__.copy()
    return made


def change(request: ClientRequest, changed: RequestView) -> None:
    """A request that goes out by the library's own means, as policies of the user's have left it."""
    others = [pair for pair in changed.raw_headers if pair[0].lower() != b"host"]
    request.headers = CIMultiDict(decoded([(b"Host", changed.authority), *others]))
    url, path = request.url, changed.path.decode("utf-8", "surrogateescape")
    if path != url.raw_path_qs:
        request.url = URL(f"{url.scheme}://{url.raw_authority}{path}", encoded=True)


def tell(request: ClientRequest, told: RawHeaders) -> None:
    """The same, with these headers in the place of any of the same names."""
    headers = CIMultiDict(request.headers)
    for name, value in decoded(told):
        headers[name] = value
    request.headers = headers


def decoded(headers: RawHeaders) -> list[tuple[str, str]]:
    """As aiohttp has them."""
    return [(name.decode(), value.decode("utf-8", "surrogateescape")) for name, value in headers]


@lru_cache(1024)
def _lower(name: bytes) -> str:
    return name.lower().decode()


def in_lower_case(headers: HeaderList) -> list[tuple[str, str]]:
    """The same, names in lower case."""
    try:
        return [(_lower(name), value.decode()) for name, value in headers]  # its arguments would cost as much again
    except UnicodeDecodeError:
        return [(_lower(name), value.decode("utf-8", "surrogateescape")) for name, value in headers]


def going_out(headers: HeaderList, spelled: HeaderList | None) -> CIMultiDict[str]:
    """Of a request, as they are spelled; None: in lower case."""
    return CIMultiDict(in_lower_case(headers) if spelled is None else decoded(spelled))


def rewrite(response: ClientResponse, headers: HeaderList) -> None:
    """A response with these headers."""
    response._headers = CIMultiDictProxy(CIMultiDict(decoded(headers)))
    response._raw_headers = tuple(headers)
    for name in ("headers", "raw_headers"):
        response._cache.pop(name, None)  # what aiohttp has remembered of them
    cookies = tuple(response._headers.getall(hdrs.SET_COOKIE, ()))
    response._raw_cookie_headers = cookies or None
