"""The apps of the ASGI and the WSGI page under the servers that the pages name."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.docs.pages import FOLDER, blocks
from tests.support.ports import free_port

PORT = "8000"
COMMANDS = [
    (page, line) for page in ("asgi", "wsgi") for block in blocks(page, "sh") for line in block.text.splitlines()
]


@pytest.mark.parametrize(("page", "command"), COMMANDS, ids=[each.split()[0] for _, each in COMMANDS])
def test_the_app_of_the_page_is_governed_under(page: str, command: str, tmp_path: Path) -> None:
    port = free_port()
    shutil.copytree(FOLDER, tmp_path / "istio")
    storefront = tmp_path / "istio" / "storefront.yaml"
    storefront.write_text(storefront.read_text().replace(PORT, str(port)))
    (app,) = [block for block in blocks(page, "python") if block.file == "app.py"]
    (tmp_path / "app.py").write_text(app.text.replace(PORT, str(port)))
    words = [word.replace(PORT, str(port)) for word in command.split()]
    process = subprocess.Popen(
        [sys.executable, "-m", *words],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        answers = [first_answer(process, port), *(ask(port) for _ in range(2))]
    finally:
        process.terminate()
        said, _ = process.communicate(timeout=20)
    assert [each.status_code for each in answers] == [200, 200, 429], said.decode()
    assert answers[0].json() == ["book"]
    assert answers[0].headers["x-ratelimit-limit"] == "2"


def ask(port: int) -> httpx.Response:
    return httpx.get(f"http://127.0.0.1:{port}/items", headers={"host": "storefront"}, timeout=10)


def first_answer(process: subprocess.Popen[bytes], port: int) -> httpx.Response:
    """The first one that is the app's or a limit's: the server has to start, and the configuration to come."""
    end = time.monotonic() + 120
    while time.monotonic() < end and process.poll() is None:
        try:
            answer = ask(port)
        except httpx.TransportError:
            answer = None
        if answer is not None and answer.status_code != 503:
            return answer
        time.sleep(0.05)  # the pause between two looks at a condition
    raise AssertionError("the server did not answer")
