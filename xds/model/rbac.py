"""Authorization as data (envoy.config.rbac.v3): who may do what, enforced or only tried.

Permissions and principals are one kind of thing here, a condition: most of what Envoy knows of the one it knows of the
other. `governance.authorization` compiles them.
"""

from __future__ import annotations

from typing import Literal

from .matchers import HeaderMatcher, StringMatcher
from .matching import MatcherTree
from .records import dataclass
from .tls import SanMatcher
from .values import Cidr

Action = Literal["ALLOW", "DENY", "LOG"]
Which = Literal["destination", "source", "direct_remote", "remote"]


@dataclass(frozen=True, slots=True)
class Anything:
    """Permission.any, Principal.any."""


@dataclass(frozen=True, slots=True)
class AllOf:
    """and_rules, and_ids."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """or_rules, or_ids."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Negated:
    """not_rule, not_id."""

    part: Condition


@dataclass(frozen=True, slots=True)
class WithHeader:
    """A header of the request, or a pseudo header."""

    matcher: HeaderMatcher


@dataclass(frozen=True, slots=True)
class WithPath:
    """url_path: the path without query and fragment."""

    matcher: StringMatcher


@dataclass(frozen=True, slots=True)
class WithTemplate:
    """uri_template: the same by the regular expression of a template."""

    pattern: str


@dataclass(frozen=True, slots=True)
class WithAddress:
    """An address within a range: where the connection goes to (destination_ip), or whom it comes from.

    `source` and `direct_remote` are the peer's, `remote` the client's, as far as the mesh believes it.
    """

    which: Which
    within: Cidr


@dataclass(frozen=True, slots=True)
class WithPort:
    """destination_port, destination_port_range: start included, end excluded."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class WithServerName:
    """requested_server_name: SNI, empty without TLS."""

    matcher: StringMatcher


@dataclass(frozen=True, slots=True)
class IsNull:
    """ValueMatcher.null_match."""


@dataclass(frozen=True, slots=True)
class IsPresent:
    """ValueMatcher.present_match; not `wanted` matches nothing, as in Envoy."""

    wanted: bool


@dataclass(frozen=True, slots=True)
class IsBool:
    """ValueMatcher.bool_match."""

    value: bool


@dataclass(frozen=True, slots=True)
class IsNumber:
    """ValueMatcher.double_match: start included, end excluded; without an end just that number."""

    start: float
    end: float | None = None


@dataclass(frozen=True, slots=True)
class InList:
    """ValueMatcher.list_match: one of a list."""

    one_of: ValueMatcher


@dataclass(frozen=True, slots=True)
class AnyValue:
    """ValueMatcher.or_match."""

    parts: tuple[ValueMatcher, ...]


ValueMatcher = IsNull | IsPresent | IsBool | IsNumber | StringMatcher | InList | AnyValue
"""envoy.type.matcher.v3.ValueMatcher."""


@dataclass(frozen=True, slots=True)
class WithMetadata:
    """metadata, sourced_metadata: what filters have written about the request, or what its route says of itself."""

    filter: str
    path: tuple[str, ...]
    matcher: ValueMatcher
    invert: bool = False
    of_route: bool = False


@dataclass(frozen=True, slots=True)
class Authenticated:
    """Principal.authenticated: one of the names of the peer's certificate; without a matcher anybody who speaks TLS."""

    matcher: StringMatcher | None = None


@dataclass(frozen=True, slots=True)
class MutuallyAuthenticated:
    """envoy.rbac.principals.mtls_authenticated: a certificate that was validated, and has such a name."""

    san: SanMatcher | None = None


@dataclass(frozen=True, slots=True)
class WithFilterState:
    """Principal.filter_state. Nothing writes any in process, and what is not there matches nothing."""

    key: str


Condition = (
    Anything
    | AllOf
    | AnyOf
    | Negated
    | WithHeader
    | WithPath
    | WithTemplate
    | WithAddress
    | WithPort
    | WithServerName
    | WithMetadata
    | Authenticated
    | MutuallyAuthenticated
    | WithFilterState
)


@dataclass(frozen=True, slots=True)
class Policy:
    """envoy.config.rbac.v3.Policy: one of the permissions, and one of the principals."""

    permissions: tuple[Condition, ...]
    principals: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Rules:
    """envoy.config.rbac.v3.RBAC. The policies are in the order of their names, in which Envoy looks at them."""

    action: Action = "ALLOW"
    policies: tuple[tuple[str, Policy], ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """envoy.config.rbac.v3.Action, at the end of a tree of matchers."""

    name: str
    action: Action = "ALLOW"


Engine = Rules | MatcherTree[Verdict]
"""What decides. A tree that leads nowhere denies."""


@dataclass(frozen=True, slots=True)
class Rbac:
    """envoy.extensions.filters.http.rbac.v3.RBAC; what is None decides nothing. The prefixes are of metadata."""

    rules: Engine | None = None
    shadow: Engine | None = None
    prefix: str = ""
    shadow_prefix: str = ""
    per_rule: bool = False
    """track_per_rule_stats."""


@dataclass(frozen=True, slots=True)
class RbacPerRoute:
    """envoy.extensions.filters.http.rbac.v3.RBACPerRoute: it takes the place of the chain's; empty, nothing is
    decided there."""

    rbac: Rbac = Rbac()


@dataclass(frozen=True, slots=True)
class NetworkRbac:
    """envoy.extensions.filters.network.rbac.v3.RBAC; `delay_deny_s`: how long who is refused is kept waiting."""

    name: str
    rbac: Rbac
    delay_deny_s: float = 0.0
