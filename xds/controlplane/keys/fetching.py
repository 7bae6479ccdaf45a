"""One fetch of a key set, by istiod's rules: proxies of the environment, the system's authorities, no metadata service.

Nothing of what was fetched is ever part of an error: it may be anything, and secret.
"""

from __future__ import annotations

import http.client
import ipaddress
import json
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

from .sources import KeySource

_DISCOVERY = "/.well-known/openid-configuration"
_MOST_BYTES = 1 << 20
_CHUNK = 1 << 16
# Services that tell a machine's own secrets to whoever asks on it, beside those at link-local addresses.
_METADATA = frozenset({"fd00:ec2::254", "100.100.100.200"})


class FetchError(Exception):
    """There are no keys there; the text is for people."""


def fetch(source: KeySource, timeout_s: float) -> str:
    """A key set as it was sent.

    Raises:
        FetchError: nothing answers in time, or what answers is no key set.
    """
    until = time.monotonic() + timeout_s
    uri = source.uri or _discovered(source.issuer, until)
    text = _text(_get(uri, until), uri)
    try:
        keys = json.loads(text)["keys"]
    except (ValueError, TypeError, KeyError) as error:
        raise FetchError(f"what {uri} sends is no JSON Web Key Set") from error
    if not isinstance(keys, list) or not keys:
        raise FetchError(f"what {uri} sends holds no key")
    return text


def _discovered(issuer: str, until: float) -> str:
    where = issuer.removesuffix("/") + _DISCOVERY
    try:
        uri = json.loads(_text(_get(where, until), where))["jwks_uri"]
    except (ValueError, TypeError, KeyError) as error:
        raise FetchError(f"what {where} sends names no jwks_uri") from error
    if not isinstance(uri, str):
        raise FetchError(f"what {where} sends names no jwks_uri")
    return uri


def _text(raw: bytes, uri: str) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise FetchError(f"what {uri} sends is no text") from error


def _get(uri: str, until: float) -> bytes:
    if not uri.startswith(("http://", "https://")):
        raise FetchError(f'"{uri}" is no URL of http or https')
    left = until - time.monotonic()
    if left <= 0:
        raise FetchError(f"{uri} is not reached in time")
    try:
        with _opener().open(urllib.request.Request(uri), timeout=left) as answer:  # noqa: S310  only those two schemes
            return _read(answer.read, uri, until)
    except urllib.error.HTTPError as error:
        with error:
            raise FetchError(f"{uri} answers {error.code}") from error
    except urllib.error.URLError as error:
        raise FetchError(f"{uri} is not reached: {error.reason}") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise FetchError(f"{uri} is not reached: {str(error) or type(error).__name__}") from error


def _read(more: Callable[[int], bytes], uri: str, until: float) -> bytes:
    found = bytearray()
    while part := more(_CHUNK):
        found += part
        if len(found) > _MOST_BYTES:
            raise FetchError(f"{uri} sends more than {_MOST_BYTES} bytes")
        if time.monotonic() > until:
            raise FetchError(f"{uri} does not send all of it in time")
    return bytes(found)


def _opener() -> urllib.request.OpenerDirector:
    """HTTP and HTTPS, and nothing else that a redirection could lead to."""
    made = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.UnknownHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
        _Http(),
        _Https(),
    ):
        made.add_handler(handler)
    return made


def _allowed(connection: http.client.HTTPConnection) -> None:
    """Before anything is said to it."""
    try:
        peer = str(connection.sock.getpeername()[0])
        address = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:
        return
    if address.is_link_local or str(address) in _METADATA:
        connection.close()
        raise OSError(f"{peer} is the address of no key server")


class _Connection(http.client.HTTPConnection):
    def connect(self) -> None:
        super().connect()
        _allowed(self)


class _SecureConnection(http.client.HTTPSConnection):
    def connect(self) -> None:
        super().connect()
        _allowed(self)


class _Http(urllib.request.HTTPHandler):
    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_Connection, req)


class _Https(urllib.request.HTTPSHandler):
    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        settings: dict[str, Any] = {"context": ssl.create_default_context()}
        return self.do_open(_SecureConnection, req, **settings)
