"""Small values that several resources share (envoy.config.core.v3, envoy.type.v3)."""

from collections.abc import Mapping
from enum import Enum

from .records import dataclass

MetadataValue = str | float | bool | None | Mapping[str, "MetadataValue"] | tuple["MetadataValue", ...]
FilterMetadata = Mapping[str, Mapping[str, MetadataValue]]
"""envoy.config.core.v3.Metadata.filter_metadata: namespace -> key -> value."""

MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Fraction:
    """A share of requests in parts per million (envoy.type.v3.FractionalPercent, runtime default value).

    Envoy draws an integer and compares it with the numerator modulo the denominator; a numerator above its denominator
    means always.
    """

    numerator: int
    denominator: int = 100

    @property
    def percent(self) -> float:
        """0 to 100."""
        return min(100.0, 100.0 * self.numerator / self.denominator)

    def hit(self, draw: int) -> bool:
        """Whether a draw (any non-negative integer) falls inside the share."""
        return draw % self.denominator < self.numerator


class AppendAction(Enum):
    """envoy.config.core.v3.HeaderValueOption.HeaderAppendAction."""

    APPEND_IF_EXISTS_OR_ADD = 0
    ADD_IF_ABSENT = 1
    OVERWRITE_IF_EXISTS_OR_ADD = 2
    OVERWRITE_IF_EXISTS = 3


@dataclass(frozen=True, slots=True)
class HeaderMutation:
    """One header to add (envoy.config.core.v3.HeaderValueOption); the value may hold `%...%` formatters."""

    name: str
    value: str
    action: AppendAction = AppendAction.APPEND_IF_EXISTS_OR_ADD
    keep_empty: bool = False


@dataclass(frozen=True, slots=True)
class HeaderMutations:
    """What one level (route, virtual host ...) does to the headers of a request and of its response."""

    request_add: tuple[HeaderMutation, ...] = ()
    request_remove: tuple[str, ...] = ()
    response_add: tuple[HeaderMutation, ...] = ()
    response_remove: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.request_add or self.request_remove or self.response_add or self.response_remove)


@dataclass(frozen=True, slots=True)
class Locality:
    """envoy.config.core.v3.Locality."""

    region: str = ""
    zone: str = ""
    sub_zone: str = ""


@dataclass(frozen=True, slots=True)
class Address:
    """A socket address, or the path of a Unix socket with port 0 (envoy.config.core.v3.Address).

    A path begins with `/` or `.`, and the name of an abstract socket with `@`.
    """

    host: str
    port: int

    @property
    def unix(self) -> str:
        """The path of a Unix socket as `connect` takes it; empty for anything else."""
        if self.port or self.host[:1] not in ("/", ".", "@"):
            return ""
        return "\0" + self.host[1:] if self.host[0] == "@" else self.host

    def __str__(self) -> str:
        if not self.port and self.unix:
            return self.host
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Cidr:
    """envoy.config.core.v3.CidrRange."""

    address: str
    prefix_len: int


@dataclass(frozen=True, slots=True)
class Note:
    """A field of the configuration that has no effect here, or not yet: nothing is ignored in silence."""

    resource: str
    field: str
    reason: str


@dataclass(frozen=True, slots=True)
class Extension:
    """A typed extension that nothing here understands: its name, its type URL and whether its absence is acceptable."""

    name: str
    type_url: str
    optional: bool = False
