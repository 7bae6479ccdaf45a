"""What a mesh says of a process that it cannot work in: the real eventlet, and granian with TLS of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import proxyless
from proxyless._fitness import refuse_own_tls

ROOT = Path(__file__).parents[2]
PROGRAM = """
import eventlet
eventlet.monkey_patch({patched})
import proxyless

node = proxyless.Node(app="web")
for made in (
    lambda: proxyless.Mesh("xds://127.0.0.1:1", node=node, registry=False, cache_dir=False),
    lambda: proxyless.Mesh.from_config("tests/docs/istio", node=node, registry=False),
    lambda: proxyless.Mesh.from_recorded("tests/recorded/shop/xds/frontend", registry=False),
):
    try:
        made()
    except proxyless.UnsupportedError as error:
        print(error)
"""


@pytest.mark.parametrize(
    ("patched", "said"),
    [
        ("", "eventlet has patched thread, socket, select of this process, and grpc cannot run under it: use threads"),
        ("thread=False, select=False, all=False, socket=True", "eventlet has patched socket of this process"),
    ],
)
def test_a_mesh_under_eventlet_is_refused_when_it_is_made(patched: str, said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(patched=patched)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 3, done.stdout + done.stderr
    assert all(each.startswith(said) for each in lines)


@pytest.mark.parametrize(
    ("arguments", "environ"),
    [
        (["granian", "--ssl-certificate", "c.pem"], {}),
        (["granian", "--ssl-certificate=c.pem"], {}),
        ([], {"GRANIAN_SSL_CERTIFICATE": "c.pem"}),
    ],
)
def test_granian_with_tls_of_its_own_is_refused(arguments: list[str], environ: dict[str, str]) -> None:
    with pytest.raises(proxyless.UnsupportedError, match="granian terminates TLS by itself"):
        refuse_own_tls(arguments, environ, {"granian": ModuleType("granian")})
    refuse_own_tls(arguments, environ, {})  # another server's
    refuse_own_tls(["granian", "app:app"], {}, {"granian": ModuleType("granian")})
