"""Many clients of `proxyless serve`, over real streams: memory, CPU, and the time until all have a change.

The mesh is that of the control plane's bench: 1,000 services in view of everybody, as without any Sidecar. The clients
are another process with a connection and a stream each, which acknowledge what they get and do not look at it. Pods of
50 workloads on 20 machines; each asks for clusters, listeners, names, all endpoints and the route table of port 80.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .controlplane import CHANGED, write
from .report import Table

COLUMNS = (
    "",
    "clients",
    "MB with one",
    "KB each more",
    "MB at most",
    "all connected, s",
    "CPU, s",
    "first has a change, s",
    "half",
    "all",
    "CPU, s ",
    "threads",
    "fds",
)
PATIENCE_S = 1800.0


def run(*, smoke: bool, clients: int = 100, delta: bool = False, beside: str | None = None) -> list[Table]:
    """`beside`: a checkout of another version, measured in turns with this one."""
    table = Table(f"control plane: clients over gRPC, {'incremental' if delta else 'state of the world'}", COLUMNS)
    versions = {"this version": Path(__file__).parents[1]}
    if beside is not None:
        versions = {"the other version": Path(beside), **versions}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write(folder)
        for _ in range(1 if smoke or beside is None else 2):
            for name, where in versions.items():
                table.rows.append((name, *_measured(folder, where, 5 if smoke else clients, delta)))
    return [table]


def _measured(folder: Path, where: Path, count: int, delta: bool) -> tuple[object, ...]:
    with _server(folder, where) as (server, address):
        with _clients(address, 1, delta) as one:
            one.until("connected")
            alone = _status(server, "Pss")
        cpu = _cpu(server)
        started = time.monotonic()
        with _clients(address, count, delta) as crowd:
            connected = crowd.until("connected")[0] - started
            cpu, connecting = _cpu(server), _cpu(server) - cpu
            time.sleep(2)
            with_all = _status(server, "Pss")
            threads, descriptors = _entries(server, "task"), _entries(server, "fd")
            path = folder / "istio" / f"svc{CHANGED}.yaml"
            text = path.read_text()
            draft = path.with_suffix(".draft")
            draft.write_text(re.sub(r"attempts: \d+", f"attempts: {int(time.time()) % 90 + 10}", text))
            changed = time.monotonic()
            draft.replace(path)
            times = crowd.until("changed")
            pushing = _cpu(server) - cpu
            return (
                count,
                alone / 1024,
                (with_all - alone) / max(1, count - 1),
                _peak(server) / 1024,
                connected,
                connecting,
                *(each - changed for each in (times[0], times[len(times) // 2], times[-1])),
                pushing,
                threads,
                descriptors,
            )


@contextmanager
def _server(folder: Path, where: Path) -> Iterator[tuple[int, str]]:
    """The command as anybody runs it: its process, and where it serves."""
    command = [sys.executable, "-c", "from proxyless.cli import main; main()", "serve", str(folder)]
    process = subprocess.Popen(
        [*command, "--listen", "127.0.0.1:0", "--json"],
        env={**os.environ, "PYTHONPATH": str(where), "PYTHONUNBUFFERED": "1"},
        cwd=where,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        address = json.loads(process.stdout.readline())["address"].removeprefix("xds://")
        threading.Thread(target=process.stdout.read, daemon=True).start()
        yield process.pid, address
    finally:
        process.terminate()
        process.wait(60)


class _Crowd:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def until(self, event: str) -> list[float]:
        """The moments that come with an event, by the machine's monotonic clock."""
        assert self._process.stdout is not None
        said = json.loads(self._process.stdout.readline())
        if said["event"] != event:
            raise RuntimeError(f"{said} instead of {event}")
        times: list[float] = said["times"]
        return times


@contextmanager
def _clients(address: str, count: int, delta: bool) -> Iterator[_Crowd]:
    command = [sys.executable, "-m", "bench.crowd", address, str(count), *(["--delta"] if delta else [])]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1])
    try:
        yield _Crowd(process)
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def _status(pid: int, name: str) -> int:
    """KB."""
    found = re.search(rf"^{name}:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)
    assert found is not None
    return int(found[1])


def _peak(pid: int) -> int:
    found = re.search(r"^VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.M)
    assert found is not None
    return int(found[1])


def _entries(pid: int, what: str) -> int:
    return sum(1 for _ in Path(f"/proc/{pid}/{what}").iterdir())


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
