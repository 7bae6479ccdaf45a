"""External authorization as data (envoy.extensions.filters.http.ext_authz.v3)."""

from collections.abc import Mapping
from dataclasses import field
from typing import TYPE_CHECKING

from .matchers import StringMatcher
from .rbac import WithMetadata
from .records import dataclass
from .values import Fraction, HeaderMutation

if TYPE_CHECKING:
    from .filters import GrpcTarget

Names = tuple[StringMatcher, ...]
"""Matchers of header names, of which one is enough."""


@dataclass(frozen=True, slots=True)
class HttpAuthorizer:
    """HttpService: one that speaks plain HTTP, and which headers it may see, give to the app, and to the client.

    `client` empty: all of them, where the request is denied.
    """

    cluster: str
    prefix: str = ""
    override: str = ""
    allowed_headers: Names = ()
    headers_to_add: tuple[HeaderMutation, ...] = ()
    upstream: Names = ()
    upstream_append: Names = ()
    client: Names = ()
    client_on_success: Names = ()
    metadata: Names = ()


@dataclass(frozen=True, slots=True)
class BodySettings:
    """BufferSettings: how much of a body is shown. `partial`: a longer one is cut rather than refused."""

    most: int
    partial: bool = False
    as_bytes: bool = False


@dataclass(frozen=True, slots=True)
class ExtAuthz:
    """envoy.extensions.filters.http.ext_authz.v3.ExtAuthz. `allowed_headers` None: all are shown."""

    service: "GrpcTarget | HttpAuthorizer"
    timeout_s: float = 0.2
    allowed_headers: Names | None = None
    disallowed_headers: Names = ()
    body: BodySettings | None = None
    failure_mode_allow: bool = False
    failure_mode_allow_header: bool = False
    clear_route_cache: bool = False
    status_on_error: int = 403
    validate_mutations: bool = False
    namespaces: tuple[str, ...] = ()
    route_namespaces: tuple[str, ...] = ()
    enabled: Fraction | None = None
    enabled_metadata: WithMetadata | None = None
    deny_at_disable: bool = False
    peer_certificate: bool = False
    tls_session: bool = False
    raw_headers: bool = False
    takes_metadata: bool = True
    max_denied_body: int = 0


@dataclass(frozen=True, slots=True)
class ExtAuthzPerRoute:
    """ExtAuthzPerRoute and its CheckSettings. `context` is joined with that of less specific places."""

    disabled: bool = False
    context: Mapping[str, str] = field(default_factory=dict)
    no_body: bool = False
    body: BodySettings | None = None
    service: "GrpcTarget | HttpAuthorizer | None" = None
    timeout_s: float = 0.2
