"""Every example of the pages runs: Python is executed, commands print what the page says that they print."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import proxyless.mesh
from proxyless import Mesh
from tests.docs.conftest import World
from tests.docs.pages import FOLDER, PAGES, ROOT, Block, blocks, text_of

VARIABLES = ("GRPC_", "INSTANCE_", "ISTIO_", "PILOT_", "POD_", "PROXY", "SERVICE_ACCOUNT")
"""How those begin that a mesh reads: an example has those only that it sets."""


@pytest.mark.parametrize("page", [each for each in PAGES if blocks(each, "python") and each != "testing"])
def test_the_python_of_a_page_runs(page: str, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(world.folder)
    monkeypatch.syspath_prepend(world.folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(world.folder / "cache"))
    monkeypatch.setattr(proxyless.mesh, "_default", None)
    monkeypatch.setattr("sys.argv", ["example"])
    monkeypatch.setattr(os, "environ", {k: v for k, v in os.environ.items() if not k.startswith(VARIABLES)})
    names: dict[str, Any] = {"__name__": "__main__"}
    before = set(sys.modules)
    try:
        for block in blocks(page, "python", "sh"):
            text = world.made_real(block.text)
            if block.language == "sh":
                _export(text, monkeypatch)
            elif block.file:
                (world.folder / block.file).write_text(text)
            else:
                _run(block, text, names)
    finally:
        for each in {id(each): each for each in [*names.values(), proxyless.mesh._default]}.values():
            if isinstance(each, Mesh):
                each.close()
        for name in set(sys.modules) - before:
            module = sys.modules[name]
            if str(getattr(module, "__file__", None) or "").startswith(str(world.folder)):
                del sys.modules[name]
                getattr(module, "mesh").close()  # noqa: B009  # a module of the page's


def _run(block: Block, text: str, names: dict[str, Any]) -> None:
    # The lines before it are empty, so that a traceback names the line of the page.
    code = compile("\n" * (block.line - 1) + text, f"docs/{block.page}.md", "exec")
    exec(code, names)


def _export(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for line in text.splitlines():
        words = shlex.split(line, comments=True)
        if words[:1] == ["export"]:
            for each in words[1:]:
                name, _, value = each.partition("=")
                monkeypatch.setenv(name, value)


@pytest.mark.parametrize("block", [each for page in PAGES for each in blocks(page, "console")], ids=lambda b: b.place)
def test_a_command_prints_what_the_page_says(block: Block, tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path / "istio")
    (tmp_path / "recorded").symlink_to(ROOT / "tests" / "recorded" / "shop" / "xds" / "frontend")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    status = 0
    for command, expected in _commands(block.text):
        if command == "echo $?":
            assert expected == f"{status}\n", block.place
            continue
        status, printed = _shell(command, tmp_path, {**os.environ, "PATH": path, "COLUMNS": "120"})
        assert _alike(expected, printed), f"{block.place}: {command}\n{printed}"


def _shell(command: str, folder: Path, environ: dict[str, str]) -> tuple[int, str]:
    """(exit status, stdout and stderr); what takes too long is killed with all that it has started."""
    with subprocess.Popen(
        ["bash", "-c", command],
        cwd=folder,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            out, err = process.communicate(timeout=60)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    return process.returncode, out + err


def _commands(text: str) -> list[tuple[str, str]]:
    """(command, what it prints) of `$ command` lines; a line that ends with a backslash goes on."""
    found: list[tuple[str, str]] = []
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, printed = part.partition("\n")
        while command.endswith("\\"):
            more, _, printed = printed.partition("\n")
            command = command[:-1] + more
        found.append((command, printed))
    assert found, "a console block without a command"
    return found


def _alike(expected: str, printed: str) -> bool:
    """Equal, where a line `...` stands for any lines and `...` in a line for any text."""
    pattern = re.escape(expected.strip())
    pattern = pattern.replace(r"\.\.\.", ".*")
    return re.fullmatch(pattern, printed.strip(), re.DOTALL) is not None


@pytest.mark.parametrize("page", PAGES)
def test_the_files_that_a_page_links_to_are_there(page: str) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text_of(page)):
        if "://" not in target:
            assert (ROOT / "docs" / target).exists(), f"docs/{page}.md links to {target}"


@pytest.mark.parametrize("page", PAGES)
def test_a_page_has_no_line_that_is_too_long(page: str) -> None:
    for number, line in enumerate(text_of(page).splitlines(), 1):
        assert len(line) <= 120 or line.startswith("|"), f"docs/{page}.md:{number}"


def test_the_files_that_the_architecture_names_are_there() -> None:
    named = set(re.findall(r"(?:xds|governance|proxyless|tools|tests)/[\w/.]*\w(?=[`\s,*])", text_of("architecture")))
    assert len(named) > 30
    assert not [each for each in named if "NAME" not in each and not (ROOT / each).exists()]
