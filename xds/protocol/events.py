"""What comes from a stream and what goes to it, free of protobuf."""

from collections.abc import Sequence
from typing import Protocol

from ..model.records import dataclass
from ..model.resource import ResourceType


@dataclass(frozen=True, slots=True)
class NamedResource:
    """A resource of a response whose bytes have parsed."""

    name: str
    version: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class Rejection:
    """A resource that is refused, and why; an empty name where none could be read."""

    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name or '(unnamed)'}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Response:
    """A discovery response. `full`: a state of the world; else `removed` says what is gone.

    `broken` lists what did not even parse; `type` is None for a type that nobody asked for.
    """

    type: ResourceType | None
    type_url: str
    version: str
    nonce: str
    resources: tuple[NamedResource, ...] = ()
    removed: tuple[str, ...] = ()
    broken: tuple[Rejection, ...] = ()
    full: bool = True
    control_plane: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """A discovery request of either variant. `names` is the full list (state of the world); `subscribe`,
    `unsubscribe` and `held` belong to delta."""

    type_url: str
    version: str = ""
    nonce: str = ""
    names: tuple[str, ...] = ()
    error: str = ""
    subscribe: tuple[str, ...] = ()
    unsubscribe: tuple[str, ...] = ()
    held: tuple[tuple[str, str], ...] = ()
    first: bool = False
    """The first request of its stream carries the node."""


def error_text(rejections: Sequence[Rejection]) -> str:
    """What the control plane is told: every refused resource by name, with its reason."""
    return "; ".join(str(each) for each in rejections)


class AdsMachine(Protocol):
    """What both variants answer. Every method returns the requests to send now, in order."""

    def opened(self, held: dict[ResourceType, dict[str, str]]) -> list[Request]:
        """A stream is there; `held` is what is known, type by type: name to version."""

    def closed(self) -> None:
        """The stream ended; subscriptions stay."""

    def subscribe(self, type_: ResourceType, names: Sequence[str]) -> list[Request]:
        """Names that are wanted from now on."""

    def unsubscribe(self, type_: ResourceType, names: Sequence[str]) -> list[Request]:
        """Names that are not wanted any more."""

    def answer(self, response: Response, rejections: Sequence[Rejection]) -> list[Request]:
        """A response was applied, but for what is rejected."""
