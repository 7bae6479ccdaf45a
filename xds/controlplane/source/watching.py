"""Hears from the operating system that something in a folder changed, so that a change need not wait for the next look.

What is heard is only a reason to look, and where: what stands in the folder is what a look finds, and the looks go on
by themselves. So it does not matter that some file systems (network mounts, links out of the folder) tell nothing, and
that events may be lost.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from typing import Any

Heard = Callable[[set[str]], None]
"""Gets the paths below the folder that something happened to. Called in the watcher's thread."""

_GATHERED_MS = 4  # events that follow each other so closely are told together


class Watcher:
    """Watches a folder until `stop`. Without the library, or where threads are greenlets, nothing is ever heard."""

    def __init__(self, folder: str, heard: Heard) -> None:
        self._folder = folder
        self._heard = heard
        self._stopping = threading.Event()
        if _has_threads():
            threading.Thread(target=self._run, name="proxyless-watch", daemon=True).start()

    def stop(self) -> None:
        self._stopping.set()

    def _run(self) -> None:
        try:
            from watchfiles import watch
        except ImportError:
            return
        start = len(os.path.realpath(self._folder).rstrip(os.sep)) + 1
        try:
            for changes in watch(
                os.path.realpath(self._folder),
                watch_filter=None,
                debounce=2 * _GATHERED_MS,
                step=_GATHERED_MS,
                rust_timeout=200,
                stop_event=self._stopping,
                raise_interrupt=False,
                ignore_permission_denied=True,
            ):
                self._heard({path[start:] for _, path in changes})
        except (OSError, RuntimeError):  # too many watches, or the folder is gone: the looks go on
            return


def _has_threads() -> bool:
    """Whether a thread that waits holds up nobody else: not under gevent."""
    monkey: Any = sys.modules.get("gevent.monkey")
    return monkey is None or not monkey.is_module_patched("threading")
