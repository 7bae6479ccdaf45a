"""Programs that whole-system tests need: built or installed once, kept in the user's cache folder, keyed by version.

Where a tool is missing a test is skipped by name; under continuous integration (`CI` is set) that is a failure.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

HERE = Path(__file__).parent
HELM_VERSION = "v4.3.1"
BUILD_S = 3600
"""Kubernetes takes 16 minutes of a processor; the others one or two."""


def cache() -> Path:
    """Outside the checkout, so that a fresh clone finds what another one built."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    folder = Path(base) / "proxyless" / "e2e"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def missing(what: str) -> None:
    """Skip by name, or fail where nothing may be missing."""
    if os.environ.get("CI"):
        pytest.fail(f"{what} is missing, and under CI nothing may be")
    pytest.skip(f"{what} is not on this machine")


def go() -> str:
    """The Go tool."""
    found = shutil.which("go")
    if found is None:
        missing("go")
    return found or ""


@contextmanager
def _once(target: Path) -> Iterator[bool]:
    """Whether the caller has to make `target`; others wait meanwhile."""
    with (target.parent / f"{target.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield not target.exists()


def go_program(folder: str, *options: str) -> Path:
    """A Go program of ours, built from e2e/FOLDER."""
    sources = HERE / folder
    digest = hashlib.sha256()
    for path in sorted(sources.iterdir()):
        digest.update(path.read_bytes())
    target = cache() / f"{folder}-{digest.hexdigest()[:12]}"
    tool = go()
    with _once(target) as absent:
        if absent:
            partial = target.with_suffix(".partial")
            subprocess.run([tool, "build", *options, "-o", partial, "."], cwd=sources, check=True, timeout=BUILD_S)
            partial.replace(target)
    return target


def go_tool(folder: str, package: str) -> Path:
    """A Go program of others', at the version that e2e/FOLDER/go.mod says."""
    sources = HERE / folder
    digest = hashlib.sha256((sources / "go.sum").read_bytes()).hexdigest()[:12]
    target = cache() / f"{folder}-{digest}"
    tool = go()
    with _once(target) as absent:
        if absent:
            partial = target.with_suffix(".partial")
            subprocess.run([tool, "build", "-o", partial, package], cwd=sources, check=True, timeout=BUILD_S)
            partial.replace(target)
    return target


def go_module(path: str, version: str) -> Path:
    """Where the files of a published Go module are, in Go's own cache."""
    command = [go(), "mod", "download", "-json", f"{path}@{version}"]
    with tempfile.TemporaryDirectory() as folder:  # where no go.mod has a say
        done = subprocess.run(command, cwd=folder, check=True, timeout=BUILD_S, capture_output=True)
    return Path(json.loads(done.stdout)["Dir"])


def redis() -> str:
    """Redis, installed from the distribution's packages where that is allowed."""
    found = shutil.which("redis-server")
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "install", "-y", "-q", "redis-server"], check=False, timeout=BUILD_S)
        found = shutil.which("redis-server")
    if found is None:
        missing("redis-server")
    return found or ""


def helm() -> Path:
    """Helm, installed by Go's own client."""
    target = cache() / f"helm-{HELM_VERSION}"
    tool = go()
    with _once(target) as absent:
        if absent:
            folder = cache() / f"helm-{HELM_VERSION}.gobin"
            environment = {**os.environ, "GOBIN": str(folder)}
            package = f"helm.sh/helm/v4/cmd/helm@{HELM_VERSION}"
            subprocess.run([tool, "install", package], env=environment, check=True, timeout=BUILD_S)
            (folder / "helm").replace(target)
    return target
