"""Findings of `check`: as text, as JSON, and as results for CI systems."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .._extensions import line
from ._reports import Result, seen_from_here

if TYPE_CHECKING:
    from ..xds.controlplane import Finding

_INDEX = re.compile(r"\[[^]]*\]")


def as_json(findings: Sequence[Finding], extensions: Sequence[dict[str, Any]]) -> str:
    """One document: the number of errors, every finding with paths relative to the folder, what packages bring."""
    errors = sum(each.severity == "error" for each in findings)
    found = [each.document() for each in findings]
    return json.dumps({"errors": errors, "findings": found, "extensions": list(extensions)}, indent=2)


def as_text(findings: Sequence[Finding], extensions: Sequence[dict[str, Any]]) -> str:
    """A line for each finding, and for each extension that a package brings; then how many findings there are."""
    errors = sum(each.severity == "error" for each in findings)
    return "\n".join(
        [
            *map(str, findings),
            *(f"extension {line(each)}" for each in extensions),
            f"{_counted(errors, 'error')}, {_counted(len(findings) - errors, 'warning')}",
        ]
    )


def result_of(finding: Finding, directory: str) -> Result:
    """For CI systems."""
    path = seen_from_here(directory, finding.file)
    return Result(finding.severity, rule_of(finding), finding.text, path, finding.line, finding.column)


def rule_of(finding: Finding) -> str:
    """What kind of field a finding is about: `VirtualService.spec.http.route.weight`, or `yaml` for a file.

    So a finding keeps its rule when lines move.
    """
    if finding.object is None:
        return "yaml"
    return ".".join(part for part in (finding.object.kind, _INDEX.sub("", finding.field)) if part)


def _counted(number: int, what: str) -> str:
    return f"{number or 'no'} {what}{'' if number == 1 else 's'}"
