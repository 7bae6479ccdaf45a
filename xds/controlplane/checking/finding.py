"""What `check` finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

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

    @property
    def text(self) -> str:
        """What is wrong, without where it stands."""
        said = f"{self.field} {self.message}" if self.field else self.message
        return ": ".join([*([str(self.object)] if self.object else []), said])

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part)
        return f"{place}: {self.severity}: {self.text}"

    def document(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "severity": self.severity,
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "object": str(self.object) if self.object is not None else None,
            "field": self.field,
            "message": self.message,
        }
