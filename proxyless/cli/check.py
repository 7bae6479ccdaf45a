"""`proxyless check`: what is wrong with a folder of Istio and Kubernetes YAML, before anything runs on it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from ..errors import ConfigurationError

if TYPE_CHECKING:
    from ..xds.controlplane import Finding


@click.command(short_help="validate Istio and Kubernetes YAML")
@click.argument("directory", metavar="DIR")
@click.option("--json", "as_json", is_flag=True, help="print one JSON document")
def command(directory: str, as_json: bool) -> int:
    """Check the Istio and Kubernetes objects in DIR: file, line and field of each error, and of each field that would
    have no effect.

    An error is refused by the control plane or cannot do what it says; a warning does something else than it seems to.

    Exit status: 0 no errors (there may be warnings), 1 errors, 2 the folder cannot be read.
    """
    from ..xds.controlplane import SourceError, check

    try:
        findings = check(directory)
    except SourceError as error:
        raise ConfigurationError(str(error)) from error
    errors = sum(each.severity == "error" for each in findings)
    if as_json:
        click.echo(json.dumps({"errors": errors, "findings": [_document(each) for each in findings]}, indent=2))
    else:
        for each in findings:
            click.echo(str(each))
        click.echo(_summary(errors, len(findings) - errors))
    return 1 if errors else 0


def _document(finding: Finding) -> dict[str, Any]:
    return {
        "severity": finding.severity,
        "file": finding.file,
        "line": finding.line,
        "column": finding.column,
        "object": str(finding.object) if finding.object is not None else None,
        "field": finding.field,
        "message": finding.message,
    }


def _summary(errors: int, warnings: int) -> str:
    return f"{_counted(errors, 'error')}, {_counted(warnings, 'warning')}"


def _counted(number: int, what: str) -> str:
    return f"{number or 'no'} {what}{'' if number == 1 else 's'}"
