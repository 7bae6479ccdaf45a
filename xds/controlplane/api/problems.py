"""The form in which validity is told: where in a message, and what is wrong there."""

from __future__ import annotations

Problem = tuple[tuple[str | int, ...], str]
"""Keys from the message inwards, and a predicate: `(("route", 0, "weight"), "must be at least 0, not -1")`."""
