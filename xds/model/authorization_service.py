"""What an authorization service is asked, and what it says (envoy.service.auth.v3, and the same over plain HTTP)."""

from collections.abc import Mapping
from dataclasses import field
from typing import Literal

from .records import dataclass
from .values import FilterMetadata, MetadataValue

Headers = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True)
class Party:
    """AttributeContext.Peer: one end of the connection. `principal`: who its certificate says it is."""

    address: str
    port: int = 0
    principal: str = ""
    service: str = ""
    certificate: str = ""
    """URL-encoded PEM."""


@dataclass(frozen=True, slots=True)
class CheckQuery:
    """CheckRequest. `headers` have lower-case names, pseudo headers among them, each once.

    `body` is None where none is shown. `server_name` is None where nothing is said of TLS.
    """

    source: Party
    destination: Party
    time_s: float
    id: str
    method: bytes
    path: bytes
    host: bytes
    scheme: bytes
    protocol: str
    size: int
    headers: Headers
    raw_headers: bool = False
    """Whether the headers are shown as bytes (encode_raw_headers)."""
    body: bytes | None = None
    raw_body: bool = False
    context: Mapping[str, str] = field(default_factory=dict)
    metadata: FilterMetadata = field(default_factory=dict)
    route_metadata: FilterMetadata = field(default_factory=dict)
    server_name: str | None = None


Action = Literal["append", "set", "add", "add if absent", "overwrite if exists"]


@dataclass(frozen=True, slots=True)
class HeaderChange:
    """A header that the service wants. `append` joins values with a comma where the header is there already."""

    name: bytes
    value: bytes
    action: Action = "set"


Verdict = Literal["ok", "denied", "error"]


@dataclass(frozen=True, slots=True)
class CheckAnswer:
    """CheckResponse: `headers` are of the request where it may pass, else of the answer to it."""

    verdict: Verdict
    headers: tuple[HeaderChange, ...] = ()
    remove: tuple[bytes, ...] = ()
    response_headers: tuple[HeaderChange, ...] = ()
    set_parameters: tuple[tuple[bytes, bytes], ...] = ()
    remove_parameters: tuple[bytes, ...] = ()
    metadata: Mapping[str, MetadataValue] = field(default_factory=dict)
    status: int = 403
    body: bytes = b""
    invalid: bool = False
    """Whether it wants something done to a header that nobody knows."""


@dataclass(frozen=True, slots=True)
class HttpCheck:
    """The request to a service that speaks plain HTTP."""

    method: bytes
    authority: bytes
    path: bytes
    headers: Headers
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class HttpVerdict:
    """What it said; header names in lower case."""

    status: int
    headers: Headers = ()
    body: bytes = b""
