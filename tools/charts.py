"""Tables of a chart's values, from the comments of values.yaml: `python -m tools.charts` writes them into README.md.

A comment that begins with `# -- ` is about the key below it; a key that has none is described key by key below itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
CHARTS = tuple(sorted(each.parent for each in ROOT.glob("charts/*/Chart.yaml")))
BEGIN, END = "<!-- values: python -m tools.charts -->", "<!-- end of values -->"
MARK = "# -- "


@dataclass(frozen=True, slots=True)
class Value:
    """One row: the path of a key, its default as JSON, and what its comment says."""

    path: str
    default: str
    said: str

    def __str__(self) -> str:
        return "| " + " | ".join((f"`{self.path}`", f"`{self.default}`", self.said.replace("|", "\\|"))) + " |"


def values_of(chart: Path) -> list[Value]:
    """Every documented key, in the file's order.

    Raises:
        ValueError: a key has no comment, nor do the keys below it.
    """
    text = (chart / "values.yaml").read_text(encoding="utf-8")
    lines = text.splitlines()
    node = yaml.compose(text)
    return list(_values(node, "", lines)) if isinstance(node, yaml.MappingNode) else []


def _values(mapping: yaml.MappingNode, above: str, lines: list[str]) -> Iterator[Value]:
    for key, value in mapping.value:
        path = f"{above}{key.value}"
        said = _comment(lines, key.start_mark.line)
        if said:
            yield Value(path, json.dumps(_plain(value), ensure_ascii=False), said)
        elif isinstance(value, yaml.MappingNode) and value.value and not value.flow_style:
            yield from _values(value, f"{path}.", lines)
        else:
            raise ValueError(f"{path} (line {key.start_mark.line + 1}) has no comment that begins with {MARK!r}")


def _plain(node: yaml.Node) -> Any:
    return yaml.safe_load(yaml.serialize(node))


def _comment(lines: list[str], key: int) -> str:
    found: list[str] = []
    for line in reversed(lines[:key]):
        text = line.strip()
        if not text.startswith("#"):
            return ""
        if text.startswith(MARK):
            return " ".join([text.removeprefix(MARK), *reversed(found)])
        found.append(text.removeprefix("#").strip())
    return ""


def readme(chart: Path) -> str:
    """README.md with the table that values.yaml gives."""
    text = (chart / "README.md").read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{chart / 'README.md'} has no place for the table: {BEGIN} ... {END}")
    rows = "\n".join(["| value | default | |", "|---|---|---|", *map(str, values_of(chart))])
    return f"{before}{BEGIN}\n{rows}\n{END}{after}"


def main() -> None:
    """Writes what has changed."""
    for chart in CHARTS:
        path, text = chart / "README.md", readme(chart)
        if text != path.read_text(encoding="utf-8"):
            path.write_text(text, encoding="utf-8")
            print(f"written: {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
