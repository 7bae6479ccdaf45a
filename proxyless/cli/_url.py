"""URLs as a client library would send them: unusual ones are sent as they are, not refused."""

import re
from dataclasses import dataclass

from ..errors import ConfigurationError

_URL = re.compile(r"(?P<scheme>https?)://(?P<authority>[^/?#]*)(?P<rest>.*)", re.DOTALL | re.IGNORECASE)
PORTS = {b"http": 80, b"https": 443}


@dataclass(frozen=True, slots=True)
class Target:
    """What a URL says of a request, in bytes as on the wire."""

    scheme: bytes
    host: bytes
    port: int
    authority: bytes
    target: bytes


def parse_url(url: str) -> Target:
    """Scheme, host, port, authority (with the port where it is not the scheme's own) and target.

    Raises:
        ConfigurationError: there is no scheme or host in it, or the port is no number.
    """
    match = _URL.fullmatch(url)
    if match is None:
        raise ConfigurationError(f"{url!r} is not an http:// or https:// URL")
    scheme = match["scheme"].lower().encode()
    authority = match["authority"].rpartition("@")[2]
    host, port = authority, PORTS[scheme]
    colon = authority.rfind(":")
    if colon > authority.rfind("]"):
        host, text = authority[:colon], authority[colon + 1 :]
        if text:
            if not re.fullmatch("0*[0-9]{1,5}", text) or not 0 < int(text[-5:]) < 65536:
                raise ConfigurationError(f"{url!r}: {text!r} is not a port")
            port = int(text)
    if not host:
        raise ConfigurationError(f"{url!r} has no host")
    rest = match["rest"].partition("#")[0]
    target = rest if rest.startswith("/") else "/" + rest
    said = host.lower() if port == PORTS[scheme] else f"{host.lower()}:{port}"
    return Target(scheme, _bytes(host.lower()), port, _bytes(said), _bytes(target))


def _bytes(text: str) -> bytes:
    """Non-ASCII text as UTF-8; what is escaped stays escaped."""
    return text.encode("utf-8", "surrogateescape")
