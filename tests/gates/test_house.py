"""The house rules that erode silently."""

import ast
import statistics
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PRODUCT = sorted(
    path
    for top in ("xds", "governance", "proxyless")
    for path in (ROOT / top).rglob("*.py")
    if not any(part.is_symlink() for part in path.parents)
)
DATA = {"coverage_table.py"}
"""Tables: they may be longer than the house allows for code."""


def test_no_file_is_longer_than_five_hundred_lines() -> None:
    long = {
        str(path.relative_to(ROOT)): size for path in PRODUCT if (size := lines(path)) > 500 and path.name not in DATA
    }
    assert not long


def test_the_median_file_has_at_most_a_hundred_and_fifty_lines() -> None:
    assert statistics.median(map(lines, PRODUCT)) <= 150


@pytest.mark.parametrize("path", PRODUCT, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_says_what_it_is(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text())), path


def test_the_links_into_the_package_are_links() -> None:
    for name in ("xds", "governance"):
        assert (ROOT / "proxyless" / name).is_symlink()


def lines(path: Path) -> int:
    return len(path.read_text().splitlines())
