"""The Dockerfile: versions are pinned and fit, nobody is root, nothing is copied that is not there."""

from __future__ import annotations

import json
import re
import tomllib

from dockerfile_parse import DockerfileParser
from packaging.requirements import Requirement

from tools.charts import ROOT

IMAGES = ROOT / "charts" / "images"


def steps() -> list[tuple[str, str]]:
    """(instruction, its value)."""
    parsed = DockerfileParser(path=str(IMAGES / "Dockerfile")).structure
    return [(each["instruction"], each["value"]) for each in parsed if each["instruction"] != "COMMENT"]


def stages() -> dict[str, list[tuple[str, str]]]:
    """Steps by the stage's name."""
    found: dict[str, list[tuple[str, str]]] = {}
    for instruction, value in steps():
        if instruction == "FROM":
            found[value.partition(" AS ")[2]] = []
        elif found:
            next(reversed(found.values())).append((instruction, value))
    return found


def project() -> dict[str, object]:
    found: dict[str, object] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return found


def pins() -> dict[str, str]:
    lines = (IMAGES / "constraints.txt").read_text().splitlines()
    return dict(each.split("==") for each in lines if not each.startswith("#"))


def test_images_run_as_somebody_else_than_root_and_are_built_from_one_base() -> None:
    found = stages()
    assert found.keys() == {"build", "build-controller", "build-shop", "controller", "shop"}
    bases = [value.split()[0] for instruction, value in steps() if instruction == "FROM"]
    assert bases == ["${BASE}", "build", "build", "${BASE}", "${BASE}"]
    (base,) = [value for instruction, value in steps() if instruction == "ARG"]
    assert re.fullmatch(r"BASE=python:\d+\.\d+\.\d+-slim-\w+", base)
    for name in ("controller", "shop"):
        kinds = [instruction for instruction, _ in found[name]]
        assert kinds == ["COPY", "ENV", "USER", "CMD"], "no step of a final image runs anything"
        assert dict(found[name])["USER"] == "1337:1337"
        assert json.loads(dict(found[name])["CMD"])[0] in ("proxyless", "python")


def test_what_is_copied_is_there_and_is_not_ignored() -> None:
    ignored = (IMAGES / "Dockerfile.dockerignore").read_text().splitlines()
    for instruction, value in steps():
        if instruction == "COPY" and not value.startswith("--from="):
            for source in value.split()[:-1]:
                assert (ROOT / source).exists(), source
                assert f"!{source}" in ignored, source


def test_every_dependency_is_pinned_to_a_version_that_fits() -> None:
    about = project()
    extras = about["optional-dependencies"]
    assert isinstance(extras, dict)
    needed = [*list(about["dependencies"]), *extras["httpx"], *extras["kubernetes"], *extras["demo"]]  # type: ignore[call-overload]
    for each in map(Requirement, needed):
        if each.name != "proxyless":
            assert each.specifier.contains(pins()[re.sub(r"[-_.]+", "-", each.name).lower()]), each


def test_the_version_is_the_packages() -> None:
    for _, value in steps():
        for version in re.findall(r"proxyless\[\w+\]==([\d.]+)", value):
            assert version == project()["version"]
