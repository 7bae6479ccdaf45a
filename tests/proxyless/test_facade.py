"""`import proxyless` is enough; what is missing or misspelt is named with what to do."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

import proxyless
from proxyless.xds.model.snapshot import Snapshot


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("name", ["asgi.Middleware", "httpx.Transport", "httpx2.AsyncTransport"])
def test_a_suite_is_there_when_it_is_named(name: str) -> None:
    done = run(f"import proxyless; print(proxyless.{name}.__name__)")
    assert done.stdout.strip() == name.partition(".")[2], done.stderr


@pytest.mark.parametrize("library", ["httpx", "httpx2"])
def test_a_suite_without_its_library_says_how_to_get_it(library: str) -> None:
    done = run(f"import sys; sys.modules['{library}'] = None\nimport proxyless.{library}")
    assert f"ModuleNotFoundError: proxyless.{library} needs {library} (" in done.stderr
    assert done.stderr.strip().endswith(f"pip install 'proxyless[{library}]'")


def test_suites_are_listed() -> None:
    assert {"asgi", "httpx", "httpx2", "Mesh"} <= set(dir(proxyless))


def test_an_error_mode_that_does_not_exist_is_refused() -> None:
    mode: Any = "raises"
    with (
        proxyless.Mesh._from_snapshot(Snapshot(), status_socket=False) as mesh,
        pytest.raises(ValueError, match="errors='raises': it is 'response' or 'raise'"),
    ):
        proxyless.httpx.Transport(mesh, errors=mode)
