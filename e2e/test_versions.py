"""The oldest version of each library that an extra names: a part of the conformance suite, with it before the others.

The newest is what everybody else tests with. The version goes into a folder of its own, which comes first on the path.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.version import Version

ROOT = Path(__file__).parents[1]
QUICK = (
    "changes_headers or another_endpoint or streamed_bodies or closed_early or breaks_off or read_timeout or http2"
    " or dialled or redirects or without_governance"
)
OLDEST = {
    "aiohttp": ("aiohttp",),
    "httpx": ("httpx",),
    "httpx-async": ("httpx",),
    "requests": ("requests", "urllib3"),
    "urllib3": ("urllib3",),
}
"""Adapter of the conformance suite to the libraries that are taken in their oldest version."""


def oldest(library: str) -> str:
    """As pip is asked for it, by the lower bound of the extra of that name."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for each in extras[library]:
        found = re.match(rf"{library}(?:\[[^]]*\])?>=([0-9.]+)", each)
        if found:
            return f"{library}=={found[1]}"
    raise LookupError(library)


@pytest.mark.parametrize("suite", OLDEST)
def test_the_oldest_version_passes(suite: str, tmp_path: Path) -> None:
    wanted = [oldest(each) for each in OLDEST[suite]]
    pip = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check", "install", "--no-deps"]
    subprocess.run([*pip, "--target", str(tmp_path), *wanted], check=True)
    library, version = wanted[0].split("==")
    told = f"import importlib.metadata; print(importlib.metadata.version({library!r}))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    said = subprocess.run([sys.executable, "-c", told], env=environment, check=True, capture_output=True, text=True)
    assert Version(said.stdout.strip()) == Version(version)
    tests = ROOT / "tests" / "governance" / "suites" / "conformance" / "test_calls.py"
    # The plugin of pytest-httpx wants the newest httpx.
    options = ["-q", "-n0", "-p", "no:cacheprovider", "-p", "no:pytest_httpx"]
    chosen = f"({QUICK}) and {suite.replace('-', ' and ')}" + ("" if "-" in suite else " and not async")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "-k", chosen, str(tests)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert " passed" in done.stdout
