"""The page about tracing: its program runs, and its spans are printed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.docs.pages import ROOT, blocks, text_of
from tests.support.backends import Backends

BACKEND = ("127.0.0.1", 8080)


def test_the_program_of_the_page_prints_its_spans(tmp_path: Path) -> None:
    (tmp_path / "istio").mkdir()
    mesh, catalog = blocks("tracing", "yaml")
    (program,) = blocks("tracing", "python")
    with Backends([BACKEND]) as backends:
        (tmp_path / "mesh.yaml").write_text(mesh.text)
        (tmp_path / "istio" / "catalog.yaml").write_text(catalog.text.replace("8080", str(backends.ports[BACKEND])))
        (tmp_path / "app.py").write_text(program.text)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PROXYLESS_", "OTEL_"))}
        environment = {**kept, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, "app.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
        )
        (arrival,) = backends.take()
    assert done.returncode == 0, done.stderr
    assert '"name": "catalog.example.com:80/*"' in done.stdout
    assert '"upstream_cluster": "outbound|80||catalog.example.com"' in done.stdout
    trace_id, span_id = arrival.header("traceparent").split("-")[1:3]
    assert f'"trace_id": "0x{trace_id}"' in done.stdout
    assert f'"span_id": "0x{span_id}"' in done.stdout


def test_the_page_has_no_line_that_is_too_long() -> None:
    for number, line in enumerate(text_of("tracing").splitlines(), 1):
        assert len(line) <= 120 or line.startswith("|"), number
