"""The registry of what is governed: bounds as the project says them, versions as they are written."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

from proxyless.errors import ConfigurationError
from proxyless.running.libraries import LIBRARIES, Library, of_package
from proxyless.running.servers import SERVERS

PROJECT = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
TESTED = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["dependency-groups"]["dev"]


@pytest.mark.parametrize("library", [*LIBRARIES, *SERVERS], ids=lambda each: each.module or each.name)
def test_bounds_are_those_of_the_extra_or_of_what_is_tested(library: Library) -> None:
    name = library.distribution or library.name
    wanted_by = EXTRAS.get(name, [*PROJECT["dependencies"], *TESTED])
    (wanted,) = [each for each in wanted_by if re.match(rf"{name}(?![\w-])", each)]
    said = SpecifierSet(re.sub(r"^[\w.-]+(\[.*\])?", "", wanted))
    bounds = [f">={'.'.join(map(str, library.oldest))}"]
    if library.below is not None:
        bounds.append(f"<{'.'.join(map(str, library.below))}")
    assert said == SpecifierSet(",".join(bounds))


def test_what_else_an_extra_brings_is_missed() -> None:
    library = Installed("some", (1,), None, print, ("re", "no_such_module"))
    object.__setattr__(library, "text", "1.5")
    assert library.unsupported().startswith("some 1.5 cannot be governed without no_such_module: pip install")


class Installed(Library):
    """Some version."""

    __slots__ = ("text",)
    text: str

    def version(self) -> str:
        return self.text


@pytest.mark.parametrize(
    ("text", "supported"),
    [("", True), ("1.2", True), ("1.2.3.dev1", True), ("1.10rc1", True), ("2", False), ("1.1.9", False), ("x", False)],
)
def test_a_version_is_compared_by_its_numbers(text: str, supported: bool) -> None:
    patched: list[object] = []
    library = Installed("some", (1, 2), (2,), patched.append)
    object.__setattr__(library, "text", text)
    assert (library.unsupported() == "") is supported
    if supported:
        library.patch_loaded(re)
        assert patched == [re]
    else:
        with pytest.raises(ConfigurationError, match=r"some .* is not supported: 1\.2 or newer, below 2"):
            library.patch_loaded(re)


@pytest.mark.parametrize(("module", "why"), [("re", "AttributeError"), ("no_such_suite:it", "ModuleNotFoundError")])
def test_a_suite_of_another_package_that_cannot_govern_is_named(module: str, why: str) -> None:
    named = rf"proxyless\.suites pytest = {module} of package acme 1\.0 cannot govern it: {why}"
    with pytest.raises(ConfigurationError, match=named):
        of_package("pytest", module, "acme 1.0").patch_loaded(pytest)
