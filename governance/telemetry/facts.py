"""How things stand, as exporters are told: data, and the shapes of what they may read."""

from collections.abc import Mapping
from typing import Any, Protocol

from ...xds.model.identity import IdentityState
from ...xds.model.records import dataclass
from ...xds.model.resource import Resource, ResourceType
from ..runtime import Runtime


class ControlPlane(Protocol):
    """What there is to say of the connection to the control plane; times are Unix times in seconds."""

    @property
    def address(self) -> str: ...
    @property
    def connected(self) -> bool: ...
    @property
    def since(self) -> float | None: ...
    @property
    def control_plane(self) -> str: ...
    @property
    def error(self) -> str: ...
    @property
    def attempts(self) -> int: ...
    @property
    def updates(self) -> Mapping[str, int]: ...
    @property
    def rejects(self) -> Mapping[str, int]: ...
    @property
    def last_update(self) -> float | None: ...
    @property
    def from_disk(self) -> float | None: ...


class Held(Protocol):
    """The resources that the process holds."""

    @property
    def newest(self) -> Mapping[ResourceType, Mapping[str, Resource[Any]]]: ...
    @property
    def versions(self) -> Mapping[ResourceType, str]: ...
    @property
    def rejected(self) -> Mapping[tuple[ResourceType, str], str]: ...
    @property
    def held_back(self) -> list[str]: ...


@dataclass(frozen=True, slots=True)
class Facts:
    """One mesh at one moment.

    `control` is None where no control plane is followed (a recording), `held` before anything is, `identity` where
    there is none. `now` is Unix time in seconds. What the fields lead to is alive: read each thing once.
    """

    runtime: Runtime
    held: Held | None
    control: ControlPlane | None
    now: float
    version: str = ""
    identity: IdentityState | None = None


class Exporter(Protocol):
    """Hears about once a second how things stand; must be quick and must not raise."""

    def tick(self, facts: Facts) -> None: ...
