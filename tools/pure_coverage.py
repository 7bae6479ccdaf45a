"""`python -m tools.pure_coverage`: every branch of the pure rooms is run by a test, or this says which is not.

Reads the coverage data that `make test` leaves behind. Pure are the rooms without I/O: there is no excuse in them.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

PURE = ("xds/model/", "xds/protocol/", "xds/graph.py", "governance/")
NOT_PURE = ("governance/services/", "governance/suites/", "governance/telemetry/")


def uncovered() -> dict[str, tuple[list[int], list[list[int]]]]:
    """File to (lines, branches) that no test ran."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "coverage.json"
        command = [sys.executable, "-m", "coverage", "json", "--quiet", "-o", str(report)]
        subprocess.run(command, check=True)
        files = json.loads(report.read_text())["files"]
    found = {}
    for name, data in files.items():
        path = name.removeprefix("proxyless/")
        if path.startswith(PURE) and not path.startswith(NOT_PURE):
            lines, branches = data["missing_lines"], data.get("missing_branches", [])
            if lines or branches:
                found[path] = (lines, branches)
    return found


def main() -> int:
    """0 where nothing is missing."""
    missing = uncovered()
    for path, (lines, branches) in sorted(missing.items()):
        print(f"{path}: lines {lines} branches {branches}")
    print(f"pure rooms: {'every branch is run' if not missing else f'{len(missing)} files with gaps'}")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
