"""The wheel built from the sdist installs, and every module of it imports."""

import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

IMPORT_ALL = """
import importlib, pkgutil, sys
import proxyless
optional = {"h11", "httpx", "httpcore", "httpx2", "httpcore2", "httptools", "requests", "urllib3"}
optional |= {"aiohttp", "kubernetes", "envoy_data_plane", "gevent", "uvicorn", "pytest"}
failed = []
for module in pkgutil.walk_packages(proxyless.__path__, "proxyless."):
    try:
        importlib.import_module(module.name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in optional:
            failed.append(f"{module.name}: {error}")
assert not failed, failed
assert not {"xds", "governance"} & set(sys.modules)
print("imported")
"""


@pytest.mark.timeout(600)
def test_the_wheel_built_from_the_sdist_installs_and_every_module_imports(tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    build = "import hatchling.build as b, sys; print(b.build_sdist(sys.argv[1]))"
    environment = tmp_path / "venv"
    venv.create(environment, with_pip=True)
    python = environment / "bin" / "python"
    subprocess.run([python, "-m", "pip", "-q", "--disable-pip-version-check", "install", "hatchling"], check=True)
    name = subprocess.run(
        [python, "-c", build, tmp_path], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split()[-1]
    subprocess.run([*pip, "wheel", "--no-deps", "-w", tmp_path, tmp_path / name], check=True)
    wheel = next(tmp_path.glob("*.whl"))
    names = zipfile.ZipFile(wheel).namelist()
    assert "proxyless/xds/graph.py" in names
    assert "proxyless/governance/call.py" in names
    assert "proxyless/py.typed" in names
    plugins = next(each for each in names if each.endswith(".dist-info/entry_points.txt"))
    assert (
        "[pytest11]\nproxyless.pytest_plugin = proxyless.pytest_plugin\n"
        in zipfile.ZipFile(wheel).read(plugins).decode()
    )
    assert not [each for each in names if each.startswith(("xds/", "governance/", "tests/"))]
    subprocess.run([python, "-m", "pip", "-q", "--disable-pip-version-check", "install", wheel], check=True)
    done = subprocess.run([python, "-c", IMPORT_ALL], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "imported", done.stderr
