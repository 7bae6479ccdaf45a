"""The page about plain TCP: its Python runs, with redis-py against a server of Redis's protocol."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fakeredis import TcpFakeServer

from tests.docs.pages import blocks, text_of
from tests.support.in_thread import in_thread


def test_the_python_of_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server: Any = TcpFakeServer(("127.0.0.1", 0), server_type="redis")
    with in_thread(server):
        (yaml,) = blocks("tcp", "yaml")
        (tmp_path / "istio").mkdir()
        port = server.server_address[1]
        text = yaml.text.replace("{address: 127.0.0.1}", f"{{address: 127.0.0.1, ports: {{tcp: {port}}}}}")
        (tmp_path / "istio" / "cache.yaml").write_text(text)
        monkeypatch.chdir(tmp_path)
        names: dict[str, Any] = {"__name__": "__main__"}
        try:
            for block in blocks("tcp", "python"):
                exec(compile("\n" * (block.line - 1) + block.text, "docs/tcp.md", "exec"), names)
        finally:
            if "mesh" in names:
                names["mesh"].close()


def test_the_page_has_no_line_that_is_too_long() -> None:
    for number, line in enumerate(text_of("tcp").splitlines(), 1):
        assert len(line) <= 120 or line.startswith("|"), number
