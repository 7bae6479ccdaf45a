"""`proxyless diff`: what a change of configuration changes in decisions."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import click

from ..errors import ConfigurationError


@click.command(short_help="what a change of configuration changes in decisions")
@click.argument("old", metavar="OLD")
@click.argument("new", metavar="NEW")
@click.option("--requests", metavar="FILE", help="requests to ask about: YAML, JSON or JSON lines (docs/diff.md)")
@click.option(
    "--node",
    "nodes",
    multiple=True,
    metavar="app=A,namespace=N,...",
    help="who asks; may be repeated. Default: every kind of Pod that both folders have",
)
@click.option("--json", "form", flag_value="json", help="the same as --format json")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "markdown", "sarif", "github"]),
    default="text",
    help="text for people, one JSON document, Markdown for a comment on a pull request, SARIF 2.1.0, or annotations and"
    " the summary of a GitHub workflow",
)
def command(old: str, new: str, requests: str | None, nodes: tuple[str, ...], form: str) -> int:
    """Compare the decisions of two folders of Istio and Kubernetes YAML: requests that go elsewhere, policies that
    tighten or loosen, services that come or go.

    Exit status: 0 nothing is decided differently, 1 something is, 2 bad input.
    """
    from .. import __version__
    from ..comparing import compare
    from ..comparing.asked import read_requests
    from . import _diff_view, _reports

    given = read_requests(requests) if requests is not None else []
    found = compare(old, new, nodes, given)
    if form == "json":
        said = json.dumps(found.document(), indent=1)
    elif form == "sarif":
        said = _reports.as_sarif(_diff_view.results(found), "proxyless diff", __version__)
    elif form == "github":
        said = _reports.as_github(_diff_view.results(found))
        _summarize(_diff_view.as_markdown(found))
    else:
        said = _diff_view.as_markdown(found) if form == "markdown" else _diff_view.as_text(found)
    if said:
        click.echo(said.encode("utf-8", "replace"))
    if form == "text" and sys.stderr.isatty():
        click.echo(_diff_view.looked_at(found.looked), err=True)
    return 1 if found.differs else 0


def _summarize(markdown: str) -> None:
    """Adds to the summary of a job, which a step of a GitHub workflow writes to a file."""
    path = os.environ.get("GITHUB_STEP_SUMMARY")
    if path:
        try:
            with Path(path).open("a", encoding="utf-8", errors="replace") as file:
                file.write(f"{markdown}\n")
        except OSError as error:
            raise ConfigurationError(f"GITHUB_STEP_SUMMARY: cannot write {path}: {error.strerror}") from error
