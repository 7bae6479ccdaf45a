"""Findings of `check` in the forms that CI systems read: JSON, SARIF 2.1.0, GitHub's workflow commands."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..xds.controlplane import Finding

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_INDEX = re.compile(r"\[[^]]*\]")


def as_json(findings: Sequence[Finding]) -> str:
    """One document: the number of errors, and every finding with paths relative to the folder."""
    errors = sum(each.severity == "error" for each in findings)
    return json.dumps({"errors": errors, "findings": [each.document() for each in findings]}, indent=2)


def as_text(findings: Sequence[Finding]) -> str:
    """A line for each finding, and how many there are."""
    errors = sum(each.severity == "error" for each in findings)
    return "\n".join(
        [*map(str, findings), f"{_counted(errors, 'error')}, {_counted(len(findings) - errors, 'warning')}"]
    )


def as_sarif(findings: Sequence[Finding], directory: str, version: str) -> str:
    """A SARIF 2.1.0 log with one run. A rule is a field of a kind, so that a finding keeps its rule when lines move."""
    rules = sorted({rule_of(each) for each in findings})
    results = [
        {
            "ruleId": rule_of(each),
            "ruleIndex": rules.index(rule_of(each)),
            "level": each.severity,
            "message": {"text": each.text},
            "locations": [{"physicalLocation": _location(each, directory)}],
        }
        for each in findings
    ]
    driver = {
        "name": "proxyless check",
        "version": version,
        "semanticVersion": version,
        "rules": [{"id": rule, "shortDescription": {"text": rule.replace(".", " ", 1)}} for rule in rules],
    }
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2)


def as_github(findings: Sequence[Finding], directory: str) -> str:
    """Workflow commands, which GitHub shows beside the lines of a pull request."""
    return "\n".join(_annotation(each, directory) for each in findings)


def rule_of(finding: Finding) -> str:
    """What kind of field a finding is about: `VirtualService.spec.http.route.weight`, or `yaml` for a file."""
    if finding.object is None:
        return "yaml"
    return ".".join(part for part in (finding.object.kind, _INDEX.sub("", finding.field)) if part)


def _annotation(finding: Finding, directory: str) -> str:
    properties = {"file": _path(finding, directory), "title": rule_of(finding)}
    if finding.line:
        properties |= {"line": str(finding.line), "col": str(max(finding.column, 1))}
    said = ",".join(f"{name}={_escaped(value, in_property=True)}" for name, value in properties.items())
    return f"::{finding.severity} {said}::{_escaped(finding.text)}"


def _escaped(text: str, *, in_property: bool = False) -> str:
    """As actions/toolkit escapes the data and the properties of a command."""
    for character, code in (("%", "%25"), ("\r", "%0D"), ("\n", "%0A")):
        text = text.replace(character, code)
    return text.replace(":", "%3A").replace(",", "%2C") if in_property else text


def _location(finding: Finding, directory: str) -> dict[str, Any]:
    found: dict[str, Any] = {"artifactLocation": {"uri": _uri(_path(finding, directory))}}
    if finding.line:
        found["region"] = {"startLine": finding.line, "startColumn": max(finding.column, 1)}
    return found


def _path(finding: Finding, directory: str) -> str:
    """Seen from the current directory, which is the root of the repository in a CI system."""
    path = Path(directory).resolve() / finding.file
    here = Path.cwd().resolve()
    return path.relative_to(here).as_posix() if path.is_relative_to(here) else path.as_posix()


def _uri(path: str) -> str:
    from urllib.parse import quote

    return Path(path).as_uri() if Path(path).is_absolute() else quote(path)


def _counted(number: int, what: str) -> str:
    return f"{number or 'no'} {what}{'' if number == 1 else 's'}"
