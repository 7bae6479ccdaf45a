"""Real servers, each started once as a process, with a governed app: what passes, what is denied, what is limited.

The mesh is the process's own, from the environment, on a control plane that this test serves. The other half of the
servers is started by e2e/test_server_matrix.py. mTLS of servers is tested in test_tls_servers.py and
test_blocking_servers.py.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import httpx
import pytest

from proxyless.xds.controlplane import FolderSource, Plane
from proxyless.xds.controlplane.server import serve
from tests.docs.pages import FOLDER
from tests.support.denying import denying
from tests.support.ports import free_port

ROOT = Path(__file__).parents[2]
LIMIT = 5
APPS = "tests.proxyless.served_apps"
GUNICORN = f"gunicorn {APPS}:wsgi --bind 127.0.0.1:PORT --no-control-socket"
SERVERS = {
    "uvicorn": f"uvicorn {APPS}:asgi --port PORT",
    "granian": f"granian {APPS}:asgi --interface asgi --port PORT",
    "gunicorn, gthread": f"{GUNICORN} --threads 4",
    "gunicorn, gevent": f"{GUNICORN} -k gevent",
}
MORE = {
    "hypercorn": f"hypercorn {APPS}:asgi --bind 127.0.0.1:PORT",
    "granian, WSGI": f"granian {APPS}:wsgi --interface wsgi --port PORT",
    "gunicorn, uvicorn's worker": f"gunicorn {APPS}:asgi --bind 127.0.0.1:PORT --no-control-socket "
    "-k uvicorn_worker.UvicornWorker",
    "gunicorn, sync, preload": f"{GUNICORN} --preload",
    "waitress": f"waitress --listen=127.0.0.1:PORT {APPS}:wsgi",
}
"""Those of `make e2e`."""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of a control plane."""
    folder = tmp_path_factory.mktemp("servers") / "istio"
    shutil.copytree(FOLDER, folder)
    storefront = folder / "storefront.yaml"
    text = storefront.read_text().replace("max_tokens: 2, tokens_per_fill: 2", f"max_tokens: {LIMIT}")
    denied = denying("/denied", namespace="shop", app="storefront")
    storefront.write_text(text.replace("fill_interval: 60s", "fill_interval: 3600s") + denied)
    plane = Plane(FolderSource(folder))
    server = serve(plane, "127.0.0.1:0")
    yield f"xds://{server.address}"
    server.stop()
    plane.close()


def environment(address: str, folder: Path) -> dict[str, str]:
    """Of the storefront's Pod."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PROXY", "POD_", "INSTANCE_"))}
    return {
        **kept,
        "PYTHONPATH": str(ROOT),
        "PROXYLESS_XDS": address,
        "PROXYLESS_STATUS_SOCKET": "0",
        "POD_NAME": "storefront-0",
        "POD_NAMESPACE": "shop",
        "INSTANCE_IP": "127.0.10.1",
        "ISTIO_META_APP": "storefront",
        "XDG_CACHE_HOME": str(folder / "cache"),
    }


class Served:
    """A server's process."""

    def __init__(
        self,
        command: str,
        address: str,
        folder: Path,
        *before: str,
        port: int = 0,
        more: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.port = port or free_port()
        first, *words = command.replace("PORT", str(self.port)).split()
        self.log = folder / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *before, *([sys.executable, "-m"] if before else []), first, *words],
                cwd=ROOT,
                env={**environment(address, folder), "SERVED_PORT": str(self.port), **more},
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def first_answer(self, client: httpx.Client) -> httpx.Response:
        """The server has to start, and the configuration to come."""
        end = time.monotonic() + 200
        while time.monotonic() < end and self.process.poll() is None:
            try:
                answer = client.get("/")
            except httpx.TransportError:
                answer = None
            if answer is not None and answer.status_code != 503:
                return answer
            time.sleep(0.1)  # the pause between two looks at a condition
        raise AssertionError(self.log.read_text())

    def close(self) -> None:
        """Stops it as an orchestrator does."""
        self.process.terminate()
        try:
            self.process.wait(60)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()


def table(served: Served) -> list[tuple[int, str]]:
    """Status and body: allowed, with a body, in parts, denied, and one more than the limit."""
    with httpx.Client(base_url=f"http://127.0.0.1:{served.port}", trust_env=False, timeout=60) as client:
        answers = [
            served.first_answer(client),
            client.post("/", content=b"x" * 100_000),
            client.get("/stream"),
            client.get("/denied"),
            client.get("/%64enied"),
            client.get("/"),
        ]
    return [(each.status_code, each.text) for each in answers]


EXPECTED = [
    (200, "0"),
    (200, "100000"),
    (200, "0,1,2,"),
    (403, "RBAC: access denied"),
    (403, "RBAC: access denied"),
    (429, "local_rate_limited"),
]


@pytest.mark.parametrize("name", SERVERS)
def test_an_app_is_governed_under(name: str, address: str, tmp_path: Path) -> None:
    is_governed_under(SERVERS[name], address, tmp_path)


def is_governed_under(command: str, address: str, folder: Path) -> None:
    """A server's process, from its start to its end."""
    module = command.split()[0]
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not installed")
    served = Served(command, address, folder)
    try:
        found = table(served)
    finally:
        served.close()
    assert found == EXPECTED, served.log.read_text()
