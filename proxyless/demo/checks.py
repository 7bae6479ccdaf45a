"""What a scenario hands back: expected beside seen, and the document of a whole walk."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from .chance import CONFIDENCE


@dataclass(frozen=True, slots=True)
class Check:
    """One figure."""

    what: str
    expected: str
    seen: str
    ok: bool


def equal(what: str, expected: object, seen: object) -> Check:
    """A figure that chance has no part in."""
    return Check(what, shown(expected), shown(seen), expected == seen)


def shown(value: object) -> str:
    """A count by name as `200: 5, 503: 7`, several figures as `10, 6`, everything else as it is."""
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    if isinstance(value, dict):
        return ", ".join(f"{name}: {count}" for name, count in sorted(value.items())) or "none"
    return str(value)


@dataclass(frozen=True, slots=True)
class Result:
    """One scenario."""

    key: str
    title: str
    checks: tuple[Check, ...]
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        return bool(self.checks) and all(each.ok for each in self.checks)


def document(results: Iterable[Result], version: str, seconds: float) -> dict[str, Any]:
    """What `--json` prints."""
    found = list(results)
    return {
        "proxyless": version,
        "ok": bool(found) and all(each.ok for each in found),
        "differ": [each.key for each in found if not each.ok],
        "confidence": CONFIDENCE,
        "seconds": round(seconds, 1),
        "scenarios": [
            {
                "key": each.key,
                "title": each.title,
                "ok": each.ok,
                "seconds": round(each.seconds, 1),
                "checks": [
                    {"what": check.what, "expected": check.expected, "seen": check.seen, "ok": check.ok}
                    for check in each.checks
                ],
            }
            for each in found
        ],
    }
