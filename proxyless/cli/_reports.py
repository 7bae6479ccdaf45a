"""What CI systems read, for every command that finds something: SARIF 2.1.0 and GitHub's workflow commands."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"

Level = Literal["error", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Result:
    """One thing to tell. `path` is seen from the current directory, the root of the repository in a CI system; line and
    column count from 1, and 0 says nothing."""

    level: Level
    rule: str
    text: str
    path: str = ""
    line: int = 0
    column: int = 0


def as_sarif(results: Sequence[Result], tool: str, version: str) -> str:
    """A SARIF log with one run."""
    rules = sorted({each.rule for each in results})
    driver = {
        "name": tool,
        "version": version,
        "semanticVersion": version,
        "rules": [{"id": rule, "shortDescription": {"text": rule.replace(".", " ", 1)}} for rule in rules],
    }
    said = [_result(each, rules) for each in results]
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": said}
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2)


def as_github(results: Iterable[Result]) -> str:
    """Workflow commands, which GitHub shows beside the lines of a pull request."""
    return "\n".join(map(_annotation, results))


def seen_from_here(directory: str, file: str) -> str:
    """The path of a file of a folder."""
    path = Path(directory).resolve() / file
    here = Path.cwd().resolve()
    return path.relative_to(here).as_posix() if path.is_relative_to(here) else path.as_posix()


def _result(result: Result, rules: list[str]) -> dict[str, Any]:
    said: dict[str, Any] = {
        "ruleId": result.rule,
        "ruleIndex": rules.index(result.rule),
        "level": result.level,
        "message": {"text": result.text},
    }
    if result.path:
        place: dict[str, Any] = {"artifactLocation": {"uri": _uri(result.path)}}
        if result.line:
            place["region"] = {"startLine": result.line, "startColumn": max(result.column, 1)}
        said["locations"] = [{"physicalLocation": place}]
    return said


def _annotation(result: Result) -> str:
    properties = {"file": result.path} if result.path else {}
    properties["title"] = result.rule
    if result.path and result.line:
        properties |= {"line": str(result.line), "col": str(max(result.column, 1))}
    said = ",".join(f"{name}={_escaped(value, in_property=True)}" for name, value in properties.items())
    return f"::{'notice' if result.level == 'note' else result.level} {said}::{_escaped(result.text)}"


def _escaped(text: str, *, in_property: bool = False) -> str:
    """As actions/toolkit escapes the data and the properties of a command."""
    for character, code in (("%", "%25"), ("\r", "%0D"), ("\n", "%0A")):
        text = text.replace(character, code)
    return text.replace(":", "%3A").replace(",", "%2C") if in_property else text


def _uri(path: str) -> str:
    from urllib.parse import quote

    return Path(path).as_uri() if Path(path).is_absolute() else quote(path)
