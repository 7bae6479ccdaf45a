"""`python -m bench [--smoke] [PART...]`: run the parts, print the tables, keep the figures."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import sys
import time
from pathlib import Path

from .report import Report, Table
from .targets import judge

PARTS = (
    "latency",
    "libraries",
    "cpu",
    "decision",
    "authorization",
    "picking",
    "startup",
    "reading",
    "memory",
    "push",
    "controlplane",
    "clients",
    "asgi",
    "mtls",
    "questions",
    "imports",
)
RESULTS = Path(__file__).parent / "results"


def main() -> int:
    """0 where every part ran."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"some of: {', '.join(PARTS)}")
    parser.add_argument("--smoke", action="store_true", help="few calls: does it run at all")
    parser.add_argument("--clients", type=int, default=100, metavar="N", help="of the part `clients`; default 100")
    parser.add_argument("--delta", action="store_true", help="which speak incremental xDS")
    parser.add_argument("--beside", metavar="DIR", help="a checkout of another version, in turns with this one")
    arguments = parser.parse_args()
    crowd = {"clients": arguments.clients, "delta": arguments.delta, "beside": arguments.beside}
    unknown = set(arguments.parts) - set(PARTS)
    if unknown:
        parser.error(f"unknown part {', '.join(sorted(unknown))}")
    report = Report()
    report.say(
        f"Python {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start"
    )
    for part in arguments.parts or PARTS:
        started = time.perf_counter()
        tables: list[Table] = importlib.import_module(f".{part}", __package__).run(
            smoke=arguments.smoke, **(crowd if part == "clients" else {})
        )
        report.add(tables)
        print(f"[{part}: {time.perf_counter() - started:.0f} s]", file=sys.stderr)
    if not arguments.smoke:
        report.add([judge(report.tables)])
        RESULTS.mkdir(exist_ok=True)
        target = RESULTS / f"{time.strftime('%Y-%m-%dT%H-%M-%S')}.json"
        target.write_text(json.dumps(report.as_dict(), indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
