"""The steps of the Dockerfile, run one by one in a folder: there is no container here to run them in."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from tests.charts.test_images import ROOT, pins, stages

FOLDERS = ("/src", "/wheels", "/opt")
PROVES = {
    "controller": "--kubernetes",
    "shop": "one service of the shop",
}
"""What the image's command says when it is asked for help."""


class Build:
    """One root for all stages: what one copies from another is where it is."""

    def __init__(self, root: Path) -> None:
        self.root, self.directory = root, root
        self.environment = {"PATH": os.environ["PATH"]}

    def inside(self, text: str) -> str:
        """Its absolute paths, below the root."""
        for each in FOLDERS:
            text = text.replace(f"{each}/", f"{self.root}{each}/").replace(f"{each} ", f"{self.root}{each} ")
        return text

    def step(self, instruction: str, value: str) -> None:
        if instruction == "ENV":  # pip may keep what it has downloaded: an image may not
            value = value.replace("PIP_NO_CACHE_DIR=1", "")
            for name, _, said in (each.partition("=") for each in shlex.split(value)):
                self.environment[name] = self.inside(said)
        elif instruction == "WORKDIR":
            self.directory = self.root / value.lstrip("/")
            self.directory.mkdir(parents=True)
        elif instruction == "COPY" and not value.startswith("--from="):
            *sources, target = value.split()
            for source in sources:
                self._copy(ROOT / source, self.directory / target)
        elif instruction == "RUN":
            command = ["/bin/sh", "-ec", self.inside(value)]
            subprocess.run(command, cwd=self.directory, env=self.environment, check=True, timeout=600)

    @staticmethod
    def _copy(source: Path, target: Path) -> None:
        if source.is_dir():
            shutil.copytree(source, target, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target / source.name)


@pytest.mark.timeout(1500)
def test_every_step_of_the_images_runs_and_their_commands_start(tmp_path: Path) -> None:
    found = stages()
    build = Build(tmp_path)
    for each in found["build"]:
        build.step(*each)
    for name, proof in PROVES.items():
        for each in found[f"build-{name}"]:
            build.step(*each)
        for each in found[name]:
            build.step(*each)
        command = json.loads(dict(found[name])["CMD"])
        options = {**build.environment, "HOME": str(tmp_path)}
        program = shutil.which(command[0], path=options["PATH"].partition(":")[0])
        assert program is not None
        asked = [program, *(each for each in command[1:] if each != "--help"), "--help"]
        done = subprocess.run(asked, env=options, capture_output=True, text=True, check=True, timeout=120)
        assert proof in done.stdout
    pip = str(tmp_path / "opt" / "proxyless" / "bin" / "pip")
    frozen = subprocess.run([pip, "freeze"], env=build.environment, capture_output=True, text=True, check=True).stdout
    held = {canonicalize_name(line.partition("==")[0]): line for line in frozen.splitlines()}
    unpinned = [line for name, line in held.items() if name != "proxyless" and name not in pins()]
    assert not unpinned, "charts/images/constraints.txt"
