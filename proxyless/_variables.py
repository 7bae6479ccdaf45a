"""Variables of the environment that more rooms than one read; it imports nothing, for interpreters below `run`."""

from __future__ import annotations

import os
from collections.abc import Mapping

DISABLE = "PROXYLESS_DISABLE"
UNGOVERNED = "PROXYLESS_UNGOVERNED"
YES = ("1", "true", "yes", "on")


def switched(variable: str, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether a switch is on."""
    return environ.get(variable, "").lower() in YES


def names(text: str) -> list[str]:
    """What stands between its commas."""
    return [each.strip() for each in text.split(",") if each.strip()]
