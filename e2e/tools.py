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


def build(tool: str, *arguments: object, cwd: Path | None = None, **environment: str) -> None:
    """Go's compiler; the collector of its own garbage runs less often, which saves a seventh of its time."""
    said = {"GOGC": "400", **os.environ, **environment}
    subprocess.run([tool, *map(str, arguments)], cwd=cwd, env=said, check=True, timeout=BUILD_S)


def go_program(folder: str, *options: str) -> Path:
    """A Go program of ours, built from e2e/FOLDER."""
    sources = HERE / folder
    digest = hashlib.sha256(" ".join(options).encode())
    for path in sorted(sources.iterdir()):
        digest.update(path.read_bytes())
    target = cache() / f"{folder}-{digest.hexdigest()[:12]}"
    tool = go()
    with _once(target) as absent:
        if absent:
            partial = target.with_suffix(".partial")
            build(tool, "build", *options, "-o", partial, ".", cwd=sources)
            partial.replace(target)
    return target


def go_tool(folder: str, package: str, *options: str) -> Path:
    """A Go program of others', at the version that e2e/FOLDER/go.mod says."""
    sources = HERE / folder
    digest = hashlib.sha256((sources / "go.sum").read_bytes() + " ".join(options).encode()).hexdigest()[:12]
    target = cache() / f"{folder}-{digest}"
    tool = go()
    with _once(target) as absent:
        if absent:
            partial = target.with_suffix(".partial")
            build(tool, "build", *options, "-o", partial, package, cwd=sources)
            partial.replace(target)
    return target


def go_module(path: str, version: str) -> Path:
    """Where the files of a published Go module are, in Go's own cache."""
    command = [go(), "mod", "download", "-json", f"{path}@{version}"]
    with tempfile.TemporaryDirectory() as folder:  # where no go.mod has a say
        done = subprocess.run(command, cwd=folder, check=True, timeout=BUILD_S, capture_output=True)
    return Path(json.loads(done.stdout)["Dir"])


def installed(program: str, package: str) -> str:
    """A program of the distribution's, whose package is installed where that is allowed."""
    found = shutil.which(program)
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        for command in (
            ["apt-get", "update", "-q"],
            ["apt-get", "install", "-y", "-q", "--no-install-recommends", package],
        ):
            subprocess.run(command, check=False, timeout=BUILD_S)
        found = shutil.which(program)
    if found is None:
        missing(program)
    return found or ""


def redis() -> str:
    """Redis."""
    return installed("redis-server", "redis-server")


def promtool() -> str:
    """Prometheus' checker of rules."""
    return installed("promtool", "prometheus")


def prometheus() -> Path:
    """Prometheus itself, with one way to discover: Debian's finds no Pods. What it has in common with e2e/kubernetes is
    of the same versions and built with the same options, so that it is built once."""
    options = ("-trimpath", "-ldflags=-s -w", "-tags=remove_all_sd,enable_kubernetes_sd")
    return go_tool("prometheus", "github.com/prometheus/prometheus/cmd/prometheus", *options)


def helm() -> Path:
    """Helm, installed by Go's own client."""
    target = cache() / f"helm-{HELM_VERSION}"
    tool = go()
    with _once(target) as absent:
        if absent:
            folder = cache() / f"helm-{HELM_VERSION}.gobin"
            build(tool, "install", f"helm.sh/helm/v4/cmd/helm@{HELM_VERSION}", GOBIN=str(folder))
            (folder / "helm").replace(target)
    return target
