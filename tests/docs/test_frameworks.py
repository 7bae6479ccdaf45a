"""The apps of the ASGI page, one for each framework, and Starlette, of which FastAPI is made: each in a process."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import FOLDER, blocks

STARLETTE = """
import proxyless
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import JSONResponse
from starlette.routing import Route

node = proxyless.Node(app="storefront", namespace="shop", ip="127.0.10.1")
mesh = proxyless.Mesh.from_config("istio/", node=node)
routes = [Route("/items", lambda request: JSONResponse(["book"]))]
app = Starlette(routes=routes, middleware=[Middleware(proxyless.asgi.Middleware, mesh=mesh)])
"""
APPS = {
    "starlette_app.py": STARLETTE,
    **{block.file: block.text for block in blocks("asgi", "python") if block.file and block.file != "service.py"},
}
ASK = """
import asyncio, importlib, json, sys
import httpx

module = importlib.import_module(sys.argv[1])
module.mesh.wait_ready(60)


async def ask():
    transport = httpx.ASGITransport(module.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://storefront:8000") as client:
        return [await client.get(path) for path in ("/items", "/nothing", "/items")]


found = asyncio.run(ask())
print(json.dumps([[each.status_code, each.headers["x-ratelimit-remaining"]] for each in found]))
module.mesh.close()
"""


@pytest.mark.parametrize("file", APPS)
def test_an_app_of_a_framework_is_governed(file: str, tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path / "istio")
    (tmp_path / file).write_text(APPS[file])
    done = subprocess.run(
        [sys.executable, "-c", ASK, file.removesuffix(".py")],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [[200, "1"], [404, "0"], [429, "0"]]
