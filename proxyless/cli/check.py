"""`proxyless check`: what is wrong with a folder of Istio and Kubernetes YAML, before anything runs on it."""

from __future__ import annotations

import click

from ..errors import ConfigurationError


@click.command(short_help="validate Istio and Kubernetes YAML")
@click.argument("directory", metavar="DIR")
@click.option("--mesh-config", metavar="FILE", help="Istio's MeshConfig; by default DIR's ConfigMap istio")
@click.option("--json", "form", flag_value="json", help="the same as --format json")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "sarif", "github"]),
    default="text",
    help="text for people, one JSON document, SARIF 2.1.0, or annotations of a GitHub workflow",
)
def command(directory: str, mesh_config: str | None, form: str) -> int:
    """Check the Istio and Kubernetes objects in DIR: file, line and field of each error, and of each field that would
    have no effect.

    An error is refused by the control plane or cannot do what it says; a warning does something else than it seems to.
    Paths are relative to DIR; those of sarif and github, to the current directory.

    Exit status: 0 no errors (there may be warnings), 1 errors, 2 the folder or FILE cannot be read.
    """
    from .. import __version__
    from .._extensions import extensions
    from ..xds.controlplane import SourceError, check
    from . import _findings, _reports

    try:
        findings = check(directory, mesh_config=mesh_config)
    except SourceError as error:
        raise ConfigurationError(str(error)) from error
    if form in ("sarif", "github"):
        results = [_findings.result_of(each, directory) for each in findings]
        sarif = form == "sarif"
        said = _reports.as_sarif(results, "proxyless check", __version__) if sarif else _reports.as_github(results)
    else:
        brought = extensions()
        said = _findings.as_json(findings, brought) if form == "json" else _findings.as_text(findings, brought)
    if said:
        click.echo(said)
    return 1 if any(each.severity == "error" for each in findings) else 0
