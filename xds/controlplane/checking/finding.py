"""What `check` finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..objects import Ref

Severity = Literal["error", "warning"]
Keys = tuple[str | int, ...]
Said = tuple[Severity, Keys, str]
"""What a rule says of an object: how bad, where in it, and what."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Line and column count from 1; 0 means the whole file. `field` is a path such as `spec.http[0].timeout`."""

    severity: Severity
    file: str
    line: int
    column: int
    object: Ref | None
    field: str
    message: str

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part)
        said = f"{self.field} {self.message}" if self.field else self.message
        return ": ".join([place, self.severity, *([str(self.object)] if self.object else []), said])
