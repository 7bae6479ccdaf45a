"""How a kind stands: one word and, where something is wrong, one sentence."""

from __future__ import annotations

from dataclasses import dataclass

from ...apiserver import EXPIRED, FAILING, FORBIDDEN, MALFORMED, MISSING, STALE, UNAUTHORIZED, UNREACHABLE

SYNCED = "Synced"
LISTING = "Listing"

CONDITIONS = (
    SYNCED,
    LISTING,
    MISSING,
    FORBIDDEN,
    UNAUTHORIZED,
    UNREACHABLE,
    STALE,
    EXPIRED,
    FAILING,
    MALFORMED,
)
"""Every condition there is: in force and followed, being listed, not served by this cluster; what is wrong."""

GOOD = frozenset({SYNCED, LISTING, MISSING})


@dataclass(frozen=True, slots=True)
class KindStatus:
    """`synced`: it has been listed, or is not served by this cluster. `restarts` counts watches that broke, by what
    broke them."""

    kind: str
    condition: str
    message: str
    synced: bool
    resource: str = ""
    objects: int = 0
    refused: int = 0
    lists: int = 0
    watches: int = 0
    restarts: tuple[tuple[str, int], ...] = ()
