"""Programs under `proxyless run`: what is governed in them and below them, and what is refused."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.docs.conftest import PLAIN, World
from tests.docs.pages import blocks

CLUSTER = "outbound|80|v2|catalog.shop.svc.cluster.local"
OFF = ("--json", "--off", "db.shop")
VARIABLES = ("GRPC_", "INSTANCE_", "ISTIO_", "PILOT_", "POD_", "PROXY", "SERVICE_ACCOUNT")

PROGRAM = """
import json, multiprocessing, os, sys
import httpx

ALICE = {"x-user": "alice"}
URL = "http://catalog.shop/items"


def cluster(response):
    call = response.extensions.get("proxyless")
    return call.cluster.name if call is not None and call.cluster is not None else str(response.status_code)


def child(queue):
    queue.put(cluster(httpx.get(URL, headers=ALICE, timeout=60)))


def of_child(kind):
    context = multiprocessing.get_context(kind)
    queue = context.Queue()
    process = context.Process(target=child, args=(queue,))
    process.start()
    try:
        return queue.get(timeout=120)
    finally:
        process.join(60)


class Own(httpx.HTTPTransport):
    pass


async def by_task():
    async with httpx.AsyncClient(timeout=60) as client:
        return cluster(await client.get(URL, headers=ALICE))


if __name__ == "__main__":
    import asyncio, threading

    before = [each.name for each in threading.enumerate() if each.name.startswith("proxyless")]
    found = {"started": before}
    for name, options in {
        "plain": {},
        "transport": {"transport": httpx.HTTPTransport(retries=1)},
        "subclass": {"transport": Own(True)},
        "proxy": {"proxy": "http://127.0.0.1:9"},
    }.items():
        with httpx.Client(timeout=60, **options) as client:
            found[name] = cluster(client.get(URL, headers=ALICE))
    import proxyless

    explicit = proxyless.httpx.Transport()
    with httpx.Client(transport=explicit, timeout=60) as client:
        found["explicit"] = cluster(client.get(URL, headers=ALICE))
        found["inside"] = type(explicit._pool.inner).__module__.partition(".")[0]
    found["task"] = asyncio.run(by_task())
    import requests, urllib3

    with requests.Session() as session:
        session.mount("http://", requests.adapters.HTTPAdapter(max_retries=1))
        found["requests"] = session.get(URL, headers=ALICE, timeout=60).status_code
        session.mount("http://", proxyless.requests.Adapter())
        found["adapter"] = session.get(URL, headers=ALICE, timeout=60).status_code
    for name, manager in {"urllib3": urllib3.PoolManager(), "manager": proxyless.urllib3.PoolManager()}.items():
        found[name] = manager.request("GET", URL, headers=ALICE, timeout=60.0).status
    found["fork"] = of_child("fork")
    found["spawn"] = of_child("spawn")
    found["chained"] = getattr(sys, "chained", None)
    print(json.dumps(found))
    sys.exit(3)
"""

APP = """
import os
import httpx

client = httpx.Client(timeout=60)


def app(environ, start_response):
    call = client.get("http://catalog.shop/items", headers={"x-user": "alice"}).extensions["proxyless"]
    start_response("200 OK", [("content-type", "text/plain")])
    return [f"{os.getpid()} {call.cluster.name}".encode()]
"""


def environment(world: World | None, folder: Path, **more: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(VARIABLES)}
    address = world.real[PLAIN] if world is not None else "127.0.0.1:1"
    root = Path(__file__).parents[3]
    return {
        **kept,
        "PYTHONPATH": str(root),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PROXYLESS_XDS": f"xds://{address}",
        "POD_NAME": "storefront-0",
        "POD_NAMESPACE": "shop",
        "INSTANCE_IP": "127.0.10.1",
        "XDG_CACHE_HOME": str(folder / "cache"),
        **more,
    }


def run(
    *command: str,
    world: World | None = None,
    folder: Path,
    options: tuple[str, ...] = (),
    variables: dict[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """What `proxyless run` makes of a command."""
    return subprocess.run(
        [sys.executable, "-m", "proxyless.cli", "run", *options, "--", *command],
        cwd=folder,
        env=environment(world, folder, **(variables or {})),
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def test_everything_that_a_program_calls_is_governed_once(world: World) -> None:
    folder = world.folder
    (folder / "program.py").write_text(PROGRAM)
    (folder / "own").mkdir()
    (folder / "own" / "sitecustomize.py").write_text("import sys\nsys.chained = 'httpx' not in sys.modules\n")
    root = Path(__file__).parents[3]
    done = run(
        sys.executable,
        "program.py",
        world=world,
        folder=folder,
        variables={"PYTHONPATH": os.pathsep.join([str(root), str(folder / "own")])},
    )
    assert done.returncode == 3, done.stderr
    found = json.loads(done.stdout)
    assert found.pop("started") == [], "nothing starts at import"
    assert found.pop("chained") is True
    assert found.pop("inside") == "httpcore"
    assert [found.pop(name) for name in ("requests", "adapter", "urllib3", "manager")] == [200] * 4
    assert len(world.backends.take()) == 12
    assert found == dict.fromkeys(
        ("plain", "transport", "subclass", "proxy", "explicit", "task", "fork", "spawn"), CLUSTER
    )
    said = [line for line in done.stderr.splitlines() if line.startswith("proxyless run: governs httpx ")]
    assert len(said) == 1, "children do not say it again"


def test_the_program_of_the_page_prints_what_the_page_says(world: World) -> None:
    (program,) = blocks("run", "python")
    (shown,) = blocks("run", "console")
    (world.folder / program.file).write_text(program.text)
    command, *said, printed = shown.text.splitlines()
    assert command.startswith("$ proxyless run -- python ")
    done = run("python", program.file, world=world, folder=world.folder)
    assert done.stdout.splitlines() == [printed], done.stderr
    for line in said:
        name, _, more = re.split(r" (\d[\w.]*)", line)  # the version is the reader's
        assert re.search(rf"^{re.escape(name)} \S+{re.escape(more)}$", done.stderr, re.MULTILINE)


def test_a_host_that_is_switched_off_is_left_to_the_library(world: World) -> None:
    program = "import httpx; httpx.get('http://catalog.shop/items', timeout=60)"
    done = run(sys.executable, "-c", program, world=world, folder=world.folder, options=("--off", "*.shop"))
    assert "httpx.ConnectError" in done.stderr
    assert "leaves alone calls to *.shop" in done.stderr
    done = run(sys.executable, "-c", program, world=world, folder=world.folder, options=("--skip", "httpx"))
    assert "httpx.ConnectError" in done.stderr
    assert "governs httpx " not in done.stderr


def test_a_command_keeps_its_status_and_its_signals(tmp_path: Path) -> None:
    program = "import os, signal; os.kill(os.getpid(), signal.SIGTERM)"
    assert run(sys.executable, "-c", program, folder=tmp_path).returncode == -signal.SIGTERM
    done = run("sh", "-c", "exit 7", folder=tmp_path)
    assert (done.returncode, done.stderr) == (7, "")


def test_what_is_governed_is_one_document(tmp_path: Path) -> None:
    done = run(
        "python",
        "-c",
        "",
        folder=tmp_path,
        options=("--json", "--off", "db.shop"),
        variables={"PROXYLESS_RUN_SKIP": "httpx2,urllib3,grpc,aiohttp,incoming"},
    )
    document: dict[str, Any] = json.loads(done.stderr)
    assert document.pop("python")
    assert list(document.pop("governs")) == ["httpx"]
    assert document == {"incoming": {}, "mtls": [], "ungoverned": ["db.shop"], "disabled": False}
    done = run("python", "-c", "", folder=tmp_path, variables={"PROXYLESS_DISABLE": "1"})
    assert done.stderr == "proxyless run: governs nothing: PROXYLESS_DISABLE is set\n"


@pytest.mark.parametrize(
    ("command", "variables", "said"),
    [
        (("no-such-command",), {}, "no-such-command: No such file or directory"),
        (("python", "-I", "x.py"), {}, "python -I does not look at PYTHONPATH: nothing would be governed"),
        (("python3", "-uS", "-c", ""), {}, "python3 -uS does not look at"),
        (("python", "-c", ""), {"PROXYLESS_XDS": "http://x"}, "'http://x': the control plane's address"),
        (("python", "-c", ""), {"PROXYLESS_RUN_SKIP": "grpc,requests"}, "PROXYLESS_RUN_SKIP: 'requests' is not one of"),
    ],
)
def test_what_cannot_be_run_or_governed_ends_with_2(
    command: tuple[str, ...], variables: dict[str, str], said: str, tmp_path: Path
) -> None:
    done = run(*command, folder=tmp_path, variables=variables)
    assert done.returncode == 2
    assert said in done.stderr


def test_a_version_that_is_not_supported_ends_with_2_before_the_program_begins(tmp_path: Path) -> None:
    made = tmp_path / "httpx-0.20.0.dist-info"
    made.mkdir()
    (made / "METADATA").write_text("Metadata-Version: 2.1\nName: httpx\nVersion: 0.20.0\n")
    path = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[3])])
    done = run("python", "-c", "print('began')", folder=tmp_path, variables={"PYTHONPATH": path})
    assert (done.returncode, done.stdout) == (2, "")
    assert "httpx 0.20.0 is not supported: 0.27 or newer, below 0.29 is" in done.stderr


def test_an_interpreter_without_proxyless_says_so() -> None:
    bootstrap = Path(__file__).parents[3] / "proxyless" / "running" / "bootstrap"
    program = (
        "import sys, runpy; sys.modules['proxyless'] = None; runpy.run_path(sys.argv[1], run_name='sitecustomize');"
        "print('went on')"
    )
    for said, status, printed in (("text", 2, ""), ("", 0, "went on\n")):
        done = subprocess.run(
            [sys.executable, "-S", "-c", program, str(bootstrap / "sitecustomize.py")],
            env={**os.environ, "PROXYLESS_RUN": said},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stdout) == (status, printed), done.stderr
        assert f"{sys.executable} is not governed" in done.stderr
