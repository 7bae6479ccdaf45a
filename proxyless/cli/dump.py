"""`proxyless dump`: every resource of a running process or a control plane."""

from __future__ import annotations

import json

import click

from ..documents import Document
from ._asked import ProcessOptions, asked_process, has_source, opened, process_options
from ._source import SourceOptions, source_options


@click.command(short_help="every resource of a running process or a control plane")
@process_options
@click.option("--type", "type_", metavar="TYPE", help="only this type: Cluster, Listener, RouteConfiguration ...")
@click.option("--name", metavar="NAME", help="only the resource of this name, in full")
@click.option("--json", "as_json", is_flag=True, help="print one JSON document (docs/status.md)")
@source_options
def command(
    pid: int | None,
    mesh: int | None,
    type_: str | None,
    name: str | None,
    as_json: bool,
    source: SourceOptions,
) -> int:
    """The resources of a process (the only one, or --pid), or of a source; secrets are redacted.

    Exit status: 0 good, 1 a finding (a resource whose newest version is rejected, or none that was asked for), 2 nobody
    to ask.
    """
    options = ProcessOptions(pid, mesh)
    if has_source(source):
        with opened(source, options) as own:
            document = own.dump(kind=type_, name=name)
    else:
        document = asked_process({"command": "dump", "type": type_, "name": name}, options)
    if as_json:
        click.echo(json.dumps(document, indent=1))
    else:
        _show(document, in_full=name is not None)
    found = document["dump"]
    return int(not found or any(each["state"] == "rejected" for each in found))


def _show(document: Document, *, in_full: bool) -> None:
    from rich.text import Text

    from ._status_view import console, table_of

    out = console()
    table = table_of("", "type", "name", "version", "state")
    for each in document["dump"]:
        table.add_row(each["type"], Text(each["name"]), each["version"] or "-", each["state"])
    out.print(table)
    if in_full:
        for each in document["dump"]:
            click.echo(json.dumps(each["resource"], indent=1))
    else:
        out.print(Text("--name NAME shows one in full, --json all of them", style="dim"))
