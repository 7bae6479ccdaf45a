"""`proxyless doctor`: what stands between a process and its mesh, and what to do about it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from ..errors import ConfigurationError

if TYPE_CHECKING:
    from ..examining.finding import Finding

_MARKS = {"good": "ok", "warning": "warning", "error": "ERROR", "unknown": "?"}


@click.command(short_help="what stands between a process and its mesh")
@click.option("--kubeconfig", metavar="FILE", help="look at a Pod from outside, through an API server")
@click.option("--config", "folder", metavar="DIR", help="look at a Pod from outside, in a folder of YAML")
@click.option("--pod", metavar="NAMESPACE/NAME", help="which one; here, without it")
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(min=0.1),
    default=10.0,
    metavar="SECONDS",
    help="how long each step may take",
    show_default=True,
)
@click.option("--json", "as_json", is_flag=True, help="print one JSON document (docs/doctor.md)")
def command(kubeconfig: str | None, folder: str | None, pod: str | None, timeout_s: float, as_json: bool) -> int:
    """Look at this process' place in the mesh: token, root certificate, control plane, identity, clock, versions, a
    sidecar beside it, modes of mTLS that would break, fields without effect. Each finding says what to do.

    Run it where the program runs (kubectl exec), or with --pod from a machine that reaches the API server.

    Exit status: 0 no errors (there may be warnings), 1 errors, 2 it cannot be looked at.
    """
    from ..examining.here import Place, examine

    if (kubeconfig or folder) and not pod:
        raise ConfigurationError("--pod NAMESPACE/NAME says which Pod is looked at through --kubeconfig or --config")
    if kubeconfig and folder:
        raise ConfigurationError("one of --kubeconfig and --config")
    findings: Iterable[Finding]
    if pod:
        from ..examining.there import examine_pod

        namespace, slash, name = pod.partition("/")
        if not slash or not namespace or not name:
            raise ConfigurationError(f"--pod {pod!r} is not NAMESPACE/NAME")
        findings = examine_pod(namespace, name, kubeconfig=kubeconfig, folder=folder, timeout_s=timeout_s)
    else:
        findings = examine(Place(timeout_s=timeout_s))
    seen: list[Finding] = []
    for each in findings:
        seen.append(each)
        if not as_json:
            click.echo(_shown(each))
    errors = sum(each.level == "error" for each in seen)
    if as_json:
        document = {"errors": errors, "findings": [each.document() for each in seen]}
        click.echo(json.dumps(document, indent=1))
    else:
        warnings = sum(each.level == "warning" for each in seen)
        click.echo(
            f"{errors or 'no'} error{'' if errors == 1 else 's'}, {warnings or 'no'} "
            f"warning{'' if warnings == 1 else 's'}"
        )
    return int(errors > 0)


def _shown(finding: Finding) -> str:
    said = f"{_MARKS[finding.level]:8}{finding.check}: {finding.text}"
    return f"{said}\n{'':10}-> {finding.do}" if finding.do else said
