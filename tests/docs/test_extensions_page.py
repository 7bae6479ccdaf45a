"""The packages of docs/extensions.md, installed, in one mesh: filter, matcher, balancer, policies, suite."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.conftest import World
from tests.docs.pages import ROOT, blocks
from tests.proxyless.running.test_run import environment
from tests.support.packages import install, install_project

EXAMPLES = sorted((ROOT / "examples" / "extensions").iterdir())
PACKAGES = {
    "example-api-key",
    "example-preferred",
    "example-rendezvous",
    "example-signing",
    "example-stamped",
    "example-tenant",
    "proxyless-httplib2",
}
RUN = """
import httplib2, json, proxyless_httplib2
response, content = httplib2.Http().request("http://catalog.shop/items", headers={"x-user": "alice"})
print(response.status, json.loads(content)["backend"].partition(":")[0])
"""


@pytest.fixture
def site(world: World) -> Path:
    made = world.folder / "site"
    made.mkdir()
    for each in EXAMPLES:
        install_project(made, each)
    return made


def run(world: World, site: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environ = environment(world, world.folder)
    environ["PYTHONPATH"] = os.pathsep.join([str(site), *filter(None, [environ.get("PYTHONPATH"), *sys.path])])
    return subprocess.run(command, cwd=world.folder, env=environ, capture_output=True, text=True, timeout=120)


def test_a_mesh_uses_what_every_package_brings(world: World, site: Path) -> None:
    for block in blocks("extensions", "yaml"):
        found = re.match(r"# (istio/\w+\.yaml)\n", block.text)
        assert found is not None
        text = block.text
        for (host, port), real in world.backends.ports.items():
            text = text.replace(
                f"{{address: {host}, ports: {{http: {port}}}}}", f"{{address: {host}, ports: {{http: {real}}}}}"
            )
        (world.folder / found[1]).write_text(text)
    done = run(world, site, sys.executable, "-c", "\n".join(each.text for each in blocks("extensions", "python")))
    assert done.returncode == 0, done.stderr
    checked = run(world, site, sys.executable, "-m", "proxyless.cli", "check", "istio", "--json")
    document = json.loads(checked.stdout)
    assert {each["package"] for each in document["extensions"]} == PACKAGES
    assert not [each for each in document["findings"] if "xtension" in each["text"]], document


def test_run_governs_the_library_of_a_package(world: World, site: Path) -> None:
    done = run(world, site, sys.executable, "-m", "proxyless.cli", "run", "--", sys.executable, "-c", RUN)
    assert done.stdout.split() == ["200", "127.0.20.2"], done.stderr
    assert re.search(r"^proxyless run: governs httplib2 [\d.]+$", done.stderr, re.MULTILINE)
    refused = run(world, site, sys.executable, "-m", "proxyless.cli", "run", "--skip", "httplib3", "--", "true")
    assert "'httplib3' is not one of httpx, httpx2, urllib3, aiohttp, grpc, uvicorn, " in refused.stderr
    assert refused.stderr.rstrip().endswith(", incoming, mtls, httplib2")


def test_two_suites_for_a_library_are_refused_before_the_program_begins(world: World, site: Path) -> None:
    install(site, "other-httplib2", {"proxyless.suites": {"httplib2": "other_httplib2"}}, "")
    done = run(world, site, sys.executable, "-m", "proxyless.cli", "run", "--", "true")
    assert done.returncode == 2
    assert (
        "proxyless.suites httplib2 is brought by 2 packages: other-httplib2 1.0, proxyless-httplib2 1.0" in done.stderr
    )
