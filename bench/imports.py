"""What `import proxyless` costs over an empty interpreter, and what each suite brings."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from functools import partial

from .report import Table
from .stats import median
from .turns import taking_turns

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
    found = taking_turns({name: partial(_took, code) for name, code in VARIANTS.items()}, rounds)
    base = median(found["nothing"])
    table = Table("import, ms", ("process", "median", "over nothing"))
    for name, values in found.items():
        table.rows.append((name, 1000 * median(values), 1000 * (median(values) - base)))
    return [table]


def _took(code: str) -> float:
    # What is installed is compiled: where nothing may be written, every import would compile this checkout anew.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
    return time.perf_counter() - started
