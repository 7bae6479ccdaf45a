"""`import proxyless` costs next to nothing: no third-party module, no thread, no socket, no process."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from proxyless.xds.transport.replay import recorded

ROOT = Path(__file__).parents[2]
PUBLIC = {"governance/composition/items.py", "xds/model/extension.py"}
"""Records that programs make themselves: their signature is there to be asked for."""

PROBE = """
import json, sys, threading
before = set(sys.modules)
seen = []
WATCHED = ("socket", "subprocess", "os.fork", "os.posix_spawn", "os.exec")
sys.addaudithook(lambda event, args: seen.append(event) if event.startswith(WATCHED) else None)
import proxyless
after = set(sys.modules) - before
print(json.dumps({
    "modules": sorted(after),
    "threads": threading.active_count(),
    "events": [e for e in seen if not e.startswith("socket.__new__")],
}))
"""


CALLS = """
import json, sys
import httpx, proxyless.httpx
from proxyless import Mesh
with Mesh.from_recorded(FOLDER) as mesh:
    client = httpx.Client(transport=proxyless.httpx.Transport(mesh), trust_env=False)
    status = [client.get("http://svc1.ns1.svc.cluster.local/").status_code]
    made = set(sys.modules)
    status.append(client.get("http://svc2.ns2.svc.cluster.local/").status_code)
    later = set(sys.modules) - made
print(json.dumps({"modules": sorted(sys.modules), "status": status, "later": sorted(later)}))
"""


def probe(code: str = PROBE) -> dict[str, Any]:
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    result: dict[str, Any] = json.loads(output)
    return result


def test_importing_the_package_imports_the_standard_library_only() -> None:
    strangers = {name.partition(".")[0] for name in probe()["modules"]} - set(sys.stdlib_module_names) - {"proxyless"}
    assert not strangers


def test_importing_the_package_imports_no_room_of_its_own() -> None:
    assert [name for name in probe()["modules"] if name.startswith("proxyless")] == ["proxyless"]


def test_importing_the_package_starts_and_connects_nothing() -> None:
    result = probe()
    assert result["threads"] == 1
    assert not result["events"]


def test_the_command_line_answers_help_without_grpc_or_protobuf() -> None:
    code = PROBE.replace("import proxyless\n", "import proxyless.cli\n")
    names = {name.partition(".")[0] for name in probe(code)["modules"]}
    assert not names & {"grpc", "google", "httpx", "prometheus_client", "yaml"}


def test_the_plugin_of_pytest_imports_nothing_that_pytest_does_not() -> None:
    code = "import pytest\n" + PROBE.replace("import proxyless\n", "import proxyless.pytest_plugin\n")
    result = probe(code)
    strangers = {name.partition(".")[0] for name in result["modules"]} - set(sys.stdlib_module_names)
    assert strangers == {"proxyless"}
    assert [each for each in result["modules"] if each.startswith("proxyless")] == [
        "proxyless",
        "proxyless.pytest_plugin",
    ]
    assert result["threads"] == 1


@pytest.mark.parametrize("suite", ["asgi", "httpx", "requests", "urllib3", "wsgi"])
def test_a_suite_imports_nothing_that_only_a_mesh_needs(suite: str) -> None:
    names = {
        name.partition(".")[0]
        for name in probe(PROBE.replace("import proxyless\n", f"import proxyless.{suite}\n"))["modules"]
    }
    assert not names & {"google", "grpc", "cryptography", "prometheus_client", "tarfile", "yaml", "jwt"}
    assert "httpx" not in names or suite == "httpx"
    assert "asyncio" not in names or suite in ("asgi", "wsgi")


def test_a_mesh_without_tasks_imports_no_asyncio_and_calls_import_nothing_more(tmp_path: Path) -> None:
    for name, raw in recorded(ROOT / "tests/recorded/scale/svc0.tar.gz"):
        (tmp_path / name).write_bytes(raw)
    found = probe(CALLS.replace("FOLDER", repr(str(tmp_path))))
    assert not set(found["modules"]) & {"asyncio", "yaml", "tarfile", "typing_extensions", "grpc"}
    assert found["status"] == [503, 503]
    assert not found["later"]


def test_frozen_classes_with_slots_are_records() -> None:
    standard = re.compile(r"^from dataclasses import .*\bdataclass\b", re.MULTILINE)
    for room in ("xds/model", "governance"):
        for path in (ROOT / room).rglob("*.py"):
            text = path.read_text()
            if "@dataclass(frozen=True, slots=True)" in text and path.relative_to(ROOT).as_posix() not in PUBLIC:
                assert not standard.search(text), path
