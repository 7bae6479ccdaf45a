"""A child of the demo ends with it, also where the demo is killed: its standard input ends then."""

from __future__ import annotations

import os
import signal
import sys
from threading import Thread


def follow_parent() -> None:
    """Ends this process, as SIGTERM would, when standard input ends."""

    def wait() -> None:
        # Not through sys.stdin: whose reader sleeps in it cannot be closed, and an interpreter that ends would abort.
        while os.read(0, 1):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    Thread(target=wait, name="family", daemon=True).start()


def main() -> None:
    """`python -m proxyless.demo.family serve DIR ...`: a command of `proxyless` that ends with its parent."""
    from ..cli import main as cli

    follow_parent()
    cli(sys.argv[1:])


if __name__ == "__main__":
    main()
