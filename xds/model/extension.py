"""What other packages bring: an extension of a type that proxyless does not have itself (docs/extensions.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


class ExtensionError(RuntimeError):
    """What another package brings has failed at work; the text names it, the cause is what it has raised."""


@dataclass(frozen=True, slots=True)
class Config:
    """What an extension is configured with.

    `name`: what it is called where it is configured (a filter in its chain, say). `type_name`: the full name of its
    type, the last part of its type URL. `fields`: what a TypedStruct spells (xds.type.v3 or udpa.type.v1), as JSON has
    it; of any other message `raw` are the bytes.
    """

    name: str
    type_name: str
    fields: Mapping[str, Any] = field(default_factory=dict, hash=False)
    raw: bytes = b""


@dataclass(frozen=True, slots=True)
class Extension:
    """One that is configured. `package`: who brings it, with its version. `made`: what the package has made of it."""

    config: Config
    package: str
    made: Any = field(compare=False, repr=False)

    def __str__(self) -> str:
        return f"{self.config.name} ({self.config.type_name} of package {self.package})"

    def failed(self, method: str, error: BaseException) -> ExtensionError:
        """What is raised in place of its own error, whose text may hold what nobody should see."""
        failure = ExtensionError(f"{method} of {self} has raised {type(error).__name__}")
        failure.__cause__ = error
        return failure

    def wrong(self, method: str, answer: object, wanted: str) -> ExtensionError:
        """It has answered what makes no sense."""
        return ExtensionError(f"{method} of {self} has returned {type(answer).__name__}, where {wanted} is wanted")

    def call(self, method: str, *given: Any) -> Any:
        """Have it do something.

        Raises:
            ExtensionError: it has raised something.
        """
        try:
            return getattr(self.made, method)(*given)
        except Exception as error:
            raise self.failed(method, error) from error
