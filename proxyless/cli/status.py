"""`proxyless status`: what a running process or a control plane holds, and what is wrong with it."""

from __future__ import annotations

import json

import click

from ._asked import ProcessOptions, asked_process, has_source, opened, process_options
from ._source import SourceOptions, source_options


@click.command(short_help="what a running process or a control plane holds")
@process_options
@click.option("--json", "as_json", is_flag=True, help="print one JSON document (docs/status.md)")
@source_options
def command(pid: int | None, mesh: int | None, as_json: bool, source: SourceOptions) -> int:
    """Resources, versions, rejects, endpoints and thresholds of a process (the only one, or --pid), or of a source.

    Exit status: 0 good, 1 a finding (a rejected resource, no connection to the control plane), 2 nobody to ask.
    """
    options = ProcessOptions(pid, mesh)
    if has_source(source):
        with opened(source, options) as own:
            document = own.status()
    else:
        document = asked_process({"command": "status"}, options)
    if as_json:
        click.echo(json.dumps(document, indent=1))
    else:
        from ._status_view import console, view

        console().print(view(document))
    return int(bool(document["findings"]))
