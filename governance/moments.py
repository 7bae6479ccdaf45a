"""Times of day as Envoy's formats spell them (envoy source: DateFormatter): strftime, and fractions of a second."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime

DEFAULT_UTC = "%Y-%m-%dT%H:%M:%S.%3fZ"
DEFAULT_LOCAL = "%Y-%m-%dT%H:%M:%S.%3f%z"

_OWN = re.compile(r"%([1-9]?)f|%s|%E([0-9])S|%E4Y|%Ez|%%")


def clock_format(text: str, *, utc: bool) -> Callable[[float], bytes]:
    """A function from seconds since the epoch to text; the default format where none is given."""
    pieces = _pieces(text or (DEFAULT_UTC if utc else DEFAULT_LOCAL))
    kept: tuple[int, list[str | int]] = (-1, [])
    """The pieces of the last second that was spelled, which most moments share with the one before."""

    def spelled(moment: float) -> bytes:
        nonlocal kept
        seconds, rest = divmod(int(moment * 1_000_000), 1_000_000)
        known, parts = kept
        if known != seconds:
            parts = _in_second(pieces, seconds, utc=utc)
            kept = (seconds, parts)
        nanos = f"{rest:06}000"
        return "".join([part if isinstance(part, str) else nanos[:part] for part in parts]).encode()

    return spelled


def _pieces(text: str) -> list[str | int]:
    """What strftime spells once a second, and between that, how many digits of the fraction."""
    found: list[str | int] = []
    end = 0
    for match in _OWN.finditer(text):
        found.append(text[end : match.start()])
        end = match.end()
        token = match[0]
        if token.endswith("f"):
            found.append(int(match[1] or 9))
        elif token.endswith("S"):
            digits = int(match[2])
            found += ["%S.", digits] if digits else ["%S"]
        else:
            found.append({"%E4Y": "%Y", "%Ez": "%z"}.get(token, token))
    return [piece for piece in (*found, text[end:]) if piece != ""]


def _in_second(pieces: list[str | int], seconds: int, *, utc: bool) -> list[str | int]:
    when = datetime.fromtimestamp(seconds, UTC)
    if not utc:
        when = when.astimezone()
    return [
        piece if isinstance(piece, int) else str(seconds) if piece == "%s" else when.strftime(piece) for piece in pieces
    ]
