"""Packages that a test installs: a folder with a module and what an installer would write beside it."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from proxyless.xds.wire.installed import installed

Points = Mapping[str, Mapping[str, str]]
"""Entry points: group -> name -> `module:attribute`."""


def install(folder: Path, package: str, points: Points, code: str = "", version: str = "1.0") -> None:
    """A package with one module, called as it is (with underscores)."""
    module = package.replace("-", "_")
    (folder / f"{module}.py").write_text(code)
    info = folder / f"{module}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
    lines = [
        f"[{group}]\n" + "".join(f"{name} = {to}\n" for name, to in names.items()) for group, names in points.items()
    ]
    (info / "entry_points.txt").write_text("\n".join(lines))


@contextmanager
def installed_in(folder: Path) -> Iterator[None]:
    """What is installed there is found."""
    sys.path.insert(0, str(folder))
    installed.cache_clear()
    before = set(sys.modules)
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        installed.cache_clear()
        for name in set(sys.modules) - before:
            if str(folder) in str(getattr(sys.modules[name], "__file__", "")):
                del sys.modules[name]


def install_project(folder: Path, project: Path) -> None:
    """A package with one module beside its `pyproject.toml`, as an installer would."""
    said = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    (module,) = project.glob("*.py")
    assert module.stem == said["name"].replace("-", "_"), "flit finds the module by the name of the project"
    install(folder, said["name"], said.get("entry-points", {}), module.read_text(), said["version"])
