"""`python -m tests.simulation`: run everything, print the figures, and write the page and its plots."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from . import ejection, spread, storm, zone
from .report import draw

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "simulation.md"
HEAD = """\
# What the policies do to large fleets

For who decides on a balancing policy, retries or outlier detection and has more endpoints than a test machine. The
pickers, retry policies, budgets and detectors are those of proxyless, which decide as Envoy's do; time, chance and the
servers are simulated (`tests/simulation`). `make simulation` runs it all in a minute and writes this page and its
plots; the figures are those of a fixed seed.
"""


def main() -> int:
    """Everything."""
    started = time.monotonic()
    parts = [HEAD.rstrip()]
    for scenario in (spread, zone, storm, ejection):
        found = scenario.report()
        parts.append(found.markdown())
        print(parts[-1], f"\n[{time.monotonic() - started:.0f} s]\n", flush=True)
        for plot in found.plots:
            draw(plot, DOCS / "simulation")
    PAGE.write_text("\n\n".join(parts) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
