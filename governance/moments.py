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
    text = text or (DEFAULT_UTC if utc else DEFAULT_LOCAL)

    def spelled(moment: float) -> bytes:
        micros = int(moment * 1_000_000)
        seconds, rest = divmod(micros, 1_000_000)
        when = datetime.fromtimestamp(seconds, UTC)
        if not utc:
            when = when.astimezone()
        nanos = f"{rest:06}000"

        def own(match: re.Match[str]) -> str:
            found = match[0]
            if found.endswith("f"):
                return nanos[: int(match[1] or 9)]
            if found == "%s":
                return str(seconds)
            if found.endswith("S"):
                digits = int(match[2])
                return "%S." + nanos[:digits] if digits else "%S"
            return {"%E4Y": "%Y", "%Ez": "%z"}.get(found, found)

        return when.strftime(_OWN.sub(own, text)).encode()

    return spelled
