"""What `import proxyless` costs over an empty interpreter, and what each suite brings."""

from __future__ import annotations

import subprocess
import sys
import time

from .report import Table
from .stats import median

VARIANTS = {
    "nothing": "pass",
    "A/A: nothing": "pass",
    "import proxyless": "import proxyless",
    "import httpx": "import httpx",
    "import proxyless.httpx": "import proxyless.httpx",
    "import proxyless.asgi": "import proxyless.asgi",
}


def run(*, smoke: bool) -> list[Table]:
    """Whole processes, in turn."""
    rounds = 2 if smoke else 21
    found: dict[str, list[float]] = {name: [] for name in VARIANTS}
    for turn in range(rounds + 1):
        for name, code in VARIANTS.items():
            started = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], check=True)
            if turn:
                found[name].append(time.perf_counter() - started)
    base = median(found["nothing"])
    table = Table("import, ms", ("process", "median", "over nothing"))
    for name, values in found.items():
        table.rows.append((name, 1000 * median(values), 1000 * (median(values) - base)))
    return [table]
