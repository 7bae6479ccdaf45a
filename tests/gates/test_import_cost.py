"""`import proxyless` costs next to nothing: no third-party module, no thread, no socket, no process."""

import json
import subprocess
import sys
from typing import Any

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
