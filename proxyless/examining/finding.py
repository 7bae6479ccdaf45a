"""One thing that was looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Level = Literal["good", "warning", "error", "unknown"]
GOOD: Level = "good"
WARNING: Level = "warning"
ERROR: Level = "error"
UNKNOWN: Level = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """`check` is what was looked at, `text` what was seen, `do` what to do about it; empty where it is good."""

    check: str
    level: Level
    text: str
    do: str = ""

    def document(self) -> dict[str, Any]:
        """As JSON has it."""
        return {"check": self.check, "level": self.level, "text": self.text, "do": self.do}


def lasting(seconds: float) -> str:
    """`3 h`, for people."""
    for unit, size in (("d", 86_400.0), ("h", 3_600.0), ("min", 60.0)):
        if abs(seconds) >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
