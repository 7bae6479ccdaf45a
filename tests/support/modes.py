"""File modes for a test that may run as root, whom they do not stop."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_VERSION = 0x20080522
_OVERRIDE, _READ_SEARCH = 1 << 1, 1 << 2
_WORDS = 6  # effective, permitted, inheritable; twice, for 64 capabilities


@contextmanager
def forbidden(path: Path) -> Iterator[None]:
    """Within it this thread may neither read nor list `path`: root gives up its right to (Linux's capabilities)."""
    mode = path.stat().st_mode
    path.chmod(0)
    try:
        if os.geteuid() == 0:
            with _obedient():
                yield
        else:
            yield
    finally:
        path.chmod(mode)


@contextmanager
def _obedient() -> Iterator[None]:
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(_VERSION, 0)
    held = (ctypes.c_uint32 * _WORDS)()
    if libc.capget(header, held):
        raise OSError(ctypes.get_errno(), "capget")
    less = (ctypes.c_uint32 * _WORDS)(held[0] & ~(_OVERRIDE | _READ_SEARCH), *held[1:])
    if libc.capset(header, less):
        raise OSError(ctypes.get_errno(), "capset")
    try:
        yield
    finally:
        if libc.capset(header, held):
            raise OSError(ctypes.get_errno(), "capset")
