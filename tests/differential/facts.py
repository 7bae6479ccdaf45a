"""`python -m tests.differential.facts [SUBJECT...]`: put the questions of `probes/` to the real Envoy.

Prints its answers. What was learned is written up in `docs/envoy-facts.md`, by subject.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from pathlib import Path

from tests.differential import probes
from tests.differential.recording import Recording

RECORDED = Path(__file__).parent.parent / "recorded" / "shop" / "xds" / "frontend"


def subjects() -> list[str]:
    """The names that may be asked for."""
    return [name for _, name, _ in pkgutil.iter_modules(probes.__path__) if name != "show"]


def main(asked: list[str]) -> int:
    """Print the answers; 2 when a subject is unknown."""
    if unknown := set(asked) - set(subjects()):
        print(f"unknown: {', '.join(sorted(unknown))}; there are: {', '.join(subjects())}", file=sys.stderr)
        return 2
    base = Recording.load(RECORDED)
    for name in asked or subjects():
        print(f"## {name}", flush=True)
        for line in importlib.import_module(f"{probes.__name__}.{name}").run(base):
            print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
