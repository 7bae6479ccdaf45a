"""The JWT filter as data (envoy.extensions.filters.http.jwt_authn.v3)."""

from dataclasses import field
from typing import TYPE_CHECKING, Literal

from .matchers import StringMatcher
from .records import dataclass

if TYPE_CHECKING:
    from .route import RouteMatch

CLOCK_SKEW_S = 60
"""JwtProvider.clock_skew_seconds when unset."""


@dataclass(frozen=True, slots=True)
class RemoteJwks:
    """RemoteJwks: where keys are fetched. `retries` follow `back_off_s`, which doubles up to `max_back_off_s`.

    `ahead`: keys are fetched before anybody needs them, and again before they are old; `warms`: until the first answer
    the chain is not ready.
    """

    uri: str
    cluster: str
    timeout_s: float
    cache_s: float = 600.0
    retries: int = 0
    back_off_s: float = 1.0
    max_back_off_s: float = 10.0
    ahead: bool = False
    warms: bool = False
    refetch_after_failure_s: float = 1.0


@dataclass(frozen=True, slots=True)
class JwtProvider:
    """JwtProvider. An empty issuer takes any; `max_lifetime_s` None: tokens need no end.

    `claims`: of the payload, by the header that each goes to. `split`: claims whose text is a list with blanks.
    """

    issuer: str = ""
    audiences: tuple[str, ...] = ()
    subjects: StringMatcher | None = None
    max_lifetime_s: float | None = None
    clock_skew_s: int = CLOCK_SKEW_S
    local: bytes = field(default=b"", repr=False)
    """A key set; not shown, since it may hold a shared secret."""
    remote: RemoteJwks | None = None
    headers: tuple[tuple[str, str], ...] = ()
    """Names, each with what stands before the token."""
    parameters: tuple[str, ...] = ()
    cookies: tuple[str, ...] = ()
    forward: bool = False
    payload_header: str = ""
    pads_payload: bool = False
    claims: tuple[tuple[str, str], ...] = ()
    payload_in_metadata: str = ""
    header_in_metadata: str = ""
    failure_in_metadata: str = ""
    split: tuple[str, ...] = ()


RequirementKind = Literal["none", "provider", "any", "all", "missing", "missing_or_failed", "unverified"]


@dataclass(frozen=True, slots=True)
class JwtRequirement:
    """JwtRequirement. `audiences` replace the provider's own; `status_header`: what `unverified` says of itself."""

    kind: RequirementKind = "none"
    provider: str = ""
    audiences: tuple[str, ...] = ()
    parts: "tuple[JwtRequirement, ...]" = ()
    status_header: str = ""


@dataclass(frozen=True, slots=True)
class JwtRule:
    """RequirementRule: what the requests that it matches need; None: nothing."""

    match: "RouteMatch"
    requirement: JwtRequirement | None = None


@dataclass(frozen=True, slots=True)
class JwtAuthentication:
    """JwtAuthentication. `named`: what routes may ask for by name."""

    providers: tuple[tuple[str, JwtProvider], ...] = ()
    rules: tuple[JwtRule, ...] = ()
    named: tuple[tuple[str, JwtRequirement], ...] = ()
    lets_preflights_pass: bool = False
    strips_replies: bool = False


@dataclass(frozen=True, slots=True)
class JwtPerRoute:
    """PerRouteConfig: the name of what is needed; None: nothing is."""

    requirement: str | None
