"""Which versions of a library a suite governs."""

from __future__ import annotations

import re
from functools import cache
from importlib.metadata import version

from .errors import UnsupportedError


@cache
def require(library: str, oldest: str, below: str) -> None:
    """Raises UnsupportedError unless the installed version is at least `oldest` and below `below`."""
    installed = version(library)
    if not _parts(oldest) <= _parts(installed) < _parts(below):
        raise UnsupportedError(
            f"{library} {installed} is installed; proxyless.{library} governs {oldest} and newer, below {below}"
        )


def _parts(text: str) -> tuple[int, ...]:
    found = re.match(r"\d+(?:\.\d+)*", text)
    return tuple(int(each) for each in found[0].split(".")) if found is not None else ()
