"""What a mesh says of what it cannot work in or with: the real eventlet, a granian with TLS of its own, ports."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import proxyless
import proxyless.aiohttp
import proxyless.asgi
import proxyless.grpc.aio
import proxyless.tls
import proxyless.wsgi
from proxyless import Mesh, Node
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


AFTERWARDS = """
import os
import eventlet
import proxyless
import proxyless.httpx
import proxyless.requests
import proxyless.wsgi

mesh = proxyless.Mesh.from_recorded("tests/recorded/shop/xds/frontend", registry=False)
made = [
    lambda: proxyless.httpx.Transport(mesh),
    lambda: proxyless.requests.Adapter(mesh),
    lambda: proxyless.wsgi.Middleware(None, mesh),
]
before = [each() for each in made]
eventlet.monkey_patch()
for each in made:
    try:
        each()
    except proxyless.UnsupportedError as error:
        print(error, flush=True)
os._exit(0)  # nothing of the mesh has to end well under eventlet
"""


@pytest.mark.parametrize(
    ("patched", "said"),
    [
        ("", "eventlet has patched thread, socket, select of this process, and grpc cannot run under it: use threads"),
        ("thread=False, select=False, all=False, socket=True", "eventlet has patched socket of this process"),
    ],
)
def test_a_mesh_under_eventlet_is_refused_when_it_is_made(patched: str, said: str) -> None:
    lines = lines_of(PROGRAM.format(patched=patched))
    assert len(lines) == 3, lines
    assert all(each.startswith(said) for each in lines)


def test_a_suite_is_refused_where_eventlet_has_come_after_the_mesh() -> None:
    lines = lines_of(AFTERWARDS)
    assert len(lines) == 3, lines
    assert all(each.startswith("eventlet has patched thread, socket, select of this process") for each in lines)


def lines_of(program: str) -> list[str]:
    """What a program prints."""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


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


@pytest.mark.parametrize(
    ("port", "error"),
    [
        ("8000", "port='8000' is not a number"),
        (True, "port=True is not"),
        (0, "port=0 is none"),
        (65536, "port=65536 is"),
    ],
)
def test_a_port_that_is_none_is_refused_before_it_is_taken_for_one_that_no_chain_knows(port: Any, error: str) -> None:
    with Mesh.from_config(
        ROOT / "tests/docs/istio", node=Node(app="storefront", namespace="shop"), registry=False
    ) as mesh:
        makers: list[Callable[[], object]] = [
            lambda: proxyless.asgi.Middleware(nobody, mesh, port=port),
            lambda: proxyless.wsgi.Middleware(nobody, mesh, port=port),
            lambda: proxyless.aiohttp.server(mesh, port=port),
            lambda: proxyless.grpc.ServerInterceptor(mesh, port=port),
            lambda: proxyless.grpc.aio.ServerInterceptor(mesh, port=port),
            lambda: proxyless.tls.server_context(mesh, port=port),
        ]
        for made in makers:
            with pytest.raises((TypeError, ValueError)) as caught:
                made()
            assert str(caught.value).startswith(error)


def nobody(*_: Any) -> Any:
    raise NotImplementedError
