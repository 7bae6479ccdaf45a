"""Memory over a process that only imports httpx: with ten used services of 1,000, with and without grpc."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from .backend import Backend
from .configuration import plaintext, write
from .report import Table
from .stats import median

REPORT = """
import gc, json, os, re
gc.collect()
status = open("/proc/self/smaps_rollup").read()
print(json.dumps({"pss": int(re.search(r"Pss:\\s+(\\d+)", status)[1])}))
"""
BASE = "import httpx, sys; client = httpx.Client(trust_env=False); client.get(sys.argv[2])\n" + REPORT
CALLS = """
import httpx, sys, proxyless.httpx
from proxyless import Mesh, Node
from bench.configuration import service
MESH
client = httpx.Client(transport=proxyless.httpx.Transport(mesh), trust_env=False, timeout=30)
for number in range(1, 11):
    assert client.get(f"http://{service(number)}/").status_code == 200
"""
RECORDED = CALLS.replace("MESH", "mesh = Mesh.from_recorded(sys.argv[1])") + REPORT
LIVE = (
    CALLS.replace(
        "MESH",
        "mesh = Mesh(sys.argv[1], node=Node(app='svc0', namespace='ns0', ip='127.1.0.1'), cache_dir=False)",
    )
    + REPORT
)


def run(*, smoke: bool) -> list[Table]:
    """Each variant in processes of its own."""
    rounds = 1 if smoke else 5
    table = Table("memory, MB (Pss)", ("process", "median", "over httpx alone"))
    with Backend() as backend, tempfile.TemporaryDirectory() as folder:
        source = write(Path(folder) / "scale", plaintext(backend.port))
        url = f"http://127.0.0.1:{backend.port}/"
        with ControlPlane(source) as address:
            base = _measure(BASE, "-", url, rounds)
            without = _measure(RECORDED, str(source), url, rounds)
            live = _measure(LIVE, address, url, rounds)
    table.rows.append(("httpx alone, one call", base, 0.0))
    table.rows.append(("governed, ten of 1,000 services used, no grpc", without, without - base))
    table.rows.append(("governed, the same over ADS with grpc", live, live - base))
    return [table]


def _measure(code: str, source: str, url: str, rounds: int) -> float:
    found = []
    for _ in range(rounds):
        done = subprocess.run([sys.executable, "-c", code, source, url], capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr)
        found.append(json.loads(done.stdout.splitlines()[-1])["pss"] / 1024)
    return median(found)


class ControlPlane:
    """An ADS server in a process of its own, so that its memory is not counted."""

    def __init__(self, source: Path) -> None:
        self._source = source

    def __enter__(self) -> str:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.ads", str(self._source)],
            stdout=subprocess.PIPE,
            stdin=subprocess.PIPE,
            text=True,
        )
        if self._process.stdout is None:
            raise RuntimeError("no output of the control plane")
        return f"xds://127.0.0.1:{self._process.stdout.readline().strip()}"

    def push(self) -> None:
        """Everything anew to every client; returns at once."""
        if self._process.stdin is not None:
            self._process.stdin.write("\n")
            self._process.stdin.flush()

    def __exit__(self, *error: object) -> None:
        self._process.terminate()
        self._process.wait(10)
